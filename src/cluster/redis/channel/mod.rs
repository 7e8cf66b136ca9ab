//! One channel as this node shares it with others.
//!
//! The node's part of a channel (how many subscribers, which users) is what its connections make
//! it; every change is announced to Redis, and after a loss of it of the whole part. What the channel is
//! for the cluster (who is present, its last event) is a copy of what the channel's log has, up to
//! a place in the log that the node knows.
//!
//! - [`part`]: the node's part, and what Redis knows of it
//! - [`replica`]: what the channel is for the cluster
//! - [`notices`]: what is reported to the app's backend
//! - [`schedule`]: when the node deals with it
//! - [`moves`]: what connections do
//! - [`entries`]: what others do, by the log
//! - [`changes`]: how the part is announced to Redis, and what comes along with the answer
//! - [`calls`], [`replies`]: what Redis is asked, and what follows from its answers
//! - [`catching_up`]: how what was missed is read
//! - [`losses`]: what is missing of a log

mod calls;
mod catching_up;
mod changes;
mod entries;
mod losses;
mod moves;
mod notices;
mod part;
mod replica;
mod replies;
mod schedule;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::entry::NodeIds;
use super::keys::{self, Topic};
use super::ledger::Ledger;
use super::link::LinkId;
use super::next_join::NextJoin;
use super::outgoing::{Outgoing, PublishContext, Queue, Written};
use super::watch::PendingWatch;
use crate::hub::{AppHub, Join, PeerHandle};
use crate::metrics::ClusterMetrics;
use crate::protocol::member::Member;
use crate::protocol::{ChannelName, Frame};
use crate::throttle::Throttle;
pub(super) use calls::{Call, Page};
use notices::Notices;
use part::Part;
use replica::Replica;
pub(super) use replies::Done;
pub(super) use schedule::Asked;
use schedule::Schedule;

/// What a channel is to this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A channel with subscribers.
    Channel,
    /// A user with signed-in connections, and others who watch.
    User(Arc<str>),
}

/// Who waits until the channel is known.
#[derive(Debug)]
enum Waiting {
    Join(Join),
    Confirm(PeerHandle),
    SignIn(SigningIn),
    Watch(Rc<PendingWatch>),
}

/// A connection that is to be registered as a user's.
#[derive(Debug)]
pub(super) struct SigningIn {
    pub(super) peer: PeerHandle,
    pub(super) user: Arc<Member>,
    pub(super) reply: Option<Frame>,
    /// What is announced to it of other users, after the reply.
    pub(super) watch: Option<Rc<PendingWatch>>,
    /// What it joins then.
    pub(super) join: Option<NextJoin>,
}

/// What is at hand when a channel acts.
pub(super) struct Context<'a> {
    /// When what the channel acts upon came.
    pub(super) now: Instant,
    pub(super) metrics: &'a ClusterMetrics,
    pub(super) publishing: PublishContext<'a>,
    pub(super) own: &'a NodeIds,
    /// The connection to Redis, or the part of it that the channel is on; None: it is away.
    pub(super) link: Option<LinkId>,
    /// The key of what shows whether Redis has lost anything, and the name that the node knows, where
    /// a call about a channel can look at it.
    pub(super) memory: Option<(&'a str, &'a str)>,
    /// Whether other nodes may not have announced again yet what Redis has lost.
    pub(super) is_doubtful: bool,
    pub(super) leave_delay: Duration,
    pub(super) node_timeout: Duration,
    /// What the node has written to logs.
    pub(super) ledger: &'a RefCell<Ledger>,
    /// How often it is logged that events may be missing.
    pub(super) breaks: &'a RefCell<Throttle>,
}

impl Context<'_> {
    fn is_away(&self) -> bool {
        self.link.is_none()
    }
}

#[derive(Debug)]
pub(super) struct Channel {
    topic: Topic,
    slot: u16,
    kind: Kind,
    name: ChannelName,
    /// None if this node does not serve the app.
    app: Option<Arc<AppHub>>,
    /// The app of this id that there was before. A shard that has still to take back what it was granted finds it.
    former: Option<Arc<AppHub>>,
    part: Part,
    replica: Replica,
    notices: Notices,
    schedule: Schedule,
    waiting: VecDeque<Waiting>,
    /// Users let in, but not before the copy is up to date.
    granted: Vec<Arc<str>>,
    outgoing: Queue,
    /// Where it was last noted that the node has written to the log.
    ledger_page: u64,
    /// Dead nodes whose parts are to be removed.
    orphans: Vec<String>,
}

