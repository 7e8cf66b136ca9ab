//! What Redis remembers, and what is done when it has forgotten.

use std::time::Instant;

use super::Node;
use super::calls::{Plain, Then};
use crate::cluster::redis::script::{self, Memory};
use crate::cluster::redis::wire::KEEPS_FOR;

/// What is known of Redis' memory.
pub(super) struct KnownMemory {
    pub(super) key: Box<str>,
    /// As it was at the last heartbeat.
    pub(super) last: Memory,
    /// Until when other nodes may not have announced again what it has lost.
    pub(super) doubts_until: Instant,
    /// Until when entries are kept even where no other node is known to listen.
    keeps_until: Instant,
    /// Whether what it has of this node is to be compared with what it is.
    pub(super) must_compare: bool,
}

impl KnownMemory {
    pub(super) fn new(key: Box<str>, now: Instant) -> Self {
        Self {
            key,
            last: Memory::default(),
            doubts_until: now,
            keeps_until: now,
            must_compare: false,
        }
    }

    /// Other nodes may be on their way back until then.
    pub(super) fn keep_until(&mut self, until: Instant) {
        self.keeps_until = until;
    }

    pub(super) fn keeps(&self, now: Instant) -> bool {
        now < self.keeps_until
    }

    /// This is what there is now. Returns whether what was known before is lost.
    pub(super) fn replace(&mut self, memory: Memory) -> bool {
        let before = std::mem::replace(&mut self.last, memory);
        !before.name.is_empty() && before.name != self.last.name
    }
}

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
        let then: Then = Box::new(move |node, answer| match answer.map(script::texts) {
            Ok(Ok(topics)) if node.node() == current => {
                for topic in topics {
                    if node.ensure(&topic).is_some() {
                        node.with(&topic, |channel, _| channel.on_found());
                    }
                }
            }
            _ => node.memory.must_compare = true,
        });
        self.call(Plain::new(key, command, then));
        for id in earlier {
            self.clean_up_after(id);
        }
    }
}
