//! What Redis remembers.

use std::time::Instant;

use super::jobs::Reached;
use crate::cluster::redis::link::LinkId;
use crate::cluster::redis::script::Memory;

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
    /// Connections over which servers were reached since it was: they may have gone back to what they had before.
    reached: Vec<LinkId>,
    /// Whether it ever was.
    pub(super) has_compared: bool,
}

impl KnownMemory {
    pub(super) fn new(key: Box<str>, now: Instant) -> Self {
        Self {
            key,
            last: Memory::default(),
            doubts_until: now,
            keeps_until: now,
            must_compare: false,
            reached: Vec::new(),
            has_compared: false,
        }
    }

    /// A server is reached anew: what it has is to be compared.
    pub(super) fn on_reached(&mut self, link: LinkId, is_up: impl Fn(LinkId) -> bool) {
        self.must_compare = true;
        self.reached.retain(|known| is_up(*known));
        self.reached.push(link);
    }

    /// What is to be compared now.
    pub(super) fn take_reached(&mut self) -> Reached {
        std::mem::take(&mut self.reached).into()
    }

    /// It could not be.
    pub(super) fn compare_again(&mut self, reached: &Reached) {
        self.must_compare = true;
        let known = &self.reached;
        let missing = reached.iter().filter(|link| !known.contains(link));
        let missing: Vec<LinkId> = missing.copied().collect();
        self.reached.extend(missing);
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
