//! Encrypted channels: to the server their payload is opaque.

use protocol_tests::{PublishedEvent, TestServer};
use serde_json::json;

const KINDS: [&str; 2] = ["private-encrypted-", "private-encrypted-cache-"];

#[tokio::test]
async fn payload_is_passed_on_byte_for_byte() {
    let server = TestServer::start().await;
    for prefix in KINDS {
        let channel = server.channel(prefix);
        let mut client = server.connect().await;
        client.subscribe(&channel).await;
        client.ping_fence().await;
        let data =
            r#"{"nonce":"vG5nJ1bmO/6wrTZqSmxQnkrVwFT2cS+7","ciphertext":"6zZ5 not=even Base64"}"#;
        server
            .publish(PublishedEvent::new(&channel, "secret", data))
            .await;
        assert_eq!(
            client.expect_event_on(&channel, "secret").await.data_text(),
            data
        );
    }
    server.finish().await;
}

#[tokio::test]
async fn client_events_are_refused_with_4301() {
    let server = TestServer::start().await;
    for prefix in KINDS {
        let channel = server.channel(prefix);
        let mut sender = server.connect().await;
        let mut receiver = server.connect().await;
        for client in [&mut sender, &mut receiver] {
            client.subscribe(&channel).await;
            client.ping_fence().await;
        }
        sender
            .send_client_event(&channel, "client-x", json!({"nonce": "", "ciphertext": ""}))
            .await;
        sender.expect_error(Some(4301)).await;
        receiver.expect_nothing().await;
    }
    server.finish().await;
}
