//! What people who watch see.

use protocol_tests::{Connection, RedisServer, Upgrade, WebSocket, or_skip};
use serde_json::{Value, json};

use crate::support::{LaravelEvent, relay};

#[tokio::test]
async fn laravel_s_events_are_seen_as_publishes_though_nobody_listens_to_them() {
    let redis = RedisServer::start().await;
    let server = or_skip!(relay(&redis).await);
    let admin = &server.admin_endpoint().unwrap().authority;
    let connection = Connection::open(admin).await;
    let stream = Upgrade::new("/stream").encode(admin, "");
    let mut watcher = WebSocket::open(connection, &stream).await.unwrap();
    let channel = server.channel("orders.");
    let event = LaravelEvent::new("e", &[("public", &channel)], json!({"a": 1}));
    event.broadcast(&redis).await;
    let seen: Value = serde_json::from_str(&watcher.read_text().await).unwrap();
    assert_eq!(seen["type"], "publish", "{seen}");
    assert_eq!(seen["app"], server.app().id);
    assert_eq!(seen["channel"], channel);
    assert_eq!(seen["event"], "e");
    drop(watcher);
    server.finish().await;
}
