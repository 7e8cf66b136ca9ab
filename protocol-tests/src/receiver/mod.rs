//! A webhook endpoint: it records what a relay posts to it, holds all of it to the rules, and answers as a test says.
//!
//! What breaks a rule fails the test at its next look at the receiver, at the latest when the receiver is dropped: every
//! request is signed with an app's first pair, has the documented shape and ids for its events; an id always means the
//! same event and does not come again after a 2xx; no two requests of one channel are under way together.

mod answer;
mod delivery;
mod record;
mod serve;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::config::{App, WebhookConfig};
use crate::port::Port;
use crate::wait::PATIENCE;
use record::Record;

pub use answer::Answer;
pub use delivery::{Delivery, WebhookEvent};

/// A webhook endpoint on a free port of loopback. It accepts everything until [`script`](Receiver::script) says
/// otherwise.
#[derive(Debug)]
pub struct Receiver {
    /// It stays this receiver's while connections are refused.
    port: Port,
    shared: Arc<Shared>,
    /// The listener and its connections; `None` while connections are refused.
    serving: Option<JoinHandle<()>>,
    /// Which accepted events the test has taken, by their position.
    taken: HashSet<usize>,
}

/// What the test and the server's tasks have in common.
#[derive(Debug)]
struct Shared {
    apps: Vec<App>,
    record: Mutex<Record>,
}

impl Shared {
    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("no script panics")
    }

    /// Whether the request whose head has come is to be cut off.
    fn take_cut(&self) -> bool {
        let mut record = self.record();
        let cut = record.cuts > 0;
        record.cuts -= usize::from(cut);
        cut
    }
}

impl Receiver {
    /// An endpoint for these apps. A request that another one signed is a fault.
    pub async fn start(apps: &[&App]) -> Receiver {
        let mut receiver = Receiver {
            port: Port::hold(),
            shared: Arc::new(Shared {
                apps: apps.iter().map(|app| (*app).clone()).collect(),
                record: Mutex::new(Record::new()),
            }),
            serving: None,
            taken: HashSet::new(),
        };
        receiver.accept_connections();
        receiver
    }

    // Where it is, and what it does

    /// `host:port`.
    pub fn authority(&self) -> String {
        self.port.address().to_string()
    }

