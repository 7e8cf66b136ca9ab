//! One channel as this node shares it with others.
//!
//! The node's part of a channel (how many subscribers, which users) is what its connections make
//! it; Redis is told of every change, and after a loss of it of the whole part. What the channel is
//! for the cluster (who is present, its last event) is a copy of what the channel's log says, up to
//! a place in the log that the node knows.

use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::{Cmd, Value};
use smallvec::SmallVec;

use super::entry::{Entry, EntryId, Message, NodeId, Unreadable, What};
use super::keys::{self, Topic};
use super::outgoing::{HISTORY_MS, Queue, Utterance, Voice};
use super::script::{self, ChannelReply};
use super::watch::PendingWatch;
use crate::apps::WebhookEvent;
use crate::hub::authority::PeerHandle;
use crate::hub::{AppHub, Broadcast, Join, Leave};
use crate::metrics::ClusterMetrics;
use crate::protocol::member::Member;
use crate::protocol::{ChannelName, CloseCode, Frame};
use crate::session::CloseReason;
use crate::webhooks::Transition;

/// Entries that one call reads at most.
const ENTRIES_AT_ONCE: usize = 1000;

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
    SignIn(PeerHandle, Arc<Member>, Frame),
    Watch(Rc<PendingWatch>),
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
}

/// A change of the node's part.
#[derive(Debug)]
enum Step {
    Add(Arc<str>),
    Remove(Arc<str>),
}

/// What Redis is asked, and what was said along with it.
#[derive(Debug)]
pub(super) enum Call {
    Publish(Utterance),
    Change(Change),
}

#[derive(Debug)]
pub(super) struct Change {
    connections: usize,
    watchers: usize,
    adds: Vec<Arc<str>>,
    acknowledged: Vec<String>,
    was_sync: bool,
    asked_from: Option<Place>,
    orphans_of: Option<String>,
}

