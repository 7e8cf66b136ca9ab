//! The events that report channels and members, exactly as they come.

use std::time::{Duration, Instant};

use protocol_tests::{PublishedEvent, TestServer, WebhookConfig, WsClient, or_skip};
use serde_json::json;

use crate::support::{
    ALL, OCCUPANCY, PRESENCE, added, app, leave, member, now_ms, occupied, receiver, relay,
    removed, subscriber, vacated,
};

async fn on_any_channel(server: &TestServer, channel: &str) -> WsClient {
    if channel.starts_with("presence-") {
        member(server, channel, "ann").await
    } else {
        subscriber(server, channel).await
    }
}

#[tokio::test]
async fn channels_of_every_kind_are_occupied_and_vacated() {
    let mut receiver = receiver().await;
    let builder = relay(&receiver, &OCCUPANCY).set("webhooks.leave_delay_ms", 50);
    let server = or_skip!(builder.start().await);
    for prefix in [
        "public-",
        "private-",
        "private-encrypted-",
        "presence-",
        "cache-",
        "private-cache-",
        "private-encrypted-cache-",
        "presence-cache-",
    ] {
        let channel = server.channel(prefix);
        let before = now_ms();
        let mut client = on_any_channel(&server, &channel).await;
        receiver.expect_event(occupied(&channel)).await;
        client.unsubscribe(&channel).await;
        receiver.expect_event(vacated(&channel)).await;
        for delivery in receiver.deliveries_on(&channel) {
            let sent = delivery.time_ms;
            assert!((before..=now_ms()).contains(&sent), "{before} {sent}");
            assert_eq!(delivery.target, "/hook");
        }
    }
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn members_are_added_and_removed_by_their_ids_as_strings() {
    let mut receiver = receiver().await;
    let builder =
        relay(&receiver, &["member_added", "member_removed"]).set("webhooks.leave_delay_ms", 50);
    let server = or_skip!(builder.start().await);
    for prefix in ["presence-", "presence-cache-"] {
        for (sent, reported) in [
            (json!("ann"), "ann"),
            (json!(10), "10"),
            (json!("ü \"quoted\" 😀"), "ü \"quoted\" 😀"),
        ] {
            let channel = server.channel(prefix);
            let mut client = server.connect().await;
            let channel_data = json!({"user_id": sent, "user_info": {"name": "of the members"}});
            client
                .send_signed_subscribe(&channel, Some(&channel_data.to_string()))
                .await;
            client.expect_subscribed(&channel).await;
            receiver.expect_event(added(&channel, reported)).await;
            client.unsubscribe(&channel).await;
            receiver.expect_event(removed(&channel, reported)).await;
        }
    }
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn member_by_sign_in_is_reported_by_the_id_of_the_sign_in() {
    let mut receiver = receiver().await;
    let builder = relay(&receiver, &PRESENCE).set("webhooks.leave_delay_ms", 50);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("presence-");
    let mut client = server.connect().await;
    client.sign_in("ann").await;
    client.send_signed_subscribe(&channel, None).await;
    client.expect_subscribed(&channel).await;
    receiver.expect_event(occupied(&channel)).await;
    receiver.expect_event(added(&channel, "ann")).await;
    drop(client);
    receiver.expect_event(removed(&channel, "ann")).await;
    receiver.expect_event(vacated(&channel)).await;
    server.finish().await;
}

#[tokio::test]
async fn every_subscriber_that_finds_the_cache_empty_is_a_cache_miss() {
    let mut receiver = receiver().await;
    let server = or_skip!(relay(&receiver, &["cache_miss"]).start().await);
    for prefix in [
        "cache-",
        "private-cache-",
        "private-encrypted-cache-",
        "presence-cache-",
    ] {
        let channel = server.channel(prefix);
        let miss = json!({"name": "cache_miss", "channel": channel});
        let _first = on_any_channel(&server, &channel).await;
        receiver.expect_event(miss.clone()).await;
        let _second = on_any_channel(&server, &channel).await;
        receiver.expect_event(miss.clone()).await;
        server
            .publish(PublishedEvent::new(&channel, "kept", "x"))
            .await;
        let _third = on_any_channel(&server, &channel).await;
    }
    let plain = server.channel("public-");
    let _nothing_is_cached_here = subscriber(&server, &plain).await;
    // Whatever the others had raised would have come before this.
    let marker = server.channel("cache-");
    let _marker = subscriber(&server, &marker).await;
    receiver
        .expect_event(json!({"name": "cache_miss", "channel": marker}))
        .await;
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn whatever_is_no_leave_is_sent_at_once() {
    let mut receiver = receiver().await;
    let app = app(&receiver, &ALL).set("subscription_count", true);
    let builder = TestServer::builder()
        .app(app)
        .set("webhooks.leave_delay_ms", 60_000);
    let server = or_skip!(builder.start().await);
    let (mut took, mut clients) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let presence = server.channel("presence-cache-");
        let public = server.channel("public-");
        let began = Instant::now();
        let mut ann = member(&server, &presence, "ann").await;
        ann.send_client_event(&presence, "client-x", json!(1)).await;
        ann.ping_fence().await;
        ann.subscribe(&public).await;
        // Occupied, added, a cache miss and a client event; occupied and a count.
        for (channel, count) in [(&presence, 4), (&public, 2)] {
            for _ in 0..count {
                receiver.next_event_on(channel).await;
            }
        }
        took.push(began.elapsed());
        clients.push(ann);
    }
    took.sort();
    assert!(took[0] < Duration::from_secs(1), "{took:?}");
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn each_webhook_is_sent_the_chosen_events_and_no_others() {
    let mut receiver = receiver().await;
    let mut app = app(&receiver, &ALL).set("subscription_count", true);
    for event in ALL {
        let webhook = WebhookConfig::new(&receiver.url(&format!("/{event}")), &[event]);
        app = app.webhook(webhook);
    }
    let builder = TestServer::builder()
        .app(app)
        .set("webhooks.leave_delay_ms", 50);
    let server = or_skip!(builder.start().await);
    let presence = server.channel("presence-cache-");
    let mut ann = member(&server, &presence, "ann").await;
    ann.send_client_event(&presence, "client-x", json!(1)).await;
    leave(&mut ann, &presence).await;
    let public = server.channel("public-");
    ann.subscribe(&public).await;
    drop(ann);
    // Each goes to its own path and to the one that is sent all.
    for (channel, count) in [(&presence, 6), (&public, 4)] {
        for _ in 0..2 * count {
            receiver.next_event_on(channel).await;
        }
    }
    let mut at_own = 0;
    for delivery in receiver.deliveries() {
        for event in &delivery.events {
            let own = format!("/{}", event.name);
            at_own += usize::from(delivery.target == own);
            let is_meant = delivery.target == own || delivery.target == "/hook";
            assert!(is_meant, "{} got {event:?}", delivery.target);
        }
    }
    assert_eq!(at_own, 10);
    receiver.expect_nothing_more();
    server.finish().await;
}
