//! Topics that the node has to do with: Redis knows them, so that another node can clean up after this one.

use super::jobs::{Plain, Then};
use super::state::Node;
use crate::cluster::redis::channel::Channel;
use crate::cluster::redis::keys::Topic;

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

    /// The node has nothing to do with the topic any more. (One where it has only cleaned up after others is not among
    /// those that whoever cleans up after this one goes through.)
    pub(super) fn unlist(&mut self, topic: &Topic, has_announced: bool) {
        if self.servers.are_several() && has_announced {
            self.postponed.left.add(Topic::clone(topic), self.now);
        } else {
            self.unlist_now(topic);
        }
    }

    /// Topics that were left so long ago that their servers do not go back to before that.
    pub(super) fn unlist_left(&mut self) {
        while let Some(topic) = self.postponed.left.take_over(self.now) {
            let channel = self.channels.get(&topic);
            // One that is listed anew is left anew, too.
            if !channel.is_some_and(Channel::may_be_listed) {
                self.unlist_now(&topic);
            }
        }
    }

    fn unlist_now(&mut self, topic: &str) {
        let key = self.setup.keys.topics_of(&self.node().to_string());
        let mut command = redis::cmd("SREM");
        command.arg(&key).arg(topic);
        self.call(Plain::new(key, command, Then::Nothing));
    }
}
