//! What every request carries and which webhook it goes to: signatures, headers, addresses, filters.

use std::collections::BTreeSet;

use protocol_tests::{AppConfig, TestServer, WebhookConfig, or_skip};
use serde_json::json;

use crate::support::{
    OCCUPANCY, PRESENCE, app, member, occupied, receiver, relay, send_numbered, subscriber,
    talkative,
};

#[tokio::test]
async fn the_first_pair_signs_whichever_key_a_client_connected_with() {
    // The receiver takes the first pair's signatures only.
    let mut receiver = receiver().await;
    let config = app(&receiver, &PRESENCE).extra_key("old-key", "old-secret");
    let old = config.app().with_pair("old-key", "old-secret");
    let server = or_skip!(TestServer::builder().app(config).start().await);
    let channel = server.channel("presence-");
    let mut client = server.connect_to(&old).await;
    client.subscribe_presence(&channel, "ann", json!({})).await;
    receiver.expect_event(occupied(&channel)).await;
    let deliveries = receiver.deliveries();
    assert_eq!(deliveries[0].header("x-pusher-key"), Some("key-10001"));
    server.finish().await;
}

#[tokio::test]
async fn configured_headers_are_added_to_every_request() {
    let mut receiver = receiver().await;
    let webhook = receiver
        .webhook(&OCCUPANCY)
        .set("headers.X-Env", "prod")
        .set("headers.Authorization", "Bearer abc");
    let app = talkative().webhook(webhook);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    for _ in 0..2 {
        let channel = server.channel("public-");
        let _client = subscriber(&server, &channel).await;
        receiver.expect_event(occupied(&channel)).await;
    }
    for delivery in receiver.deliveries() {
        assert_eq!(delivery.header("x-env"), Some("prod"));
        assert_eq!(delivery.header("authorization"), Some("Bearer abc"));
        assert_eq!(delivery.header("host"), Some(receiver.authority().as_str()));
    }
    server.finish().await;
}

#[tokio::test]
async fn path_and_query_are_sent_as_configured() {
    let mut receiver = receiver().await;
    let target = "/a%20b/%C3%BC?token=a%2Bb&x=1+2&empty=";
    let app =
        AppConfig::new("10001").webhook(WebhookConfig::new(&receiver.url(target), &OCCUPANCY));
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let channel = server.channel("public-");
    let _client = subscriber(&server, &channel).await;
    receiver.expect_event(occupied(&channel)).await;
    assert_eq!(receiver.deliveries()[0].target, target);
    server.finish().await;
}

#[tokio::test]
async fn filters_look_at_how_channels_begin_and_end() {
    let mut receiver = receiver().await;
    let webhook = |target: &str| WebhookConfig::new(&receiver.url(target), &["channel_occupied"]);
    let app = talkative()
        .webhook(webhook("/prefix").set("filter.channel_prefix", "private-"))
        .webhook(webhook("/suffix").set("filter.channel_suffix", "-log"))
        .webhook(
            webhook("/both")
                .set("filter.channel_prefix", "private-")
                .set("filter.channel_suffix", "-log"),
        )
        .webhook(
            webhook("/empty")
                .set("filter.channel_prefix", "")
                .set("filter.channel_suffix", ""),
        );
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let base = server.channel("");
    let mut client = server.connect().await;
    let mut expected = BTreeSet::new();
    for (channel, targets) in [
        (format!("private-{base}"), ["/prefix", "/empty"].as_slice()),
        (format!("{base}-log"), &["/suffix", "/empty"]),
        (
            format!("private-{base}-log"),
            &["/prefix", "/suffix", "/both", "/empty"],
        ),
        (format!("{base}-private-"), &["/empty"]),
        (format!("{base}-log-"), &["/empty"]),
    ] {
        client.subscribe(&channel).await;
        for target in targets {
            receiver.next_event_on(&channel).await;
            expected.insert(((*target).to_owned(), channel.clone()));
        }
    }
    receiver.expect_nothing_more();
    let seen = receiver.deliveries().into_iter();
    let seen = seen.map(|delivery| (delivery.target, delivery.events[0].channel.clone()));
    assert_eq!(BTreeSet::from_iter(seen), expected);
    server.finish().await;
}

#[tokio::test]
async fn each_webhook_of_an_app_is_sent_everything() {
    let mut receivers = [receiver().await, receiver().await, receiver().await];
    let mut app = talkative();
    for receiver in &receivers {
        app = app.webhook(receiver.webhook(&PRESENCE));
    }
    let builder = TestServer::builder()
        .app(app)
        .set("webhooks.leave_delay_ms", 50);
    let server = or_skip!(builder.start().await);
    let channel = server.channel("presence-");
    drop(member(&server, &channel, "ann").await);
    for receiver in &mut receivers {
        for expected in [
            "channel_occupied",
            "member_added",
            "member_removed",
            "channel_vacated",
        ] {
            assert_eq!(receiver.next_event_on(&channel).await.name, expected);
        }
        receiver.expect_nothing_more();
    }
    server.finish().await;
}

#[tokio::test]
async fn without_batches_each_event_has_a_request_of_its_own_over_few_connections() {
    const EVENTS: u64 = 100;
    let mut receiver = receiver().await;
    let server = or_skip!(relay(&receiver, &["client_event"]).start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    send_numbered(&mut client, &channel, 0..EVENTS).await;
    crate::support::expect_numbered(&mut receiver, &channel, 0..EVENTS).await;
    let deliveries = receiver.deliveries();
    assert_eq!(deliveries.len() as u64, EVENTS);
    let ids: BTreeSet<_> = deliveries
        .iter()
        .flat_map(|delivery| delivery.ids())
        .collect();
    assert_eq!(ids.len() as u64, EVENTS);
    assert_eq!(receiver.connections(), 1, "keep-alive");
    server.finish().await;
}

#[tokio::test]
async fn an_app_without_webhooks_beside_one_that_has_some_is_served_all_the_same() {
    let mut receiver = receiver().await;
    let builder = relay(&receiver, &OCCUPANCY).app(AppConfig::new("20002"));
    let server = or_skip!(builder.start().await);
    let channel = server.channel("public-");
    let mut silent = server.connect_to(server.second_app()).await;
    silent.subscribe(&channel).await;
    let _occupied = subscriber(&server, &channel).await;
    receiver.expect_event(occupied(&channel)).await;
    receiver.expect_nothing_more();
    server.finish().await;
}
