//! What is done with an accepted connection before anything is spoken over it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use tokio::net::{TcpStream, UnixStream};

/// A connection that was accepted.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    /// Who is at its other end; None: somebody on this machine, by a Unix socket.
    pub(super) peer: Option<SocketAddr>,
}

impl Accepted {
    /// Over TCP. An error: it is broken already.
    pub(super) fn tcp(stream: TcpStream) -> io::Result<Self> {
        // With Nagle's algorithm, the second of two events waits for the first to be acknowledged.
        stream.set_nodelay(true)?;
        let peer = stream.peer_addr()?;
        Ok(Self {
            stream,
            peer: Some(peer),
        })
    }

    /// Over a Unix socket. It goes on in the clothes of a TCP stream: all that is done with either
    /// (recv, send, writev, shutdown, readiness) is the same calls on a descriptor, so that nothing
    /// behind this must choose between the two. Its options and addresses are nobody's concern.
    pub(super) fn unix(stream: UnixStream) -> io::Result<Self> {
        let descriptor = OwnedFd::from(stream.into_std()?);
        let stream = TcpStream::from_std(std::net::TcpStream::from(descriptor))?;
        Ok(Self { stream, peer: None })
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn accepted_sockets_send_small_frames_at_once() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (accepted, _) = accepted.unwrap();
        assert!(!accepted.nodelay().unwrap());
        let accepted = Accepted::tcp(accepted).unwrap();
        assert!(accepted.stream.nodelay().unwrap());
        assert_eq!(accepted.peer, client.unwrap().local_addr().ok());
    }

    #[tokio::test]
    async fn unix_sockets_are_read_written_halved_and_shut_down() {
        let (mut client, accepted) = UnixStream::pair().unwrap();
        let Accepted { stream, peer } = Accepted::unix(accepted).unwrap();
        assert_eq!(peer, None);
        let (mut reader, mut writer) = stream.into_split();
        client.write_all(b"ping").await.unwrap();
        let mut received = [0; 4];
        reader.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"ping");
        writer.write_all(b"pong").await.unwrap();
        writer.shutdown().await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "pong");
    }
}
