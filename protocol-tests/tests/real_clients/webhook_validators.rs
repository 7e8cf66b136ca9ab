//! Webhooks, as the server libraries check them.

use protocol_tests::client::channel_data;
use protocol_tests::receiver::Delivery;
use protocol_tests::{AppConfig, Receiver, TestServer, WebhookConfig};
use pusher::PusherBuilder;
use serde_json::{Value, json};

use crate::library::Library;

const TEXT_EVENTS: [&str; 6] = [
    "channel_occupied",
    "channel_vacated",
    "member_added",
    "member_removed",
    "client_event",
    "cache_miss",
];
const ALL_EVENTS: [&str; 7] = [
    "channel_occupied",
    "channel_vacated",
    "member_added",
    "member_removed",
    "client_event",
    "cache_miss",
    "subscription_count",
];

/// What a relay posts of these events, of which each happens at least once; some in batches.
async fn deliveries(events: &[&str]) -> (TestServer, Vec<Delivery>) {
    let app = AppConfig::new("10001");
    let mut receiver = Receiver::start(&[&app.app()]).await;
    let app = app
        .set("subscription_count", true)
        .webhook(receiver.webhook(events))
        .webhook(WebhookConfig::new(&receiver.url("/batches"), events).set("batch", true));
    let builder = TestServer::builder()
        .app(app)
        .set("webhooks.leave_delay_ms", 100);
    let server = builder.start().await.expect("validators need a relay");
    let room = server.channel("presence-cache-");
    let mut client = server.connect().await;
    let user = channel_data("ünï \"1\" / ☕", json!({}));
    client.send_signed_subscribe(&room, Some(&user)).await;
    client.expect_subscribed(&room).await;
    client.expect_event("pusher:cache_miss").await;
    for data in [
        json!({"text": "naïve ☕ 𝄞 </script>", "n": 1.5}),
        json!("a text"),
        json!(null),
    ] {
        client.send_client_event(&room, "client-typing", data).await;
    }
    client.subscribe(&server.channel("private-")).await;
    drop(client);
    // Twice: once by each webhook.
    let mut left = 4;
    while left > 0 {
        let event = receiver.next_event().await;
        left -= usize::from(event.name == "channel_vacated");
    }
    let deliveries = receiver.deliveries();
    for name in events {
        let mut all = deliveries.iter().flat_map(|delivery| &delivery.events);
        assert!(all.any(|event| event.name == *name), "{name} never came");
    }
    (server, deliveries)
}

fn text(body: &[u8]) -> &str {
    std::str::from_utf8(body).expect("a webhook is UTF-8")
}

fn json_of(delivery: &Delivery) -> Value {
    serde_json::from_slice(&delivery.body).expect("a webhook is JSON")
}

/// Key, signature and body, as validators take them; and the same with another body.
fn arguments(delivery: &Delivery) -> [Value; 2] {
    let header = |name| delivery.header(name).expect("every webhook is signed");
    let (key, signature) = (header("x-pusher-key"), header("x-pusher-signature"));
    let body = text(&delivery.body);
    let altered = body.replacen(r#""name":"#, r#""name" :"#, 1);
    [body, &altered].map(|body| json!([key, signature, body]))
}

async fn validated_by(mut library: Library, method: &str, deliveries: &[Delivery]) {
    for delivery in deliveries {
        let [whole, altered] = arguments(delivery);
        assert_eq!(library.call(method, whole).await, json_of(delivery));
        assert_eq!(library.call(method, altered).await, json!(null));
    }
    library.finish().await;
}

#[tokio::test]
async fn node_accepts_every_webhook() {
    let (server, deliveries) = deliveries(&ALL_EVENTS).await;
    let mut library = Library::node(&server);
    for delivery in &deliveries {
        let headers: Value = delivery
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let request = json!([{"headers": headers, "rawBody": text(&delivery.body)}]);
        let validated = library.call("webhook", request).await;
        let sent = json_of(delivery);
        assert_eq!(
            validated,
            json!({"valid": true, "events": sent["events"], "time_ms": sent["time_ms"]})
        );
        let altered =
            json!([{"headers": headers, "rawBody": format!("{} ", text(&delivery.body))}]);
        assert_eq!(library.call("webhook", altered).await["valid"], false);
    }
    library.finish().await;
    server.finish().await;
}

#[tokio::test]
async fn python_accepts_every_webhook() {
    let (server, deliveries) = deliveries(&ALL_EVENTS).await;
    let library = Library::python(&server).expect("the app's id is a number");
    validated_by(library, "validate_webhook", &deliveries).await;
    server.finish().await;
}

#[tokio::test]
async fn php_accepts_every_webhook() {
    let (server, deliveries) = deliveries(&ALL_EVENTS).await;
    validated_by(Library::php(&server), "webhook", &deliveries).await;
    server.finish().await;
}

/// The crate knows no values but texts.
#[tokio::test]
async fn rust_accepts_every_webhook_of_texts() {
    let (server, deliveries) = deliveries(&TEXT_EVENTS).await;
    let app = server.app();
    let library = PusherBuilder::new(&app.id, &app.key, &app.secret).finalize();
    for delivery in &deliveries {
        let [whole, altered] = arguments(delivery).map(|arguments| {
            let text = |index: usize| arguments[index].as_str().expect("a text").to_owned();
            [text(0), text(1), text(2)]
        });
        let [key, signature, body] = &whole;
        let webhook = library.webhook(key, signature, body).expect("it is valid");
        let sent = json_of(delivery);
        assert_eq!(json!(webhook.events), sent["events"]);
        assert_eq!(json!(webhook.time_ms), sent["time_ms"]);
        let [key, signature, body] = &altered;
        assert!(library.webhook(key, signature, body).is_err());
    }
    server.finish().await;
}
