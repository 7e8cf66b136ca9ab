//! That a node has changed the apps of the database that all of them share.
//!
//! A notice has nothing in it, and what it makes the others do they do every while without it: one that is lost, or
//! made up, changes no more than when they look.

use std::sync::Arc;

use super::jobs::{Plain, Then};
use super::state::Node;
use crate::cluster::redis::keys;
use crate::cluster::redis::link::LinkId;

impl Node {
    /// Listens to the notices of the others, at the server that has their topic.
    pub(super) fn follow_apps(&mut self) {
        let Some(topic) = &self.setup.apps_topic else {
            return;
        };
        let slot = keys::slot(topic);
        if self.servers.link_of(slot).is_some() {
            self.servers.listen(slot, Arc::clone(topic));
        }
    }

    /// The same once this connection is made.
    pub(super) fn follow_apps_at(&mut self, link: LinkId) {
        let topic = self.setup.apps_topic.as_deref();
        let slot = topic.map(keys::slot);
        if slot.is_some_and(|slot| self.servers.link_of(slot) == Some(link)) {
            self.follow_apps();
        }
    }

    /// Whether this is the topic of the notices.
    pub(super) fn is_of_apps(&self, topic: &[u8]) -> bool {
        let own = self.setup.apps_topic.as_deref();
        own.is_some_and(|own| own.as_bytes() == topic)
    }

    /// Another node has changed the apps, or this one.
    pub(super) fn on_apps_changed(&self) {
        if let Some(changed) = self.setup.shared.apps_changed.get() {
            changed.notify_one();
        }
    }

    /// Lets the other nodes know that this one has changed the apps.
    pub(super) fn announce_apps(&mut self) {
        let Some(topic) = &self.setup.apps_topic else {
            return;
        };
        let mut command = redis::cmd(self.servers.publish());
        command.arg(&**topic).arg("");
        let plain = Plain::new(topic.to_string(), command, Then::Nothing);
        self.call(plain);
    }
}
