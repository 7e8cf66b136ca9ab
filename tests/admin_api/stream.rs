//! The live stream, for those who have a token and for browsers, which cannot show it there.

use protocol_tests::connection::Connection;
use protocol_tests::{
    App, AppConfig, PublishedEvent, Request, Response, TestServer, Upgrade, WebSocket, or_skip,
};
use serde_json::{Value, json};

use crate::support::{Admin, TOKEN, locked, start};

async fn open(server: &TestServer, upgrade: Upgrade) -> Result<WebSocket, Response> {
    let admin = &server.admin_endpoint().unwrap().authority;
    let connection = Connection::open(admin).await;
    WebSocket::open(connection, &upgrade.encode(admin, "")).await
}

async fn shows_what_passes(server: &TestServer, mut socket: WebSocket) {
    server
        .publish(PublishedEvent::new("news", "made", "data"))
        .await;
    let line = socket.read_text().await;
    assert!(
        line.contains("\"publish\"") && line.contains("made"),
        "{line}"
    );
}

#[tokio::test]
async fn opens_with_a_token_and_not_without() {
    let server = or_skip!(start().await);
    let refused = open(&server, Upgrade::new("/stream")).await.unwrap_err();
    assert_eq!(refused.status, 401);
    let in_query = Upgrade::new(&format!("/stream?token={TOKEN}"));
    assert_eq!(open(&server, in_query).await.unwrap_err().status, 401);
    let with_token = Upgrade::new("/stream").header("Authorization", &format!("Bearer {TOKEN}"));
    let socket = open(&server, with_token).await.unwrap();
    shows_what_passes(&server, socket).await;
    server.finish().await;
}

#[tokio::test]
async fn opens_for_whoever_offers_several_protocols_and_options() {
    let server = or_skip!(start().await);
    let upgrade = Upgrade::new("/stream").header("Authorization", &format!("Bearer {TOKEN}"));
    // Names in different letters are lines of their own.
    for upgrade in [
        upgrade
            .clone()
            .header("Upgrade", "h2c")
            .header("upgrade", "websocket"),
        upgrade
            .clone()
            .header("Upgrade", "h2c, foo")
            .header("upgrade", "bar, websocket"),
        upgrade
            .clone()
            .header("Connection", "keep-alive")
            .header("connection", "x, Upgrade"),
    ] {
        let socket = open(&server, upgrade).await;
        let socket = socket.unwrap_or_else(|response| panic!("{}", response.text()));
        shows_what_passes(&server, socket).await;
    }
    let foreign = upgrade.header("Upgrade", "h2c").header("upgrade", "foo");
    assert_eq!(open(&server, foreign).await.unwrap_err().status, 426);
    server.finish().await;
}

#[tokio::test]
async fn opens_once_with_a_ticket() {
    let server = or_skip!(start().await);
    let mut admin = Admin::of(&server);
    let made = admin.send(Request::new("POST", "/api/tickets")).await;
    let made = made.expect_status(201).json();
    let offered = format!(
        "fanfare.stream, ticket.{}",
        made["ticket"].as_str().unwrap()
    );
    assert!(made["expires_in"].as_u64().unwrap() >= 10);
    let admin = server.admin_endpoint().unwrap().authority.clone();
    // As a page of the listener itself does.
    let upgrade = Upgrade::new("/stream?channel=n*")
        .header("Origin", &format!("http://{admin}"))
        .header("Sec-Fetch-Site", "same-origin")
        .header("Sec-WebSocket-Protocol", &offered);
    let socket = open(&server, upgrade.clone()).await.unwrap();
    let chosen = socket.response.header("sec-websocket-protocol");
    assert_eq!(chosen, Some("fanfare.stream"));
    shows_what_passes(&server, socket).await;
    assert_eq!(open(&server, upgrade).await.unwrap_err().status, 401);
    server.finish().await;
}

/// The stream with a filter, for one who has the token.
async fn watch(server: &TestServer, filter: &str) -> WebSocket {
    let upgrade = Upgrade::new(&format!("/stream?{filter}"));
    let upgrade = upgrade.header("Authorization", &format!("Bearer {TOKEN}"));
    open(server, upgrade).await.unwrap()
}

async fn next(socket: &mut WebSocket) -> Value {
    serde_json::from_str(&socket.read_text().await).unwrap()
}

#[tokio::test]
async fn shows_publishes_that_are_refused_at_the_channels_that_they_name() {
    let app = AppConfig::new("1")
        .limit("event_data_bytes", 100)
        .limit("http_body_bytes", 30_000);
    let server = or_skip!(locked().app(app).start().await);
    let mut socket = watch(&server, "channel=orders").await;
    let app = server.app().clone();
    let stranger = App {
        secret: "wrong".to_owned(),
        ..app.clone()
    };
    let event =
        |bytes: usize| json!({ "name": "made", "channel": "orders", "data": "x".repeat(bytes) });
    let batch = json!({ "batch": [event(1), event(1000)] });
    for (app, path, body, status) in [
        (&stranger, "/events", event(1), 401),
        // Read, and not read.
        (&app, "/events", event(1000), 413),
        (&app, "/events", event(40_000), 413),
        (&app, "/batch_events", batch, 413),
    ] {
        let request = Request::post(app, path).json(&body);
        server.http().send(&request).await.expect_status(status);
        let line = next(&mut socket).await;
        assert_eq!(line["type"], "error", "{line}");
        assert_eq!(line["code"], status, "{line}");
        assert_eq!(line["channel"], "orders", "{line}");
        assert_eq!(line["app"], "1", "{line}");
    }
    server.finish().await;
}

#[tokio::test]
async fn shows_who_signs_in() {
    let server = or_skip!(start().await);
    let mut socket = watch(&server, "").await;
    let mut client = server.connect().await;
    client.sign_in("ada").await;
    let line = loop {
        let line = next(&mut socket).await;
        if line["type"] != "connect" {
            break line;
        }
    };
    assert_eq!(line["type"], "sign_in", "{line}");
    assert_eq!(line["user_id"], "ada", "{line}");
    assert_eq!(line["socket_id"], *client.socket_id, "{line}");
    drop(client);
    server.finish().await;
}
