//! One app's webhooks, as the hub notifies them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::event::Numbers;
use super::lines::{Lines, Report};
use super::misses::{Miss, Misses};
use super::notice::Notice;
use super::outlet::Outlet;
use crate::apps::WebhookEvent;
use crate::departures::Departures;
use crate::metrics::{AppMetrics, AppTable};
use crate::protocol::ChannelName;

/// Departures, and cache misses, that are notified of in one go.
const A_TURN: usize = 256;

/// A channel without subscribers, or a user without a connection on a presence channel.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Departed {
    /// Everybody has left the channel.
    Everybody(ChannelName),
    /// The user with this id has left the channel.
    Member(ChannelName, Arc<str>),
}

/// Two events, of which the second undoes the first.
#[derive(Clone, Copy, Debug)]
struct Pair {
    came: WebhookEvent,
    left: WebhookEvent,
}

const OCCUPANCY: Pair = Pair {
    came: WebhookEvent::ChannelOccupied,
    left: WebhookEvent::ChannelVacated,
};
const PRESENCE: Pair = Pair {
    came: WebhookEvent::MemberAdded,
    left: WebhookEvent::MemberRemoved,
};

/// What has become of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition<'a> {
    /// It has its first subscriber.
    Occupied,
    /// Its last subscriber has left.
    Vacated,
    /// A user's first connection is on it.
    MemberAdded(&'a str),
    /// A user's last connection has left it.
    MemberRemoved(&'a str),
    /// It has so many subscribers.
    Counted(usize),
}

/// Notifies an app's backend. Nothing here waits for anybody: events are put into bounded
/// queues, which another thread works off.
///
/// Transitions of a channel are reported under its directory's lock, and so in their order.
#[derive(Debug)]
pub struct AppWebhooks {
    app: Box<str>,
    outlets: ArcSwap<Vec<Outlet>>,
    /// The same, for those who change them.
    pub(super) lines: Mutex<Lines>,
    numbers: Arc<Numbers>,
    departures: Mutex<Departures<Departed>>,
    misses: Mutex<Misses>,
    /// Something is due in a while, and nothing was before.
    due: Notify,
    /// Whether the app is gone.
    has_ended: AtomicBool,
    metrics: AppMetrics,
}

impl AppWebhooks {
    /// None yet, of the app with this id.
    pub(super) fn new(
        app: &str,
        numbers: Arc<Numbers>,
        departures: Departures<Departed>,
        misses: Misses,
        metrics: AppMetrics,
    ) -> Self {
        Self {
            app: app.into(),
            outlets: ArcSwap::default(),
            lines: Mutex::default(),
            numbers,
            departures: Mutex::new(departures),
            misses: Mutex::new(misses),
            due: Notify::new(),
            has_ended: AtomicBool::new(false),
            metrics,
        }
    }

    /// What happens from now on is for these.
    pub(super) fn set_outlets(&self, outlets: Vec<Outlet>) {
        self.outlets.store(Arc::new(outlets));
    }

    /// The app's id.
    pub(super) fn app(&self) -> &str {
        &self.app
    }

    /// The app is gone: nothing becomes due for it any more.
    pub(super) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
        self.due.notify_one();
    }

    /// How each of them gets on at this node, in the order of the configuration.
    pub fn reports(&self) -> Vec<Report> {
        self.lines.lock().reports()
    }

    /// The app's numbers.
    pub(super) fn metrics(&self) -> &AppMetrics {
        &self.metrics
    }

    /// Whether any webhook takes this event on this channel.
    pub fn wants(&self, event: WebhookEvent, channel: &str) -> bool {
        self.outlets
            .load()
            .iter()
            .any(|outlet| outlet.wants(event, channel))
    }

    /// Notifies the webhooks that take this event. Events of one channel are sent in the order of
    /// the calls.
    pub fn notify(&self, channel: &ChannelName, notice: &Notice) {
        let mut event = None;
        for outlet in self.outlets.load().iter() {
            if outlet.wants(notice.event, channel.as_str()) {
                let event = event
                    .get_or_insert_with(|| self.numbers.event(channel, Arc::clone(&notice.json)));
                outlet.push(event.clone());
            }
        }
    }

    /// The channel has its first subscriber.
    pub fn occupied(&self, channel: &ChannelName) {
        self.came(channel, OCCUPANCY, || Departed::Everybody(channel.clone()));
    }

    /// The channel's last subscriber has left.
    pub fn vacated(&self, channel: &ChannelName) {
        self.left(channel, OCCUPANCY, || Departed::Everybody(channel.clone()));
    }

    /// A user's first connection is on the presence channel.
    pub fn member_added(&self, channel: &ChannelName, user_id: &Arc<str>) {
        let who = || Departed::Member(channel.clone(), Arc::clone(user_id));
        self.came(channel, PRESENCE, who);
    }

    /// A user's last connection has left the presence channel.
    pub fn member_removed(&self, channel: &ChannelName, user_id: &Arc<str>) {
        let who = || Departed::Member(channel.clone(), Arc::clone(user_id));
        self.left(channel, PRESENCE, who);
    }

    /// A transition that others have decided, and that is reported without waiting for a return.
    pub fn transition(&self, channel: &ChannelName, transition: &Transition<'_>) {
        let notice = match *transition {
            Transition::Occupied => {
                Notice::of_channel(WebhookEvent::ChannelOccupied, channel.as_str())
            }
            Transition::Vacated => {
                Notice::of_channel(WebhookEvent::ChannelVacated, channel.as_str())
            }
            Transition::MemberAdded(user_id) => {
                Notice::of_member(WebhookEvent::MemberAdded, channel.as_str(), user_id)
            }
            Transition::MemberRemoved(user_id) => {
                Notice::of_member(WebhookEvent::MemberRemoved, channel.as_str(), user_id)
            }
            Transition::Counted(subscribers) => Notice::of_count(channel.as_str(), subscribers),
        };
        self.notify(channel, &notice);
    }

    /// A subscriber found the cache channel without an event. Of many such within a second, the
    /// webhooks get the first at once, and one more at its end.
    pub fn cache_miss(&self, channel: &ChannelName) {
        if !self.wants(WebhookEvent::CacheMiss, channel.as_str()) {
            return;
        }
        let mut misses = self.misses.lock();
        let was_empty = misses.next_due().is_none();
        let miss = misses.missed(channel, Instant::now());
        self.show(AppTable::WebhookCacheMisses, misses.len());
        drop(misses);
        match miss {
            Miss::Now => self.notify_miss(channel),
            Miss::Later => {}
            Miss::Joined => {
                self.metrics.webhook_cache_misses_joined.inc();
            }
        }
        if was_empty {
            self.due.notify_one();
        }
    }

    fn notify_miss(&self, channel: &ChannelName) {
        let notice = Notice::of_channel(WebhookEvent::CacheMiss, channel.as_str());
        self.notify(channel, &notice);
    }

    /// The channel has so many subscribers now.
    pub fn counted(&self, channel: &ChannelName, subscribers: usize) {
        if self.wants(WebhookEvent::SubscriptionCount, channel.as_str()) {
            self.notify(channel, &Notice::of_count(channel.as_str(), subscribers));
        }
    }

    fn wants_either(&self, events: Pair, channel: &ChannelName) -> bool {
        self.wants(events.came, channel.as_str()) || self.wants(events.left, channel.as_str())
    }

    fn came(&self, channel: &ChannelName, events: Pair, who: impl FnOnce() -> Departed) {
        if !self.wants_either(events, channel) {
            return;
        }
        let who = who();
        let mut departures = self.departures.lock();
        let is_back = departures.is_back(&who);
        self.show(AppTable::WebhookDepartures, departures.len());
        drop(departures);
        if !is_back {
            self.notify(channel, &who.notice(events.came));
        }
    }

    fn left(&self, channel: &ChannelName, events: Pair, who: impl FnOnce() -> Departed) {
        if !self.wants_either(events, channel) {
            return;
        }
        let who = who();
        let mut departures = self.departures.lock();
        let was_empty = departures.next_due().is_none();
        let waits = departures.leave(&who, Instant::now());
        self.show(AppTable::WebhookDepartures, departures.len());
        drop(departures);
        if !waits {
            self.notify(channel, &who.notice(events.left));
        } else if was_empty {
            self.due.notify_one();
        }
    }

    /// Notifies of those who did not come back in time, and of cache misses that wait, for as long
    /// as there is the app.
    pub(super) async fn watch_due(&self) {
        while !self.has_ended.load(Ordering::Acquire) {
            let now = Instant::now();
            self.notify_departures(now);
            self.notify_misses(now);
            match self.next_due() {
                Some(due) if due <= now => tokio::task::yield_now().await,
                Some(due) => {
                    tokio::select! {
                        () = tokio::time::sleep_until(due.into()) => {}
                        () = self.due.notified() => {}
                    }
                }
                None => self.due.notified().await,
            }
        }
    }

    /// Under the table's lock.
    fn show(&self, table: AppTable, entries: usize) {
        self.metrics.table_entries.with(table).set(entries as i64);
    }

    fn next_due(&self) -> Option<Instant> {
        let departure = self.departures.lock().next_due();
        let miss = self.misses.lock().next_due();
        departure.into_iter().chain(miss).min()
    }

    /// Notifies of some misses: the thread's other tasks have their turn before the rest.
    fn notify_misses(&self, now: Instant) {
        for _ in 0..A_TURN {
            let mut misses = self.misses.lock();
            let due = misses.take_due(now);
            self.show(AppTable::WebhookCacheMisses, misses.len());
            drop(misses);
            let Some(channel) = due else {
                return;
            };
            self.notify_miss(&channel);
        }
    }

    /// As [`AppWebhooks::notify_misses`], of departures. Returns whether there may be more.
    fn notify_departures(&self, now: Instant) -> bool {
        for _ in 0..A_TURN {
            // Reported under the lock: a return that comes now is reported behind it.
            let mut departures = self.departures.lock();
            let Some(who) = departures.take_due(now) else {
                return false;
            };
            self.show(AppTable::WebhookDepartures, departures.len());
            self.notify(who.channel(), &who.notice(who.event()));
        }
        true
    }

    /// Notifies of all who have left and are not back, and of the cache misses that wait; from now
    /// on nobody is waited for.
    pub(super) fn stop_waiting(&self) {
        let now = Instant::now();
        let missed = self.misses.lock().take_all();
        self.show(AppTable::WebhookCacheMisses, 0);
        for channel in missed {
            self.notify_miss(&channel);
        }
        self.departures.lock().give_up_waiting(now);
        while self.notify_departures(now) {}
    }
}

