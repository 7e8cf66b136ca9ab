//! Which shards have subscribers of a channel, and who its members are.

use std::collections::HashMap;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use parking_lot::{Mutex, MutexGuard};

use super::app::AppHub;
use super::authority::{Join, Leave, PeerHandle};
use super::broadcast::Broadcast;
use super::cache::EventCache;
use super::count::{CountNotice, Due};
use super::listeners::Listeners;
use super::mailbox::{Command, Joined, JoinedAs, Wakes, Welcome};
use super::roster::{Roster, RosterFull};
use crate::apps::App;
use crate::metrics::{AppMetrics, Gauge};
use crate::protocol::member::Member;
use crate::protocol::{ChannelName, Frame, server};
use crate::session::CloseReason;
use crate::webhooks::AppWebhooks;

/// Locks that an app's channels are spread over.
const SLOTS: usize = 16;

pub(super) type Slot = HashMap<ChannelName, Entry, RandomState>;

/// The channels of an app that have subscribers, or its users that are signed in.
///
/// Every change of a channel and all that it makes known is posted under the channel's lock,
/// into FIFO mailboxes: so all subscribers see one order, a new one misses nothing and sees
/// nothing twice, and rosters fit together with the changes announced.
#[derive(Debug)]
pub(super) struct Directory {
    slots: [Mutex<Slot>; SLOTS],
    hasher: RandomState,
    occupied: Gauge,
    subscriptions: Option<Gauge>,
    presence_members: usize,
    announces_counts: bool,
    /// Channels whose count must be told once its interval is over.
    counts_due: Mutex<Vec<ChannelName>>,
    cache: Mutex<EventCache>,
    silent: AtomicBool,
    /// Webhooks have been told that everybody has left.
    all_departed: AtomicBool,
    webhooks: Option<Arc<AppWebhooks>>,
}

/// A channel with at least one subscriber on this node.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) listeners: Listeners,
    pub(super) roster: Roster,
    notice: CountNotice,
}

/// What is known about a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelState {
    /// Connections subscribed.
    pub subscribers: usize,
    /// Users present; 0 on other than presence channels.
    pub users: usize,
}

/// What publishing to a channel would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Connections that would get the event.
    pub deliveries: usize,
    /// Whether anybody, subscriber or cache, has a use for it.
    pub any: bool,
}

impl Directory {
    pub(super) fn of_channels(
        app: &App,
        metrics: &AppMetrics,
        webhooks: Option<Arc<AppWebhooks>>,
    ) -> Self {
        Self {
            subscriptions: Some(metrics.subscriptions.clone()),
            announces_counts: app.subscription_count,
            webhooks,
            ..Self::new(app, metrics, metrics.channels.clone())
        }
    }

    pub(super) fn of_users(app: &App, metrics: &AppMetrics) -> Self {
        Self::new(app, metrics, metrics.users.clone())
    }

    fn new(app: &App, metrics: &AppMetrics, occupied: Gauge) -> Self {
        let limits = &app.limits;
        Self {
            slots: Default::default(),
            hasher: RandomState::default(),
            occupied,
            subscriptions: None,
            presence_members: limits.presence_members,
            announces_counts: false,
            counts_due: Mutex::default(),
            cache: Mutex::new(EventCache::new(
                limits.cache_bytes,
                limits.cache_ttl,
                metrics.clone(),
            )),
            silent: AtomicBool::new(false),
            all_departed: AtomicBool::new(false),
            webhooks: None,
        }
    }

    /// Leaves are no longer announced: everybody leaves.
    pub(super) fn fall_silent(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }

    /// Tells webhooks that everybody leaves, before they do. From then on webhooks are told of no
    /// transition: those who are there stay to the end of the process, and no longer.
    pub(super) fn all_depart(&self) {
        // Every lock at once: nobody is told of twice, or not at all.
        let slots: Vec<_> = self.slots.iter().map(Mutex::lock).collect();
        for (channel, entry) in slots.iter().flat_map(|slot| slot.iter()) {
            for member in entry.roster.members() {
                self.notify_webhooks(|to| to.member_removed(channel, member.user_id()));
            }
            if !entry.listeners.is_empty() {
                self.notify_vacated(channel);
            }
        }
        self.all_departed.store(true, Ordering::Relaxed);
    }

