//! Who leaves is reported a little later, and not at all when they are back by then.

use std::collections::BTreeSet;
use std::mem::replace;
use std::time::Duration;

use protocol_tests::client::channel_data;
use protocol_tests::{Receiver, Skipped, TestServer, WsClient, eventually, or_skip};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::support::{
    OCCUPANCY, PRESENCE, added, figure, leave, member, occupied, receiver, relay, removed, settle,
    subscriber, vacated, wait_until_left,
};

/// Long enough for a client to come back on a machine that does nothing for it for seconds.
const DELAY: Duration = Duration::from_secs(10);

async fn start(receiver: &Receiver, events: &[&str]) -> Result<TestServer, Skipped> {
    let delay = DELAY.as_millis() as i64;
    let builder = relay(receiver, events).set("webhooks.leave_delay_ms", delay);
    builder.start().await
}

/// Asserts that not so much time has passed that the relay was right to report the leave.
fn assert_in_time(left: Instant) {
    let took = left.elapsed();
    assert!(
        took < DELAY,
        "the machine is too slow: coming back took {took:?}"
    );
}

/// How long after `left` the last request about this channel came.
fn delay_on(receiver: &Receiver, channel: &str, left: Instant) -> Duration {
    let deliveries = receiver.deliveries_on(channel);
    deliveries.last().expect("there is one").arrived - left
}

/// How a client leaves a channel.
#[derive(Clone, Copy, Debug)]
enum Leave {
    Unsubscribe,
    Disconnect,
    Reset,
}

const LEAVES: [Leave; 3] = [Leave::Unsubscribe, Leave::Disconnect, Leave::Reset];

impl Leave {
    /// Leaves, and returns the client if it is still connected.
    async fn carry_out(self, mut client: WsClient, channel: &str) -> Option<WsClient> {
        match self {
            Leave::Unsubscribe => {
                leave(&mut client, channel).await;
                return Some(client);
            }
            Leave::Disconnect => {}
            Leave::Reset => client.socket.connection().reset_on_drop(),
        }
        None
    }
}

#[tokio::test]
async fn vacated_and_removed_come_3_seconds_after_the_leave_by_default() {
    let mut receiver = receiver().await;
    let server = or_skip!(relay(&receiver, &PRESENCE).start().await);
    for way in [Leave::Unsubscribe, Leave::Disconnect] {
        let channel = server.channel("presence-");
        let client = member(&server, &channel, "ann").await;
        receiver.expect_event(occupied(&channel)).await;
        receiver.expect_event(added(&channel, "ann")).await;
        let left = Instant::now();
        let _still_connected = way.carry_out(client, &channel).await;
        receiver.expect_event(removed(&channel, "ann")).await;
        let of_the_member = delay_on(&receiver, &channel, left);
        receiver.expect_event(vacated(&channel)).await;
        let of_the_channel = delay_on(&receiver, &channel, left);
        for waited in [of_the_member, of_the_channel] {
            let about = Duration::from_millis(2990)..Duration::from_secs(10);
            assert!(about.contains(&waited), "{way:?}: after {waited:?}");
        }
    }
    server.finish().await;
}

/// How long after a leave its webhook comes.
async fn delay_of_a_leave(server: &TestServer, receiver: &mut Receiver) -> Duration {
    let channel = server.channel("public-");
    let mut client = subscriber(server, &channel).await;
    receiver.expect_event(occupied(&channel)).await;
    let left = Instant::now();
    leave(&mut client, &channel).await;
    receiver.expect_event(vacated(&channel)).await;
    delay_on(receiver, &channel, left)
}

#[tokio::test]
async fn the_delay_is_configurable() {
    // Less than the default.
    const MOST: Duration = Duration::from_millis(2900);
    for delay in [0, 1000] {
        let mut receiver = receiver().await;
        let builder = relay(&receiver, &OCCUPANCY).set("webhooks.leave_delay_ms", delay);
        let server = or_skip!(builder.start().await);
        let least = Duration::from_millis((delay as u64).saturating_sub(10));
        let mut quickest = Duration::MAX;
        // A machine that is busy with something else is not so each time.
        for _ in 0..4 {
            let waited = delay_of_a_leave(&server, &mut receiver).await;
            assert!(waited >= least, "{delay} ms: after {waited:?}");
            quickest = quickest.min(waited);
            if quickest < MOST {
                break;
            }
        }
        assert!(quickest < MOST, "{delay} ms: after {quickest:?}");
        server.finish().await;
    }
}

