//! Redis is away, has forgotten something, or has given the node up.

use std::time::Instant;

use super::schedule::Asked;
use super::state::Channel;
use super::waiting::Waiting;
use crate::hub::Join;

impl Channel {
    /// Redis is away.
    pub(in crate::cluster::redis) fn on_lost(&mut self, now: Instant) {
        self.replica.note_interruption(now);
        self.schedule.listening = Asked::No;
        self.leave_queue();
        self.on_forgotten();
        self.answer_offline();
    }

    /// Redis may have forgotten what it knew, or have an older state of it.
    pub(in crate::cluster::redis) fn on_forgotten(&mut self) {
        self.schedule.unlist();
        self.replica.lapse();
        let has_nothing_to_announce = self.part.is_known_to_be_nothing()
            && !self.part.has_unsent_steps()
            && self.notices.pending.is_empty()
            && self.part.departed.is_empty();
        if self.is_wanted() || !has_nothing_to_announce {
            self.send_all_again();
        }
    }

    /// Redis has it that this node is on the channel, which knows nothing of that, or has left it.
    pub(in crate::cluster::redis) fn on_found(&mut self, was_left: bool) {
        self.part.was_left |= was_left;
        self.schedule.on_found();
        if !self.is_wanted() {
            self.send_all_again();
        }
    }

    /// Redis cannot be asked now: whoever waits is answered from what this node knows.
    pub(in crate::cluster::redis) fn answer_offline(&mut self) {
        self.granted.clear();
        self.outgoing.send_receipts();
        let joining: Vec<Join> = self
            .part
            .users
            .values_mut()
            .filter_map(|user| user.joining.take())
            .flatten()
            .collect();
        for join in joining {
            self.join_offline(join);
        }
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Join(join) => self.join_offline(join),
                other => self.admit_known(other),
            }
        }
    }

    /// The topic is listened to elsewhere from now on; what came in between is missing.
    pub(in crate::cluster::redis) fn on_moved(&mut self, now: Instant) {
        self.replica.note_interruption(now);
        self.schedule.listening = Asked::No;
        self.replica.lapse();
    }

    /// The node is another one to Redis, which has forgotten the one that it was.
    pub(in crate::cluster::redis) fn on_new_node(&mut self) {
        self.schedule.on_new_node();
        self.on_forgotten();
    }

    /// The node was given up, and is another one to Redis. The others announce that all that it had has
    /// gone.
    pub(in crate::cluster::redis) fn on_given_up(&mut self) {
        self.schedule.on_new_node();
        self.replica.on_given_up(self.part.is_wanted());
        self.part.on_given_up();
        self.notices.on_given_up();
    }
}
