//! How many subscribers a channel has, reported to the backend as it is sent to the subscribers.

use protocol_tests::{Receiver, TestServer, or_skip};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{OCCUPANCY, app, leave, member, receiver, relay, settle, subscriber};

const COUNT: &str = "subscription_count";

async fn expect_count(receiver: &mut Receiver, channel: &str, count: u64) {
    receiver
        .expect_event(json!({"name": COUNT, "channel": channel, "subscription_count": count}))
        .await;
}

#[tokio::test]
async fn each_change_is_sent_down_to_0() {
    let mut receiver = receiver().await;
    let app = app(&receiver, &[COUNT]).set("subscription_count", true);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    for prefix in ["public-", "private-", "private-encrypted-", "cache-"] {
        let channel = server.channel(prefix);
        let mut first = subscriber(&server, &channel).await;
        expect_count(&mut receiver, &channel, 1).await;
        let mut second = subscriber(&server, &channel).await;
        expect_count(&mut receiver, &channel, 2).await;
        // Again changes nothing.
        second.send_signed_subscribe(&channel, None).await;
        leave(&mut second, &channel).await;
        expect_count(&mut receiver, &channel, 1).await;
        second.subscribe(&channel).await;
        expect_count(&mut receiver, &channel, 2).await;
        drop(second);
        expect_count(&mut receiver, &channel, 1).await;
        leave(&mut first, &channel).await;
        expect_count(&mut receiver, &channel, 0).await;
    }
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn presence_channels_have_none() {
    let mut receiver = receiver().await;
    let app = app(&receiver, &[COUNT]).set("subscription_count", true);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    for prefix in ["presence-", "presence-cache-"] {
        let channel = server.channel(prefix);
        let _ann = member(&server, &channel, "ann").await;
        let mut bob = member(&server, &channel, "bob").await;
        leave(&mut bob, &channel).await;
    }
    let marker = server.channel("public-");
    let _marker = subscriber(&server, &marker).await;
    expect_count(&mut receiver, &marker, 1).await;
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn there_are_none_unless_the_app_has_its_option_on() {
    let mut receiver = receiver().await;
    let builder =
        relay(&receiver, &[COUNT, OCCUPANCY[0], OCCUPANCY[1]]).set("webhooks.leave_delay_ms", 50);
    let server = or_skip!(builder.start().await);
    settle(&server, &mut receiver).await;
    settle(&server, &mut receiver).await;
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn above_100_at_most_one_comes_every_5_seconds_and_the_last_one_is_right() {
    const SUBSCRIBERS: u64 = 140;
    let mut receiver = receiver().await;
    let app = app(&receiver, &[COUNT]).set("subscription_count", true);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let channel = server.channel("public-");
    let began = Instant::now();
    let mut clients = Vec::new();
    for _ in 0..SUBSCRIBERS {
        clients.push(subscriber(&server, &channel).await);
    }
    for count in 1..=100 {
        expect_count(&mut receiver, &channel, count).await;
    }
    let mut above = 0;
    loop {
        let event = receiver.next_event_on(&channel).await;
        above += 1;
        if event.json[COUNT] == SUBSCRIBERS {
            break;
        }
    }
    let allowed = began.elapsed().as_secs() / 5 + 2;
    assert!(
        above <= allowed,
        "{above} counts above 100 where {allowed} are allowed"
    );
    receiver.expect_nothing_more();
    server.finish().await;
}
