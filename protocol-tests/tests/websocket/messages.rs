//! Messages: what is answered to good ones, and to odd ones.

use protocol_tests::{Event, TestServer};
use serde_json::json;

use crate::support::assert_served;

#[tokio::test]
async fn pusher_ping_is_answered_with_pusher_pong() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    for ping in [
        r#"{"event":"pusher:ping","data":{}}"#,
        r#"{"event":"pusher:ping","data":"{}"}"#,
        r#"{"event":"pusher:ping","data":null}"#,
        r#"{"event":"pusher:ping","data":[1]}"#,
        r#"{"event":"pusher:ping"}"#,
        r#" { "data" : "" , "event" : "pusher:ping" } "#,
    ] {
        client.send_text(ping).await;
        let pong = client.expect_event("pusher:pong").await;
        assert_eq!(pong.message, json!({"event": "pusher:pong", "data": "{}"}));
    }
    server.finish().await;
}

/// Sends a message that is a mistake: the answer is an error with code null, and the connection stays open.
async fn assert_is_a_mistake(server: &TestServer, messages: &[&str]) {
    let mut client = server.connect().await;
    for message in messages {
        client.send_text(message).await;
        let answers = client.ping_fence().await;
        assert_eq!(answers.len(), 1, "{message:?}: {answers:?}");
        let error: &Event = &answers[0];
        assert_eq!(error.name, "pusher:error", "{message:?}: {}", error.text);
        assert_eq!(error.error_code(), None, "{message:?}: {}", error.text);
        assert!(error.data.get("code").is_some(), "{}", error.text);
        error.error_message();
    }
    assert_served(server, &mut client).await;
}

#[tokio::test]
async fn invalid_json_is_an_error_with_code_null_and_the_connection_stays_open() {
    let server = TestServer::start().await;
    let deep = format!(
        r#"{{"event":{}{}}}"#,
        "[".repeat(20_000),
        "]".repeat(20_000)
    );
    let messages = [
        "",
        " ",
        "{",
        "hello",
        r#"{"event":"pusher:ping""#,
        r#"{"event":"pusher:ping"}}"#,
        r#"{"event":"pusher:ping",}"#,
        r#"{'event':'pusher:ping'}"#,
        r#"{"event":"\ud800"}"#,
        "\u{feff}{}",
        deep.as_str(),
    ];
    assert_is_a_mistake(&server, &messages).await;
    server.finish().await;
}

#[tokio::test]
async fn json_without_an_event_string_is_an_error_with_code_null() {
    let server = TestServer::start().await;
    let messages = [
        "null",
        "true",
        "7",
        r#""pusher:ping""#,
        "[]",
        r#"[{"event":"pusher:ping"}]"#,
        "{}",
        r#"{"data":{}}"#,
        r#"{"event":null}"#,
        r#"{"event":7}"#,
        r#"{"event":["pusher:ping"]}"#,
        r#"{"event":{}}"#,
        r#"{"Event":"pusher:ping"}"#,
    ];
    assert_is_a_mistake(&server, &messages).await;
    server.finish().await;
}

#[tokio::test]
async fn unknown_pusher_events_are_an_error_with_code_null() {
    let server = TestServer::start().await;
    let messages = [
        r#"{"event":"pusher:hello","data":{}}"#,
        r#"{"event":"pusher:","data":{}}"#,
        r#"{"event":"pusher:Ping","data":{}}"#,
        r#"{"event":"pusher:ping ","data":{}}"#,
        r#"{"event":"pusher:connection_established","data":{}}"#,
    ];
    assert_is_a_mistake(&server, &messages).await;
    server.finish().await;
}

