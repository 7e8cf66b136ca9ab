//! Topics that the node has to do with: Redis knows them, so that another node can clean up after this one.

use super::jobs::{Plain, Then};
use super::state::Node;

impl Node {
    /// Puts the topic among those that this node has to do with, before it has.
    pub(super) fn list(&mut self, topic: &str) {
        let key = self.setup.keys.topics_of(&self.node().to_string());
        if !self.can_ask(&key) {
            return;
        }
        let Some(channel) = self.channels.get_mut(topic) else {
            return;
        };
        channel.begin_listing();
        let mut command = redis::cmd("SADD");
        command.arg(&key).arg(topic);
        let then = Then::Listed(topic.to_owned());
        self.call(Plain::new(key, command, then));
    }

    pub(super) fn unlist(&mut self, topic: &str) {
        let key = self.setup.keys.topics_of(&self.node().to_string());
        let mut command = redis::cmd("SREM");
        command.arg(&key).arg(topic);
        self.call(Plain::new(key, command, Then::Nothing));
    }
}
