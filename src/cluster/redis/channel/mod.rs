//! One channel as this node shares it with others.
//!
//! The node's part of a channel (how many subscribers, which users) is what its connections make
//! it; Redis is told of every change, and after a loss of it of the whole part. What the channel is
//! for the cluster (who is present, its last event) is a copy of what the channel's log says, up to
//! a place in the log that the node knows.
//!
//! - [`moves`]: what connections do
//! - [`entries`]: what others do, as the log tells
//! - [`calls`], [`replies`]: what Redis is asked, and what follows from its answers
//! - [`notices`]: what the app's backend is told

mod calls;
mod entries;
mod moves;
mod notices;
mod replies;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use smallvec::SmallVec;

use super::entry::{EntryId, NodeId, NodeIds};
use super::keys::{self, Topic};
use super::ledger::Ledger;
use super::link::LinkId;
use super::outgoing::{PublishContext, Queue};
use super::request::NextJoin;
use super::watch::PendingWatch;
use crate::hub::{AppHub, Join, PeerHandle};
use crate::metrics::ClusterMetrics;
use crate::protocol::member::Member;
use crate::protocol::{ChannelName, Frame};
use crate::throttle::Throttle;
pub(super) use calls::{Call, Page};
pub(super) use replies::Done;

/// What a channel is to this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A channel with subscribers.
    Channel,
    /// A user with signed-in connections, and others who watch.
    User(Arc<str>),
}

/// How far something is that was asked of Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Asked {
    #[default]
    No,
    UnderWay,
    Done,
}

/// The last entry of a channel's log that a node knows.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    epoch: Box<str>,
    id: EntryId,
}

/// Who waits until the channel is known.
#[derive(Debug)]
pub(super) enum Waiting {
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
    /// What it is told of other users, after the reply.
    pub(super) watch: Option<Rc<PendingWatch>>,
    /// What it joins then.
    pub(super) join: Option<NextJoin>,
}

/// A user's connections to this node.
#[derive(Debug)]
struct LocalUser {
    member: Arc<Member>,
    connections: usize,
    /// Asked to be let in, and not answered yet.
    joining: Option<Vec<Join>>,
    /// Whether nobody but this node has been told of the user.
    only_here: bool,
    /// Whether webhooks know of the user, or are about to.
    is_reported: bool,
}

/// Whether webhooks know that this node has occupied the channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Occupancy {
    #[default]
    No,
    /// Redis was asked, and has not answered yet.
    Unsure,
    Known,
}

/// A change of the node's part.
#[derive(Debug)]
enum Step {
    Add(Arc<str>),
    /// Whether webhooks know of the user.
    Remove(Arc<str>, bool),
}

/// What is at hand when a channel acts.
pub(super) struct Context<'a> {
    /// When what the channel acts upon came.
    pub(super) now: Instant,
    pub(super) metrics: &'a ClusterMetrics,
    pub(super) publishing: PublishContext<'a>,
    pub(super) own: &'a NodeIds,
    /// Whether Redis, or the part of it that the channel is on, is away.
    pub(super) is_away: bool,
    /// The connection over which Redis is listened to now, where that matters.
    pub(super) link: Option<LinkId>,
    /// The key of what tells whether Redis has lost anything, and the name that the node knows, where
    /// a call about a channel can look at it.
    pub(super) memory: Option<(&'a str, &'a str)>,
    /// Whether other nodes may not have told again yet what Redis has lost.
    pub(super) is_doubtful: bool,
    pub(super) leave_delay: Duration,
    pub(super) node_timeout: Duration,
    /// What the node has written to logs.
    pub(super) ledger: &'a RefCell<Ledger>,
    /// How often it is logged that events may be missing.
    pub(super) breaks: &'a RefCell<Throttle>,
}

#[derive(Debug)]
pub(super) struct Channel {
    pub(super) topic: Topic,
    pub(super) slot: u16,
    pub(super) kind: Kind,
    name: ChannelName,
    /// None if this node does not serve the app.
    app: Option<Arc<AppHub>>,

    /// Whether the topic is listened to.
    pub(super) listening: Asked,
    /// Whether the topic is among those that the node has to do with.
    pub(super) listed: Asked,
    /// Whether it may be among them, known or not.
    pub(super) may_be_listed: bool,
    /// Whether the copy is up to date.
    is_synced: bool,
    /// Whether the whole part is to be told, as Redis may know another one.
    must_send_all: bool,
    /// Whether entries are known to be missing.
    is_behind: bool,
    place: Option<Place>,
    /// The last place that was known, while none is.
    former: Option<Place>,
    /// Where the node was in the log that was there before, while the one that was begun anew is read.
    beyond: Option<EntryId>,
    /// Since when the topic was not listened to all the time.
    interrupted_at: Option<Instant>,
    /// Whether the others took the node for dead since: where but one of them is left, and it is away for
    /// longer than entries are kept, nothing says what it has missed.
    was_given_up: bool,
    /// Whether a message of another log came while this one was not known.
    follows_another_log: bool,
    /// Whether something says that Redis has forgotten what it was told.
    pub(super) doubts_memory: bool,
    /// The highest offset that was heard while the place was not known.
    pushed: u64,
    last_numbers: SmallVec<[(NodeId, u64); 4]>,
    /// Subscribers in all, who have not been told yet.
    total: Option<usize>,