impl Channel {
    pub(super) fn new(
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

    pub(super) fn topic(&self) -> &Topic {
        &self.topic
    }

    pub(super) fn slot(&self) -> u16 {
        self.slot
    }

    /// Whether this node has a use for what happens on the channel.
    pub(super) fn is_wanted(&self) -> bool {
        self.part.is_wanted()
    }

    /// Whether nothing of it would be missed.
    fn is_disposable(&self) -> bool {
        !self.is_wanted()
            && !self.is_busy()
            && self.waiting.is_empty()
            && self.part.is_known_to_be_nothing()
            && self.part.departed.is_empty()
            && !self.notices.is_any_left()
    }

    /// Whether the node still has departures to report.
    pub(super) fn has_pending(&self) -> bool {
        self.notices.is_any_left()
    }

    /// Whether something is to be published that is not published yet.
    pub(super) fn is_busy(&self) -> bool {
        self.schedule.is_calling() || self.has_work()
    }

    /// Whether a place in the log is known.
    #[cfg(test)]
    pub(super) fn has_place(&self) -> bool {
        self.replica.place.is_some()
    }

    fn is_live(&self) -> bool {
        self.replica.is_known() && self.schedule.is_listening()
    }

    /// Something to publish on it.
    pub(super) fn publish(&mut self, outgoing: Outgoing, context: &Context<'_>) {
        self.outgoing.push(outgoing);
        if context.is_away() {
            self.outgoing.send_receipts();
        } else if self.reads() {
            // It may take a while: what is published on other channels does not wait for it.
            self.outgoing.let_others_pass();
        }
    }

    /// Redis may have lost what was written.
    pub(super) fn repeat(&mut self, written: Written) {
        self.outgoing.repeat(written);
    }

    /// A dead node's part is to be removed.
    pub(super) fn add_orphan(&mut self, dead: &str) {
        if !self.orphans.iter().any(|orphan| orphan == dead) {
            self.orphans.push(dead.to_owned());
        }
    }

    /// Redis is away.
    pub(super) fn on_lost(&mut self, now: Instant) {
        self.replica.note_interruption(now);
        self.schedule.listening = Asked::No;
        self.leave_queue();
        self.on_forgotten();
        self.answer_offline();
    }

    /// Redis may have forgotten what it knew, or have an older state of it.
    pub(super) fn on_forgotten(&mut self) {
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

    /// The whole part is to be announced, whatever Redis knows of it.
    fn send_all_again(&mut self) {
        self.part.send_all_again();
        self.note_pending_as_departed();
    }

    /// Redis may not have the departures that are still to be reported to webhooks.
    fn note_pending_as_departed(&mut self) {
        for user_id in self.notices.pending_departures() {
            self.part.departed.insert(user_id.into(), true);
        }
    }

    /// Redis has it that this node is on the channel, which knows nothing of that.
    pub(super) fn on_found(&mut self) {
        self.schedule.on_found();
        if !self.is_wanted() {
            self.send_all_again();
        }
    }

    /// Redis cannot be asked now: whoever waits is answered from what this node knows.
    pub(super) fn answer_offline(&mut self) {
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
    pub(super) fn on_moved(&mut self, now: Instant) {
        self.replica.note_interruption(now);
        self.schedule.listening = Asked::No;
        self.replica.lapse();
    }

    /// The node is another one to Redis, which has forgotten the one that it was.
    pub(super) fn on_new_node(&mut self) {
        self.schedule.on_new_node();
        self.on_forgotten();
    }

    /// The node was given up, and is another one to Redis. The others announce that all that it had has
    /// gone.
    pub(super) fn on_given_up(&mut self) {
        self.schedule.on_new_node();
        self.replica.on_given_up(self.part.is_wanted());
        self.part.on_given_up();
        self.notices.on_given_up();
    }

    /// What is always true of it, in between.
    pub(super) fn check(&self) {
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
