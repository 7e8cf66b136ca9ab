//! The channel as a whole: its parts, and what is left to do for it.

use std::collections::VecDeque;
use std::sync::Arc;

use super::context::Context;
use super::notices::Notices;
use super::part::{Part, Reported};
use super::replica::{Replica, Sync};
use super::schedule::Schedule;
use super::waiting::Waiting;
use crate::cluster::redis::keys::{self, Topic};
use crate::cluster::redis::outgoing::{Outgoing, Queue, Written};
use crate::hub::AppHub;
use crate::protocol::ChannelName;

/// What a channel is to this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cluster::redis) enum Kind {
    /// A channel with subscribers.
    Channel,
    /// A user with signed-in connections, and others who watch.
    User(Arc<str>),
}

#[derive(Debug)]
pub(in crate::cluster::redis) struct Channel {
    pub(super) topic: Topic,
    pub(super) slot: u16,
    pub(super) kind: Kind,
    pub(super) name: ChannelName,
    /// None if this node does not serve the app.
    pub(super) app: Option<Arc<AppHub>>,
    /// The app of this id that there was before. A shard that has still to take back what it was granted finds it.
    pub(super) former: Option<Arc<AppHub>>,
    pub(super) part: Part,
    pub(super) replica: Replica,
    pub(super) notices: Notices,
    pub(super) schedule: Schedule,
    pub(super) waiting: VecDeque<Waiting>,
    /// Users admitted, but not before the copy is up to date.
    pub(super) granted: Vec<Arc<str>>,
    pub(super) outgoing: Queue,
    /// Where it was last noted that the node has written to the log.
    pub(super) ledger_page: u64,
    /// Nodes whose parts are to be removed.
    pub(super) orphans: Vec<Orphan>,
}

/// A node whose part is to be removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cluster::redis) struct Orphan {
    pub(in crate::cluster::redis) node: String,
    /// Whether it was before, and that was reported: it may be there again.
    pub(super) was_gone: bool,
}

impl Channel {
    pub(in crate::cluster::redis) fn new(
        topic: Topic,
        name: ChannelName,
        kind: Kind,
        app: Option<Arc<AppHub>>,
    ) -> Self {
        Self {
            slot: keys::slot(&topic),
            topic,
            kind,
            name,
            app,
            former: None,
            part: Part::new(),
            replica: Replica::default(),
            notices: Notices::default(),
            schedule: Schedule::default(),
            waiting: VecDeque::new(),
            granted: Vec::new(),
            outgoing: Queue::default(),
            ledger_page: 0,
            orphans: Vec::new(),
        }
    }

    pub(in crate::cluster::redis) fn topic(&self) -> &Topic {
        &self.topic
    }

    pub(in crate::cluster::redis) fn slot(&self) -> u16 {
        self.slot
    }

    /// Whether this node has a use for what happens on the channel.
    pub(in crate::cluster::redis) fn is_wanted(&self) -> bool {
        self.part.is_wanted()
    }

    /// Whether nothing of it would be missed.
    pub(super) fn is_disposable(&self) -> bool {
        !self.is_wanted()
            && !self.is_busy()
            && self.waiting.is_empty()
            && self.part.is_known_to_be_nothing()
            && self.part.departed.is_empty()
            && !self.notices.is_any_left()
    }

    /// Whether the node still has departures to report.
    pub(in crate::cluster::redis) fn has_pending(&self) -> bool {
        self.notices.is_any_left()
    }

    /// Whether something is to be published that is not published yet.
    pub(in crate::cluster::redis) fn is_busy(&self) -> bool {
        self.schedule.is_calling() || self.has_work()
    }

    /// Whether there is something to call Redis for.
    fn has_work(&self) -> bool {
        !self.outgoing.is_empty() || !self.orphans.is_empty() || self.has_changes()
    }

    pub(super) fn has_changes(&self) -> bool {
        let replica = &self.replica;
        self.part.has_changes()
            || self.notices.has_changes()
            || replica.must_reconcile
            || replica.sync == Sync::Behind
            || (self.is_wanted() && !replica.is_known())
    }

    /// Whether the node reads what the channel is, or what was missed of it.
    pub(super) fn reads(&self) -> bool {
        self.is_wanted() && self.replica.must_read()
    }

    /// Whether a place in the log is known.
    #[cfg(test)]
    pub(in crate::cluster::redis) fn has_place(&self) -> bool {
        self.replica.place.is_some()
    }

    pub(super) fn is_live(&self) -> bool {
        self.replica.is_known() && self.schedule.is_listening()
    }

    /// Something to publish on it.
    pub(in crate::cluster::redis) fn publish(&mut self, outgoing: Outgoing, context: &Context<'_>) {
        self.outgoing.push(outgoing);
        if context.is_away() {
            self.outgoing.send_receipts();
        } else if self.reads() {
            // It may take a while: what is published on other channels does not wait for it.
            self.outgoing.let_others_pass();
        }
    }

    /// Redis may have lost what was written.
    pub(in crate::cluster::redis) fn repeat(&mut self, written: Written) {
        self.outgoing.repeat(written);
    }

    /// A dead node's part is to be removed.
    pub(in crate::cluster::redis) fn add_orphan(&mut self, dead: &str) {
        self.orphans.retain(|orphan| orphan.node != dead);
        self.orphans.push(Orphan {
            node: dead.to_owned(),
            was_gone: false,
        });
    }

    /// The part of a node that is gone may be there again.
    pub(in crate::cluster::redis) fn add_gone(&mut self, gone: &str) {
        if !self.orphans.iter().any(|orphan| orphan.node == gone) {
            self.orphans.push(Orphan {
                node: gone.to_owned(),
                was_gone: true,
            });
        }
    }

    /// The whole part is to be announced, whatever Redis knows of it.
    pub(super) fn send_all_again(&mut self) {
        self.part.send_all_again();
        self.note_pending_as_departed();
    }

    /// Redis may not have the departures that are still to be reported to webhooks.
    pub(super) fn note_pending_as_departed(&mut self) {
        for user_id in self.notices.pending_departures() {
            self.part.departed.insert(user_id.into(), Reported::Yes);
        }
    }

    /// What is always true of it, in between.
    pub(in crate::cluster::redis) fn check(&self) {
        let waits = |waiting: &&Waiting| matches!(waiting, Waiting::Join(_) | Waiting::SignIn(_));
        let part = &self.part;
        let waiting = self.waiting.iter().filter(waits).count() + part.joining();
        debug_assert!(
            self.app.is_none() || part.connections == part.admitted + waiting,
            "a connection is let in, or waits: {self:?}"
        );
        debug_assert!(
            !self.replica.is_known()
                || (self.replica.place.is_some() && self.schedule.is_listening()),
            "what is up to date has a place in the log, and is listened to: {self:?}"
        );
        debug_assert!(
            self.granted
                .iter()
                .all(|user_id| part.users.contains_key(user_id)),
            "whoever was let in is there: {self:?}"
        );
        self.notices.check();
        self.outgoing.check();
    }
}
