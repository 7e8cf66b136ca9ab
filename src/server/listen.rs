//! Binding.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use super::ServeError;
use crate::config::{Address, Admin};

/// Connections that may wait to be accepted: a whole site that reconnects at once.
const BACKLOG: i32 = 4096;

/// Listens for operators: where the configuration says, or, if that is the default and taken, at
/// any free port. Empty if there is to be no such listener.
pub(super) fn bind_admin(admin: &Admin) -> Result<Vec<TcpListener>, ServeError> {
    let Some(address) = &admin.listen else {
        return Ok(Vec::new());
    };
    match bind(address, "admin.listen") {
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
    }
}

/// Listens on every address that the configured one stands for; at least one.
pub(super) fn bind(address: &Address, key: &'static str) -> Result<Vec<TcpListener>, ServeError> {
    let error = |source| ServeError::Bind {
        address: address.clone(),
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
pub(super) fn announce(listener: &'static str, addresses: &[SocketAddr]) {
    for address in addresses {
        tracing::info!(listener, %address, "listening");
    }
}
