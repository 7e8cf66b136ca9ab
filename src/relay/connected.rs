//! A connection that the live stream shows.

use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use super::Relay;
use crate::hub::Registration;

/// A connection from the moment that the live stream shows it as established to that in which it is
/// shown as ended, which is when this is dropped.
#[derive(Debug)]
pub struct Connected {
    relay: Arc<Relay>,
    registration: Registration,
}

impl Connected {
    /// Shows the connection as established, by a client with this address.
    pub fn new(relay: &Arc<Relay>, registration: Registration, client: Option<IpAddr>) -> Self {
        registration.set_address(client);
        relay.on_connect(&registration, client);
        Self {
            relay: Arc::clone(relay),
            registration,
        }
    }

    /// Closes the connection if its app was removed or disabled while it was admitted: now that it is in the tables
    /// of its shard, whatever becomes of the app closes it.
    pub fn close_if_app_is_closed(&self) {
        if let Some(reason) = self.app().closed() {
            self.close(&reason);
        }
    }

    /// What the connection asks for is done on this.
    pub fn relay(&self) -> &Arc<Relay> {
        &self.relay
    }
}

impl Deref for Connected {
    type Target = Registration;

    fn deref(&self) -> &Registration {
        &self.registration
    }
}

impl DerefMut for Connected {
    fn deref_mut(&mut self) -> &mut Registration {
        &mut self.registration
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.relay.on_disconnect(&self.registration);
    }
}
