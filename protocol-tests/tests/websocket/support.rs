//! What several topics share.

use protocol_tests::{App, Event, PublishedEvent, TestServer, Upgrade, WsClient};
use serde_json::json;

/// An upgrade of an app's path with this query.
pub(crate) fn upgrade(app: &App, query: &str) -> Upgrade {
    Upgrade::new(&format!("/app/{}?{query}", app.key))
}

/// Asserts that a client is still served: it can subscribe and receives what is published.
pub(crate) async fn assert_served(server: &TestServer, client: &mut WsClient) {
    let channel = server.channel("served-");
    client.subscribe(&channel).await;
    server
        .publish_to(
            &client.app,
            PublishedEvent::new(&channel, "still-here", "yes"),
        )
        .await;
    let event = client.expect_event_on(&channel, "still-here").await;
    assert_eq!(event.data_text(), "yes");
    client.unsubscribe(&channel).await;
}

/// Asserts that a message has exactly these members, in any order.
pub(crate) fn assert_members(event: &Event, expected: &[&str]) {
    let message = event
        .message
        .as_object()
        .expect("Event::parse takes objects only");
    let mut members: Vec<&str> = message.keys().map(String::as_str).collect();
    members.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(members, expected, "{}", event.text);
}

/// Sends client events of consecutive numbers, `from` until `to`.
pub(crate) async fn send_numbered(
    client: &mut WsClient,
    channel: &str,
    numbers: std::ops::Range<u64>,
) {
    for number in numbers {
        client
            .send_client_event(channel, "client-number", json!(number))
            .await;
    }
}
