//! Connections: names, TCP and TLS, each in bounded time.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConnection, StreamOwned};

use super::address::PublicUrl;
use crate::tls::unverified_client;

/// How long each of these may take: to look a name up, to connect to an address, to shake hands.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What this machine answers where it has no way to an address.
const NO_ROUTE: [i32; 5] = [
    libc::EADDRNOTAVAIL,
    libc::EAFNOSUPPORT,
    libc::EHOSTUNREACH,
    libc::ENETDOWN,
    libc::ENETUNREACH,
];

/// A connection, encrypted or not.
pub(super) enum Stream {
    Plain(Timed),
    Tls(Box<StreamOwned<ClientConnection, Timed>>),
}

/// A socket that is read until a time, however little comes at once.
pub(super) struct Timed {
    socket: TcpStream,
    deadline: Instant,
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            self.socket.set_read_timeout(Some(left))?;
            match self.socket.read(buffer) {
                // A process that was stopped and goes on is woken so.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// The addresses that a host stands for.
pub(super) fn resolve(host: &str, port: u16) -> Result<Vec<IpAddr>, String> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![address]);
    }
    // The system's resolver takes as long as it likes, and cannot be interrupted: whoever waits for it gives up.
    let (found, answer) = mpsc::sync_channel(1);
    let target = (host.to_owned(), port);
    thread::spawn(move || {
        let addresses = target.to_socket_addrs().map(|found| {
            let mut addresses: Vec<IpAddr> = found.map(|address| address.ip()).collect();
            addresses.sort_unstable();
            addresses.dedup();
            addresses
        });
        // Nobody waits any more if this fails.
        let _ = found.send(addresses);
    });
    match answer.recv_timeout(PATIENCE) {
        Ok(Ok(addresses)) => Ok(addresses),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

/// Connects to one address.
pub(super) fn connect(address: IpAddr, port: u16) -> io::Result<(TcpStream, Duration)> {
    let started = Instant::now();
    let stream = TcpStream::connect_timeout(&SocketAddr::new(address, port), PATIENCE)?;
    stream.set_nodelay(true)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok((stream, started.elapsed()))
}

/// Whether this machine has a way to an address, as far as it knows itself. False of most IPv6 addresses where there is no IPv6,
/// as in Docker's own network.
pub(super) fn has_route(address: IpAddr, port: u16) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // Over UDP, nothing is sent by that: a refusal is this machine's, and no answer of a router's on the way.
    let tried = UdpSocket::bind((any, 0)).and_then(|socket| socket.connect((address, port)));
    let code = tried.err().and_then(|error| error.raw_os_error());
    !code.is_some_and(|code| NO_ROUTE.contains(&code))
}

/// Opens a connection as a client would.
pub(super) fn open(url: &PublicUrl, address: IpAddr) -> io::Result<Stream> {
    let (socket, _) = connect(address, url.port)?;
    let mut socket = Timed {
        socket,
        deadline: Instant::now() + PATIENCE,
    };
    if !url.tls {
        return Ok(Stream::Plain(socket));
    }
    let name = ServerName::try_from(url.host.clone()).map_err(io::Error::other)?;
    // Any certificate passes: it is judged afterwards, and what else is wrong is to be found, too. Nothing secret is sent
    // over such a connection; signatures are, of requests that concern channels of the doctor's own.
    let client = unverified_client().expect("the provider has the ciphers of all versions");
    let connection = ClientConnection::new(Arc::new(client), name);
    let mut connection = connection.map_err(io::Error::other)?;
    // It goes on until the handshake has come to its end, or the time has.
    connection.complete_io(&mut socket)?;
    Ok(Stream::Tls(Box::new(StreamOwned::new(connection, socket))))
}

impl Stream {
    /// What the server sent of certificates, its own first; nothing without TLS.
    pub(super) fn certificates(&self) -> &[CertificateDer<'static>] {
        match self {
            Self::Plain(_) => &[],
            Self::Tls(stream) => stream.conn.peer_certificates().unwrap_or_default(),
        }
    }

    /// From then on, what is read fails: see [`is_timeout`].
    pub(super) fn read_until(&mut self, deadline: Instant) {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &mut stream.sock,
        };
        socket.deadline = deadline;
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// Whether an error means that the time was up.
pub(super) fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::thread::JoinHandleExt as _;

    use super::*;

    extern "C" fn nothing(_: libc::c_int) {}

    #[test]
    fn there_is_a_way_to_this_machine_itself_and_none_without_a_network() {
        let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
        assert!(has_route(loopback, 9));
        let without = thread::spawn(move || {
            // SAFETY: it concerns this thread alone, which ends soon.
            let is_apart = unsafe { libc::unshare(libc::CLONE_NEWNET) } == 0;
            let others = [loopback, Ipv6Addr::LOCALHOST.into()];
            is_apart.then(|| others.map(|address| has_route(address, 9)))
        });
        // Not everybody may have a thread without a network.
        if let Some(found) = without.join().unwrap() {
            assert_eq!(found, [false; 2]);
        }
    }

    #[test]
    fn signals_are_no_fault_of_who_is_read_from() {
        // SAFETY: the handler does nothing.
        unsafe { libc::signal(libc::SIGUSR2, nothing as *const () as libc::sighandler_t) };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut timed = Timed { socket, deadline };
        let reading = thread::spawn(move || {
            let mut byte = [0];
            timed.read(&mut byte).map(|_| byte[0])
        });
        for _ in 0..100 {
            // SAFETY: the thread has not been joined, so that its name is valid.
            unsafe { libc::pthread_kill(reading.as_pthread_t(), libc::SIGUSR2) };
            thread::sleep(Duration::from_millis(1));
        }
        peer.write_all(b"x").unwrap();
        assert_eq!(reading.join().unwrap().unwrap(), b'x');
    }
}
