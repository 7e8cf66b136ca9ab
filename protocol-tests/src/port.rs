//! A port that stays a test's own while nobody listens on it.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;

/// A free port of loopback. While this lives, connections to it are refused unless the test, or a program that it
/// starts, listens there; and the system gives it to nobody who asks for any free port.
#[derive(Debug)]
pub struct Port {
    address: SocketAddr,
    _held: Socket,
}

impl Port {
    /// Takes one.
    pub fn hold() -> Port {
        let held = bind(0);
        let address = held.local_addr().expect("the socket is bound");
        Port {
            address: address.as_socket().expect("it is an address of IPv4"),
            _held: held,
        }
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Listens on it, on the runtime of the caller, until what is returned is dropped.
    pub fn listen(&self) -> TcpListener {
        let listener = bind(self.address.port());
        listener.listen(128).expect("the socket is bound");
        TcpListener::from_std(listener.into()).expect("a runtime is there")
    }
}

/// A socket bound to a port of loopback (0: a free one). Sockets of this process may share it; programs may bind to it,
/// too, if they allow that an address is used again, which most servers do.
fn bind(port: u16) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("there are descriptors");
    socket
        .set_reuse_address(true)
        .expect("Linux has SO_REUSEADDR");
    socket.set_reuse_port(true).expect("Linux has SO_REUSEPORT");
    socket.set_nonblocking(true).expect("the socket is open");
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    socket
        .bind(&address.into())
        .unwrap_or_else(|error| panic!("cannot bind {address}: {error}"));
    socket
}
