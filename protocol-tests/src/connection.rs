//! A connection with a read buffer, below both the HTTP and the WebSocket client.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, Weak};

use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream, UnixStream};

use crate::wait::within;

/// Of what a segment has room for on the loopback interface, 64 KiB, twice as much. With less, the kernel drops segments and
/// their acknowledgements, and when both sides send, either waits for the other to repeat them, for up to minutes.
const SMALL_RECEIVE_BUFFER: usize = 128 << 10;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The server closed its side in order.
    Eof,
    /// The server reset the connection, as the kernel does when it closes with input unread.
    Reset,
}

impl fmt::Display for Ended {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Ended::Eof => "the server closed the connection",
            Ended::Reset => "the server reset the connection",
        })
    }
}

/// A connection and what was received on it and not yet taken.
#[derive(Debug)]
pub struct Connection {
    stream: Arc<TcpStream>,
    received: Vec<u8>,
    taken: usize,
}

impl Connection {
    /// Connects to `authority` (`host:port`), with TCP_NODELAY set.
    pub async fn open(authority: &str) -> Connection {
        let stream = within(
            &format!("a connection to {authority}"),
            TcpStream::connect(authority),
        )
        .await
        .unwrap_or_else(|error| panic!("cannot connect to {authority}: {error}"));
        Connection::over(stream)
    }

    /// Connects to `authority` from an address of this machine.
    pub async fn open_from(address: &str, authority: &str) -> Connection {
        let own = SocketAddr::new(address.parse().expect("it is an address"), 0);
        let socket = TcpSocket::new_v4().expect("there are descriptors");
        socket.bind(own).expect("it is an address of this machine");
        let authority = authority.parse().expect("it is an address and a port");
        let stream = within("a connection", socket.connect(authority)).await;
        Connection::over(stream.unwrap_or_else(|error| panic!("no connection: {error}")))
    }

    /// Connects to a Unix socket.
    pub async fn open_unix(path: &Path) -> Connection {
        let what = format!("a connection to {}", path.display());
        let stream = within(&what, UnixStream::connect(path)).await;
        let stream = stream.unwrap_or_else(|error| panic!("no connection to {path:?}: {error}"));
        let stream = stream.into_std().expect("the socket is open");
        // To be read and written as any other.
        let stream = std::net::TcpStream::from(OwnedFd::from(stream));
        Connection::of(TcpStream::from_std(stream).expect("the socket is open"))
    }

    /// Connects to `authority` where somebody listens, with TCP_NODELAY set. The error is that of the attempt.
    pub async fn try_open(authority: &str) -> io::Result<Connection> {
        let what = format!("an answer from {authority}");
        let stream = within(&what, TcpStream::connect(authority)).await?;
        Ok(Connection::over(stream))
    }

    /// The port of this side.
    pub fn local_port(&self) -> u16 {
        let address = self.stream.local_addr();
        address.expect("the socket is open").port()
    }

    /// Takes over an open stream, and sets TCP_NODELAY.
    pub(crate) fn over(stream: TcpStream) -> Connection {
        stream.set_nodelay(true).expect("the socket is open");
        Connection::of(stream)
    }

    fn of(stream: TcpStream) -> Connection {
        Connection {
            stream: Arc::new(stream),
            received: Vec::new(),
            taken: 0,
        }
    }

    /// What was received and not yet taken.
    pub fn buffered(&self) -> &[u8] {
        &self.received[self.taken..]
    }

    /// Removes the first `count` buffered bytes.
    pub fn take(&mut self, count: usize) {
        assert!(count <= self.received.len() - self.taken);
        self.taken += count;
        if self.taken == self.received.len() {
            self.received.clear();
            self.taken = 0;
        }
    }

    /// Waits for more bytes and adds them to the buffer. No time limit. Nothing is lost when it is dropped early.
    pub async fn receive(&mut self) -> Result<(), Ended> {
        self.received.drain(..self.taken);
        self.taken = 0;
        self.received.reserve(16 * 1024);
        loop {
            self.stream.readable().await.expect("the reactor is alive");
            match self.stream.try_read_buf(&mut self.received) {
                Ok(0) => return Err(Ended::Eof),
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if is_reset(&error) => return Err(Ended::Reset),
                Err(error) => panic!("cannot read from the server: {error}"),
            }
        }
    }

    /// Sends `bytes`; an error means that the server has ended the connection.
    pub async fn try_send(&mut self, mut bytes: &[u8]) -> Result<(), Ended> {
        while !bytes.is_empty() {
            within("room to send", self.stream.writable())
                .await
                .expect("the reactor is alive");
            match self.stream.try_write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if is_reset(&error) => return Err(Ended::Reset),
                Err(error) => panic!("cannot write to the server: {error}"),
            }
        }
        Ok(())
    }

    /// Sends `bytes`, and panics when the server has ended the connection.
    pub async fn send(&mut self, bytes: &[u8]) {
        if let Err(ended) = self.try_send(bytes).await {
            panic!("cannot send: {ended}");
        }
    }

    /// Reads until the server ends the connection, and answers with all that came and how it ended.
    pub async fn receive_to_end(&mut self) -> (Vec<u8>, Ended) {
        within("the server to end the connection", async {
            loop {
                if let Err(ended) = self.receive().await {
                    let rest = self.buffered().to_vec();
                    self.take(rest.len());
                    return (rest, ended);
                }
            }
        })
        .await
    }

    /// Closes the sending side; the server can still be read from.
    pub fn finish_sending(&self) {
        SockRef::from(&*self.stream)
            .shutdown(std::net::Shutdown::Write)
            .expect("the socket is open");
    }

    /// Makes dropping this connection reset it (RST) instead of ending it in order, as a crashed client does.
    pub fn reset_on_drop(&self) {
        SockRef::from(&*self.stream)
            .set_linger(Some(std::time::Duration::ZERO))
            .expect("the socket is open");
    }

    /// Sets the kernel's send buffer, so that little is on its way to a server that reads slowly.
    pub fn set_send_buffer(&self, bytes: usize) {
        SockRef::from(&*self.stream)
            .set_send_buffer_size(bytes)
            .expect("the socket is open");
    }

    /// Makes the kernel's receive buffer small, so that a client that stops reading stalls the server soon.
    pub fn set_small_receive_buffer(&self) {
        SockRef::from(&*self.stream)
            .set_recv_buffer_size(SMALL_RECEIVE_BUFFER)
            .expect("the socket is open");
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
    )
}

/// The connections that a server's clients hold, so that the end of a test can close those still in scope.
#[derive(Clone, Debug, Default)]
pub(crate) struct OpenConnections {
    streams: Arc<Mutex<Vec<Weak<TcpStream>>>>,
}

impl OpenConnections {
    pub(crate) fn add(&self, connection: &Connection) {
        let mut streams = self.streams.lock().expect("no test panics holding this");
        streams.retain(|stream| stream.strong_count() > 0);
        streams.push(Arc::downgrade(&connection.stream));
    }

    pub(crate) fn close_all(&self) {
        let mut streams = self.streams.lock().expect("no test panics holding this");
        for stream in streams.drain(..).filter_map(|stream| stream.upgrade()) {
            // The server may have closed it already, which is an error here and what is wanted.
            let _already_closed = SockRef::from(&*stream).shutdown(std::net::Shutdown::Both);
        }
    }
}