    /// Whether leaves go unannounced.
    pub(super) fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }

    /// Lets a connection in, and makes known who came. `signed_in` is the user and the answer
    /// where the connection joins as one of a user's.
    pub(super) fn join(
        &self,
        app: &Arc<AppHub>,
        join: Join,
        signed_in: Option<(Arc<Member>, Option<Frame>)>,
    ) {
        let mut wakes = Wakes::default();
        let mut slot = self.slot(join.channel.as_str());
        if !slot.contains_key(join.channel.as_str()) {
            self.notify_webhooks(|webhooks| webhooks.occupied(&join.channel));
        }
        let entry = self.entry(&mut slot, &join.channel);
        if let Some(member) = &join.member {
            match entry.roster.join(member, self.presence_members) {
                Ok(true) => {
                    self.notify_webhooks(|to| to.member_added(&join.channel, member.user_id()));
                    entry.listeners.announce(
                        server::member_added(join.channel.as_str(), member),
                        &mut wakes,
                    );
                }
                Ok(false) => {}
                // (An empty channel is never full, so no entry stays behind.)
                Err(RosterFull) => return self.refuse_full(join, &mut wakes),
            }
        }
        let channel = join.channel.clone();
        self.admit_into(app, entry, join, signed_in, &mut wakes);
        self.count_changed(entry, &channel, &mut wakes);
    }

    /// Lets a connection in whose coming is made known elsewhere.
    pub(super) fn admit(
        &self,
        app: &Arc<AppHub>,
        join: Join,
        signed_in: Option<(Arc<Member>, Option<Frame>)>,
    ) {
        let mut wakes = Wakes::default();
        let mut slot = self.slot(join.channel.as_str());
        let entry = self.entry(&mut slot, &join.channel);
        self.admit_into(app, entry, join, signed_in, &mut wakes);
    }

    /// The channel, which is occupied from now on.
    pub(super) fn entry<'s>(&self, slot: &'s mut Slot, channel: &ChannelName) -> &'s mut Entry {
        slot.entry(channel.clone()).or_insert_with(|| {
            self.occupied.inc();
            Entry::new()
        })
    }

    /// The channel is no longer occupied.
    pub(super) fn forget(&self, slot: &mut Slot, channel: &ChannelName) {
        if slot.remove(channel.as_str()).is_some() {
            self.occupied.dec();
        }
    }

    /// Counts a connection as a listener, and posts its welcome into its own mailbox.
    fn admit_into(
        &self,
        app: &Arc<AppHub>,
        entry: &mut Entry,
        join: Join,
        signed_in: Option<(Arc<Member>, Option<Frame>)>,
        wakes: &mut Wakes,
    ) {
        entry.listeners.add(&join.peer.mailbox);
        self.count_subscriptions(1);
        let as_what = match signed_in {
            Some((user, reply)) => JoinedAs::User { user, reply },
            None => {
                let welcome = self.welcome(entry, &join.channel);
                if welcome.cached.is_none() && join.channel.kind().cache {
                    self.notify_webhooks(|webhooks| webhooks.cache_miss(&join.channel));
                }
                JoinedAs::Subscriber {
                    welcome,
                    member: join.member,
                }
            }
        };
        let command = Command::Join {
            peer: join.peer.id,
            channel: entry.listeners.id(),
            joined: Box::new(Joined {
                app: Arc::clone(app),
                as_what,
            }),
        };
        join.peer.mailbox.post(command, wakes);
    }

    /// Tells a connection again that it is on the channel.
    pub(super) fn confirm(&self, peer: &PeerHandle, channel: &ChannelName) {
        let mut wakes = Wakes::default();
        let slot = self.slot(channel.as_str());
        if let Some(entry) = slot.get(channel.as_str()) {
            let command = Command::Confirm {
                peer: peer.id,
                welcome: Box::new(self.welcome(entry, channel)),
            };
            peer.mailbox.post(command, &mut wakes);
        }
    }

    /// Lets a connection go, and makes known who left.
    pub(super) fn leave(&self, leave: &Leave) {
        let mut wakes = Wakes::default();
        let mut slot = self.slot(leave.channel.as_str());
        let Some(entry) = slot.get_mut(leave.channel.as_str()) else {
            return;
        };
        // Before the announcements: who has left does not hear of it.
        self.let_go(entry, &leave.peer, &mut wakes);
        let gone = leave
            .member
            .as_ref()
            .and_then(|member| entry.roster.leave(member.user_id()));
        if let Some(member) = &gone {
            self.notify_webhooks(|to| to.member_removed(&leave.channel, member.user_id()));
        }
        if entry.listeners.is_empty() {
            self.forget(&mut slot, &leave.channel);
            self.notify_vacated(&leave.channel);
            return;
        }
        if self.is_silent() {
            return;
        }
        if let Some(member) = gone {
            entry.listeners.announce(
                server::member_removed(leave.channel.as_str(), &member),
                &mut wakes,
            );
        }
        self.count_changed(entry, &leave.channel, &mut wakes);
    }

    /// Lets a connection go whose leaving is made known elsewhere.
    pub(super) fn dismiss(&self, leave: &Leave) {
        let mut wakes = Wakes::default();
        let mut slot = self.slot(leave.channel.as_str());
        let Some(entry) = slot.get_mut(leave.channel.as_str()) else {
            return;
        };
        self.let_go(entry, &leave.peer, &mut wakes);
        if entry.listeners.is_empty() {
            self.forget(&mut slot, &leave.channel);
        }
    }

    fn let_go(&self, entry: &mut Entry, peer: &PeerHandle, wakes: &mut Wakes) {
        entry.listeners.remove(&peer.mailbox);
        self.count_subscriptions(-1);
        let command = Command::Leave {
            peer: peer.id,
            channel: entry.listeners.id(),
        };
        peer.mailbox.post(command, wakes);
    }

    /// What publishing to the channel would take now.
    pub(super) fn wanted(&self, channel: &str, cache: bool) -> Wanted {
        let deliveries = self
            .slot(channel)
            .get(channel)
            .map_or(0, |entry| entry.listeners.len());
        Wanted {
            deliveries,
            any: deliveries > 0 || cache,
        }
    }

    /// Sends an event to all subscribers. With `cache`, it is kept as the channel's last.
    pub(super) fn publish(&self, channel: &str, broadcast: &Arc<Broadcast>, cache: bool) {
        let mut wakes = Wakes::default();
        let slot = self.slot(channel);
        if cache {
            self.cache
                .lock()
                .put(channel, broadcast.frame.clone(), broadcast.accepted_at);
        }
        if let Some(entry) = slot.get(channel) {
            entry.listeners.deliver(broadcast, &mut wakes);
        }
        if let Some((channel, notice)) = broadcast.notice() {
            self.notify_webhooks(|webhooks| webhooks.notify(channel, notice));
        }
    }

    /// Closes all connections on the channel.
    pub(super) fn close(&self, channel: &str, reason: &Arc<CloseReason>) {
        let mut wakes = Wakes::default();
        let slot = self.slot(channel);
        if let Some(entry) = slot.get(channel) {
            entry.listeners.close(reason, &mut wakes);
        }
    }

    /// What is known about the channel; all zero if nobody is on it.
    pub(super) fn state(&self, channel: &str) -> ChannelState {
        self.slot(channel)
            .get(channel)
            .map(Entry::state)
            .unwrap_or_default()
    }

    /// All channels whose name begins so, with what is known about them.
    pub(super) fn list(&self, prefix: &str) -> Vec<(ChannelName, ChannelState)> {
        let mut list = Vec::new();
        for slot in &self.slots {
            let slot = slot.lock();
            let named = slot
                .iter()
                .filter(|(name, _)| name.as_str().starts_with(prefix));
            list.extend(named.map(|(name, entry)| (name.clone(), entry.state())));
        }
        list
    }

    /// The members of a presence channel.
    pub(super) fn members(&self, channel: &str) -> Vec<Arc<Member>> {
        self.slot(channel)
            .get(channel)
            .map(|entry| entry.roster.members())
            .unwrap_or_default()
    }

    /// The channel's last event, and for how long it is still kept.
    pub(super) fn cached(&self, channel: &str) -> Option<(Frame, Duration)> {
        self.cache.lock().get(channel, Instant::now())
    }

    /// This is the channel's last event; the caller holds the channel's lock.
    pub(super) fn set_cached_event(
        &self,
        channel: &str,
        cached: Option<(Frame, Duration)>,
        now: Instant,
    ) {
        let mut cache = self.cache.lock();
        match cached {
            Some((frame, left)) => cache.put_for(channel, frame, now, left),
            None => cache.remove(channel),
        }
    }

    /// Tells the counts that are due and drops cached events that have expired.
    pub(super) fn housekeeping(&self, now: Instant) {
        self.cache.lock().expire(now);
        let pending = std::mem::take(&mut *self.counts_due.lock());
        for channel in pending {
            let mut wakes = Wakes::default();
            let mut slot = self.slot(channel.as_str());
            let Some(entry) = slot.get_mut(channel.as_str()) else {
                continue;
            };
            if entry.notice.is_due(now) {
                self.announce_count(entry, &channel, &mut wakes);
            } else {
                self.counts_due.lock().push(channel);
            }
        }
    }

    pub(super) fn slot(&self, channel: &str) -> MutexGuard<'_, Slot> {
        // Bits that the tables inside the slots use least.
        let hash = self.hasher.hash_one(channel) >> 32;
        self.slots[hash as usize % SLOTS].lock()
    }

    fn welcome(&self, entry: &Entry, channel: &ChannelName) -> Welcome {
        let kind = channel.kind();
        Welcome {
            roster: kind.is_presence().then(|| entry.roster.members()),
            cached: kind
                .cache
                .then(|| self.cached(channel.as_str()))
                .flatten()
                .map(|(frame, _)| frame),
            channel: channel.clone(),
        }
    }

    /// Tells a connection that the channel is full.
    pub(super) fn refuse_full(&self, join: Join, wakes: &mut Wakes) {
        let message = format!(
            "the channel is full: at most {} members are allowed (presence_members)",
            self.presence_members
        );
        let error =
            server::subscription_error(join.channel.as_str(), "LimitReached", &message, 403);
        let command = Command::Refuse {
            peer: join.peer.id,
            channel: join.channel,
            error,
        };
        join.peer.mailbox.post(command, wakes);
    }

    fn count_subscriptions(&self, change: i64) {
        if let Some(subscriptions) = &self.subscriptions {
            subscriptions.inc_by(change);
        }
    }

    /// The count of a channel has changed.
    fn count_changed(&self, entry: &mut Entry, channel: &ChannelName, wakes: &mut Wakes) {
        if !self.announces_count_of(channel) {
            return;
        }
        match entry.notice.changed(entry.listeners.len(), Instant::now()) {
            Due::Now => self.announce_count(entry, channel, wakes),
            Due::Later => self.counts_due.lock().push(channel.clone()),
            Due::AlreadyPending => {}
        }
    }

    fn announces_count_of(&self, channel: &ChannelName) -> bool {
        self.announces_counts && !channel.kind().is_presence()
    }

    /// Tells subscribers and webhooks how many subscribers there are.
    fn announce_count(&self, entry: &Entry, channel: &ChannelName, wakes: &mut Wakes) {
        let count = entry.listeners.len();
        entry
            .listeners
            .announce(server::subscription_count(channel.as_str(), count), wakes);
        self.notify_webhooks(|webhooks| webhooks.counted(channel, count));
    }

    fn notify_vacated(&self, channel: &ChannelName) {
        if self.announces_count_of(channel) {
            self.notify_webhooks(|webhooks| webhooks.counted(channel, 0));
        }
        self.notify_webhooks(|webhooks| webhooks.vacated(channel));
    }

    fn notify_webhooks(&self, notify: impl FnOnce(&AppWebhooks)) {
        // Read under a slot's lock, and written under all of them.
        if let Some(webhooks) = &self.webhooks
            && !self.all_departed.load(Ordering::Relaxed)
        {
            notify(webhooks);
        }
    }
}

impl Entry {
    fn new() -> Self {
        Self {
            listeners: Listeners::new(),
            roster: Roster::default(),
            notice: CountNotice::default(),
        }
    }

    fn state(&self) -> ChannelState {
        ChannelState {
            subscribers: self.listeners.len(),
            users: self.roster.len(),
        }
    }
}
