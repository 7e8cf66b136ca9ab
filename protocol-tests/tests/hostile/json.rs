//! JSON that is deep, huge or full of control characters, wherever JSON is read.

use protocol_tests::{Event, PublishedEvent, Request, TestServer, WsClient};
use serde_json::json;

use crate::support::assert_unharmed;

/// JSON nested as deep as `bytes` bytes allow, closed or left open.
fn nested(bytes: usize, closed: bool) -> Vec<String> {
    let of = |open: &str, inner: &str, close: &str| {
        if closed {
            let depth = bytes / (open.len() + close.len());
            format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
        } else {
            open.repeat(bytes / open.len())
        }
    };
    vec![
        of("[", "", "]"),
        of("{\"a\":", "1", "}"),
        of("[{\"a\":", "1", "}]"),
    ]
}

/// Sends a message, and expects one answer that is a mistake's and the connection to stay.
async fn expect_mistake(client: &mut WsClient, text: &str) -> Event {
    client.send_text(text).await;
    let event = client.next_event().await;
    let is_refusal = ["pusher:error", "pusher:subscription_error"].contains(&event.name.as_str());
    assert!(is_refusal, "{}", event.text);
    // A refused subscription names its channel, whatever that is.
    let named = event.channel.as_ref().map_or(0, String::len);
    assert!(
        event.text.len() < 2000 + named,
        "the answer is as long as the question"
    );
    event
}

