//! Several events in one request, where a webhook wants that.

use std::time::Duration;

use protocol_tests::{
    Answer, AppConfig, Receiver, TestServer, TestServerBuilder, WebhookConfig, or_skip,
};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{
    OCCUPANCY, PRESENCE, expect_numbered, member, receiver, send_numbered, subscriber, talkative,
};

fn batching(receiver: &Receiver, events: &[&str]) -> TestServerBuilder {
    let app = talkative().webhook(receiver.webhook(events).set("batch", true));
    TestServer::builder().app(app)
}

/// How many events each request has.
fn sizes(receiver: &Receiver) -> Vec<usize> {
    let deliveries = receiver.deliveries();
    deliveries.iter().map(|d| d.events.len()).collect()
}

#[tokio::test]
async fn events_that_come_together_go_together_up_to_the_limit() {
    const CHANNELS: usize = 23;
    let mut receiver = receiver().await;
    let builder = batching(&receiver, &["channel_occupied"])
        .set("webhooks.batch_wait_ms", 500)
        .set("webhooks.batch_events", 5);
    let server = or_skip!(builder.start().await);
    let channels: Vec<String> = (0..CHANNELS).map(|_| server.channel("public-")).collect();
    let mut client = server.connect().await;
    for channel in &channels {
        client.send_subscribe(channel, None, None).await;
    }
    for channel in &channels {
        receiver.next_event_on(channel).await;
    }
    receiver.expect_nothing_more();
    let sizes = sizes(&receiver);
    assert!(sizes.iter().all(|size| *size <= 5), "{sizes:?}");
    assert!(sizes.contains(&5), "{sizes:?}");
    assert!(sizes.len() <= CHANNELS / 2, "{sizes:?}");
    server.finish().await;
}

#[tokio::test]
async fn an_event_waits_for_company_as_long_as_configured() {
    let mut receiver = receiver().await;
    let wait = Duration::from_secs(4);
    let builder = batching(&receiver, &["channel_occupied"])
        .set("webhooks.batch_wait_ms", wait.as_millis() as i64);
    let server = or_skip!(builder.start().await);
    // On a machine that is too slow for company in time, it begins again.
    let (began, size, arrived) = loop {
        let channels = [server.channel("public-"), server.channel("public-")];
        let began = Instant::now();
        let mut client = server.connect().await;
        for channel in &channels {
            client.subscribe(channel).await;
        }
        let is_in_time = began.elapsed() < wait;
        for channel in &channels {
            receiver.next_event_on(channel).await;
        }
        let deliveries = receiver.deliveries_on(&channels[0]);
        if is_in_time {
            break (began, deliveries[0].events.len(), deliveries[0].arrived);
        }
    };
    assert_eq!(size, 2);
    let waited = arrived - began;
    let about = wait - Duration::from_millis(20)..wait * 5;
    assert!(about.contains(&waited), "after {waited:?}");
    server.finish().await;
}

#[tokio::test]
async fn a_full_batch_does_not_wait() {
    let mut receiver = receiver().await;
    let wait = Duration::from_secs(20);
    let builder = batching(&receiver, &["channel_occupied"])
        .set("webhooks.batch_wait_ms", wait.as_millis() as i64)
        .set("webhooks.batch_events", 3);
    let server = or_skip!(builder.start().await);
    let began = Instant::now();
    let mut client = server.connect().await;
    for _ in 0..3 {
        client.subscribe(&server.channel("public-")).await;
    }
    for _ in 0..3 {
        receiver.next_event().await;
    }
    assert_eq!(sizes(&receiver), [3]);
    assert!(began.elapsed() < wait / 2, "after {:?}", began.elapsed());
    server.finish().await;
}

#[tokio::test]
async fn events_of_a_channel_keep_their_order_within_and_between_batches() {
    const EVENTS: u64 = 200;
    let mut receiver = receiver().await;
    let builder = batching(&receiver, &["client_event"]).set("webhooks.batch_events", 7);
    let server = or_skip!(builder.start().await);
    let channels = [server.channel("private-"), server.channel("private-")];
    let mut client = server.connect().await;
    for channel in &channels {
        client.subscribe(channel).await;
    }
    for number in 0..EVENTS {
        for channel in &channels {
            send_numbered(&mut client, channel, number..number + 1).await;
        }
    }
    for channel in &channels {
        expect_numbered(&mut receiver, channel, 0..EVENTS).await;
    }
    let sizes = sizes(&receiver);
    assert!(sizes.iter().any(|size| *size > 1), "{sizes:?}");
    assert!(sizes.iter().all(|size| *size <= 7), "{sizes:?}");
    server.finish().await;
}

#[tokio::test]
async fn a_batch_holds_what_its_own_webhook_takes() {
    let mut receiver = receiver().await;
    let webhook = |target: &str, events: &[&str]| {
        WebhookConfig::new(&receiver.url(target), events).set("batch", true)
    };
    let app = talkative()
        .webhook(webhook("/members", &["member_added", "member_removed"]))
        .webhook(webhook("/public", &OCCUPANCY).set("filter.channel_prefix", "public-"))
        .webhook(WebhookConfig::new(&receiver.url("/single"), &PRESENCE));
    let builder = TestServer::builder()
        .app(app)
        .set("webhooks.leave_delay_ms", 50)
        .set("webhooks.batch_wait_ms", 1000);
    let server = or_skip!(builder.start().await);
    let presence = server.channel("presence-");
    let public = server.channel("public-");
    let members = [
        member(&server, &presence, "ann").await,
        member(&server, &presence, "bob").await,
    ];
    let subscriber = subscriber(&server, &public).await;
    drop((members, subscriber));
    // Members twice, the presence channel once, the public one twice.
    for (channel, count) in [(&presence, 4 + 4 + 2), (&public, 2 + 2)] {
        for _ in 0..count {
            receiver.next_event_on(channel).await;
        }
    }
    receiver.expect_nothing_more();
    let mut batched = false;
    for delivery in receiver.deliveries() {
        batched |= delivery.events.len() > 1;
        match delivery.target.as_str() {
            "/members" => assert!(
                delivery
                    .events
                    .iter()
                    .all(|e| e.name.starts_with("member_"))
            ),
            "/public" => assert!(delivery.events.iter().all(|e| e.channel == public)),
            _ => assert_eq!(delivery.events.len(), 1),
        }
    }
    assert!(batched);
    server.finish().await;
}

