//! When the node deals with a channel, and what it has asked of the server for it.

use std::time::{Duration, Instant};

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

    /// It is to be listened to. False: that was asked for before.
    pub(super) fn begin_listening(&mut self) -> bool {
        let begins = self.listening == Asked::No;
        if begins {
            self.listening = Asked::UnderWay;
        }
        begins
    }

    /// The server has answered. Returns whether it was asked.
    pub(super) fn end_listening(&mut self, is_done: bool) -> bool {
        let was_asked = self.listening == Asked::UnderWay;
        if was_asked {
            self.listening = if is_done { Asked::Done } else { Asked::No };
        }
        was_asked
    }

    /// Whether the topic is not among those that the node has to do with, and is not about to be.
    pub(super) fn can_be_listed(&self) -> bool {
        !matches!(self.listed, Listed::UnderWay | Listed::Done)
    }

    pub(super) fn begin_listing(&mut self) {
        self.listed = Listed::UnderWay;
    }

    /// Redis has it, or that is not known. Returns whether it was asked for.
    pub(super) fn end_listing(&mut self, is_done: bool) -> bool {
        let was_asked = self.listed == Listed::UnderWay;
        if was_asked {
            self.listed = if is_done {
                Listed::Done
            } else {
                Listed::Perhaps
            };
        }
        was_asked
    }

    /// Whether it may be among them, known or not.
    pub(super) fn may_be_listed(&self) -> bool {
        self.listed != Listed::No
    }

    pub(super) fn is_idle(&self) -> bool {
        self.turn == Turn::Idle
    }

    pub(super) fn join_queue(&mut self) {
        self.turn = Turn::Queued;
    }

    pub(super) fn leave_queue(&mut self) {
        if self.turn == Turn::Queued {
            self.turn = Turn::Idle;
        }
    }

    /// Whether the channel is wanted. What has been waited for is not waited for any more.
    pub(super) fn note_time(&mut self, now: Instant, is_disposable: bool) {
        self.idle_since = if is_disposable {
            self.idle_since.or(Some(now))
        } else {
            None
        };
        self.retry_at = self.retry_at.filter(|until| *until > now);
    }

    /// When nobody has wanted it for so long.
    pub(super) fn idle_at(&self, idle: Duration) -> Option<Instant> {
        Some(self.idle_since? + idle)
    }

    /// It is to be looked at then. False: it is anyway, then or before.
    pub(super) fn set_timer(&mut self, at: Instant) -> bool {
        let is_news = self.timer_at.is_none_or(|set| set > at);
        if is_news {
            self.timer_at = Some(at);
        }
        is_news
    }

    pub(super) fn timer_is_over(&mut self) {
        self.timer_at = None;
    }
}
