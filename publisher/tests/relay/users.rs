//! Calls that concern a user's connections.

use publisher::Event;

use crate::support::{client, relay};

#[tokio::test]
async fn a_user_is_sent_to_wherever_they_are_signed_in() {
    let server = relay().await;
    let user = "ann@example.com /ä";
    let channel = format!("#server-to-user-{user}");
    let (mut ann, mut too) = (server.connect().await, server.connect().await);
    for connection in [&mut ann, &mut too] {
        connection.sign_in(user).await;
        connection.subscribe(&channel).await;
    }
    let mut bob = server.connect().await;
    bob.sign_in("bob").await;
    bob.subscribe("#server-to-user-bob").await;
    client(&server)
        .send_to_user(user, &Event::text("e", "d"))
        .await
        .unwrap();
    for connection in [&mut ann, &mut too] {
        connection.expect_event_on(&channel, "e").await;
    }
    bob.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn a_users_connections_are_closed_or_made_to_come_back() {
    let server = relay().await;
    let client = client(&server);
    let user = "ann/ä b";
    for (code, close) in [(4009, true), (4200, false)] {
        let mut ann = server.connect().await;
        ann.sign_in(user).await;
        let mut bob = server.connect().await;
        bob.sign_in("bob").await;
        if close {
            client.terminate_connections(user).await.unwrap()
        } else {
            client.force_reconnect(user).await.unwrap()
        }
        ann.expect_close_code(code).await;
        bob.expect_nothing().await;
    }
    client.terminate_connections("nobody").await.unwrap();
    server.finish().await;
}
