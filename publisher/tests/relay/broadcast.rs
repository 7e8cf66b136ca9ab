//! The driver `pusher`, as the environment of a Laravel application sets it up.

use std::borrow::Cow;
use std::collections::HashMap;

use publisher::{Broadcast, BroadcastEvent, Channel, Connection, Error};
use serde::Serialize;

use crate::support::{channel, host_and_port, relay, socket_id};

#[derive(Serialize)]
struct MessageSent {
    id: u64,
    #[serde(skip)]
    channels: Vec<Channel>,
}

impl BroadcastEvent for MessageSent {
    fn broadcast_as(&self) -> Cow<'_, str> {
        "message.sent".into()
    }

    fn broadcast_on(&self) -> Vec<Channel> {
        self.channels.clone()
    }

    fn broadcast_with(&self) -> impl Serialize {
        self
    }
}

#[tokio::test]
async fn an_event_is_broadcast_to_others_once() {
    let server = relay().await;
    let app = server.app();
    let (host, port) = host_and_port(&server.endpoint().authority);
    let environment = [
        ("BROADCAST_CONNECTION", "pusher"),
        ("PUSHER_APP_ID", &app.id),
        ("PUSHER_APP_KEY", &app.key),
        ("PUSHER_APP_SECRET", &app.secret),
        ("PUSHER_HOST", &host),
        ("PUSHER_PORT", &port.to_string()),
        ("PUSHER_SCHEME", "http"),
        ("PUSHER_APP_CLUSTER", "mt1"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let broadcaster = Connection::from_env(&HashMap::from(environment)).unwrap();
    let broadcaster = broadcaster.broadcaster().unwrap();
    assert_eq!(broadcaster.name(), "pusher");

    let channels = vec![
        channel(&server, "private-conversation."),
        channel(&server, "private-department."),
    ];
    let (mut sender, mut other) = (server.connect().await, server.connect().await);
    for channel in &channels {
        sender.subscribe(channel.name()).await;
        other.subscribe(channel.name()).await;
    }
    let event = MessageSent { id: 7, channels };
    let broadcast = Broadcast::of(&event)
        .unwrap()
        .to_others(Some(socket_id(&sender.socket_id)))
        .idempotency_id("message-7");
    for _ in 0..2 {
        broadcaster.broadcast(&broadcast).await.unwrap();
    }
    for channel in &event.channels {
        let event = other.expect_event_on(channel.name(), "message.sent").await;
        assert_eq!(event.data_text(), r#"{"id":7}"#);
    }
    other.expect_nothing().await;
    sender.expect_nothing().await;

    let nowhere = MessageSent {
        id: 8,
        channels: vec![],
    };
    broadcaster
        .broadcast(&Broadcast::of(&nowhere).unwrap())
        .await
        .unwrap();
    let wrong = MessageSent {
        id: 9,
        channels: vec![Channel::public("a b")],
    };
    let error = broadcaster
        .broadcast(&Broadcast::of(&wrong).unwrap())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Invalid(_)), "{error}");
    server.finish().await;
}
