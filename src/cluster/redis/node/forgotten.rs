//! Redis has forgotten something, or may have while it was away.

use std::rc::Rc;

use redis::Value;

use super::jobs::{NoAnswer, Plain, Reached, Then};
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
        self.recent.note_forgotten();
    }

    /// Whether what Redis has can be compared: of several servers one that is away has a part of it.
    pub(super) fn may_compare(&self) -> bool {
        !self.servers.are_several() || self.servers.all_reached()
    }

    /// What Redis has of this node on channels that it does not know, under any id that it had, is
    /// taken out.
    pub(super) fn compare_lists(&mut self) {
        let reached = self.memory.take_reached();
        let current = self.life.ids.current;
        let earlier = self.life.unburied();
        let key = self.setup.keys.topics_of(&current.to_string());
        let mut command = redis::cmd("SMEMBERS");
        command.arg(&key);
        self.call(Plain::new(
            key,
            command,
            Then::CompareLists(current, Rc::clone(&reached)),
        ));
        for id in earlier {
            self.clean_up_after(id);
        }
        // Of what they had before it came a node that has just started knows nothing: others look for it.
        let is_first = !std::mem::replace(&mut self.memory.has_compared, true);
        if self.servers.are_several() && !reached.is_empty() && !is_first {
            self.look_for_gone(reached);
        }
    }

    /// These topics Redis has of this node, under the id that it had when it asked.
    pub(super) fn on_own_list(
        &mut self,
        id: NodeId,
        reached: &Reached,
        answer: Result<Value, NoAnswer>,
    ) {
        match answer.map(script::texts) {
            Ok(Ok(topics)) if self.node() == id => {
                for topic in topics {
                    self.on_own_topic(&topic, reached);
                }
            }
            _ => self.memory.compare_again(reached),
        }
    }

    fn on_own_topic(&mut self, topic: &str, reached: &Reached) {
        let was_left = !self.channels.contains_key(topic) && self.postponed.left.contains(topic);
        if was_left && !self.is_on(topic, reached) {
            return;
        }
        if self.ensure(topic).is_some() {
            self.with(topic, |channel, _| channel.on_found(was_left));
        }
    }
}
