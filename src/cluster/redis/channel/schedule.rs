//! When the node deals with a channel, and what it has asked of the server for it.

use std::time::{Duration, Instant};

use super::Channel;

/// How far something is that was asked of Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::cluster::redis) enum Asked {
    #[default]
    No,
    UnderWay,
    Done,
}

/// Whether the topic is among those that the node has to do with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Listed {
    #[default]
    No,
    /// It was, or was to be, and Redis may have forgotten it.
    Perhaps,
    UnderWay,
    Done,
}

/// What is under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turn {
    #[default]
    Idle,
    /// It stands in a server's queue.
    Queued,
    /// Redis is being asked.
    Calling,
}

#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// Whether the topic is listened to.
    pub(super) listening: Asked,
    listed: Listed,
    turn: Turn,
    pub(super) last_was_change: bool,
    /// Whether something shows that Redis has forgotten what it knew.
    pub(super) doubts_memory: bool,
    /// Since when nobody has wanted the channel.
    idle_since: Option<Instant>,
    /// Until when it is not to be asked for anything, as it was refused.
    pub(super) retry_at: Option<Instant>,
    /// When it is looked at next.
    timer_at: Option<Instant>,
}

impl Schedule {
    pub(super) fn is_listening(&self) -> bool {
        self.listening == Asked::Done
    }

    pub(super) fn is_listed(&self) -> bool {
        self.listed == Listed::Done
    }

    /// The topic may not be among those that the node has to do with any more.
    pub(super) fn unlist(&mut self) {
        if self.listed != Listed::No {
            self.listed = Listed::Perhaps;
        }
    }

    /// It certainly is not: the node is another one.
    pub(super) fn on_new_node(&mut self) {
        self.listed = Listed::No;
    }

    /// Redis has it that it is.
    pub(super) fn on_found(&mut self) {
        if self.listed == Listed::No {
            self.listed = Listed::Perhaps;
        }
    }

    pub(super) fn is_calling(&self) -> bool {
        self.turn == Turn::Calling
    }

    pub(super) fn begin_call(&mut self) {
        self.turn = Turn::Calling;
    }

    pub(super) fn end_call(&mut self) {
        self.turn = Turn::Idle;
    }
}

impl Channel {
    // What the node listens to.

    pub(in crate::cluster::redis) fn listening(&self) -> Asked {
        self.schedule.listening
    }

    /// Whether the topic is to be listened to, which was not asked for yet.
    pub(in crate::cluster::redis) fn begin_listening(&mut self) -> bool {
        let begins = self.is_wanted() && self.schedule.listening == Asked::No;
        if begins {
            self.schedule.listening = Asked::UnderWay;
        }
        begins
    }

    /// The server announces that it is. Returns whether that was asked for.
    pub(in crate::cluster::redis) fn on_listening(&mut self) -> bool {
        let was_asked = self.schedule.listening == Asked::UnderWay;
        if was_asked {
            self.schedule.listening = Asked::Done;
        }
        was_asked
    }

    /// The server refuses it. Returns whether that was asked for.
    pub(in crate::cluster::redis) fn on_not_let_listen(&mut self) -> bool {
        let was_asked = self.schedule.listening == Asked::UnderWay;
        if was_asked {
            self.schedule.listening = Asked::No;
        }
        was_asked
    }

    // What it has to do with.

    /// Whether it is to be among the topics that the node has to do with, and is not.
    pub(in crate::cluster::redis) fn must_be_listed(&self) -> bool {
        let is_asked = matches!(self.schedule.listed, Listed::UnderWay | Listed::Done);
        !is_asked && (self.is_wanted() || !self.orphans.is_empty())
    }

    pub(in crate::cluster::redis) fn begin_listing(&mut self) {
        self.schedule.listed = Listed::UnderWay;
    }

    /// Redis has it, or that is not known. Returns whether it was asked for.
    pub(in crate::cluster::redis) fn on_listed(&mut self, is_done: bool) -> bool {
        let was_asked = self.schedule.listed == Listed::UnderWay;
        if was_asked {
            self.schedule.listed = if is_done {
                Listed::Done
            } else {
                Listed::Perhaps
            };
        }
        was_asked
    }

    /// Whether it may be among them, known or not.
    pub(in crate::cluster::redis) fn may_be_listed(&self) -> bool {
        self.schedule.listed != Listed::No
    }

    // What it asks.

    /// Puts it into a queue if it has something to ask and does not stand in one.
    pub(in crate::cluster::redis) fn enqueue(&mut self, is_counted: bool, now: Instant) -> bool {
        let enqueues = self.schedule.turn == Turn::Idle && self.wants_call(is_counted, now);
        if enqueues {
            self.schedule.turn = Turn::Queued;
        }
        enqueues
    }

    pub(in crate::cluster::redis) fn leave_queue(&mut self) {
        if self.schedule.turn == Turn::Queued {
            self.schedule.turn = Turn::Idle;
        }
    }

    /// Nothing is asked before then, though others may have something to do with it.
    pub(in crate::cluster::redis) fn rest_until(&mut self, at: Instant) {
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
        schedule.idle_since = if is_disposable {
            schedule.idle_since.or(Some(now))
        } else {
            None
        };
        schedule.retry_at = schedule.retry_at.filter(|until| *until > now);
        let times = [
            self.notices.next_due(),
            schedule.retry_at,
            self.replica.reconcile_at,
            schedule.idle_since.map(|since| since + idle),
        ];
        let next = times.into_iter().flatten().min()?;
        if schedule.timer_at.is_some_and(|at| at <= next) {
            return None;
        }
        schedule.timer_at = Some(next);
        Some(next)
    }

    /// It is as late as it was to be looked at. Returns whether nobody has wanted it for so long.
    pub(in crate::cluster::redis) fn on_time(&mut self, now: Instant, idle: Duration) -> bool {
        self.schedule.timer_at = None;
        if self.notices.next_due().is_some_and(|due| due <= now) {
            self.notices.flush(false);
        }
        self.replica.reconcile(now);
        let since = self.schedule.idle_since;
        let is_over = since.is_some_and(|since| now.duration_since(since) >= idle);
        is_over && self.is_disposable()
    }
}
