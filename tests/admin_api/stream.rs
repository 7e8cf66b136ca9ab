//! The live stream, for those who have a token and for browsers, which cannot show it there.

use protocol_tests::connection::Connection;
use protocol_tests::{PublishedEvent, Request, Response, TestServer, Upgrade, WebSocket, or_skip};

use crate::support::{Admin, TOKEN, start};

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
