//! The channels of an app: which shards have subscribers, and who the members are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use super::cache::EventCache;
use super::count::{CountNotice, Due};
use super::listeners::Listeners;
use super::roster::{Roster, RosterFull};
use super::table::{self, Table};
use crate::apps::{App, LiveApp};
use crate::hub::broadcast::{Broadcast, Caching};
use crate::hub::mailbox::{AppIndex, Control, Joined, JoinedAs, PeerId, Wakes, Welcome};
use crate::hub::moves::{Join, Leave, PeerHandle};
use crate::hub::outcome::{CachedEvent, ChannelState};
use crate::metrics::{AppMetrics, Gauge};
use crate::protocol::member::Member;
use crate::protocol::{ChannelName, server};
use crate::webhooks::AppWebhooks;

type Slot = table::Slot<ChannelName, Entry>;

/// The channels of an app that have subscribers.
#[derive(Debug)]
pub(in crate::hub) struct Channels {
    app: AppIndex,
    pub(super) table: Table<ChannelName, Entry>,
    subscriptions: Gauge,
    settings: Arc<LiveApp>,
    /// Channels whose count must be announced once its interval is over.
    counts_due: Mutex<Vec<ChannelName>>,
    cache: Mutex<EventCache>,
    silent: AtomicBool,
    /// It was reported to webhooks that everybody has left.
    all_departed: AtomicBool,
    webhooks: Arc<AppWebhooks>,
}

/// A channel with at least one subscriber on this node.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) listeners: Listeners,
    pub(super) roster: Roster,
    notice: CountNotice,
}

/// What publishing to a channel would take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Connections that would get the event.
    pub deliveries: usize,
    /// Whether anybody, subscriber or cache, has a use for it.
    pub any: bool,
}

impl Channels {
    pub(in crate::hub) fn new(
        index: AppIndex,
        app: &Arc<LiveApp>,
        metrics: &AppMetrics,
        webhooks: Arc<AppWebhooks>,
    ) -> Self {
        let limits = &app.record().limits;
        Self {
            app: index,
            table: Table::new(metrics.channels.clone()),
            subscriptions: metrics.subscriptions.clone(),
            settings: Arc::clone(app),
            counts_due: Mutex::default(),
            cache: Mutex::new(EventCache::new(
                limits.cache_bytes,
                limits.cache_ttl,
                metrics.clone(),
            )),
            silent: AtomicBool::new(false),
            all_departed: AtomicBool::new(false),
            webhooks,
        }
    }

    /// Goes by another record.
    pub(in crate::hub) fn settle(&self, record: &App) {
        let limits = &record.limits;
        let mut cache = self.cache.lock();
        cache.set_limits(limits.cache_bytes, limits.cache_ttl);
    }

    /// Whether leaves are not announced, as everybody leaves.
    pub(in crate::hub) fn set_silent(&self, is_silent: bool) {
        self.silent.store(is_silent, Ordering::Relaxed);
    }

