//! Channels, members and failures, round after round: the server does not grow with them.

use protocol_tests::{Answer, Receiver, TestServer, or_skip};

use crate::support::{
    ALL, member, receiver, resident_memory, send_numbered, talkative, wait_for_figure,
};

const ROUNDS: usize = 16;
/// Rounds in which allocators, tables and connections find their size.
const WARM_UP: usize = 6;
/// Rounds that show what has stayed.
const LAST: usize = 8;
const CLIENTS: usize = 20;

/// New users, each with a presence channel and so many public ones, all gone in the end. Returns how many events that is.
async fn come_and_go(server: &TestServer, round: usize, channels: usize) -> usize {
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        let presence = server.channel("presence-cache-");
        let user = format!("u{number}-{round}");
        let mut client = member(server, &presence, &user).await;
        send_numbered(&mut client, &presence, 0..10).await;
        for _ in 0..channels {
            let public = server.channel("public-");
            client.send_subscribe(&public, None, None).await;
        }
        client.ping_fence().await;
        clients.push(client);
    }
    // A cache miss, two transitions each of channel and member, and what the clients sent; for each public channel two
    // transitions and two counts.
    CLIENTS * (5 + 10 + channels * 4)
}

/// Rounds of [`come_and_go`] on a relay with this receiver. Each is over when this figure has counted its events.
async fn assert_memory_settles(
    receiver: Receiver,
    retry_for: i64,
    channels: usize,
    (name, labels): (&str, &[(&str, &str)]),
) {
    let webhook = receiver.webhook(&ALL).set("batch", true);
    let app = talkative().set("subscription_count", true).webhook(webhook);
    let builder = TestServer::builder()
        .app(app)
        .set("webhooks.leave_delay_ms", 100)
        .set("webhooks.retry_for", retry_for);
    let server = or_skip!(builder.start().await);
    let (mut sizes, mut events) = (Vec::new(), 0);
    for round in 0..ROUNDS {
        events += come_and_go(&server, round, channels).await;
        wait_for_figure(&server, name, labels, events as f64).await;
        sizes.push(resident_memory(&server));
    }
    let warm = sizes[..WARM_UP].iter().max().expect("there are rounds");
    // Allocators keep twenty megabytes more or less from round to round; what leaks stays, in each of the last ones.
    let last = sizes[ROUNDS - LAST..].iter().min();
    let last = last.expect("there are rounds");
    assert!(
        *last <= warm + (4 << 20),
        "resident bytes after each round: {sizes:?}"
    );
    server.finish().await;
}

#[tokio::test]
async fn memory_does_not_grow_with_channels_that_come_and_go() {
    assert_memory_settles(receiver().await, 300, 200, ("events_sent_total", &[])).await;
}

#[tokio::test]
async fn memory_does_not_grow_with_events_that_are_given_up() {
    let receiver = receiver().await;
    receiver.script(|_| Answer::Status(500));
    let expired = [("reason", "expired")];
    assert_memory_settles(receiver, 1, 50, ("events_dropped_total", &expired)).await;
}