#[tokio::test]
async fn deep_json_is_a_mistake_and_no_more() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    for closed in [true, false] {
        for deep in nested(60_000, closed) {
            expect_mistake(&mut client, &deep).await;
            expect_mistake(&mut client, &format!(r#"{{"event":{deep}}}"#)).await;
            expect_mistake(
                &mut client,
                &format!(r#"{{"event":"pusher:subscribe","data":{deep}}}"#),
            )
            .await;
            expect_mistake(
                &mut client,
                &format!(r#"{{"event":"pusher:subscribe","data":{{"channel":{deep}}}}}"#),
            )
            .await;
        }
    }
    client.expect_nothing().await;
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn deep_json_in_fields_that_are_not_looked_at_does_no_harm() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let channel = server.channel("public-");
    for deep in nested(60_000, true) {
        client
            .send_text(&format!(r#"{{"event":"pusher:ping","data":{deep}}}"#))
            .await;
        client
            .send_text(&format!(r#"{{"x":{deep},"event":"pusher:ping"}}"#))
            .await;
        let auth = format!(
            r#"{{"event":"pusher:subscribe","data":{{"channel":"{channel}","auth":{deep}}}}}"#
        );
        client.send_text(&auth).await;
        for event in client.ping_fence().await {
            assert!(event.text.len() < 2000, "{}", event.text);
        }
    }
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn deep_json_in_signed_texts_is_refused_or_kept() {
    let server = TestServer::start().await;
    for deep in nested(900, true)
        .into_iter()
        .chain(nested(40_000, true))
        .chain(nested(900, false))
    {
        let channel = server.channel("presence-");
        let mut client = server.connect().await;
        let channel_data = format!(r#"{{"user_id":"u1","user_info":{deep}}}"#);
        client
            .send_signed_subscribe(&channel, Some(&channel_data))
            .await;
        let answer = client.next_event().await;
        let expected = [
            "pusher_internal:subscription_succeeded",
            "pusher:subscription_error",
        ];
        assert!(expected.contains(&answer.name.as_str()), "{}", answer.text);
        client
            .send_sign_in(&format!(r#"{{"id":"u1","user_info":{deep}}}"#))
            .await;
        let answer = client.next_event().await;
        assert!(
            ["pusher:signin_success", "pusher:error"].contains(&answer.name.as_str()),
            "{}",
            answer.text
        );
    }
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn deep_data_of_client_events_is_forwarded_or_refused() {
    let server = TestServer::start().await;
    let channel = server.channel("private-");
    let mut sender = server.connect().await;
    let mut receiver = server.connect().await;
    sender.subscribe(&channel).await;
    receiver.subscribe(&channel).await;
    for deep in nested(10_000, true) {
        let message = format!(r#"{{"event":"client-deep","channel":"{channel}","data":{deep}}}"#);
        sender.send_text(&message).await;
        let refusals = sender.ping_fence().await;
        if refusals.is_empty() {
            let text = receiver.next_text().await;
            assert!(text.contains(&deep), "data is passed on unchanged");
        } else {
            assert_eq!(refusals[0].name, "pusher:error");
        }
    }
    receiver.expect_nothing().await;
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn deep_json_in_http_bodies_is_400_or_delivered() {
    let server = TestServer::start().await;
    let channel = server.channel("public-");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    let mut http = server.http();
    for (deep, closed) in nested(10_000, true)
        .into_iter()
        .map(|deep| (deep, true))
        .chain(
            nested(1_000_000, false)
                .into_iter()
                .map(|deep| (deep, false)),
        )
        .chain(
            nested(1_000_000, true)
                .into_iter()
                .map(|deep| (deep, false)),
        )
    {
        for path in ["/events", "/batch_events"] {
            let request = Request::post(server.app(), path).body(deep.clone());
            http.send(&request).await.expect_status(400);
        }
        let data = format!(r#"{{"name":"deep","channel":"{channel}","data":{deep}}}"#);
        let status = http
            .send(&Request::post(server.app(), "/events").body(data))
            .await
            .status;
        match status {
            200 if closed => {
                let event = client.expect_event_on(&channel, "deep").await;
                assert_eq!(event.data_text(), deep);
            }
            400 | 413 => {}
            status => panic!("{status}"),
        }
        let name = format!(r#"{{"name":{deep},"channel":"{channel}","data":""}}"#);
        let status = http
            .send(&Request::post(server.app(), "/events").body(name))
            .await
            .status;
        assert!(matches!(status, 400 | 413), "{status}");
        let batch = format!(r#"{{"batch":[{deep}]}}"#);
        let status = http
            .send(&Request::post(server.app(), "/batch_events").body(batch))
            .await
            .status;
        assert!(matches!(status, 400 | 413), "{status}");
    }
    client.expect_nothing().await;
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn huge_numbers_and_strings_do_no_harm() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    let digits = "9".repeat(50_000);
    let text = "x".repeat(50_000);
    for message in [
        digits.clone(),
        format!(r#"{{"event":{digits}}}"#),
        format!(r#"{{"event":1e{digits}}}"#),
        format!(r#"{{"event":-0.{digits}}}"#),
        format!(r#"{{"event":"{text}"}}"#),
        format!(r#"{{"event":"pusher:{text}"}}"#),
        format!(r#"{{"event":"client-{text}","channel":"private-a","data":1}}"#),
        format!(r#"{{"event":"client-x","channel":"{text}","data":1}}"#),
        format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{text}"}}}}"#),
        format!(
            r#"{{"event":"pusher:subscribe","data":{{"channel":"private-a","auth":"{text}"}}}}"#
        ),
        format!(
            r#"{{"event":"pusher:subscribe","data":{{"channel":"private-a","auth":"key-10001:{text}"}}}}"#
        ),
        format!(r#"{{"event":"pusher:subscribe","data":{digits}}}"#),
    ] {
        expect_mistake(&mut client, &message).await;
    }
    client.expect_nothing().await;
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn many_members_of_one_object_are_read_in_no_time() {
    let server = TestServer::start().await;
    let members: Vec<String> = (0..4000).map(|number| format!("\"k{number}\":1")).collect();
    let members = members.join(",");
    let mut client = server.connect().await;
    client
        .send_text(&format!(r#"{{{members},"event":"pusher:ping"}}"#))
        .await;
    client.expect_event("pusher:pong").await;
    let same = vec!["\"data\":1"; 6000].join(",");
    client
        .send_text(&format!(r#"{{"event":"pusher:ping",{same}}}"#))
        .await;
    // Twice the same member may be taken for a mistake.
    let event = client.next_event().await;
    assert!(
        ["pusher:pong", "pusher:error"].contains(&event.name.as_str()),
        "{}",
        event.text
    );
    let same = vec![r#""name":"x""#; 100_000].join(",");
    let request = Request::post(server.app(), "/events").body(format!("{{{same}}}"));
    let status = server.request(&request).await.status;
    assert!(matches!(status, 400 | 413), "{status}");
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn nul_bytes_are_data_or_a_mistake_and_never_an_end() {
    let server = TestServer::start().await;
    let channel = server.channel("private-");
    let mut sender = server.connect().await;
    let mut receiver = server.connect().await;
    sender.subscribe(&channel).await;
    receiver.subscribe(&channel).await;
    for text in [
        "\0",
        "{\"event\":\"pusher:ping\"}\0",
        "\0{\"event\":\"pusher:ping\"}",
        "{\"event\":\"pusher:\0ping\"}",
    ] {
        expect_mistake(&mut sender, text).await;
    }
    expect_mistake(&mut sender, r#"{"event":"pusher:ping\u0000"}"#).await;
    expect_mistake(
        &mut sender,
        r#"{"event":"pusher:subscribe","data":{"channel":"a\u0000b"}}"#,
    )
    .await;
    sender
        .send_client_event(&channel, "client-\0", json!("a\0b"))
        .await;
    let event = receiver.expect_event_on(&channel, "client-\0").await;
    assert_eq!(event.data, "a\0b");
    server
        .publish(PublishedEvent::new(&channel, "x\0y", "a\0b"))
        .await;
    for client in [&mut sender, &mut receiver] {
        let event = client.expect_event_on(&channel, "x\0y").await;
        assert_eq!(event.data_text(), "a\0b");
    }
    assert_unharmed(&server).await;
    server.finish().await;
}
