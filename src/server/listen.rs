//! Binding.

use std::fmt::Display;
use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use super::ServeError;
use super::listener::{BACKLOG, Public, PublicSocket};
use super::unix_socket::{self, SocketFile};
use crate::admin;
use crate::config::{Address, Admin, Listen, Server, UnixAccess};

/// Listens for operators: where the configuration says, or, if that is the default and taken, at
/// any free port. Empty if there is to be no such listener.
pub(super) fn bind_admin(admin: &Admin, access: &UnixAccess) -> Result<AdminSockets, ServeError> {
    let address = match &admin.listen {
        None => return Ok(AdminSockets::default()),
        Some(Listen::Unix(path)) => {
            let bound = unix_socket::bind(path, access);
            let (socket, file) = bound.map_err(|source| ServeError::Bind {
                address: format!("unix:{}", path.display()),
                key: "admin.listen",
                source,
            })?;
            return Ok(AdminSockets {
                names: vec![format!("unix:{}", path.display())],
                bound: vec![admin::Bound::Unix(socket)],
                file: Some(file),
                first_address: None,
            });
        }
        Some(Listen::Tcp(address)) => address,
    };
    let listeners = match bind(address, "admin.listen") {
        Err(ServeError::Bind { source, .. })
            if admin.is_default() && source.kind() == io::ErrorKind::AddrInUse =>
        {
            let listeners = bind(&Address::loopback(0), "admin.listen")?;
            tracing::warn!(
                "{address} is taken, perhaps by another relay: the admin listener takes a free port; \
                 admin.listen or --admin-listen chooses one"
            );
            Ok(listeners)
        }
        bound => bound,
    }?;
    Ok(AdminSockets {
        names: listeners.iter().map(local_address).collect(),
        first_address: addresses(&listeners).first().copied(),
        bound: listeners.into_iter().map(admin::Bound::Tcp).collect(),
        file: None,
    })
}

/// Where operators are listened to; nowhere, if there are none.
#[derive(Debug, Default)]
pub(super) struct AdminSockets {
    /// For people.
    pub(super) names: Vec<String>,
    pub(super) bound: Vec<admin::Bound>,
    pub(super) first_address: Option<SocketAddr>,
    /// That of a Unix socket, which goes when this is dropped.
    pub(super) file: Option<SocketFile>,
}

/// Listens for clients wherever the configuration says; at least one. The files are those of Unix
/// sockets, and go when they are dropped.
pub(super) fn bind_public(server: &Server) -> Result<(Vec<Public>, Vec<SocketFile>), ServeError> {
    let key = "server.listen";
    let (mut listeners, mut files) = (Vec::new(), Vec::new());
    for listener in &server.listen {
        let proxy_protocol = listener.proxy_protocol;
        match &listener.at {
            Listen::Tcp(address) => {
                let bound = bind(address, key)?.into_iter().map(|listener| Public {
                    name: local_address(&listener),
                    socket: PublicSocket::Tcp(listener),
                    proxy_protocol,
                });
                listeners.extend(bound);
            }
            Listen::Unix(path) => {
                let bound = unix_socket::bind(path, &server.unix_access);
                let (socket, file) = bound.map_err(|source| ServeError::Bind {
                    address: listener.at.to_string(),
                    key,
                    source,
                })?;
                files.push(file);
                listeners.push(Public {
                    name: listener.at.to_string(),
                    socket: PublicSocket::Unix(socket),
                    proxy_protocol,
                });
            }
        }
    }
    Ok((listeners, files))
}

fn local_address(listener: &TcpListener) -> String {
    listener
        .local_addr()
        .map_or_else(|_| "unknown".into(), |address| address.to_string())
}

/// The first address of a TCP listener.
pub(super) fn first_address(listeners: &[Public]) -> Option<SocketAddr> {
    listeners
        .iter()
        .find_map(|listener| match &listener.socket {
            PublicSocket::Tcp(listener) => listener.local_addr().ok(),
            PublicSocket::Unix(_) => None,
        })
}

/// Listens on every address that the configured one stands for; at least one.
pub(super) fn bind(address: &Address, key: &'static str) -> Result<Vec<TcpListener>, ServeError> {
    let error = |source| ServeError::Bind {
        address: address.to_string(),
        key,
        source,
    };
    let resolved = address.resolve().map_err(error)?;
    let listeners: Vec<TcpListener> = resolved
        .into_iter()
        .map(listen_on)
        .collect::<io::Result<_>>()
        .map_err(error)?;
    if listeners.is_empty() {
        return Err(error(io::ErrorKind::AddrNotAvailable.into()));
    }
    Ok(listeners)
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A restart need not wait for the connections of its predecessor to be forgotten.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The addresses that were really bound.
pub(super) fn addresses(listeners: &[TcpListener]) -> Vec<SocketAddr> {
    listeners
        .iter()
        .filter_map(|listener| listener.local_addr().ok())
        .collect()
}

/// Logs where the relay listens, for the operator and for whoever started it.
pub(super) fn announce(listener: &'static str, addresses: &[impl Display]) {
    for address in addresses {
        tracing::info!(listener, %address, "listening");
    }
}