#[tokio::test]
async fn apps_have_batches_of_their_own() {
    let apps = [AppConfig::new("10001"), AppConfig::new("20002")];
    // One endpoint for both: each request is signed by one of them, and holds its events only.
    let mut receiver = Receiver::start(&[&apps[0].app(), &apps[1].app()]).await;
    let mut builder = TestServer::builder().set("webhooks.batch_wait_ms", 500);
    for app in apps {
        let webhook = receiver.webhook(&["channel_occupied"]).set("batch", true);
        builder = builder.app(app.webhook(webhook));
    }
    let server = or_skip!(builder.start().await);
    let ours = server.channel("ours-");
    let theirs = server.channel("theirs-");
    let mut our_client = server.connect_to(server.app()).await;
    let mut their_client = server.connect_to(server.second_app()).await;
    for number in 0..5 {
        our_client.subscribe(&format!("{ours}-{number}")).await;
        their_client.subscribe(&format!("{theirs}-{number}")).await;
    }
    for _ in 0..10 {
        receiver.next_event().await;
    }
    for delivery in receiver.deliveries() {
        let prefix = match delivery.header("x-pusher-key") {
            Some("key-10001") => &ours,
            _ => &theirs,
        };
        let mut events = delivery.events.iter();
        assert!(events.all(|event| event.channel.starts_with(prefix)));
    }
    server.finish().await;
}

#[tokio::test]
async fn a_batch_that_fails_is_sent_again_with_the_same_ids_and_nothing_is_lost() {
    const EVENTS: u64 = 40;
    let mut receiver = receiver().await;
    receiver.script(|delivery| match delivery.attempt {
        1 => Answer::Status(500),
        _ => Answer::OK,
    });
    let builder = batching(&receiver, &["client_event"])
        .set("webhooks.batch_wait_ms", 200)
        .set("webhooks.batch_events", 20);
    let server = or_skip!(builder.start().await);
    let channels = [server.channel("private-"), server.channel("private-")];
    let mut client = server.connect().await;
    for channel in &channels {
        client.subscribe(channel).await;
        send_numbered(&mut client, channel, 0..EVENTS).await;
    }
    for channel in &channels {
        expect_numbered(&mut receiver, channel, 0..EVENTS).await;
    }
    receiver.expect_nothing_more();
    let deliveries = receiver.deliveries();
    for failed in deliveries.iter().filter(|delivery| !delivery.accepted) {
        for id in failed.ids() {
            let mut others = deliveries.iter();
            let again = others.any(|other| other.accepted && other.ids().contains(&id));
            assert!(again, "{id} was not sent again");
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn a_lone_event_of_a_batching_webhook_comes_soon() {
    let mut receiver = receiver().await;
    let server = or_skip!(batching(&receiver, &["client_event"]).start().await);
    let channel = server.channel("private-");
    let mut client = subscriber(&server, &channel).await;
    let began = Instant::now();
    client
        .send_client_event(&channel, "client-x", json!("x"))
        .await;
    receiver.next_event_on(&channel).await;
    let waited = receiver.deliveries()[0].arrived - began;
    let about = Duration::from_millis(40)..Duration::from_secs(5);
    assert!(about.contains(&waited), "after {waited:?}");
    server.finish().await;
}

#[tokio::test]
async fn what_the_endpoint_refuses_keeps_nothing_else_of_its_batch_from_it() {
    // Once a whole batch was sent again and again, until all of it was given up.
    let mut receiver = receiver().await;
    receiver.script(|delivery| {
        let mut events = delivery.events.iter();
        if events.any(|event| event.channel.starts_with("private-bad")) {
            Answer::Status(400)
        } else {
            Answer::OK
        }
    });
    let app = talkative().webhook(receiver.webhook(&["client_event"]).set("batch", true));
    let builder = TestServer::builder()
        .app(app)
        .set("webhooks.batch_wait_ms", 2000)
        .set("server.shutdown_timeout", 1);
    let server = or_skip!(builder.start().await);
    let names = ["private-good-", "private-bad-", "private-fine-"];
    let [good, bad, fine] = names.map(|prefix| server.channel(prefix));
    let mut client = server.connect().await;
    for channel in [&good, &bad, &fine] {
        client.subscribe(channel).await;
    }
    for channel in [&good, &bad, &fine] {
        send_numbered(&mut client, channel, 0..2).await;
    }
    for channel in [&good, &fine] {
        expect_numbered(&mut receiver, channel, 0..2).await;
    }
    assert!(receiver.events().iter().all(|event| event.channel != bad));
    let first = &receiver.deliveries()[0];
    assert_eq!(first.events.len(), 6, "they went together at first");
    server.finish().await;
}