/// What is at hand when a channel acts.
pub(super) struct Surroundings<'a> {
    pub(super) metrics: &'a ClusterMetrics,
    pub(super) voice: Voice<'a>,
    /// This process, under all ids that it had.
    pub(super) own: &'a [NodeId],
    /// Whether Redis, or the part of it that the channel is on, is away.
    pub(super) is_away: bool,
    pub(super) leave_delay: Duration,
    pub(super) node_timeout: Duration,
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
    /// Whether the copy is up to date.
    is_synced: bool,
    /// Whether the whole part is to be told, as Redis may know another one.
    must_tell_all: bool,
    /// Whether entries are known to be missing.
    is_behind: bool,
    place: Option<Place>,
    /// The highest offset that was heard while the place was not known.
    heard: u64,
    last_numbers: SmallVec<[(NodeId, u64); 4]>,
    /// Subscribers in all, who have not been told yet.
    total: Option<usize>,

    /// Connections let in, and those that wait to be.
    connections: usize,
    let_in: usize,
    watchers: usize,
    /// What Redis knows of the two; None if that is not known.
    told: Option<(usize, usize)>,
    users: HashMap<Arc<str>, LocalUser>,
    steps: Vec<Step>,
    waiting: VecDeque<Waiting>,
    /// Users let in, but not before the copy is up to date.
    granted: Vec<Arc<str>>,

    pub(super) outgoing: Queue,
    call: Option<()>,
    last_was_change: bool,
    /// Dead nodes whose parts are to be removed.
    pub(super) orphans: Vec<String>,
    /// When the next of what is due has to be looked at.
    pub(super) next_due: Option<Instant>,
    /// What is due is to be told; true: all of it.
    fires: Option<bool>,
    told_to_webhooks: HashSet<String>,
    to_acknowledge: Vec<String>,
    /// Since when nobody has wanted the channel.
    pub(super) idle_since: Option<Instant>,
    /// Whether it stands in a server's queue.
    pub(super) is_queued: bool,
    /// When whoever was not told of since the log was begun anew is gone.
    reconcile_at: Option<Instant>,
    /// Until when it is not to be asked for anything, as it was refused.
    pub(super) rests_until: Option<Instant>,
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
            is_synced: false,
            must_tell_all: false,
            is_behind: false,
            place: None,
            heard: 0,
            last_numbers: SmallVec::new(),
            total: None,
            connections: 0,
            let_in: 0,
            watchers: 0,
            told: Some((0, 0)),
            users: HashMap::new(),
            steps: Vec::new(),
            waiting: VecDeque::new(),
            granted: Vec::new(),
            outgoing: Queue::default(),
            call: None,
            last_was_change: false,
            orphans: Vec::new(),
            next_due: None,
            fires: None,
            told_to_webhooks: HashSet::new(),
            to_acknowledge: Vec::new(),
            idle_since: None,
            is_queued: false,
            reconcile_at: None,
            rests_until: None,
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
            && self.call.is_none()
            && self.waiting.is_empty()
            && self.told == Some((0, 0))
            && self.next_due.is_none()
            && self.told_to_webhooks.is_empty()
    }

    /// Whether the node still has to tell of departures.
    pub(super) fn owes_something(&self) -> bool {
        self.next_due.is_some() || !self.told_to_webhooks.is_empty()
    }

    /// Whether something is to be said that is not said yet.
    pub(super) fn is_busy(&self) -> bool {
        self.call.is_some() || self.has_work()
    }

    /// Whether Redis could be called now. Until the node counts as alive, its part is not told.
    pub(super) fn wants_call(&self, is_counted: bool) -> bool {
        self.call.is_none()
            && self.rests_until.is_none_or(|until| until <= Instant::now())
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
        self.rests_until = self.rests_until.filter(|until| *until > now);
        let times = [
            self.next_due,
            self.rests_until,
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
        self.must_tell_all
            || self.is_behind
            || !self.steps.is_empty()
            || self.told != Some((self.connections, self.watchers))
            || self.fires.is_some()
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

    fn is_live(&self) -> bool {
        self.is_synced && self.listening == Asked::Done
    }

    // What connections do.

    pub(super) fn join(&mut self, join: Join, around: &Surroundings<'_>) {
        self.connections += 1;
        if around.is_away {
            self.join_apart(join);
        } else if (self.is_live() && self.waiting.is_empty()) || self.must_be_asked_for(&join) {
            self.join_live(join);
        } else {
            self.waiting.push_back(Waiting::Join(join));
        }
    }

    /// Whether it is for the cluster to say if there is room for this one.
    fn must_be_asked_for(&self, join: &Join) -> bool {
        join.member.as_ref().is_some_and(|member| {
            let user = self.users.get(member.user_id());
            user.is_none_or(|user| user.joining.is_some())
        })
    }

    /// Joins while the cluster can be asked.
    fn join_live(&mut self, join: Join) {
        let Some(member) = &join.member else {
            return self.admit(join);
        };
        match self.users.get_mut(member.user_id()) {
            Some(user) => match &mut user.joining {
                Some(joining) => joining.push(join),
                None => {
                    user.connections += 1;
                    self.admit(join);
                }
            },
            None => {
                let (user_id, member) = (Arc::clone(member.user_id()), Arc::clone(member));
                self.steps.push(Step::Add(Arc::clone(&user_id)));
                let user = LocalUser {
                    member,
                    connections: 0,
                    joining: Some(vec![join]),
                    only_here: false,
                };
                self.users.insert(user_id, user);
            }
        }
    }

    /// Joins while nobody can be asked: what this node knows has to do.
    fn join_apart(&mut self, join: Join) {
        let Some(app) = self.app.clone() else { return };
        if let Some(member) = &join.member {
            let user = self
                .users
                .entry(Arc::clone(member.user_id()))
                .or_insert_with(|| LocalUser {
                    member: Arc::clone(member),
                    connections: 0,
                    joining: None,
                    only_here: false,
                });
            user.connections += 1;
            user.only_here |= app.member_came(&self.name, member);
            self.must_tell_all = true;
        }
        self.admit(join);
    }

    fn admit(&mut self, join: Join) {
        if let Some(app) = &self.app {
            self.let_in += 1;
            app.admit_shared(join);
        }
    }

    pub(super) fn confirm(&mut self, peer: PeerHandle) {
        match (&self.app, self.waiting.is_empty()) {
            (Some(app), true) => app.confirm_locally(&peer, &self.name),
            _ => self.waiting.push_back(Waiting::Confirm(peer)),
        }
    }

    pub(super) fn leave(&mut self, leave: &Leave, around: &Surroundings<'_>) {
        let Some(app) = self.app.clone() else { return };
        app.dismiss_shared(leave);
        self.connections -= 1;
        if let Some(member) = &leave.member {
            self.user_leaves(member.user_id(), &app, around);
        }
        self.one_less(&app);
    }

    fn user_leaves(&mut self, user_id: &Arc<str>, app: &AppHub, around: &Surroundings<'_>) {
        let Some(user) = self.users.get_mut(user_id) else {
            return;
        };
        user.connections = user.connections.saturating_sub(1);
        if user.connections > 0 || user.joining.is_some() {
            return;
        }
        let only_here = user.only_here;
        self.users.remove(user_id);
        if !self.must_tell_all {
            self.steps.push(Step::Remove(Arc::clone(user_id)));
        }
        // Whether others have the user too is known when Redis is back.
        if around.is_away && only_here {
            app.member_went(&self.name, user_id);
        }
    }

    fn one_less(&mut self, app: &AppHub) {
        self.let_in -= 1;
        if self.let_in == 0 && self.kind == Kind::Channel {
            // With its last listener the node has forgotten the roster.
            self.place = None;
            self.is_synced = false;
            app.forget_empty(&self.name);
        }
    }

    pub(super) fn sign_in(
        &mut self,
        peer: PeerHandle,
        user: Arc<Member>,
        reply: Frame,
        around: &Surroundings<'_>,
    ) {
        self.connections += 1;
        if around.is_away || (self.is_live() && self.waiting.is_empty()) {
            self.register(peer, user, reply);
        } else {
            self.waiting.push_back(Waiting::SignIn(peer, user, reply));
        }
    }

    fn register(&mut self, peer: PeerHandle, user: Arc<Member>, reply: Frame) {
        let Some(app) = &self.app else { return };
        self.let_in += 1;
        app.sign_in_shared(peer, Arc::clone(&user), reply);
        if !self.is_live() {
            app.set_online(user.user_id(), true);
        }
    }

    pub(super) fn sign_out(&mut self, peer: PeerHandle, user: &Member) {
        if let Some(app) = &self.app {
            app.sign_out_shared(peer, user);
            self.connections -= 1;
            self.let_in -= 1;
        }
    }

    pub(super) fn watch(&mut self, watch: &Rc<PendingWatch>, around: &Surroundings<'_>) {
        self.watchers += 1;
        if around.is_away || (self.is_live() && self.waiting.is_empty()) {
            watch.one_known();
        } else {
            self.waiting.push_back(Waiting::Watch(Rc::clone(watch)));
        }
    }

    pub(super) fn unwatch(&mut self) {
        self.watchers = self.watchers.saturating_sub(1);
    }

    // What Redis does.

    /// Redis is away: whoever waits is answered from what this node knows.
    pub(super) fn on_lost(&mut self) {
        self.listening = Asked::No;
        self.listed = Asked::No;
        self.is_synced = false;
        if self.is_wanted() || self.told != Some((0, 0)) || !self.steps.is_empty() {
            self.must_tell_all = true;
            self.told = None;
        }
        self.steps.clear();
        self.granted.clear();
        self.outgoing.send_receipts();
        let joining: Vec<Join> = self
            .users
            .values_mut()
            .filter_map(|user| user.joining.take())
            .flatten()
            .collect();
        for join in joining {
            self.join_apart(join);
        }
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Join(join) => self.join_apart(join),
                Waiting::Confirm(peer) => self.confirm(peer),
                Waiting::SignIn(peer, user, reply) => self.register(peer, user, reply),
                Waiting::Watch(watch) => watch.one_known(),
            }
        }
    }

    /// The topic is listened to elsewhere from now on; what came in between is missing.
    pub(super) fn on_moved(&mut self) {
        self.listening = Asked::No;
        self.is_synced = false;
    }

    /// The node is another one to Redis, which knows nothing of it.
    pub(super) fn on_new_node(&mut self) {
        self.listed = Asked::No;
        self.is_synced = false;
        self.told = Some((0, 0));
        self.must_tell_all = self.is_wanted();
        self.steps.clear();
    }

    /// Something was published on the topic.
    pub(super) fn on_message(&mut self, message: &Message, around: &Surroundings<'_>) {
        self.heard = self.heard.max(message.id.offset);
        let Some(place) = &self.place else { return };
        if !self.is_synced {
            return;
        }
        if place.epoch != message.epoch || message.id.offset > place.id.offset + 1 {
            self.is_behind = true;
        } else if message.id.offset == place.id.offset + 1 {
            self.place = Some(Place {
                epoch: message.epoch.clone(),
                id: message.id,
            });
            self.apply(&message.body, true, around);
        }
    }

    /// Does what an entry says; of one from an unknown time, only what is not in the roster.
    fn apply(&mut self, body: &bytes::Bytes, in_order: bool, around: &Surroundings<'_>) {
        let Ok(entry) = Entry::parse(body) else {
            around.metrics.unreadable.inc();
            return;
        };
        let Some(app) = self.app.clone() else { return };
        around.metrics.entries_received.inc();
        let is_own = around.own.contains(&entry.origin);
        match entry.what {
            What::Events { number, events } => {
                if self.is_repeated(entry.origin, number, is_own, around) {
                    return;
                }
                for event in events {
                    let frame = Frame::text(event.payload.len(), |out| {
                        out.extend_from_slice(&event.payload);
                    });
                    if is_own {
                        // This node's subscribers have it; but others may have had their say.
                        if event.is_cached {
                            let kept_for = app.app.limits.cache_ttl;
                            app.set_cached(&self.name, Some((frame, kept_for)));
                        }
                        continue;
                    }
                    let room = app.room.try_reserve(self.let_in, frame.len());
                    let broadcast = Broadcast::forwarded(frame, event.except, room);
                    app.publish_locally(self.name.as_str(), broadcast, event.is_cached);
                }
            }
            What::Close {
                number,
                code,
                reason,
            } => {
                let is_repeated = self.is_repeated(entry.origin, number, is_own, around);
                if let Kind::User(user_id) = &self.kind
                    && !is_own
                    && !is_repeated
                    && let Some(code) = CloseCode::of(code)
                {
                    app.close_user_locally(user_id, CloseReason::new(code, reason));
                }
            }
            _ if !in_order => {}
            What::Added(users) => {
                for (user_id, info) in users {
                    let member = Arc::new(Member::from_escaped(&user_id, &info));
                    app.member_came(&self.name, &member);
                }
            }
            What::Removed(users) => {
                for user_id in users {
                    app.member_went(&self.name, &user_id);
                }
            }
            What::Total(subscribers) if self.is_synced => {
                app.announce_total(&self.name, subscribers);
            }
            // Whoever is about to be let in is to hear of it too.
            What::Total(subscribers) => self.total = Some(subscribers),
            What::Online | What::Offline => {
                if let Kind::User(user_id) = &self.kind {
                    app.set_online(user_id, entry.what == What::Online);
                }
            }
        }
    }

    /// Whether the node has had this from the same origin before.
    fn is_repeated(
        &mut self,
        origin: NodeId,
        number: u64,
        is_own: bool,
        around: &Surroundings<'_>,
    ) -> bool {
        const MOST: usize = 64;
        match self
            .last_numbers
            .iter_mut()
            .find(|(node, _)| *node == origin)
        {
            Some((_, last)) if *last >= number => {
                if !is_own {
                    around.metrics.repeats_dropped.inc();
                }
                true
            }
            Some((_, last)) => {
                *last = number;
                false
            }
            None => {
                if self.last_numbers.len() == MOST {
                    self.last_numbers.remove(0);
                }
                self.last_numbers.push((origin, number));
                false
            }
        }
    }

    // Calls.

    /// What Redis is to be asked next. One call at a time is under way.
    pub(super) fn next_call(
        &mut self,
        is_counted: bool,
        around: &Surroundings<'_>,
    ) -> Option<(Call, Cmd)> {
        if self.call.is_some() {
            return None;
        }
        let changes = self.has_changes() && self.may_change(is_counted);
        let cleans_up = !self.orphans.is_empty() && self.may_clean_up(is_counted);
        let call = match (changes, self.outgoing.is_empty()) {
            _ if cleans_up => self.remove_orphans(around),
            (true, empty) if empty || !self.last_was_change => self.change(around),
            (_, false) => self.say(around),
            _ => None,
        };
        self.call = call.as_ref().map(|_| ());
        call
    }

    fn say(&mut self, around: &Surroundings<'_>) -> Option<(Call, Cmd)> {
        self.last_was_change = false;
        let utterance = self.outgoing.next(around.voice)?;
        let command = utterance.call(&self.topic, around.voice);
        Some((Call::Publish(utterance), command))
    }

    fn change(&mut self, around: &Surroundings<'_>) -> Option<(Call, Cmd)> {
        self.last_was_change = true;
        let node = around.voice.node;
        let is_wanted = self.is_wanted();
        let asked_from = match is_wanted {
            true => self.place.clone(),
            false => None,
        };
        let tells_all = std::mem::take(&mut self.must_tell_all);
        let was_sync = !self.is_synced || tells_all;
        let flags = self.flags(was_sync, was_sync || self.fires.is_some());
        let mut command = self.call_of(&node.to_string(), asked_from.as_ref(), &flags, around);
        let acknowledged = std::mem::take(&mut self.to_acknowledge);
        for field in &acknowledged {
            command.arg("a").arg(field);
        }
        let mut adds = Vec::new();
        let steps = std::mem::take(&mut self.steps);
        if tells_all {
            self.tell_all(&mut command, &mut adds);
        } else {
            for step in steps {
                match step {
                    Step::Add(user_id) => {
                        let Some(user) = self.users.get(&user_id) else {
                            continue;
                        };
                        command.arg("+").arg(&*user_id);
                        command.arg(user.member.escaped_info());
                        adds.push(user_id);
                    }
                    Step::Remove(user_id) => {
                        command.arg("-").arg(&*user_id);
                    }
                }
            }
        }
        if self.told != Some((self.connections, self.watchers)) || tells_all {
            command.arg("n").arg(self.connections);
            if matches!(self.kind, Kind::User(_)) {
                command.arg("w").arg(self.watchers);
            }
        }
        if let Some(all) = self.fires.take() {
            command.arg("f").arg(i32::from(all));
        }
        self.is_behind = false;
        let change = Change {
            connections: self.connections,
            watchers: self.watchers,
            adds,
            acknowledged,
            was_sync,
            asked_from,
            orphans_of: None,
        };
        Some((Call::Change(change), command))
    }

    /// The whole part; users who wait to be let in come on top of it, as there may be no room.
    fn tell_all(&self, command: &mut Cmd, adds: &mut Vec<Arc<str>>) {
        if !self.name.kind().is_presence() {
            return;
        }
        let (joining, here): (Vec<_>, Vec<_>) = self
            .users
            .iter()
            .partition(|(_, user)| user.joining.is_some());
        command.arg("=").arg(here.len());
        for (user_id, user) in here {
            command.arg(&**user_id).arg(user.member.escaped_info());
        }
        for (user_id, user) in joining {
            command.arg("+").arg(&**user_id);
            command.arg(user.member.escaped_info());
            adds.push(Arc::clone(user_id));
        }
    }

    fn remove_orphans(&mut self, around: &Surroundings<'_>) -> Option<(Call, Cmd)> {
        let dead = self.orphans.pop()?;
        let mut command = self.call_of(&dead, None, &self.flags(false, true), around);
        command.arg("=").arg(0);
        command.arg("n").arg(0).arg("w").arg(0);
        let change = Change {
            connections: self.connections,
            watchers: self.watchers,
            adds: Vec::new(),
            acknowledged: Vec::new(),
            was_sync: false,
            asked_from: None,
            orphans_of: Some(dead),
        };
        Some((Call::Change(change), command))
    }

    /// A call of the script, up to its steps.
    fn call_of(
        &self,
        node: &str,
        from: Option<&Place>,
        flags: &str,
        around: &Surroundings<'_>,
    ) -> Cmd {
        let topic = &*self.topic;
        let keys = [
            keys::meta(topic),
            keys::log(topic),
            keys::cache(topic),
            keys::users(topic),
            keys::members(topic),
            keys::due(topic),
            keys::users_at(topic, node),
        ];
        let mut command = script::CHANNEL.call(&keys);
        let voice = around.voice;
        command
            .arg(voice.node.to_string())
            .arg(node)
            .arg(voice.epoch)
            .arg(HISTORY_MS)
            .arg(voice.publish)
            .arg(topic)
            .arg(voice.version)
            .arg(self.most_members())
            .arg(flags)
            .arg(self.delay(around).as_millis() as u64);
        match from {
            Some(place) => command.arg(&*place.epoch).arg(place.id.to_string()),
            None => command.arg("").arg("0-0"),
        };
        command.arg(ENTRIES_AT_ONCE);
        command
    }

    fn most_members(&self) -> usize {
        let app = self.app.as_ref();
        app.map_or(0, |app| app.app.limits.presence_members)
    }

    fn delay(&self, around: &Surroundings<'_>) -> Duration {
        match (&self.kind, &self.app) {
            (Kind::User(_), Some(app)) => app.app.watchlist_grace,
            _ => around.leave_delay,
        }
    }

    fn flags(&self, is_sync: bool, all_due: bool) -> String {
        let mut flags = String::new();
        let Some(app) = &self.app else {
            return flags;
        };
        if all_due {
            flags.push('d');
        }
        if let Kind::User(_) = self.kind {
            if app.has_watchlists() {
                flags.push('u');
            }
            return flags;
        }
        let kind = self.name.kind();
        if kind.is_presence() {
            flags.push('p');
        } else if app.app.subscription_count {
            flags.push('c');
        }
        if is_sync && kind.cache {
            flags.push('k');
        }
        let Some(webhooks) = app.webhooks() else {
            return flags;
        };
        use WebhookEvent::{
            ChannelOccupied, ChannelVacated, MemberAdded, MemberRemoved, SubscriptionCount,
        };
        for (flag, events) in [
            ('o', [ChannelOccupied, ChannelVacated]),
            ('m', [MemberAdded, MemberRemoved]),
            ('s', [SubscriptionCount, SubscriptionCount]),
        ] {
            let name = self.name.as_str();
            if events.into_iter().any(|event| webhooks.wants(event, name)) {
                flags.push(flag);
            }
        }
        flags
    }

    /// Redis has done what it was asked. Returns the dead node that it was about, if it was.
    pub(super) fn on_reply(
        &mut self,
        call: Call,
        value: Value,
        around: &Surroundings<'_>,
    ) -> Result<Option<String>, Unreadable> {
        self.call = None;
        let change = match call {
            Call::Publish(utterance) => {
                around.metrics.entries_sent.inc();
                utterance.done();
                return Ok(None);
            }
            Call::Change(change) => change,
        };
        let reply = match ChannelReply::read(value) {
            Ok(reply) => reply,
            Err(error) => {
                self.put_back_change(change);
                return Err(error);
            }
        };
        for field in &change.acknowledged {
            self.told_to_webhooks.remove(field);
        }
        self.tell(&reply.due);
        if let Some(dead) = change.orphans_of {
            return Ok(Some(dead));
        }
        self.told = Some((change.connections, change.watchers));
        if self.is_wanted() {
            self.catch_up(&change, reply, around);
        } else {
            self.place = None;
            self.is_synced = false;
            if let Some(app) = &self.app {
                match &self.kind {
                    Kind::User(user_id) => app.set_online(user_id, false),
                    Kind::Channel => app.forget_empty(&self.name),
                }
            }
        }
        Ok(None)
    }

    /// Brings the copy up to where the reply says the channel is.
    fn catch_up(&mut self, change: &Change, reply: ChannelReply, around: &Surroundings<'_>) {
        let goes_on = reply.known_here && change.asked_from.is_some();
        if change.asked_from.is_some() && self.place.is_none() {
            // The copy is gone since the question was asked.
            self.keep_granted(change, &reply);
            return;
        }
        self.note_break(change, &reply, around);
        let ends_here = reply.entries.last().is_none_or(|(id, _)| *id == reply.last)
            || reply.entries.len() < ENTRIES_AT_ONCE;
        let mut entries = reply.entries.clone();
        if !goes_on
            && change
                .asked_from
                .as_ref()
                .is_some_and(|place| place.epoch != reply.epoch)
        {
            // Of a log begun anew the script gives the end, latest first.
            entries.reverse();
        }
        for (id, body) in entries {
            let is_news = match &self.place {
                Some(place) => !goes_on || id.offset > place.id.offset,
                None => false,
            };
            if !is_news {
                continue;
            }
            if change.was_sync {
                around.metrics.entries_recovered.inc();
            }
            if goes_on {
                self.place = Some(Place {
                    epoch: reply.epoch.clone(),
                    id,
                });
            }
            self.apply(&body.into(), goes_on, around);
        }
        if goes_on && !ends_here {
            self.keep_granted(change, &reply);
            self.is_behind = true;
            return;
        }
        let known = self.place.as_ref().map_or(0, |place| match goes_on {
            true => place.id.offset,
            false => 0,
        });
        if known <= reply.last.offset {
            self.place = Some(Place {
                epoch: reply.epoch.clone(),
                id: reply.last,
            });
        }
        let begun_anew = change
            .asked_from
            .as_ref()
            .is_some_and(|place| place.epoch != reply.epoch);
        self.take_over(&reply, begun_anew);
        if begun_anew {
            self.reconcile_at = Some(Instant::now() + around.node_timeout);
        }
        self.is_synced = self.listening == Asked::Done;
        if let Some(place) = &self.place
            && self.heard > place.id.offset
        {
            self.is_behind = true;
        }
        self.heard = 0;
        self.let_in_granted(change, &reply);
        self.let_in_waiting();
        if let Some(app) = &self.app {
            if let Some(subscribers) = self.total.take() {
                app.announce_total(&self.name, subscribers);
            }
            if !self.is_wanted() {
                app.forget_empty(&self.name);
            }
        }
    }

    /// What the channel is for the cluster, where the reply says it as a whole. Of a log that was
    /// just begun anew the members may not all be back: nobody is taken to be gone yet.
    fn take_over(&mut self, reply: &ChannelReply, begun_anew: bool) {
        let Some(app) = &self.app else { return };
        if let Some(roster) = &reply.roster {
            let members = roster
                .iter()
                .map(|(user_id, info)| Arc::new(Member::from_escaped(user_id, info)));
            if begun_anew {
                for member in members {
                    app.member_came(&self.name, &member);
                }
            } else {
                app.set_roster(&self.name, members.collect());
            }
        }
        if let (Some((payload, ms)), true) = (&reply.cached, self.name.kind().cache) {
            let frame = Frame::text(payload.len(), |out| out.extend_from_slice(payload));
            let kept_for = Duration::from_millis(*ms);
            app.set_cached(&self.name, Some((frame, kept_for)));
        }
        if let Kind::User(user_id) = &self.kind
            && !self.is_synced
        {
            app.set_online(user_id, reply.is_online);
        }
        for user in self.users.values_mut() {
            user.only_here = false;
        }
    }

    /// Counts and logs that events may be missing.
    fn note_break(&self, change: &Change, reply: &ChannelReply, around: &Surroundings<'_>) {
        let Some(place) = &change.asked_from else {
            return;
        };
        if reply.known_here {
            return;
        }
        let metrics = around.metrics;
        let channel = self.name.as_str();
        if place.epoch == reply.epoch {
            metrics.events_missed.inc();
            tracing::warn!(
                channel,
                "events may be missing: the channel's log does not go back to what this node knows"
            );
        } else {
            metrics.epoch_changes.inc();
            tracing::info!(channel, "the channel's log was begun anew");
        }
    }

    fn keep_granted(&mut self, change: &Change, reply: &ChannelReply) {
        self.refuse(&reply.refused);
        self.granted.extend(change.adds.iter().cloned());
    }

    fn let_in_granted(&mut self, change: &Change, reply: &ChannelReply) {
        self.keep_granted(change, reply);
        for user_id in std::mem::take(&mut self.granted) {
            let Some(user) = self.users.get_mut(&user_id) else {
                continue;
            };
            let joining = user.joining.take().unwrap_or_default();
            user.connections += joining.len();
            for join in joining {
                self.admit(join);
            }
        }
    }

    fn refuse(&mut self, refused: &[String]) {
        let Some(app) = self.app.clone() else { return };
        for user_id in refused {
            let Some(user) = self.users.remove(&**user_id) else {
                continue;
            };
            for join in user.joining.unwrap_or_default() {
                self.connections -= 1;
                app.refuse_full(join);
            }
        }
    }

    fn let_in_waiting(&mut self) {
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Join(join) => self.join_live(join),
                Waiting::Confirm(peer) => self.confirm(peer),
                Waiting::SignIn(peer, user, reply) => self.register(peer, user, reply),
                Waiting::Watch(watch) => watch.one_known(),
            }
        }
    }

    /// It is not known whether Redis has done what it was asked.
    pub(super) fn on_unsure(&mut self, call: Call) {
        self.call = None;
        match call {
            Call::Publish(utterance) => self.outgoing.put_back(utterance),
            Call::Change(change) => self.put_back_change(change),
        }
    }

    /// Redis has not done what it was asked.
    pub(super) fn on_refused(&mut self, call: Call) {
        self.call = None;
        match call {
            Call::Publish(utterance) => self.outgoing.put_back_unheard(utterance),
            Call::Change(change) => self.put_back_change(change),
        }
    }

    fn put_back_change(&mut self, change: Change) {
        self.to_acknowledge.extend(change.acknowledged);
        if let Some(dead) = change.orphans_of {
            self.orphans.push(dead);
            return;
        }
        if self.next_due.is_some() {
            self.fires = Some(false);
        }
        self.steps.clear();
        self.told = None;
        self.must_tell_all = true;
    }

    // What the app's backend is told.

    /// Tells what is to be told now, and remembers when to look after the rest.
    fn tell(&mut self, due: &[(String, u64)]) {
        let now = Instant::now();
        for (field, ms) in due {
            let (kind, rest) = field.split_at(field.len().min(1));
            let transition = match kind {
                "o" => Transition::Occupied,
                "V" => Transition::Vacated,
                "a" => Transition::MemberAdded(rest),
                "R" => Transition::MemberRemoved(rest),
                "N" => Transition::Counted(rest.parse().unwrap_or(0)),
                _ => {
                    let at = now + Duration::from_millis(*ms);
                    self.next_due = Some(self.next_due.map_or(at, |next| next.min(at)));
                    continue;
                }
            };
            if !self.told_to_webhooks.insert(field.clone()) {
                continue;
            }
            self.to_acknowledge.push(field.clone());
            if let Some(webhooks) = self.app.as_ref().and_then(|app| app.webhooks()) {
                webhooks.transition(&self.name, &transition);
            }
        }
    }

    /// The other nodes have had time to tell who is there since the log was begun anew: whoever is
    /// not is gone.
    pub(super) fn reconcile(&mut self, now: Instant) {
        if self.reconcile_at.is_some_and(|at| at <= now) {
            self.reconcile_at = None;
            self.place = None;
            self.is_behind = true;
        }
    }

    /// What is due is to be told.
    pub(super) fn fire(&mut self, all: bool) {
        self.next_due = None;
        self.fires = Some(all || self.fires == Some(true));
    }
}