#[tokio::test]
async fn odd_messages_are_answered_with_no_code_that_makes_clients_reconnect() {
    // Soketi's process ended on several of these, sent by a client that had not authenticated. Reverb answered with
    // 4200, which makes clients reconnect at once, for ever.
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let mut messages = Vec::new();
    for event in [
        "pusher:subscribe",
        "pusher:unsubscribe",
        "pusher:signin",
        "client-x",
    ] {
        messages.push(json!({"event": event}));
        for data in [
            json!(null),
            json!("x"),
            json!(""),
            json!(7),
            json!([]),
            json!({}),
            json!("[1]"),
            json!("null"),
        ] {
            messages.push(json!({"event": event, "data": data}));
            messages.push(json!({"event": event, "channel": null, "data": data}));
            messages.push(json!({"event": event, "channel": {"a": []}, "data": data}));
        }
        for channel in [
            json!(null),
            json!(7),
            json!([]),
            json!({}),
            json!(""),
            json!(true),
        ] {
            messages.push(json!({"event": event, "data": {"channel": channel}}));
            messages.push(json!({"event": event, "data": {"channel": channel, "auth": 7, "channel_data": {}}}));
        }
    }
    for message in messages
        .iter()
        .filter(|message| message["event"] != "pusher:signin")
    {
        client.send_json(message).await;
        for answer in client.ping_fence().await {
            let code = answer.error_code();
            assert!(
                !code.is_some_and(|code| (4000..4300).contains(&code)),
                "{message}: {}",
                answer.text
            );
        }
    }
    assert_served(&server, &mut client).await;
    // A failed sign-in may close the connection, so each has one of its own; the server lives on.
    for message in messages
        .iter()
        .filter(|message| message["event"] == "pusher:signin")
    {
        let mut client = server.connect().await;
        client.send_json(message).await;
        let answer = client.expect_event("pusher:error").await;
        assert!(
            !answer
                .error_code()
                .is_some_and(|code| (4200..4300).contains(&code)),
            "{message}"
        );
    }
    assert_served(&server, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn subscribe_without_a_channel_is_answered_with_an_error() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    for message in [
        r#"{"event":"pusher:subscribe"}"#,
        r#"{"event":"pusher:subscribe","data":{}}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":null}}"#,
        r#"{"event":"pusher:subscribe","data":{"channel":7}}"#,
        r#"{"event":"pusher:subscribe","data":"no JSON"}"#,
    ] {
        client.send_text(message).await;
        let answers = client.ping_fence().await;
        assert_eq!(answers.len(), 1, "{message}: {answers:?}");
        let is_error =
            ["pusher:error", "pusher:subscription_error"].contains(&answers[0].name.as_str());
        assert!(is_error, "{message}: {}", answers[0].text);
    }
    server.finish().await;
}

#[tokio::test]
async fn data_of_pusher_events_may_come_as_a_json_string() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let channel = server.channel("private-");
    let auth = client.app.channel_auth(&client.socket_id, &channel, None);
    let data = json!({"channel": channel, "auth": auth}).to_string();
    client.send_event("pusher:subscribe", data.into()).await;
    client.expect_subscribed(&channel).await;
    let data = json!({"channel": channel}).to_string();
    client.send_event("pusher:unsubscribe", data.into()).await;
    client.expect_nothing().await;
    let user_data = r#"{"id":"u1"}"#;
    let auth = client.app.user_auth(&client.socket_id, user_data);
    let data = json!({"auth": auth, "user_data": user_data}).to_string();
    client.send_event("pusher:signin", data.into()).await;
    client.expect_event("pusher:signin_success").await;
    server.finish().await;
}

#[tokio::test]
async fn message_that_is_neither_a_known_event_nor_begins_with_client_is_never_relayed() {
    let server = TestServer::start().await;
    let channel = server.channel("private-");
    let mut watcher = server.connect().await;
    watcher.subscribe(&channel).await;
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    for name in [
        "hello",
        "Client-x",
        "clientx",
        "client_x",
        " client-x",
        "x-client-x",
        "pusher:client-x",
        "pusher_internal:member_added",
        "pusher_internal:subscription_succeeded",
        "pusher:error",
    ] {
        client.send_client_event(&channel, name, json!("x")).await;
    }
    client.ping_fence().await;
    watcher.expect_nothing().await;
    assert_served(&server, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn nul_bytes_and_control_characters_in_messages_do_no_harm() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    client.send_text("\0").await;
    client.expect_error(None).await;
    client.send_text("{\"event\":\"pusher:ping\0\"}").await;
    client.expect_error(None).await;
    client.send_text(r#"{"event":"pusher:ping\u0000"}"#).await;
    client.expect_error(None).await;
    assert_served(&server, &mut client).await;
    server.finish().await;
}
