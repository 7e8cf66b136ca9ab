//! What the relay posts is verified and understood.

use protocol_tests::receiver::Delivery;
use protocol_tests::{AppConfig, Receiver, TestServer, eventually, or_skip};
use publisher::{Webhook, WebhookError, WebhookEvent, WebhookVerifier};
use serde_json::json;

use crate::support::pair;

const ALL: [&str; 7] = [
    "channel_occupied",
    "channel_vacated",
    "member_added",
    "member_removed",
    "client_event",
    "cache_miss",
    "subscription_count",
];

fn verify(verifier: &WebhookVerifier, delivery: &Delivery) -> Result<Webhook, WebhookError> {
    // As frameworks do, whatever the case of the name.
    verifier.verify(|name| delivery.header(&name.to_lowercase()), &delivery.body)
}

fn name(event: &WebhookEvent) -> &'static str {
    match event {
        WebhookEvent::ChannelOccupied { .. } => "channel_occupied",
        WebhookEvent::ChannelVacated { .. } => "channel_vacated",
        WebhookEvent::MemberAdded { .. } => "member_added",
        WebhookEvent::MemberRemoved { .. } => "member_removed",
        WebhookEvent::ClientEvent { .. } => "client_event",
        WebhookEvent::CacheMiss { .. } => "cache_miss",
        WebhookEvent::SubscriptionCount { .. } => "subscription_count",
        other => panic!("{other:?}"),
    }
}

/// Has something happen of every kind.
async fn cause_all(server: &TestServer) {
    let presence = server.channel("presence-");
    let mut ann = server.connect().await;
    ann.subscribe_presence(&presence, "ann", json!({})).await;
    ann.send_client_event(&presence, "client-typing", json!({"on": true}))
        .await;
    let cache = server.channel("cache-");
    ann.send_subscribe(&cache, None, None).await;
    ann.unsubscribe(&presence).await;
    ann.unsubscribe(&cache).await;
    ann.ping_fence().await;
}

#[tokio::test]
async fn events_of_every_kind_are_verified_and_understood() {
    let app = AppConfig::new("10001").set("subscription_count", true);
    let receiver = Receiver::start(&[&app.app()]).await;
    let builder = TestServer::builder()
        .app(app.webhook(receiver.webhook(&ALL)))
        .set("webhooks.leave_delay_ms", 50);
    let server = or_skip!(builder.start().await);
    cause_all(&server).await;

    let verifier = WebhookVerifier::new([pair(server.app())]);
    let webhooks = eventually("an event of every kind", || async {
        let webhooks = receiver
            .deliveries()
            .iter()
            .map(|delivery| verify(&verifier, delivery).unwrap())
            .collect::<Vec<_>>();
        let seen = |kind: &&str| {
            webhooks
                .iter()
                .flat_map(|webhook| &webhook.events)
                .any(|event| name(event) == *kind)
        };
        ALL.iter().all(seen).then_some(webhooks)
    })
    .await;
    for (webhook, delivery) in webhooks.iter().zip(receiver.deliveries()) {
        assert_eq!(webhook.time_ms, delivery.time_ms);
        assert_eq!(webhook.event_ids, delivery.ids());
        assert_eq!(webhook.event_ids.len(), webhook.events.len());
    }
    let typing = webhooks
        .iter()
        .flat_map(|webhook| &webhook.events)
        .find_map(|event| match event {
            WebhookEvent::ClientEvent {
                event,
                data,
                user_id,
                ..
            } => Some((event.clone(), data.clone(), user_id.clone())),
            _ => None,
        });
    let typing = typing.unwrap();
    assert_eq!(
        typing,
        (
            "client-typing".into(),
            Some(r#"{"on":true}"#.into()),
            Some("ann".into())
        )
    );
    server.finish().await;
}

#[tokio::test]
async fn a_webhook_of_another_app_or_with_another_body_is_refused() {
    let app = AppConfig::new("10001");
    let mut receiver = Receiver::start(&[&app.app()]).await;
    let builder = TestServer::builder().app(app.webhook(receiver.webhook(&ALL)));
    let server = or_skip!(builder.start().await);
    let channel = server.channel("news-");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    receiver.next_event_on(&channel).await;
    let mut delivery = receiver.deliveries().remove(0);

    let other = server.app().with_pair("other", &server.app().secret);
    let strangers = WebhookVerifier::new([pair(&other)]);
    assert_eq!(verify(&strangers, &delivery), Err(WebhookError::UnknownKey));
    let rotated = WebhookVerifier::new([pair(&other), pair(server.app())]);
    assert!(verify(&rotated, &delivery).is_ok());
    delivery.body.push(b' ');
    assert_eq!(verify(&rotated, &delivery), Err(WebhookError::BadSignature));
    server.finish().await;
}