    /// Connections let in, and those that wait to be.
    connections: usize,
    admitted: usize,
    watchers: usize,
    /// What Redis knows of the two; None if that is not known.
    acknowledged_counts: Option<(usize, usize)>,
    users: HashMap<Arc<str>, LocalUser>,
    steps: Vec<Step>,
    /// Users who have left since Redis was last known to know of them, and whether webhooks do.
    departed: HashMap<Arc<str>, bool>,
    /// Departures that webhooks are told of when they are due: fields of what is due.
    pending: HashSet<String>,
    /// Arrivals that webhooks are told of when they are due, unless other nodes say that they know:
    /// fields of what is due.
    doubted: HashSet<String>,
    occupancy: Occupancy,
    waiting: VecDeque<Waiting>,
    /// Users let in, but not before the copy is up to date.
    granted: Vec<Arc<str>>,

    pub(super) outgoing: Queue,
    /// Where it was last noted that the node has written to the log.
    ledger_page: u64,
    /// Whether Redis is being asked.
    is_calling: bool,
    last_was_change: bool,
    /// Dead nodes whose parts are to be removed.
    pub(super) orphans: Vec<String>,
    /// When the next of what is due has to be looked at.
    pub(super) next_due: Option<Instant>,
    /// What is due is to be told; true: all of it.
    flushes_due: Option<bool>,
    notified: HashSet<String>,
    to_acknowledge: Vec<String>,
    /// Since when nobody has wanted the channel.
    pub(super) idle_since: Option<Instant>,
    /// Whether it stands in a server's queue.
    pub(super) is_queued: bool,
    /// When whoever was not told of since the log was begun anew is gone.
    reconcile_at: Option<Instant>,
    /// Whether what the channel is for the cluster is to be asked for as a whole.
    must_reconcile: bool,
    /// Until when it is not to be asked for anything, as it was refused.
    pub(super) retry_at: Option<Instant>,
    /// When it is looked at next.
    pub(super) timer_at: Option<Instant>,
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
            listening: Asked::No,
            listed: Asked::No,
            may_be_listed: false,
            is_synced: false,
            must_send_all: false,
            is_behind: false,
            place: None,
            former: None,
            beyond: None,
            interrupted_at: None,
            was_given_up: false,
            follows_another_log: false,
            doubts_memory: false,
            pushed: 0,
            last_numbers: SmallVec::new(),
            total: None,
            connections: 0,
            admitted: 0,
            watchers: 0,
            acknowledged_counts: Some((0, 0)),
            users: HashMap::new(),
            steps: Vec::new(),
            departed: HashMap::new(),
            pending: HashSet::new(),
            doubted: HashSet::new(),
            occupancy: Occupancy::No,
            waiting: VecDeque::new(),
            granted: Vec::new(),
            outgoing: Queue::default(),
            ledger_page: 0,
            is_calling: false,
            last_was_change: false,
            orphans: Vec::new(),
            next_due: None,
            flushes_due: None,
            notified: HashSet::new(),
            to_acknowledge: Vec::new(),
            idle_since: None,
            is_queued: false,
            reconcile_at: None,
            must_reconcile: false,
            retry_at: None,
            timer_at: None,
        }
    }

    /// Whether this node has a use for what happens on the channel.
    pub(super) fn is_wanted(&self) -> bool {
        self.connections > 0 || self.watchers > 0
    }

    /// Whether nothing of it would be missed.
    pub(super) fn is_disposable(&self) -> bool {
        !self.is_wanted()
            && !self.has_work()
            && !self.is_calling
            && self.waiting.is_empty()
            && self.acknowledged_counts == Some((0, 0))
            && self.next_due.is_none()
            && self.departed.is_empty()
            && self.notified.is_empty()
    }

    /// Whether the node still has to tell of departures.
    pub(super) fn has_pending(&self) -> bool {
        self.next_due.is_some() || !self.notified.is_empty()
    }

    /// Whether something is to be said that is not said yet.
    pub(super) fn is_busy(&self) -> bool {
        self.is_calling || self.has_work()
    }

    /// Whether Redis could be called now. Until the node counts as alive, its part is not told.
    pub(super) fn wants_call(&self, is_counted: bool, now: Instant) -> bool {
        !self.is_calling
            && self.retry_at.is_none_or(|until| until <= now)
            && (!self.outgoing.is_empty()
                || (!self.orphans.is_empty() && self.may_clean_up(is_counted))
                || (self.has_changes() && self.may_change(is_counted)))
    }

    /// When the channel has to be looked at again, if that is news.
    pub(super) fn next_timer(&mut self, now: Instant, idle: Duration) -> Option<Instant> {
        self.idle_since = match self.is_disposable() {
            true => self.idle_since.or(Some(now)),
            false => None,
        };
        self.retry_at = self.retry_at.filter(|until| *until > now);
        let times = [
            self.next_due,
            self.retry_at,
            self.reconcile_at,
            self.idle_since.map(|since| since + idle),
        ];
        let next = times.into_iter().flatten().min()?;
        if self.timer_at.is_some_and(|at| at <= next) {
            return None;
        }
        self.timer_at = Some(next);
        Some(next)
    }

    /// Whether there is something to call Redis for.
    pub(super) fn has_work(&self) -> bool {
        !self.outgoing.is_empty() || !self.orphans.is_empty() || self.has_changes()
    }

    fn has_changes(&self) -> bool {
        self.must_send_all
            || self.is_behind
            || self.must_reconcile
            || !self.steps.is_empty()
            || self.acknowledged_counts != Some((self.connections, self.watchers))
            || self.flushes_due.is_some()
            || !self.to_acknowledge.is_empty()
            || (self.is_wanted() && !self.is_synced)
    }

    /// Whether changes can be told: not before what follows from them would be heard.
    fn may_change(&self, is_counted: bool) -> bool {
        let is_ready = self.listening == Asked::Done && self.listed == Asked::Done;
        is_counted && (!self.is_wanted() || is_ready)
    }

    /// Whether what a dead node had to tell can become this one's to tell.
    fn may_clean_up(&self, is_counted: bool) -> bool {
        is_counted && self.listed == Asked::Done
    }

    /// Whether a place in the log is known.
    #[cfg(test)]
    pub(super) fn has_place(&self) -> bool {
        self.place.is_some()
    }

    fn is_live(&self) -> bool {
        self.is_synced && self.listening == Asked::Done
    }

    /// Redis is away.
    pub(super) fn on_lost(&mut self, now: Instant) {
        self.note_interruption(now);
        self.listening = Asked::No;
        self.on_forgotten();
        self.answer_offline();
    }

    /// Redis may have forgotten what it was told, or have an older state of it.
    pub(super) fn on_forgotten(&mut self) {
        self.listed = Asked::No;
        self.is_synced = false;
        let is_nothing = self.acknowledged_counts == Some((0, 0))
            && self.steps.is_empty()
            && self.pending.is_empty()
            && self.departed.is_empty();
        if self.is_wanted() || !is_nothing {
            self.send_all_again();
        }
    }

    /// The whole part is to be told, whatever Redis knows of it.
    pub(super) fn send_all_again(&mut self) {
        self.must_send_all = true;
        self.acknowledged_counts = None;
        for step in std::mem::take(&mut self.steps) {
            if let Step::Remove(user_id, is_reported) = step {
                self.departed.insert(user_id, is_reported);
            }
        }
        self.note_pending_as_departed();
    }

    /// Redis may not have the departures that webhooks are still to be told of.
    fn note_pending_as_departed(&mut self) {
        for field in &self.pending {
            if let Some(user_id) = field.strip_prefix('r') {
                self.departed.insert(user_id.into(), true);
            }
        }
    }

    /// Redis has it that this node is on the channel, which knows nothing of that.
    pub(super) fn on_found(&mut self) {
        self.may_be_listed = true;
        if !self.is_wanted() {
            self.send_all_again();
        }
    }

    /// The place is not known any more, but what it was tells an older state of the log.
    fn forget_place(&mut self) {
        if let Some(place) = self.place.take() {
            self.former = Some(place);
        }
        self.is_synced = false;
    }

    fn note_interruption(&mut self, now: Instant) {
        if self.place.is_some() && self.interrupted_at.is_none() {
            self.interrupted_at = Some(now);
        }
    }

    /// Redis cannot be asked now: whoever waits is answered from what this node knows.
    pub(super) fn answer_offline(&mut self) {
        self.granted.clear();
        self.outgoing.send_receipts();
        let joining: Vec<Join> = self
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
                Waiting::Confirm(peer) => self.confirm(peer),
                Waiting::SignIn(signing_in) => self.register(signing_in),
                Waiting::Watch(watch) => watch.one_known(),
            }
        }
    }

    /// The topic is listened to elsewhere from now on; what came in between is missing.
    pub(super) fn on_moved(&mut self, now: Instant) {
        self.note_interruption(now);
        self.listening = Asked::No;
        self.is_synced = false;
    }

    /// The node is another one to Redis, which has forgotten the one that it was.
    pub(super) fn on_new_node(&mut self) {
        self.may_be_listed = false;
        self.on_forgotten();
    }

    /// The node was given up, and is another one to Redis. The others tell that all that it had has
    /// gone.
    pub(super) fn on_given_up(&mut self) {
        self.was_given_up = true;
        self.listed = Asked::No;
        self.may_be_listed = false;
        self.is_synced = false;
        self.acknowledged_counts = Some((0, 0));
        self.must_send_all = self.is_wanted();
        // Who leaves in between is told of by nobody: the others have told it before.
        self.must_reconcile = self.is_wanted();
        self.steps.clear();
        self.departed.clear();
        self.pending.clear();
        self.doubted.clear();
        self.occupancy = Occupancy::No;
        for user in self.users.values_mut() {
            user.is_reported = false;
        }
    }
}
