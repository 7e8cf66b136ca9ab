//! Events reach subscribers.

use protocol_tests::{TestServer, or_skip};
use publisher::{Batch, Channel, Client, Config, Error, Event, Info};
use serde_json::json;

use crate::support::{at, channel, client, config, relay, socket_id};

#[tokio::test]
async fn an_event_reaches_the_subscribers_of_its_channels_but_not_its_sender() {
    let server = relay().await;
    let channels = [channel(&server, "news-"), channel(&server, "private-news-")];
    let mut sender = server.connect().await;
    let mut other = server.connect().await;
    for client in [&mut sender, &mut other] {
        client.subscribe(channels[0].name()).await;
    }
    other.subscribe(channels[1].name()).await;
    let event = Event::new("greeting", &json!({"text": "grüße / 世界"}))
        .unwrap()
        .to_others(Some(socket_id(&sender.socket_id)))
        .info(&[Info::SubscriptionCount]);
    let known = client(&server).trigger(&channels, &event).await.unwrap();
    assert_eq!(known[channels[0].name()].subscription_count, Some(2));
    assert_eq!(known[channels[1].name()].subscription_count, Some(1));
    for channel in &channels {
        let event = other.expect_event_on(channel.name(), "greeting").await;
        assert_eq!(event.data_text(), r#"{"text":"grüße / 世界"}"#);
    }
    sender.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn an_event_can_go_to_more_channels_than_a_request_may_name() {
    let server = relay().await;
    let channels: Vec<_> = (0..150).map(|_| channel(&server, "many-")).collect();
    let mut subscriber = server.connect().await;
    for channel in [&channels[0], &channels[99], &channels[100], &channels[149]] {
        subscriber.subscribe(channel.name()).await;
    }
    let event = Event::text("e", "d").idempotency_key("once");
    let client = client(&server);
    client.trigger(&channels, &event).await.unwrap();
    // Nothing of it comes twice.
    client.trigger(&channels, &event).await.unwrap();
    for channel in [&channels[0], &channels[99], &channels[100], &channels[149]] {
        subscriber.expect_event_on(channel.name(), "e").await;
    }
    subscriber.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn a_batch_comes_in_order_and_once() {
    let server = relay().await;
    let channel = channel(&server, "batch-");
    let mut subscriber = server.connect().await;
    subscriber.subscribe(channel.name()).await;
    let mut batch = Batch::new().idempotency_key("batch");
    for number in 0..25 {
        let event = Event::text("number", number.to_string()).info(&[Info::SubscriptionCount]);
        batch = batch.event(channel.clone(), event);
    }
    let client = client(&server);
    let known = client.trigger_batch(&batch).await.unwrap();
    assert_eq!(known.len(), 25);
    assert!(known.iter().all(|info| info.subscription_count == Some(1)));
    assert_eq!(client.trigger_batch(&batch).await.unwrap(), known);
    for number in 0..25 {
        let event = subscriber.expect_event("number").await;
        assert_eq!(event.data_text(), number.to_string());
    }
    subscriber.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn refusals_of_the_relay_name_what_to_do() {
    let server = relay().await;
    let app = server.app().clone();
    let channels = [Channel::public("c")];
    let event = Event::text("e", "");

    let long = Event::text("e", "x".repeat(10_241));
    let error = client(&server).trigger(&channels, &long).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");

    let stranger = at(&server, Config::new(&app.id, &app.key, "wrong"));
    let error = Client::new(stranger)
        .unwrap()
        .trigger(&channels, &event)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unauthorized { .. }), "{error}");
    assert!(error.can_retry());

    let nowhere = at(&server, Config::new("no-such-app", &app.key, &app.secret));
    let error = Client::new(nowhere)
        .unwrap()
        .trigger(&channels, &event)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Rejected {
                status: Some(404),
                ..
            }
        ),
        "{error}"
    );
    assert!(!error.can_retry());

    // Longer than the app allows, though not than the protocol.
    let long_name = [Channel::public("c".repeat(190))];
    let error = client(&server)
        .trigger(&long_name, &event)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Rejected {
                status: Some(400),
                ..
            }
        ),
        "{error}"
    );
    server.finish().await;
}

#[tokio::test]
async fn a_relay_behind_a_path_is_reached() {
    let builder = TestServer::builder().set("server.path_prefix", "/relay");
    let server = or_skip!(builder.start().await);
    let client = Client::new(config(&server).path("relay")).unwrap();
    client
        .trigger(&[channel(&server, "news-")], &Event::text("e", ""))
        .await
        .unwrap();
    server.finish().await;
}
