//! What nodes that are gone may have again: a server of a Redis Cluster may go back to what it had before, while others
//! have it that all is cleaned up.

use std::rc::Rc;

use redis::Value;

use super::jobs::{NoAnswer, Plain, Reached, Then};
use super::state::Node;
use crate::cluster::redis::keys;
use crate::cluster::redis::script;
use crate::cluster::redis::wire::GONE_FOR;

impl Node {
    /// Looks for them on the servers that are reached anew.
    pub(super) fn look_for_gone(&mut self, reached: Reached) {
        let key = self.setup.keys.gone();
        let mut command = redis::cmd("ZRANGE");
        command.arg(&key).arg(0).arg(-1);
        self.call(Plain::new(key, command, Then::Gone(reached)));
    }

    /// These nodes are gone.
    pub(super) fn on_gone(&mut self, reached: &Reached, answer: Result<Value, NoAnswer>) {
        let Ok(Ok(gone)) = answer.map(script::texts) else {
            return self.memory.compare_again(reached);
        };
        for node in gone {
            let key = self.setup.keys.topics_of(&node);
            let mut command = redis::cmd("SMEMBERS");
            command.arg(&key);
            let then = Then::TopicsOfGone(node, Rc::clone(reached));
            self.call(Plain::new(key, command, then));
        }
    }

    /// These are the topics that one had to do with: those on servers that are reached anew are cleaned up again.
    pub(super) fn on_topics_of_gone(
        &mut self,
        gone: &str,
        reached: &Reached,
        answer: Result<Value, NoAnswer>,
    ) {
        let Ok(Ok(topics)) = answer.map(script::texts) else {
            return self.memory.compare_again(reached);
        };
        if topics.is_empty() {
            return;
        }
        // The list may be an older one itself.
        self.expire_topics_of(gone);
        for topic in topics {
            if self.is_on(&topic, reached) && self.ensure_known(&topic) {
                if let Some(channel) = self.channels.get_mut(&*topic) {
                    channel.add_gone(gone);
                }
                self.look_after(&topic);
            }
        }
    }

    /// Whether the topic is on one of these servers.
    pub(super) fn is_on(&self, topic: &str, reached: &Reached) -> bool {
        let link = self.servers.link_of(keys::slot(topic));
        link.is_some_and(|link| reached.contains(&link))
    }

    /// What the node had to do with is not needed for ever.
    pub(super) fn expire_topics_of(&mut self, node: &str) {
        let key = self.setup.keys.topics_of(node);
        let mut command = redis::cmd("PEXPIRE");
        command.arg(&key).arg(GONE_FOR.as_millis() as u64);
        self.call(Plain::new(key, command, Then::Nothing));
    }

    /// Nothing of the node is left. Where a server may go back, it is remembered for a while.
    pub(super) fn bury(&mut self, node: &str) {
        self.life.note_buried(node);
        self.expire_topics_of(node);
        let [_, _, dead] = self.setup.keys.nodes();
        let gone = self.setup.keys.gone();
        let command = script::BURY
            .call(&[&dead, &gone])
            .arg("node", node)
            .arg("remembered_for", GONE_FOR.as_millis() as u64)
            .command();
        self.call(Plain::new(gone, command, Then::Nothing));
    }
}
