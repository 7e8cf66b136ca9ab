//! Redis has forgotten something, or may have while it was away.

use redis::Value;

use super::jobs::{NoAnswer, Plain, Then};
use super::state::Node;
use crate::cluster::redis::entry::NodeId;
use crate::cluster::redis::script;
use crate::cluster::redis::wire::KEEPS_FOR;

impl Node {
    /// Redis has lost its memory, or has an older one. The other nodes notice as this one does:
    /// what is for them is kept until they have.
    pub(super) fn note_forgotten(&mut self) {
        tracing::warn!(
            "Redis has lost data, or has returned with older data: announcing all of it again"
        );
        self.setup.metrics.memory_losses.inc();
        self.memory.keep_until(self.now + KEEPS_FOR);
        self.memory.must_compare = true;
    }

    /// What Redis has of this node on channels that it does not know, under any id that it had, is
    /// taken out.
    pub(super) fn compare_lists(&mut self) {
        let current = self.life.ids.current;
        let earlier: Vec<String> = self.life.ids.earlier().map(|id| id.to_string()).collect();
        let key = self.setup.keys.topics_of(&current.to_string());
        let mut command = redis::cmd("SMEMBERS");
        command.arg(&key);
        self.call(Plain::new(key, command, Then::CompareLists(current)));
        for id in earlier {
            self.clean_up_after(id);
        }
    }

    /// These topics Redis has of this node, under the id that it had when it asked.
    pub(super) fn on_own_list(&mut self, id: NodeId, answer: Result<Value, NoAnswer>) {
        match answer.map(script::texts) {
            Ok(Ok(topics)) if self.node() == id => {
                for topic in topics {
                    if self.ensure(&topic).is_some() {
                        self.with(&topic, |channel, _| channel.on_found());
                    }
                }
            }
            _ => self.memory.must_compare = true,
        }
    }
}