impl Departed {
    fn channel(&self) -> &ChannelName {
        match self {
            Self::Everybody(channel) | Self::Member(channel, _) => channel,
        }
    }

    /// The event that reports the departure.
    fn event(&self) -> WebhookEvent {
        match self {
            Self::Everybody(_) => OCCUPANCY.left,
            Self::Member(..) => PRESENCE.left,
        }
    }

    fn notice(&self, event: WebhookEvent) -> Notice {
        match self {
            Self::Everybody(channel) => Notice::of_channel(event, channel.as_str()),
            Self::Member(channel, user_id) => Notice::of_member(event, channel.as_str(), user_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::testing::Notices;
    use super::*;
    use crate::apps::{App, ChannelFilter, Webhook, WebhookUrl};
    use crate::auth::Signer;
    use crate::metrics::Metrics;

    #[test]
    fn departures_that_are_due_at_once_are_notified_of_in_turns() {
        let mut app = App::new("1", Signer::new("key", b"secret"));
        app.webhooks.push(Webhook {
            url: WebhookUrl::parse("http://localhost/").unwrap(),
            events: WebhookEvent::ALL.into_iter().collect(),
            batch: true,
            headers: http::HeaderMap::new(),
            filter: ChannelFilter::default(),
        });
        let metrics = Metrics::new();
        let (webhooks, notices) = Notices::new();
        let webhooks = webhooks.of(&Arc::new(app.into()), &metrics.app("1"));
        let many = 2 * A_TURN + 1;
        for number in 0..many {
            let channel = ChannelName::parse(&format!("room-{number}"), 164).unwrap();
            webhooks.occupied(&channel);
            webhooks.vacated(&channel);
        }
        assert_eq!(notices.take().len(), many);
        assert!(!webhooks.notify_departures(Instant::now()));
        let now = Instant::now() + Duration::from_secs(60);
        for expected in [A_TURN, A_TURN, 1, 0] {
            let may_be_more = webhooks.notify_departures(now);
            assert_eq!(notices.take().len(), expected);
            assert_eq!(may_be_more, expected == A_TURN);
        }
    }
}
