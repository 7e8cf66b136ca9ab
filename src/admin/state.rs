//! What the admin listener shows and does things to; what opens it, and where it listens.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::Notify;

use super::in_use::InUse;
use super::keyring::Keyring;
use crate::database::Store;
use crate::doctor::RelaySettings;
use crate::relay::Relay;

/// What the admin listener shows, and what it does things to.
#[derive(Clone, Debug)]
pub struct AdminState {
    /// What it is all about.
    pub relay: Arc<Relay>,
    /// Host names to answer to.
    pub names: Names,
    /// The apps that can be made and changed here.
    pub apps: Store,
    /// The configuration that holds, without secrets.
    pub config: Arc<InUse>,
    /// What the doctor, and tests of webhooks, go by.
    pub relay_settings: RelaySettings,
    /// When the relay was started.
    pub started_at: SystemTime,
    /// Notified when the relay is to stop in good order.
    pub stop: Arc<Notify>,
}

/// What opens it.
#[derive(Clone, Debug, Default)]
pub struct Locks {
    /// The tokens; none: whoever reaches it may do everything.
    pub keyring: Arc<Keyring>,
    /// Whether metrics need none all the same.
    pub open_metrics: bool,
}

/// Where it listens.
#[derive(Debug)]
pub enum Bound {
    /// On a port.
    Tcp(TcpListener),
    /// On a Unix socket.
    Unix(UnixListener),
}

/// Host names to answer to beside those that no foreign web page can have: IP addresses and
/// `localhost`.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The one that the configuration binds, if it is a name, and those that it lists, in lower case.
    pub own: Arc<[Box<str>]>,
    /// Whether any name without a dot will do, as containers and services have them.
    pub without_dot: bool,
}
