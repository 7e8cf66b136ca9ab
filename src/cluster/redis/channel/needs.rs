//! What a channel needs of its node: to listen to its topic, to list it, a turn to call Redis, and to look at
//! it again.

use std::time::{Duration, Instant};

use super::schedule::Asked;
use super::state::Channel;

impl Channel {
    // What the node listens to.

    pub(in crate::cluster::redis) fn listening(&self) -> Asked {
        self.schedule.listening
    }

    /// Whether the topic is to be listened to, which was not asked for yet.
    pub(in crate::cluster::redis) fn begin_listening(&mut self) -> bool {
        self.is_wanted() && self.schedule.begin_listening()
    }

    /// The server announces that it is. Returns whether that was asked for.
    pub(in crate::cluster::redis) fn on_listening(&mut self) -> bool {
        self.schedule.end_listening(true)
    }

    /// The server refuses it. Returns whether that was asked for.
    pub(in crate::cluster::redis) fn on_not_let_listen(&mut self) -> bool {
        self.schedule.end_listening(false)
    }

    // What it has to do with.

    /// Whether it is to be among the topics that the node has to do with, and is not.
    pub(in crate::cluster::redis) fn must_be_listed(&self) -> bool {
        self.schedule.can_be_listed() && (self.is_wanted() || !self.orphans.is_empty())
    }

    pub(in crate::cluster::redis) fn begin_listing(&mut self) {
        self.schedule.begin_listing();
    }

    /// Redis has it, or that is not known. Returns whether it was asked for.
    pub(in crate::cluster::redis) fn on_listed(&mut self, is_done: bool) -> bool {
        self.schedule.end_listing(is_done)
    }

    /// Whether it may be among them, known or not.
    pub(in crate::cluster::redis) fn may_be_listed(&self) -> bool {
        self.schedule.may_be_listed()
    }

    /// Whether the node has announced anything of its own there.
    pub(in crate::cluster::redis) fn has_announced(&self) -> bool {
        self.replica.place.is_some() || self.replica.former.is_some()
    }

    // What it asks.

    /// Puts it into a queue if it has something to ask and does not stand in one.
    pub(in crate::cluster::redis) fn enqueue(&mut self, is_counted: bool, now: Instant) -> bool {
        let enqueues = self.schedule.is_idle() && self.wants_call(is_counted, now);
        if enqueues {
            self.schedule.join_queue();
        }
        enqueues
    }

    pub(in crate::cluster::redis) fn leave_queue(&mut self) {
        self.schedule.leave_queue();
    }

    /// Nothing is asked before then, though others may have something to do with it.
    pub(in crate::cluster::redis) fn retry_at(&mut self, at: Instant) {
        self.schedule.retry_at = Some(at);
    }

    /// Whether something shows that Redis has forgotten what it knew. It is not returned twice.
    pub(in crate::cluster::redis) fn take_doubts(&mut self) -> bool {
        std::mem::take(&mut self.schedule.doubts_memory)
    }

    // When.

    /// When the channel has to be looked at again, if that is news.
    pub(in crate::cluster::redis) fn next_timer(
        &mut self,
        now: Instant,
        idle: Duration,
    ) -> Option<Instant> {
        let is_disposable = self.is_disposable();
        let schedule = &mut self.schedule;
        schedule.note_time(now, is_disposable);
        let times = [
            self.notices.next_look(),
            schedule.retry_at,
            self.replica.reconcile_at,
            schedule.idle_at(idle),
        ];
        let next = times.into_iter().flatten().min()?;
        schedule.set_timer(next).then_some(next)
    }

    /// It is as late as it was to be looked at. Returns whether nobody has wanted it for so long.
    pub(in crate::cluster::redis) fn on_time(&mut self, now: Instant, idle: Duration) -> bool {
        self.schedule.timer_is_over();
        if self.notices.next_look().is_some_and(|at| at <= now) {
            self.notices.flush(false);
        }
        self.replica.reconcile(now);
        let is_over = self.schedule.idle_at(idle).is_some_and(|at| at <= now);
        is_over && self.is_disposable()
    }
}
