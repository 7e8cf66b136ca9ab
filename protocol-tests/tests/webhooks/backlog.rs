//! An endpoint that is down while more happens than may wait for it.

use std::time::Duration;

use protocol_tests::{Receiver, Skipped, TestServer, WsClient, or_skip};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{
    app, figure, receiver, resident_memory, subscriber, wait_for_figure, warnings,
};

const BACKLOG: i64 = 256 * 1024;
const DATA: usize = 8_000;
/// Many times as much as may wait.
const EVENTS: usize = 5_000;
const BACKLOG_FULL: [(&str, &str); 1] = [("reason", "backlog")];

async fn start(receiver: &Receiver) -> Result<TestServer, Skipped> {
    let builder = TestServer::builder()
        .app(app(receiver, &["client_event"]))
        .set("webhooks.backlog_bytes", BACKLOG);
    builder.start().await
}

/// Data of [`DATA`] bytes that begins with a number.
fn data(number: usize) -> String {
    format!("{number}:{}", "x".repeat(DATA))
}

async fn send(client: &mut WsClient, channel: &str, number: usize) {
    client
        .send_client_event(channel, "client-x", json!(data(number)))
        .await;
}

#[tokio::test]
async fn events_beyond_the_backlog_are_dropped_and_counted_and_the_others_arrive() {
    let mut receiver = receiver().await;
    receiver.refuse_connections().await;
    let server = or_skip!(start(&receiver).await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    let before = resident_memory(&server);
    for number in 0..EVENTS {
        send(&mut client, &channel, number).await;
    }
    client.ping_fence().await;
    wait_for_figure(&server, "events_dropped_total", &BACKLOG_FULL, 1.0).await;
    let dropped = figure(&server, "events_dropped_total", &BACKLOG_FULL).await as usize;
    let kept = EVENTS - dropped;
    let waiting = figure(&server, "events_waiting", &[]).await as usize;
    assert_eq!(waiting, kept, "{dropped} of {EVENTS} were dropped");
    let fits = BACKLOG as usize / DATA;
    assert!((fits / 2..=fits).contains(&kept), "{kept} are kept");
    let grown = resident_memory(&server).saturating_sub(before);
    // Allocators take memory in pieces of some megabytes, for each thread.
    assert!(grown < 20 << 20, "{grown} bytes of memory more");
    receiver.accept_connections();
    for number in 0..kept {
        let event = receiver.next_event_on(&channel).await;
        assert_eq!(event.json["data"], data(number), "the first ones are kept");
    }
    // There is room again.
    send(&mut client, &channel, EVENTS).await;
    let event = receiver.next_event_on(&channel).await;
    assert_eq!(event.json["data"], data(EVENTS));
    receiver.expect_nothing_more();
    let log = server.log();
    let about_drops: Vec<_> = warnings(&log)
        .into_iter()
        .filter(|line| line.contains("drop"))
        .collect();
    assert_eq!(about_drops.len(), 1, "{about_drops:#?}");
    assert!(log.len() < 30, "{} lines in the log", log.len());
    server.finish().await;
}

#[tokio::test]
async fn the_backlog_of_one_webhook_takes_no_room_from_another() {
    let mut dead = receiver().await;
    let mut healthy = receiver().await;
    dead.refuse_connections().await;
    let app = app(&dead, &["client_event"]).webhook(healthy.webhook(&["client_event"]));
    let builder = TestServer::builder()
        .app(app)
        .set("webhooks.backlog_bytes", BACKLOG)
        .set("server.shutdown_timeout", 1);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    for number in 0..200 {
        send(&mut client, &channel, number).await;
        let event = healthy.next_event_on(&channel).await;
        assert_eq!(event.json["data"], data(number));
    }
    let dropped = figure(&server, "events_dropped_total", &BACKLOG_FULL).await;
    assert!(dropped > 100.0, "{dropped}");
    server.finish().await;
}

#[tokio::test]
async fn connections_notice_nothing_of_a_full_backlog() {
    let mut receiver = receiver().await;
    receiver.refuse_connections().await;
    let builder = TestServer::builder()
        .app(app(&receiver, &["client_event"]))
        .set("webhooks.backlog_bytes", BACKLOG)
        .set("server.shutdown_timeout", 1);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("private-");
    let mut sender = subscriber(&server, &channel).await;
    let mut listener = subscriber(&server, &channel).await;
    let mut took = Vec::new();
    for number in 0..1000 {
        let began = Instant::now();
        send(&mut sender, &channel, number).await;
        listener.expect_event_on(&channel, "client-x").await;
        took.push(began.elapsed());
    }
    took.sort();
    // What held connections up would do so to all that is beyond the backlog, which are nearly all.
    let p90 = took[took.len() * 9 / 10];
    assert!(p90 < Duration::from_millis(500), "p90 is {p90:?}");
    wait_for_figure(&server, "events_dropped_total", &BACKLOG_FULL, 900.0).await;
    server.finish().await;
}

#[tokio::test]
async fn channels_that_anybody_may_invent_leave_room_for_the_others() {
    let mut receiver = receiver().await;
    receiver.refuse_connections().await;
    let app = app(&receiver, &["cache_miss", "client_event"]);
    let builder = TestServer::builder()
        .app(app)
        .set("webhooks.backlog_bytes", BACKLOG);
    let server = or_skip!(builder.start().await);
    for _ in 0..EVENTS / 300 {
        let mut stranger = server.connect().await;
        for _ in 0..300 {
            let invented = server.channel("cache-");
            stranger.subscribe(&invented).await;
            stranger
                .expect_event_on(&invented, "pusher:cache_miss")
                .await;
        }
    }
    let share_full = [("reason", "public_backlog")];
    wait_for_figure(&server, "events_dropped_total", &share_full, 1.0).await;
    // As many as fit into three quarters of the other half.
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    let sent = BACKLOG as usize * 3 / 8 / DATA;
    for number in 0..sent {
        send(&mut client, &channel, number).await;
    }
    client.ping_fence().await;
    let dropped = figure(&server, "events_dropped_total", &BACKLOG_FULL).await;
    assert_eq!(dropped, 0.0, "of private channels");
    receiver.accept_connections();
    for number in 0..sent {
        let event = receiver.next_event_on(&channel).await;
        assert_eq!(event.json["data"], data(number));
    }
    server.finish().await;
}
