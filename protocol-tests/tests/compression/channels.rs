//! Channels of every kind, with subscribers of which some take events compressed.

use protocol_tests::{PublishedEvent, TestServer, WsClient};
use serde_json::json;

use crate::support::{compressed, connect, text};

async fn expect(clients: &mut [WsClient], channel: &str, name: &str, data: &str) {
    for client in clients {
        let event = client.expect_event_on(channel, name).await;
        assert_eq!(event.data_text(), data);
    }
}

#[tokio::test]
async fn events_of_every_kind_of_channel_are_compressed() {
    let server = TestServer::start().await;
    let mut clients = [connect(&server).await, server.connect().await];
    let prefixes = [
        "public-",
        "private-",
        "private-encrypted-",
        "cache-",
        "private-cache-",
    ];
    for (number, prefix) in prefixes.into_iter().enumerate() {
        let channel = server.channel(prefix);
        for client in &mut clients {
            client.send_signed_or_plain(&channel).await;
        }
        let data = text(2000, number);
        let event = PublishedEvent::new(&channel, "event", data.as_str());
        server.publish(event).await;
        expect(&mut clients, &channel, "event", &data).await;
        if prefix.contains("cache") {
            // The last event is sent as it is to whoever comes later.
            let mut late = connect(&server).await;
            late.send_signed_or_plain_and_expect(&channel).await;
            let event = late.expect_event_on(&channel, "event").await;
            assert_eq!(event.data_text(), data);
        }
    }
    assert_eq!(clients[0].socket.inflated, prefixes.len());
    assert_eq!(clients[1].socket.inflated, 0);
    assert_eq!(compressed(&server).await, prefixes.len() as f64);
    server.finish().await;
}

/// Subscriptions to any of these kinds of channels.
trait Subscribes {
    async fn send_signed_or_plain(&mut self, channel: &str);
    async fn send_signed_or_plain_and_expect(&mut self, channel: &str);
}

impl Subscribes for WsClient {
    /// Subscribes, and takes what comes before events, which on an empty cache channel is that there is none.
    async fn send_signed_or_plain(&mut self, channel: &str) {
        self.send_signed_or_plain_and_expect(channel).await;
        if channel.contains("cache-") {
            self.expect_event_on(channel, "pusher:cache_miss").await;
        }
    }

    async fn send_signed_or_plain_and_expect(&mut self, channel: &str) {
        if channel.starts_with("private-") {
            self.send_signed_subscribe(channel, None).await;
        } else {
            self.send_subscribe(channel, None, None).await;
        }
        self.expect_subscribed(channel).await;
    }
}

#[tokio::test]
async fn members_come_and_go_and_large_ones_are_announced_compressed() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut clients = [connect(&server).await, server.connect().await];
    for (number, client) in clients.iter_mut().enumerate() {
        client
            .subscribe_presence(&channel, &format!("observer-{number}"), json!({}))
            .await;
    }
    clients[0]
        .expect_event("pusher_internal:member_added")
        .await;
    let info = json!({"name": text(900, 1)});
    let mut member = connect(&server).await;
    let roster = member
        .subscribe_presence(&channel, "large", info.clone())
        .await;
    assert_eq!(roster.count, 3);
    for client in &mut clients {
        let added = client.expect_event("pusher_internal:member_added").await;
        assert_eq!(added.data_json()["user_info"], info);
    }
    assert_eq!(
        (clients[0].socket.inflated, clients[1].socket.inflated),
        (1, 0)
    );
    let mut later = connect(&server).await;
    let roster = later.subscribe_presence(&channel, "later", json!({})).await;
    assert_eq!(roster.hash["large"], info);
    server.finish().await;
}

#[tokio::test]
async fn client_events_are_compressed_for_others_and_not_sent_back() {
    let server = TestServer::start().await;
    let channel = server.channel("private-");
    let mut clients = [
        connect(&server).await,
        server.connect().await,
        connect(&server).await,
    ];
    for client in &mut clients {
        client.subscribe(&channel).await;
    }
    for (sender, number) in [(0, 1), (1, 2), (2, 3), (0, 4)] {
        let data = text(2000, number);
        clients[sender]
            .send_client_event(&channel, "client-event", json!(data))
            .await;
        for (other, client) in clients.iter_mut().enumerate() {
            if other != sender {
                let event = client.expect_event_on(&channel, "client-event").await;
                assert_eq!(event.data_text(), data);
            }
        }
        clients[sender].expect_nothing().await;
    }
    assert_eq!(
        clients.each_ref().map(|client| client.socket.inflated),
        [2, 0, 3]
    );
    assert_eq!(compressed(&server).await, 4.0);
    server.finish().await;
}

#[tokio::test]
async fn events_to_a_user_are_compressed() {
    let server = TestServer::start().await;
    let mut clients = [connect(&server).await, server.connect().await];
    let user = protocol_tests::names::unique("user-");
    let channel = format!("#server-to-user-{user}");
    for client in &mut clients {
        client.sign_in(&user).await;
        client.subscribe(&channel).await;
    }
    let data = text(2000, 1);
    let event = PublishedEvent::new(&channel, "event", data.as_str());
    server.publish(event).await;
    expect(&mut clients, &channel, "event", &data).await;
    assert_eq!(
        (clients[0].socket.inflated, clients[1].socket.inflated),
        (1, 0)
    );
    server.finish().await;
}
