//! What Redis is asked.

use std::time::Instant;

use redis::Cmd;

use super::changes::Change;
use super::context::Context;
use super::questions::{Asking, Page};
use super::schedule::Asked;
use super::state::{Channel, Orphan};
use crate::cluster::redis::outgoing::Batch;
use crate::cluster::redis::wire::{flag, step};

/// What Redis is asked, and what was announced along with it.
#[derive(Debug)]
pub(in crate::cluster::redis) enum Call {
    Publish(Batch),
    Change(Change),
    /// The part of a dead node is removed.
    CleanUp(Orphan),
}

impl Call {
    /// About how much goes to Redis.
    pub(in crate::cluster::redis) fn bytes(&self) -> usize {
        match self {
            Self::Publish(batch) => batch.bytes(),
            Self::Change(_) | Self::CleanUp(_) => 0,
        }
    }
}

/// What a channel asks next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    CleanUp,
    Change,
    Publish,
}

impl Channel {
    /// Whether Redis could be called now. Until the node counts as alive, its part is not announced.
    pub(in crate::cluster::redis) fn wants_call(&self, is_counted: bool, now: Instant) -> bool {
        !self.schedule.is_calling()
            && self.schedule.retry_at.is_none_or(|until| until <= now)
            && (!self.outgoing.is_empty()
                || (!self.orphans.is_empty() && self.may_clean_up(is_counted))
                || (self.has_changes() && self.may_change(is_counted)))
    }

    /// Whether changes can be announced: not before what follows from them would be received.
    fn may_change(&self, is_counted: bool) -> bool {
        let is_ready = self.schedule.is_listening() && self.schedule.is_listed();
        is_counted && (!self.is_wanted() || is_ready)
    }

    /// Whether what a dead node had to report can become this one's to report.
    fn may_clean_up(&self, is_counted: bool) -> bool {
        is_counted && self.schedule.is_listed()
    }

    fn next(&self, is_counted: bool) -> Option<Next> {
        let changes = self.has_changes() && self.may_change(is_counted);
        let cleans_up = !self.orphans.is_empty() && self.may_clean_up(is_counted);
        match (changes, self.outgoing.is_empty()) {
            // Who is on this node as well is not gone in between.
            _ if cleans_up && !(changes && self.part.is_whole_unsent()) => Some(Next::CleanUp),
            (true, empty) if empty || !self.schedule.last_was_change => Some(Next::Change),
            (_, false) => Some(Next::Publish),
            _ => None,
        }
    }

    /// Whether what it asks next may be answered with much: what the channel is, and its log.
    pub(in crate::cluster::redis) fn asks_for_much(&self, is_counted: bool) -> bool {
        self.reads() && self.next(is_counted) == Some(Next::Change)
    }

    /// What Redis is to be asked next. One call at a time is under way.
    pub(in crate::cluster::redis) fn next_call(
        &mut self,
        is_counted: bool,
        page: Page,
        context: &Context<'_>,
    ) -> Option<(Call, Cmd)> {
        if self.schedule.is_calling() {
            return None;
        }
        let call = match self.next(is_counted)? {
            Next::CleanUp => self.remove_orphan(context)?,
            Next::Change => {
                let (change, command) = self.change(page, context);
                (Call::Change(change), command)
            }
            Next::Publish => self.publish_next(context)?,
        };
        self.schedule.begin_call();
        Some(call)
    }

    fn publish_next(&mut self, context: &Context<'_>) -> Option<(Call, Cmd)> {
        self.schedule.last_was_change = false;
        let batch = self.outgoing.next(context.publishing)?;
        let listens = self.schedule.listening != Asked::No;
        let command = batch.call(&self.topic, context.publishing, listens);
        Some((Call::Publish(batch), command))
    }

    fn remove_orphan(&mut self, context: &Context<'_>) -> Option<(Call, Cmd)> {
        let dead = self.orphans.pop()?;
        let mut flags = self.flags(false, true);
        if dead.was_gone {
            flags.push_str(flag::GONE_BEFORE);
            flags.push_str(flag::NEVER_OCCUPIED);
        }
        let asking = Asking {
            node: &dead.node,
            from: None,
            flags: &flags,
        };
        let mut command = self.call_of(asking, context);
        command.arg(step::WHOLE).arg(0);
        command.arg(step::SUBSCRIBERS).arg(0);
        command.arg(step::WATCHERS).arg(0);
        Some((Call::CleanUp(dead), command))
    }

    /// It is not known whether Redis has done what it was asked.
    pub(in crate::cluster::redis) fn on_unsure(&mut self, call: Call) {
        self.schedule.end_call();
        match call {
            Call::Publish(batch) => self.outgoing.put_back(batch),
            Call::Change(change) => self.put_back_change(change),
            Call::CleanUp(dead) => self.orphans.push(dead),
        }
    }

    /// Redis has not done what it was asked.
    pub(in crate::cluster::redis) fn on_refused(&mut self, call: Call) {
        self.schedule.end_call();
        match call {
            Call::Publish(batch) => self.outgoing.put_back_unacknowledged(batch),
            Call::Change(change) => self.put_back_change(change),
            Call::CleanUp(dead) => self.orphans.push(dead),
        }
    }
}
