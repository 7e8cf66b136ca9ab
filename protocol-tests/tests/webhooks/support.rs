//! What several topics share.

use std::time::{SystemTime, UNIX_EPOCH};

use protocol_tests::{AppConfig, Receiver, TestServer, TestServerBuilder, WsClient, eventually};
use serde_json::{Value, json};

/// A channel's transitions.
pub(crate) const OCCUPANCY: [&str; 2] = ["channel_occupied", "channel_vacated"];
/// A user's transitions and their channel's.
pub(crate) const PRESENCE: [&str; 4] = [
    "channel_occupied",
    "channel_vacated",
    "member_added",
    "member_removed",
];
/// All that there is.
pub(crate) const ALL: [&str; 7] = [
    "channel_occupied",
    "channel_vacated",
    "member_added",
    "member_removed",
    "client_event",
    "cache_miss",
    "subscription_count",
];

/// An endpoint for the app `10001`.
pub(crate) async fn receiver() -> Receiver {
    Receiver::start(&[&AppConfig::new("10001").app()]).await
}

/// A relay with the app `10001`, whose one webhook sends the receiver these events.
pub(crate) fn relay(receiver: &Receiver, events: &[&str]) -> TestServerBuilder {
    TestServer::builder().app(app(receiver, events))
}

/// The app of [`relay`], whose clients may send events at any rate.
pub(crate) fn app(receiver: &Receiver, events: &[&str]) -> AppConfig {
    talkative().webhook(receiver.webhook(events))
}

/// The app `10001` without a webhook, whose clients may send events at any rate.
pub(crate) fn talkative() -> AppConfig {
    AppConfig::new("10001").limit("client_events_per_second", 100_000)
}

/// The time of this machine, in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("it is later than 1970").as_millis() as u64
}

// Events

pub(crate) fn occupied(channel: &str) -> Value {
    json!({"name": "channel_occupied", "channel": channel})
}

pub(crate) fn vacated(channel: &str) -> Value {
    json!({"name": "channel_vacated", "channel": channel})
}

pub(crate) fn added(channel: &str, user_id: &str) -> Value {
    json!({"name": "member_added", "channel": channel, "user_id": user_id})
}

pub(crate) fn removed(channel: &str, user_id: &str) -> Value {
    json!({"name": "member_removed", "channel": channel, "user_id": user_id})
}

// Clients

/// A client on this channel, a presence channel excepted.
pub(crate) async fn subscriber(server: &TestServer, channel: &str) -> WsClient {
    let mut client = server.connect().await;
    client.subscribe(channel).await;
    client
}

/// A client on this presence channel.
pub(crate) async fn member(server: &TestServer, channel: &str, user_id: &str) -> WsClient {
    let mut client = server.connect().await;
    client.subscribe_presence(channel, user_id, json!({})).await;
    client
}

/// Unsubscribes, and waits until the server has done so.
pub(crate) async fn leave(client: &mut WsClient, channel: &str) {
    client.unsubscribe(channel).await;
    client.ping_fence().await;
}

/// Sends client events whose data are consecutive numbers, `from` until `to`.
pub(crate) async fn send_numbered(
    client: &mut WsClient,
    channel: &str,
    numbers: std::ops::Range<u64>,
) {
    for number in numbers {
        client
            .send_client_event(channel, "client-number", json!(number))
            .await;
    }
}

/// Takes the webhook events of [`send_numbered`], which must come in order.
pub(crate) async fn expect_numbered(
    receiver: &mut Receiver,
    channel: &str,
    numbers: std::ops::Range<u64>,
) {
    for number in numbers {
        let event = receiver.next_event_on(channel).await;
        assert_eq!(event.name, "client_event", "{event:?}");
        assert_eq!(event.json["data"], number.to_string(), "{event:?}");
    }
}

// The relay

/// Waits until the relay counts nobody on the channel.
pub(crate) async fn wait_until_left(server: &TestServer, channel: &str) {
    let path = format!("/channels/{channel}");
    eventually("the channel to be left", || async {
        (server.get(&path, &[]).await["occupied"] == false).then_some(())
    })
    .await;
}

/// Waits until all that has happened so far has been sent, whatever waits in its delay too: a channel that is left now is
/// vacated after every one that was left before. The webhook must take [`OCCUPANCY`].
pub(crate) async fn settle(server: &TestServer, receiver: &mut Receiver) {
    let channel = server.channel("settled-");
    let mut client = subscriber(server, &channel).await;
    client.unsubscribe(&channel).await;
    receiver.expect_event(occupied(&channel)).await;
    receiver.expect_event(vacated(&channel)).await;
}

/// One of the webhooks' figures of the app `10001`.
pub(crate) async fn figure(server: &TestServer, name: &str, labels: &[(&str, &str)]) -> f64 {
    let name = format!("fanfare_webhook_{name}");
    let mut labels = labels.to_vec();
    labels.push(("app", "10001"));
    server.metrics().await.sum(&name, &labels)
}

/// Waits until one of the webhooks' figures of the app `10001` is at least `least`.
pub(crate) async fn wait_for_figure(
    server: &TestServer,
    name: &str,
    labels: &[(&str, &str)],
    least: f64,
) {
    eventually(&format!("{name} {labels:?} to be {least}"), || async {
        (figure(server, name, labels).await >= least).then_some(())
    })
    .await;
}

/// The lines that the server has logged as warnings.
pub(crate) fn warnings(log: &[String]) -> Vec<&String> {
    let is_warning = |line: &&String| {
        serde_json::from_str::<Value>(line).is_ok_and(|line| line["level"] == "WARN")
    };
    log.iter().filter(is_warning).collect()
}

/// The server's resident memory in bytes.
pub(crate) fn resident_memory(server: &TestServer) -> u64 {
    let pid = server
        .process_id()
        .expect("the server has a process of its own");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kibibytes: u64 = kibibytes
        .and_then(|number| number.trim().parse().ok())
        .expect("VmRSS is in kB");
    kibibytes * 1024
}