#[tokio::test]
async fn only_the_webhook_waits() {
    let mut receiver = receiver().await;
    let builder = relay(&receiver, &PRESENCE).set("webhooks.leave_delay_ms", 60_000);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("presence-");
    let mut ann = member(&server, &channel, "ann").await;
    let mut bob = member(&server, &channel, "bob").await;
    ann.expect_event_on(&channel, "pusher_internal:member_added")
        .await;
    leave(&mut bob, &channel).await;
    ann.expect_event_on(&channel, "pusher_internal:member_removed")
        .await;
    let info = [("info", "user_count")];
    let state = server.get(&format!("/channels/{channel}"), &info).await;
    assert_eq!(state, json!({"occupied": true, "user_count": 1}));
    drop(ann);
    wait_until_left(&server, &channel).await;
    let metrics = server.metrics().await;
    let labels = [("table", "webhook_departures")];
    let waiting = metrics.sum("fanfare_app_table_entries", &labels);
    assert!((1.0..=3.0).contains(&waiting), "{waiting}");
    for event in [
        occupied(&channel),
        added(&channel, "ann"),
        added(&channel, "bob"),
    ] {
        receiver.expect_event(event).await;
    }
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn channel_that_is_subscribed_to_again_in_time_was_never_vacated() {
    let mut receiver = receiver().await;
    let server = or_skip!(start(&receiver, &OCCUPANCY).await);
    let mut channels = Vec::new();
    let mut back = Vec::new();
    for way in LEAVES {
        for same in [true, false] {
            let channel = server.channel("public-");
            let client = subscriber(&server, &channel).await;
            receiver.expect_event(occupied(&channel)).await;
            let left = Instant::now();
            let client = way.carry_out(client, &channel).await;
            wait_until_left(&server, &channel).await;
            match client {
                Some(mut client) if same => {
                    client.subscribe(&channel).await;
                    back.push(client);
                }
                _ => back.push(subscriber(&server, &channel).await),
            }
            assert_in_time(left);
            channels.push(channel);
        }
    }
    settle(&server, &mut receiver).await;
    receiver.expect_nothing_more();
    // The next leave is reported like any other.
    drop(back);
    for channel in &channels {
        receiver.expect_event(vacated(channel)).await;
    }
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn member_that_is_back_in_time_was_never_removed() {
    let mut receiver = receiver().await;
    let server = or_skip!(start(&receiver, &PRESENCE).await);
    let channel = server.channel("presence-");
    let mut watcher = member(&server, &channel, "watcher").await;
    receiver.expect_event(occupied(&channel)).await;
    receiver.expect_event(added(&channel, "watcher")).await;
    let mut back = Vec::new();
    for (number, way) in LEAVES.into_iter().enumerate() {
        let user = format!("u{number}");
        let client = member(&server, &channel, &user).await;
        receiver.expect_event(added(&channel, &user)).await;
        watcher.expect_event("pusher_internal:member_added").await;
        let left = Instant::now();
        let _still_connected = way.carry_out(client, &channel).await;
        watcher.expect_event("pusher_internal:member_removed").await;
        back.push(member(&server, &channel, &user).await);
        watcher.expect_event("pusher_internal:member_added").await;
        assert_in_time(left);
    }
    settle(&server, &mut receiver).await;
    receiver.expect_nothing_more();
    let left = Instant::now();
    drop(back);
    for _ in LEAVES {
        let event = receiver.next_event_on(&channel).await;
        assert_eq!(event.name, "member_removed", "{event:?}");
    }
    assert!(delay_on(&receiver, &channel, left) >= DELAY - Duration::from_millis(10));
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn sole_member_that_is_back_in_time_leaves_no_trace_at_all() {
    let mut receiver = receiver().await;
    let server = or_skip!(start(&receiver, &PRESENCE).await);
    let channel = server.channel("presence-");
    let client = member(&server, &channel, "ann").await;
    receiver.expect_event(occupied(&channel)).await;
    receiver.expect_event(added(&channel, "ann")).await;
    let left = Instant::now();
    drop(client);
    wait_until_left(&server, &channel).await;
    let back = member(&server, &channel, "ann").await;
    assert_in_time(left);
    settle(&server, &mut receiver).await;
    receiver.expect_nothing_more();
    drop(back);
    receiver.expect_event(removed(&channel, "ann")).await;
    receiver.expect_event(vacated(&channel)).await;
    server.finish().await;
}

#[tokio::test]
async fn another_user_who_comes_in_time_keeps_the_channel_occupied() {
    let mut receiver = receiver().await;
    let server = or_skip!(start(&receiver, &PRESENCE).await);
    let channel = server.channel("presence-");
    let ann = member(&server, &channel, "ann").await;
    receiver.expect_event(occupied(&channel)).await;
    receiver.expect_event(added(&channel, "ann")).await;
    let left = Instant::now();
    drop(ann);
    wait_until_left(&server, &channel).await;
    let bob = member(&server, &channel, "bob").await;
    assert_in_time(left);
    receiver.expect_event(added(&channel, "bob")).await;
    receiver.expect_event(removed(&channel, "ann")).await;
    settle(&server, &mut receiver).await;
    receiver.expect_nothing_more();
    drop(bob);
    receiver.expect_event(removed(&channel, "bob")).await;
    receiver.expect_event(vacated(&channel)).await;
    server.finish().await;
}

#[tokio::test]
async fn a_tab_that_is_back_is_the_user_back() {
    let mut receiver = receiver().await;
    let server = or_skip!(start(&receiver, &PRESENCE).await);
    let channel = server.channel("presence-");
    let tabs = [
        member(&server, &channel, "ann").await,
        member(&server, &channel, "ann").await,
    ];
    receiver.expect_event(occupied(&channel)).await;
    receiver.expect_event(added(&channel, "ann")).await;
    let left = Instant::now();
    drop(tabs);
    wait_until_left(&server, &channel).await;
    let back = member(&server, &channel, "ann").await;
    assert_in_time(left);
    settle(&server, &mut receiver).await;
    receiver.expect_nothing_more();
    drop(back);
    receiver.expect_event(removed(&channel, "ann")).await;
    receiver.expect_event(vacated(&channel)).await;
    server.finish().await;
}

#[tokio::test]
async fn each_leave_has_its_own_delay() {
    let mut receiver = receiver().await;
    let server = or_skip!(start(&receiver, &OCCUPANCY).await);
    let channel = server.channel("public-");
    let mut client = subscriber(&server, &channel).await;
    receiver.expect_event(occupied(&channel)).await;
    leave(&mut client, &channel).await;
    client.subscribe(&channel).await;
    // Half of the first leave's delay passes before the second.
    sleep(DELAY / 2).await;
    let left = Instant::now();
    leave(&mut client, &channel).await;
    receiver.expect_event(vacated(&channel)).await;
    let waited = delay_on(&receiver, &channel, left);
    assert!(
        waited >= DELAY - Duration::from_millis(10),
        "after {waited:?}"
    );
    server.finish().await;
}

#[tokio::test]
async fn who_comes_back_too_late_is_new() {
    let mut receiver = receiver().await;
    let builder = relay(&receiver, &PRESENCE).set("webhooks.leave_delay_ms", 100);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("presence-");
    let mut client = server.connect().await;
    for _ in 0..3 {
        client.subscribe_presence(&channel, "ann", json!({})).await;
        receiver.expect_event(occupied(&channel)).await;
        receiver.expect_event(added(&channel, "ann")).await;
        leave(&mut client, &channel).await;
        receiver.expect_event(removed(&channel, "ann")).await;
        receiver.expect_event(vacated(&channel)).await;
    }
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn coming_and_going_without_end_is_one_arrival_and_one_departure() {
    let mut receiver = receiver().await;
    let server = or_skip!(start(&receiver, &PRESENCE).await);
    let channel = server.channel("presence-");
    let mut client = member(&server, &channel, "ann").await;
    for _ in 0..200 {
        leave(&mut client, &channel).await;
        client.subscribe_presence(&channel, "ann", json!({})).await;
    }
    let left = Instant::now();
    leave(&mut client, &channel).await;
    for event in [
        occupied(&channel),
        added(&channel, "ann"),
        removed(&channel, "ann"),
        vacated(&channel),
    ] {
        receiver.expect_event(event).await;
    }
    assert!(delay_on(&receiver, &channel, left) >= DELAY - Duration::from_millis(10));
    settle(&server, &mut receiver).await;
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn clients_that_flap_on_different_workers_leave_the_truth_behind() {
    let mut receiver = receiver().await;
    let builder = relay(&receiver, &PRESENCE)
        .set("webhooks.leave_delay_ms", 20)
        .set("server.workers", 4);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("presence-");
    let mut flapping = JoinSet::new();
    for number in 0..6 {
        let mut client = server.connect().await;
        let channel = channel.clone();
        flapping.spawn(async move {
            let channel_data = channel_data(&format!("u{}", number % 3), json!({}));
            for _ in 0..30 {
                client
                    .send_signed_subscribe(&channel, Some(&channel_data))
                    .await;
                // What the subscription that was ended before still brings comes first.
                client
                    .wait_for_event("pusher_internal:subscription_succeeded")
                    .await;
                client.unsubscribe(&channel).await;
                client.ping_fence().await;
            }
        });
    }
    flapping.join_all().await;
    let last = server.channel("presence-");
    let client = member(&server, &last, "last").await;
    drop(client);
    receiver.expect_event(occupied(&last)).await;
    receiver.expect_event(added(&last, "last")).await;
    receiver.expect_event(removed(&last, "last")).await;
    receiver.expect_event(vacated(&last)).await;
    // Channels do not wait for each other: the other one's events may still be on their way.
    eventually("all events to be sent", async || {
        (figure(&server, "events_waiting", &[]).await == 0.0).then_some(())
    })
    .await;
    let mut is_occupied = false;
    let mut present = BTreeSet::new();
    for event in receiver.events() {
        if event.channel != channel {
            continue;
        }
        let user = event.json["user_id"].to_string();
        let fits = match event.name.as_str() {
            "channel_occupied" => !replace(&mut is_occupied, true),
            "channel_vacated" => replace(&mut is_occupied, false) && present.is_empty(),
            "member_added" => is_occupied && present.insert(user),
            _ => present.remove(&user),
        };
        assert!(fits, "{event:?} does not fit what came before");
    }
    assert!(!is_occupied && present.is_empty(), "{present:?}");
    server.finish().await;
}