    /// Reports to webhooks that everybody leaves, before they do. From then on they are notified of no
    /// transition: those who are there stay to the end of the process, and no longer.
    pub(in crate::hub) fn all_depart(&self) {
        // Every lock at once: nobody is reported twice, or not at all.
        let slots: Vec<_> = self.table.slots().collect();
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

    /// Lets a connection in, and makes known who came.
    pub(in crate::hub) fn join(&self, join: Join) {
        let mut locked = self.table.lock(join.channel.as_str());
        let (slot, wakes) = locked.parts();
        if !slot.contains_key(join.channel.as_str()) {
            self.notify_webhooks(|webhooks| webhooks.occupied(&join.channel));
        }
        let entry = self.entry(slot, &join.channel);
        if let Some(member) = &join.member {
            match entry.roster.join(member, self.presence_members()) {
                Ok(true) => {
                    self.notify_webhooks(|to| to.member_added(&join.channel, member.user_id()));
                    let added = server::member_added(join.channel.as_str(), member);
                    entry.listeners.announce(added, wakes);
                }
                Ok(false) => {}
                // (An empty channel is never full, so no entry stays behind.)
                Err(RosterFull) => {
                    let refusal = self.full(join.peer.id, join.channel);
                    return join.peer.mailbox.post(refusal, wakes);
                }
            }
        }
        let channel = join.channel.clone();
        self.admit_into(entry, join, wakes);
        self.count_changed(entry, &channel, wakes);
    }

    /// Lets a connection in whose coming is made known elsewhere.
    pub(in crate::hub) fn admit(&self, join: Join) {
        let mut locked = self.table.lock(join.channel.as_str());
        let (slot, wakes) = locked.parts();
        let entry = self.entry(slot, &join.channel);
        self.admit_into(entry, join, wakes);
    }

    /// The channel, which is occupied from now on.
    pub(super) fn entry<'s>(&self, slot: &'s mut Slot, channel: &ChannelName) -> &'s mut Entry {
        self.table.occupy(slot, channel, Entry::new)
    }

    /// Counts a connection as a listener, and posts its welcome into its own mailbox.
    fn admit_into(&self, entry: &mut Entry, join: Join, wakes: &mut Wakes) {
        entry.listeners.add(&join.peer.mailbox);
        self.subscriptions.inc();
        let welcome = self.welcome(entry, &join.channel);
        if welcome.cached.is_none() && join.channel.kind().cache {
            self.notify_webhooks(|webhooks| webhooks.cache_miss(&join.channel));
        }
        let control = Control::Join {
            peer: join.peer.id,
            channel: entry.listeners.id(),
            joined: Box::new(Joined {
                app: self.app,
                as_what: JoinedAs::Subscriber {
                    welcome,
                    member: join.member,
                },
            }),
        };
        join.peer.mailbox.post(control, wakes);
    }

    /// Tells a connection again that it is on the channel.
    pub(in crate::hub) fn confirm(&self, peer: &PeerHandle, channel: &ChannelName) {
        let mut locked = self.table.lock(channel.as_str());
        let (slot, wakes) = locked.parts();
        if let Some(entry) = slot.get(channel.as_str()) {
            let control = Control::Confirm {
                peer: peer.id,
                channel: entry.listeners.id(),
                welcome: Box::new(self.welcome(entry, channel)),
            };
            peer.mailbox.post(control, wakes);
        }
    }

    /// Lets a connection go, and makes known who left.
    pub(in crate::hub) fn leave(&self, leave: &Leave) {
        let mut locked = self.table.lock(leave.channel.as_str());
        let (slot, wakes) = locked.parts();
        let Some(entry) = slot.get_mut(leave.channel.as_str()) else {
            return;
        };
        // Before the announcements: who has left is not notified.
        self.remove(entry, &leave.peer, wakes);
        let gone = leave
            .member
            .as_ref()
            .and_then(|member| entry.roster.leave(member.user_id()));
        if let Some(member) = &gone {
            self.notify_webhooks(|to| to.member_removed(&leave.channel, member.user_id()));
        }
        if entry.listeners.is_empty() {
            self.table.forget(slot, leave.channel.as_str());
            self.notify_vacated(&leave.channel);
            return;
        }
        if self.is_silent() {
            return;
        }
        if let Some(member) = gone {
            entry.listeners.announce(
                server::member_removed(leave.channel.as_str(), &member),
                wakes,
            );
        }
        self.count_changed(entry, &leave.channel, wakes);
    }

    /// Lets a connection go whose leaving is made known elsewhere.
    pub(in crate::hub) fn dismiss(&self, leave: &Leave) {
        let mut locked = self.table.lock(leave.channel.as_str());
        let (slot, wakes) = locked.parts();
        let Some(entry) = slot.get_mut(leave.channel.as_str()) else {
            return;
        };
        self.remove(entry, &leave.peer, wakes);
        if entry.listeners.is_empty() {
            self.table.forget(slot, leave.channel.as_str());
        }
    }

    fn remove(&self, entry: &mut Entry, peer: &PeerHandle, wakes: &mut Wakes) {
        entry.listeners.remove(&peer.mailbox);
        self.subscriptions.dec();
        let control = Control::Leave {
            peer: peer.id,
            channel: entry.listeners.id(),
        };
        peer.mailbox.post(control, wakes);
    }

    /// What publishing to the channel would take now.
    pub(in crate::hub) fn wanted(&self, channel: &str, cache: bool) -> Wanted {
        let slot = self.table.read(channel);
        let deliveries = slot.get(channel).map_or(0, |entry| entry.listeners.len());
        Wanted {
            deliveries,
            any: deliveries > 0 || cache,
        }
    }

    /// Sends an event to all subscribers.
    pub(in crate::hub) fn publish(
        &self,
        channel: &str,
        broadcast: &Arc<Broadcast>,
        caching: Caching,
    ) {
        let mut locked = self.table.lock(channel);
        let (slot, wakes) = locked.parts();
        if caching == Caching::AsLast {
            self.cache
                .lock()
                .put(channel, broadcast.frame.clone(), broadcast.accepted_at);
        }
        if let Some(entry) = slot.get(channel) {
            entry.listeners.deliver(broadcast, wakes);
        }
        if let Some(about) = broadcast.notice() {
            self.notify_webhooks(|webhooks| webhooks.notify(&about.channel, &about.notice));
        }
    }

    /// What is known about the channel; all zero if nobody is on it.
    pub(in crate::hub) fn state(&self, channel: &str) -> ChannelState {
        let slot = self.table.read(channel);
        slot.get(channel).map(Entry::state).unwrap_or_default()
    }

    /// All channels whose name begins so, with what is known about them.
    pub(in crate::hub) fn list(&self, prefix: &str) -> Vec<(ChannelName, ChannelState)> {
        let mut list = Vec::new();
        for slot in self.table.slots() {
            let named = slot
                .iter()
                .filter(|(name, _)| name.as_str().starts_with(prefix));
            list.extend(named.map(|(name, entry)| (name.clone(), entry.state())));
        }
        list
    }

    /// The members of a presence channel.
    pub(in crate::hub) fn members(&self, channel: &str) -> Vec<Arc<Member>> {
        let slot = self.table.read(channel);
        slot.get(channel)
            .map(|entry| entry.roster.members())
            .unwrap_or_default()
    }

    /// The channel's last event.
    pub(in crate::hub) fn cached(&self, channel: &str) -> Option<CachedEvent> {
        self.cache.lock().get(channel, Instant::now())
    }

    /// This is the channel's last event; the caller holds the channel's lock.
    pub(super) fn set_cached_event(
        &self,
        channel: &str,
        cached: Option<CachedEvent>,
        now: Instant,
    ) {
        let mut cache = self.cache.lock();
        match cached {
            Some(CachedEvent { frame, left }) => cache.put_for(channel, frame, now, left),
            None => cache.remove(channel),
        }
    }

    /// Tells the counts that are due and drops cached events that have expired.
    pub(in crate::hub) fn housekeeping(&self, now: Instant) {
        self.cache.lock().expire(now);
        let pending = std::mem::take(&mut *self.counts_due.lock());
        for channel in pending {
            let mut locked = self.table.lock(channel.as_str());
            let (slot, wakes) = locked.parts();
            let Some(entry) = slot.get_mut(channel.as_str()) else {
                continue;
            };
            match entry.notice.look(now) {
                Due::Now => self.announce_count(entry, &channel, wakes),
                Due::Later => self.counts_due.lock().push(channel),
                Due::Nothing => {}
            }
        }
    }

    fn welcome(&self, entry: &Entry, channel: &ChannelName) -> Welcome {
        let kind = channel.kind();
        Welcome {
            roster: kind.is_presence().then(|| entry.roster.members()),
            listeners: entry.listeners.len(),
            cached: kind
                .cache
                .then(|| self.cached(channel.as_str()))
                .flatten()
                .map(|cached| cached.frame),
            channel: channel.clone(),
        }
    }

    /// Tells a connection that the channel is full.
    pub(in crate::hub) fn refuse_full(&self, join: Join) {
        let refusal = self.full(join.peer.id, join.channel);
        join.peer.mailbox.send(refusal);
    }

    fn full(&self, peer: PeerId, channel: ChannelName) -> Control {
        let message = format!(
            "the channel is full: at most {} members are allowed (presence_members)",
            self.presence_members()
        );
        let error = server::subscription_error(channel.as_str(), "LimitReached", &message, 403);
        Control::Refuse {
            peer,
            channel,
            error,
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
            Due::Nothing => {}
        }
    }

    fn announces_count_of(&self, channel: &ChannelName) -> bool {
        !channel.kind().is_presence() && self.settings.record().subscription_count
    }

    fn presence_members(&self) -> usize {
        self.settings.record().limits.presence_members
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
        if !self.all_departed.load(Ordering::Relaxed) {
            notify(&self.webhooks);
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
