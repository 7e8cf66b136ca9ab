//! What connections and publishers ask for, done on the hub.
//!
//! - [`act`]: what a connection's session wants
//! - [`publish`]: events of backends
//! - [`client_event`]: events of clients
//! - [`terminate`]: ends of a user's connections
//! - [`Connected`]: a connection that the live stream shows
//! - [`incoming`]: what its client sends, and when no more of it is handled
//! - [`observe`]: what of all that the live stream shows

mod act;
mod client_event;
mod connected;
mod incoming;
mod observe;
mod publish;
mod terminate;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

pub use connected::Connected;
pub use incoming::WaitingEvent;
pub use publish::{Publication, PublishError, Receipts};

use crate::clients::Clients;
use crate::hub::{Authority, Hub};
use crate::net::memory::Ceiling;
use crate::net::tally::Requests;
use crate::tap::Tap;

/// What connections and publishers ask for, done on the hub.
#[derive(Debug)]
pub struct Relay {
    /// Who is connected and subscribed.
    pub hub: Hub,
    /// Who decides about joins and leaves, on this node or for all.
    pub authority: Arc<dyn Authority>,
    /// The live stream of what passes.
    pub tap: Tap,
    /// HTTP requests under way.
    pub requests: Requests,
    /// Where clients come from, and how much each may do.
    pub clients: Clients,
    /// How much memory the process may have.
    pub memory: Ceiling,
    /// Whether the configuration has changed and cannot be used, so that the one before it holds.
    pub is_outdated: AtomicBool,
}