    /// The URL of a path (and query).
    pub fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.port.address())
    }

    /// The configuration of a webhook at the path `/hook` that takes these events.
    pub fn webhook(&self, events: &[&str]) -> WebhookConfig {
        WebhookConfig::new(&self.url("/hook"), events)
    }

    /// Expects that several nodes of a cluster send: requests of one channel may then be under way together.
    pub fn expect_several_senders(&self) {
        self.shared.record().several_senders = true;
    }

    /// Expects that an event may come again, with its id, after it was accepted: senders die, and others go on for them.
    pub fn expect_repeats(&self) {
        self.shared.record().repeats = true;
    }

    /// Answers every request from now on as `script` says.
    pub fn script(&self, script: impl FnMut(&Delivery) -> Answer + Send + 'static) {
        self.shared.record().script = Box::new(script);
    }

    /// Resets the connection of each of the next `count` requests once its head has come. They are not recorded.
    pub fn cut_next(&self, count: usize) {
        self.shared.record().cuts = count;
    }

    /// How many requests are still to be cut off.
    pub fn cuts_left(&self) -> usize {
        self.shared.record().cuts
    }

    /// Closes all connections and refuses new ones, on a port that stays this receiver's.
    pub async fn refuse_connections(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
            let _cancelled = serving.await;
        }
    }

    /// Accepts connections again.
    pub fn accept_connections(&mut self) {
        let serving = serve::accept(self.port.listen(), Arc::clone(&self.shared));
        self.serving = Some(tokio::spawn(serving));
    }

    // What has come

    /// Every request so far, in the order of arrival.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.assert_sound();
        self.shared.record().deliveries.clone()
    }

    /// Every request so far with an event on this channel.
    pub fn deliveries_on(&self, channel: &str) -> Vec<Delivery> {
        let mut deliveries = self.deliveries();
        deliveries.retain(|delivery| delivery.is_on(channel));
        deliveries
    }

    /// The events of every accepted request so far, in the order of the answers.
    pub fn events(&self) -> Vec<WebhookEvent> {
        self.assert_sound();
        self.shared.record().accepted.clone()
    }

    /// How many connections were opened to it so far.
    pub fn connections(&self) -> usize {
        self.shared.record().connections
    }

    /// The first accepted event that was not yet taken.
    pub async fn next_event(&mut self) -> WebhookEvent {
        self.take_within(PATIENCE, "an event", |_| true).await
    }

    /// The first accepted event on this channel that was not yet taken. Only within a channel is there an order.
    pub async fn next_event_on(&mut self, channel: &str) -> WebhookEvent {
        self.next_event_on_within(PATIENCE, channel).await
    }

    /// As [`next_event_on`](Self::next_event_on), for what may take longer than a test's patience.
    pub async fn next_event_on_within(&mut self, limit: Duration, channel: &str) -> WebhookEvent {
        let what = format!("an event on {channel}");
        self.take_within(limit, &what, |event| event.channel == channel)
            .await
    }

    /// The next accepted event on the channel that this one names, which must be this one.
    pub async fn expect_event(&mut self, expected: Value) -> WebhookEvent {
        let channel = expected["channel"].as_str();
        let channel = channel.expect("every event has a channel").to_owned();
        let event = self.next_event_on(&channel).await;
        assert_eq!(event.json, expected);
        event
    }

    /// Waits until `count` requests have come.
    pub async fn wait_for_deliveries(&self, count: usize) {
        let enough = || (self.deliveries().len() >= count).then_some(());
        wait(PATIENCE, &format!("{count} requests"), enough).await;
    }

    /// Asserts that every event that was accepted so far was taken.
    #[track_caller]
    pub fn expect_nothing_more(&self) {
        self.expect_nothing_more_where(|_| true);
    }

    /// Asserts that every event on this channel that was accepted so far was taken.
    #[track_caller]
    pub fn expect_nothing_more_on(&self, channel: &str) {
        self.expect_nothing_more_where(|event| event.channel == channel);
    }

    #[track_caller]
    fn expect_nothing_more_where(&self, is_meant: impl Fn(&WebhookEvent) -> bool) {
        let events = self.events();
        let left = events.iter().enumerate();
        let left = left.filter(|(position, _)| !self.taken.contains(position));
        let left: Vec<_> = left.filter(|(_, event)| is_meant(event)).collect();
        assert!(left.is_empty(), "expected nothing more, got {left:#?}");
    }

    async fn take_within(
        &mut self,
        limit: Duration,
        what: &str,
        is_meant: impl Fn(&WebhookEvent) -> bool,
    ) -> WebhookEvent {
        let find = || {
            self.assert_sound();
            let record = self.shared.record();
            let events = record.accepted.iter().enumerate();
            let mut left = events.filter(|(position, _)| !self.taken.contains(position));
            let found = left.find(|(_, event)| is_meant(event));
            found.map(|(position, event)| (position, event.clone()))
        };
        let (position, event) = wait(limit, what, find).await;
        self.taken.insert(position);
        event
    }

    /// Fails when a request has broken a rule.
    #[track_caller]
    fn assert_sound(&self) {
        let faults = self.shared.record().faults.clone();
        assert!(faults.is_empty(), "webhooks broke the rules: {faults:#?}");
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.abort();
        }
        if !thread::panicking() {
            self.assert_sound();
        }
    }
}

/// Asks `probe` again and again until it answers with a value; panics with `what` when `limit` ends first.
async fn wait<T>(limit: Duration, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(value) = probe() {
                return value;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    match timeout(limit, found).await {
        Ok(value) => value,
        Err(_) => panic!("waited {limit:?} in vain for {what}"),
    }
}
