//! Webhooks that come, change and go.

use protocol_tests::{Answer, Receiver, TestServer, eventually, or_skip};
use serde_json::json;

use crate::support::{first, subscriber, wait_for};

const OCCUPANCY: [&str; 2] = ["channel_occupied", "channel_vacated"];

#[tokio::test]
async fn a_webhook_that_is_added_gets_what_happens_from_then_on() {
    let app = first().app();
    let mut receiver = Receiver::start(&[&app]).await;
    let server = or_skip!(TestServer::builder().app(first()).start().await);
    let (before, after) = (server.channel("a-"), server.channel("b-"));
    let _early = subscriber(&server, &app, &before).await;
    server
        .serve_apps(&[first().webhook(receiver.webhook(&OCCUPANCY))])
        .await;
    let late = subscriber(&server, &app, &after).await;
    receiver
        .expect_event(json!({"name": "channel_occupied", "channel": after}))
        .await;
    drop(late);
    receiver
        .expect_event(json!({"name": "channel_vacated", "channel": after}))
        .await;
    receiver.expect_nothing_more();
    server.finish().await;
}

#[tokio::test]
async fn what_waits_for_a_webhook_is_sent_as_it_is_configured_by_then() {
    let app = first().app();
    let newer = app.with_pair("newer-key", "newer-secret");
    let mut receiver = Receiver::start(&[&newer]).await;
    receiver.refuse_connections().await;
    let webhook = || receiver.webhook(&OCCUPANCY);
    let server = or_skip!(
        TestServer::builder()
            .app(first().webhook(webhook()))
            .start()
            .await
    );
    let channel = server.channel("a-");
    let _client = subscriber(&server, &app, &channel).await;
    wait_for(&server, "fanfare_webhook_events_waiting", &app, 1.0).await;
    let rotated = first()
        .set("key", "newer-key")
        .set("secret", "newer-secret")
        .extra_key(&app.key, &app.secret)
        .webhook(webhook().set("headers.X-Env", "changed"));
    server.serve_apps(&[rotated]).await;
    receiver.accept_connections();
    receiver
        .expect_event(json!({"name": "channel_occupied", "channel": channel}))
        .await;
    let delivery = receiver.deliveries().pop().unwrap();
    assert_eq!(delivery.header("x-env"), Some("changed"));
    assert_eq!(delivery.header("x-pusher-key"), Some("newer-key"));
    server.finish().await;
}

#[tokio::test]
async fn what_waits_for_a_webhook_that_is_removed_is_dropped_and_counted() {
    let app = first().app();
    let mut gone = Receiver::start(&[&app]).await;
    let mut kept = Receiver::start(&[&app]).await;
    gone.refuse_connections().await;
    let config = first().webhook(gone.webhook(&OCCUPANCY));
    let config = config.webhook(kept.webhook(&OCCUPANCY));
    let server = or_skip!(TestServer::builder().app(config).start().await);
    let channel = server.channel("a-");
    let client = subscriber(&server, &app, &channel).await;
    let occupied = json!({"name": "channel_occupied", "channel": channel});
    kept.expect_event(occupied).await;
    wait_for(&server, "fanfare_webhook_events_waiting", &app, 1.0).await;
    server
        .serve_apps(&[first().webhook(kept.webhook(&OCCUPANCY))])
        .await;
    wait_for(&server, "fanfare_webhook_events_waiting", &app, 0.0).await;
    eventually("the event to be counted as dropped", || async {
        let labels = [("reason", "removed"), ("app", app.id.as_str())];
        let metrics = server.metrics().await;
        let dropped = metrics.sum("fanfare_webhook_events_dropped_total", &labels);
        (dropped == 1.0).then_some(())
    })
    .await;
    drop(client);
    kept.expect_event(json!({"name": "channel_vacated", "channel": channel}))
        .await;
    gone.accept_connections();
    server.finish().await;
    gone.expect_nothing_more();
}

#[tokio::test]
async fn a_request_that_is_on_its_way_comes_to_its_end() {
    let app = first().app();
    let mut receiver = Receiver::start(&[&app]).await;
    receiver.script(|_| Answer::OK);
    let config = first().webhook(receiver.webhook(&OCCUPANCY));
    let server = or_skip!(TestServer::builder().app(config).start().await);
    let channel = server.channel("a-");
    let _client = subscriber(&server, &app, &channel).await;
    receiver
        .expect_event(json!({"name": "channel_occupied", "channel": channel}))
        .await;
    wait_for(&server, "fanfare_webhook_events_sent_total", &app, 1.0).await;
    server.serve_apps(&[first()]).await;
    wait_for(&server, "fanfare_webhook_events_waiting", &app, 0.0).await;
    server.finish().await;
}
