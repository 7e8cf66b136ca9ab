//! What the relay did in the last hour, for the console's charts: a sample every few seconds, from numbers that are counted
//! anyway, in memory that does not grow.

use std::collections::VecDeque;
use std::sync::Weak;
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::described::unix_seconds;
use crate::hub::Hub;
use crate::metrics::Latency;
use crate::relay::Relay;

/// How often a sample is taken.
const EVERY: Duration = Duration::from_secs(5);

/// Samples that are kept: an hour of them.
pub(super) const KEPT: usize = 720;

/// What was counted since the process began, and what there is now.
#[derive(Clone, Debug, Default)]
struct Totals {
    connections: u64,
    channels: u64,
    subscriptions: u64,
    received: u64,
    sent: u64,
    received_bytes: u64,
    sent_bytes: u64,
    publishes: u64,
    client_events: u64,
    errors: u64,
    latency: Latency,
}

impl Totals {
    fn of(hub: &Hub) -> Self {
        let gauge = |value: i64| u64::try_from(value).unwrap_or(0);
        let mut totals = Self {
            latency: hub.metrics().latency(),
            ..Self::default()
        };
        for app in hub.apps().at_work() {
            let app = &app.metrics;
            totals.connections += gauge(app.connections.get());
            totals.channels += gauge(app.channels.get());
            totals.subscriptions += gauge(app.subscriptions.get());
            totals.received += app.messages_received.get();
            totals.sent += app.messages_sent.get();
            totals.received_bytes += app.received_bytes.get();
            totals.sent_bytes += app.sent_bytes.get();
            totals.publishes += app.publishes.get();
            totals.client_events += app.client_events.get();
            totals.errors += app.errors();
        }
        totals
    }
}

/// What there was at a time, and what happened in a second before it.
#[derive(Clone, Copy, Debug)]
struct Sample {
    /// Seconds since 1970.
    at: u32,
    connections: u32,
    channels: u32,
    subscriptions: u32,
    received: f32,
    sent: f32,
    received_bytes: f32,
    sent_bytes: f32,
    publishes: f32,
    client_events: f32,
    errors: f32,
    /// Seconds; not a number while nothing is published.
    p50: f32,
    p99: f32,
}

impl Sample {
    fn between(before: &Totals, now: &Totals, passed: Duration, at: u64) -> Self {
        let whole = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let seconds = passed.as_secs_f64().max(0.001);
        // An app that is gone takes what it has counted along.
        let rate = |before: u64, now: u64| (now.saturating_sub(before) as f64 / seconds) as f32;
        let latency = now.latency.since(&before.latency);
        let quantile = |part| latency.quantile(part).map_or(f32::NAN, |time| time as f32);
        Self {
            at: whole(at),
            connections: whole(now.connections),
            channels: whole(now.channels),
            subscriptions: whole(now.subscriptions),
            received: rate(before.received, now.received),
            sent: rate(before.sent, now.sent),
            received_bytes: rate(before.received_bytes, now.received_bytes),
            sent_bytes: rate(before.sent_bytes, now.sent_bytes),
            publishes: rate(before.publishes, now.publishes),
            client_events: rate(before.client_events, now.client_events),
            errors: rate(before.errors, now.errors),
            p50: quantile(0.5),
            p99: quantile(0.99),
        }
    }
}

/// The samples.
#[derive(Debug, Default)]
pub(super) struct History {
    samples: Mutex<VecDeque<Sample>>,
}

impl History {
    fn add(&self, sample: Sample) {
        let mut samples = self.samples.lock();
        if samples.len() >= KEPT {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    /// The newest ones, the oldest of them first: a list for each number.
    pub(super) fn last(&self, most: usize) -> Value {
        let samples = self.samples.lock();
        let skipped = samples.len().saturating_sub(most);
        let whole = |field: fn(&Sample) -> u32| -> Value {
            samples.iter().skip(skipped).map(field).collect()
        };
        // What is not a number is null.
        let real = |field: fn(&Sample) -> f32| -> Value {
            samples.iter().skip(skipped).map(field).collect()
        };
        json!({
            "every": EVERY.as_secs(),
            "at": whole(|sample| sample.at),
            "connections": whole(|sample| sample.connections),
            "channels": whole(|sample| sample.channels),
            "subscriptions": whole(|sample| sample.subscriptions),
            "messages_received": real(|sample| sample.received),
            "messages_sent": real(|sample| sample.sent),
            "received_bytes": real(|sample| sample.received_bytes),
            "sent_bytes": real(|sample| sample.sent_bytes),
            "publishes": real(|sample| sample.publishes),
            "client_events": real(|sample| sample.client_events),
            "errors": real(|sample| sample.errors),
            "p50": real(|sample| sample.p50),
            "p99": real(|sample| sample.p99),
        })
    }
}

/// Takes samples until nobody has the history any more, or the relay is gone.
pub(super) async fn record(history: Weak<History>, relay: Weak<Relay>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before: Option<(Totals, Instant)> = None;
    loop {
        ticks.tick().await;
        let (Some(history), Some(relay)) = (history.upgrade(), relay.upgrade()) else {
            return;
        };
        let (totals, now) = (Totals::of(&relay.hub), Instant::now());
        if let Some((before, since)) = &before {
            let at = unix_seconds(SystemTime::now());
            let passed = now.duration_since(*since);
            history.add(Sample::between(before, &totals, passed, at));
        }
        before = Some((totals, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: u64) -> Sample {
        let totals = Totals::default();
        Sample::between(&totals, &totals, EVERY, at)
    }

    #[test]
    fn rates_are_those_of_the_time_that_has_passed() {
        let before = Totals {
            sent: 1_000,
            errors: 9,
            ..Totals::default()
        };
        let now = Totals {
            connections: 7,
            sent: 2_000,
            errors: 3,
            ..Totals::default()
        };
        let sample = Sample::between(&before, &now, Duration::from_secs(10), 60);
        assert_eq!((sample.connections, sample.at), (7, 60));
        assert!((sample.sent - 100.0).abs() < 0.01);
        assert_eq!(sample.errors, 0.0, "an app that is gone counts for nothing");
        assert!(sample.p50.is_nan());
    }

    #[test]
    fn an_hour_is_kept_and_no_more() {
        let history = History::default();
        for at in 0..KEPT as u64 + 10 {
            history.add(sample(at));
        }
        let all = history.last(KEPT);
        let times = all["at"].as_array().unwrap();
        assert_eq!((times.len(), &times[0]), (KEPT, &json!(10)));
        assert_eq!(all["p99"][0], Value::Null);
        let two = history.last(2);
        assert_eq!(two["at"], json!([KEPT + 8, KEPT + 9]));
    }
}
