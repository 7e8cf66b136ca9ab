//! What several topics share.

use protocol_tests::{App, PublishedEvent, Request, Response, TestServer, WsClient};
use serde_json::Value;

/// A signed publish of an event.
pub(crate) fn publish(app: &App, event: &PublishedEvent) -> Request {
    Request::post(app, "/events").json(event.body())
}

/// A signed publish of several events.
pub(crate) fn batch(app: &App, events: &[PublishedEvent]) -> Request {
    let events: Vec<&Value> = events.iter().map(PublishedEvent::body).collect();
    Request::post(app, "/batch_events").json(&serde_json::json!({"batch": events}))
}

/// Asserts that a request was refused with this status, and that the answer names what is wrong.
#[track_caller]
pub(crate) fn assert_refused(response: &Response, status: u16, names: &str) {
    let text = refusal_text(response);
    assert_eq!(response.status, status, "the answer was: {text}");
    assert!(text.contains(names), "{names:?} is not named: {text}");
}

/// What a refusal says: JSON's strings unpacked, or the text.
#[track_caller]
pub(crate) fn refusal_text(response: &Response) -> String {
    let kind = response.header("content-type").unwrap_or_default();
    if kind == "application/json" {
        let error = &response.json()["error"];
        let text = error.as_str();
        return text
            .unwrap_or_else(|| panic!("no error text: {}", response.text()))
            .to_owned();
    }
    assert!(kind.starts_with("text/plain"), "the answer is {kind:?}");
    response.text()
}

/// Asserts that a request to the first app is refused with this status and an answer that names what is wrong.
pub(crate) async fn expect_refused(
    server: &TestServer,
    request: &Request,
    status: u16,
    names: &str,
) {
    let response = server.request(request).await;
    let shown = String::from_utf8_lossy(&request.body);
    let shown: String = shown.chars().take(300).collect();
    eprintln!("{} {} {shown}", request.method, request.target(""));
    assert_refused(&response, status, names);
}

/// A client that is subscribed to a channel of its own, and that channel.
pub(crate) async fn subscriber(server: &TestServer, prefix: &str) -> (WsClient, String) {
    let channel = server.channel(prefix);
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    (client, channel)
}

/// One channel's attributes, as GET answers with them.
pub(crate) async fn query(server: &TestServer, channel: &str, info: &str) -> Value {
    let path = format!("/channels/{channel}");
    match info {
        "" => server.get(&path, &[]).await,
        info => server.get(&path, &[("info", info)]).await,
    }
}
