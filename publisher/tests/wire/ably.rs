//! The driver `ably`, against what Ably's REST API asks for.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use publisher::{
    AblyBroadcaster, AblyConfig, Broadcast, Broadcaster, Channel, Connection, Error, Retry,
    SocketId,
};
use serde_json::{Value, json};

use crate::server::{Answer, Server};

fn broadcaster(server: &Server) -> AblyBroadcaster {
    let retry = Retry::default().first_delay(Duration::from_millis(2));
    let config = AblyConfig::new("app.name:secret")
        .endpoint(server.url())
        .retry(retry);
    AblyBroadcaster::new(config).unwrap()
}

fn broadcast(channels: impl Into<Vec<Channel>>) -> Broadcast {
    Broadcast::new("message.sent", channels, &json!({"id": 7, "text": "a/b"})).unwrap()
}

#[tokio::test]
async fn a_message_goes_to_each_channel() {
    let server = Server::answering([Answer::Reply(201, "", "{}".into())]).await;
    let channels = [
        Channel::private("conversation.1"),
        Channel::presence("room"),
        Channel::public("news"),
    ];
    let broadcast = broadcast(channels)
        .to_others(Some(SocketId::parse("1.2").unwrap()))
        .idempotency_id("event-7");
    broadcaster(&server).broadcast(&broadcast).await.unwrap();

    let received = server.received();
    let paths: Vec<_> = received
        .iter()
        .map(|request| request.path.as_str())
        .collect();
    assert_eq!(
        paths,
        [
            "/channels/private%3Aconversation%2E1/messages",
            "/channels/presence%3Aroom/messages",
            "/channels/public%3Anews/messages",
        ]
    );
    let credentials = base64::engine::general_purpose::STANDARD.encode("app.name:secret");
    for request in received {
        assert_eq!(request.method, "POST");
        assert_eq!(
            request.header("authorization"),
            Some(&*format!("Basic {credentials}"))
        );
        assert_eq!(request.header("content-type"), Some("application/json"));
        let mut message = request.json();
        let data: Value = serde_json::from_str(message["data"].take().as_str().unwrap()).unwrap();
        // As Laravel hands it on: the socket is part of the payload.
        assert_eq!(data, json!({"id": 7, "text": "a/b", "socket": "1.2"}));
        assert_eq!(
            message,
            json!({"name": "message.sent", "data": null, "encoding": "json", "connectionKey": "1.2", "id": "event-7"})
        );
    }
}

#[tokio::test]
async fn a_message_to_all_has_no_connection_and_an_id_for_its_retries() {
    let server =
        Server::answering([Answer::status(503), Answer::Reply(201, "", String::new())]).await;
    broadcaster(&server)
        .broadcast(&broadcast([Channel::public("c")]))
        .await
        .unwrap();
    let messages: Vec<_> = server
        .received()
        .iter()
        .map(|request| request.json())
        .collect();
    assert_eq!(messages.len(), 2);
    assert_eq!(messages[0], messages[1]);
    assert_eq!(messages[0].get("connectionKey"), None);
    assert!(!messages[0]["id"].as_str().unwrap().is_empty());
}

#[tokio::test]
async fn a_refusal_is_reported() {
    let words = r#"{"error":{"message":"Invalid key","code":40005}}"#;
    let server = Server::answering([Answer::Reply(401, "", words.into())]).await;
    let error = broadcaster(&server)
        .broadcast(&broadcast([Channel::public("c")]))
        .await
        .unwrap_err();
    assert_eq!(
        error,
        Error::Unauthorized {
            message: "Invalid key".into()
        }
    );
    server.only_request();
}

#[tokio::test]
async fn nowhere_is_no_request() {
    let server = Server::answering([Answer::ok("{}")]).await;
    broadcaster(&server)
        .broadcast(&broadcast([]))
        .await
        .unwrap();
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn the_environment_chooses_it() {
    let server = Server::answering([Answer::ok("{}")]).await;
    let environment = [
        ("BROADCAST_CONNECTION", "ably".to_owned()),
        ("ABLY_KEY", "app.name:secret".to_owned()),
        ("ABLY_ENDPOINT", format!("{}/prefix/", server.url())),
    ];
    let environment: HashMap<_, _> = environment
        .map(|(name, value)| (name.to_owned(), value))
        .into();
    let broadcaster = Connection::from_env(&environment)
        .unwrap()
        .broadcaster()
        .unwrap();
    assert_eq!(broadcaster.name(), "ably");
    broadcaster
        .broadcast(&broadcast([Channel::public("c")]))
        .await
        .unwrap();
    assert_eq!(
        server.only_request().path,
        "/prefix/channels/public%3Ac/messages"
    );
}
