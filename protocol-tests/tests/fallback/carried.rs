//! All that a WebSocket can do.

use protocol_tests::{PublishedEvent, Request, Signal, TestServer, eventually, or_skip};
use serde_json::json;

use crate::client::{BOTH, FallbackClient, Transport, start};

#[tokio::test]
async fn every_kind_of_channel_is_subscribed_and_delivers() {
    let server = or_skip!(start().await);
    for transport in BOTH {
        let mut client = FallbackClient::connect(&server, transport).await;
        for prefix in ["", "private-", "private-encrypted-", "presence-"] {
            let channel = server.channel(prefix);
            let user = (prefix == "presence-").then_some("ann");
            let welcome = client.subscribe(&channel, user).await;
            if user.is_some() {
                assert_eq!(welcome.data_json()["presence"]["ids"], json!(["ann"]));
            }
            for data in ["naïve ☕ 𝄞 \"quoted\" \\ </script> \u{2028}\n", ""] {
                server
                    .publish(PublishedEvent::new(&channel, "shipped", data))
                    .await;
                let event = client.expect_event(&channel, "shipped").await;
                assert_eq!(event.data_text(), data, "{transport:?}");
            }
        }
        let channel = server.channel("cache-");
        client.subscribe(&channel, None).await;
        client.expect_event(&channel, "pusher:cache_miss").await;
        let count = server.metrics().await.sum("fanfare_fallback_sessions", &[]);
        assert!(count >= 1.0, "{count}");
    }
    server.finish().await;
}

#[tokio::test]
async fn client_events_and_members_pass_between_transports_and_websockets() {
    let server = or_skip!(start().await);
    for transport in BOTH {
        let channel = server.channel("presence-");
        let mut socket = server.connect().await;
        socket.subscribe_presence(&channel, "bob", json!({})).await;
        let mut client = FallbackClient::connect(&server, transport).await;
        let welcome = client.subscribe(&channel, Some("ann")).await;
        assert_eq!(welcome.data_json()["presence"]["count"], 2);
        socket
            .expect_event_on(&channel, "pusher_internal:member_added")
            .await;
        client
            .send(&json!({"event": "client-x", "channel": channel, "data": {"n": 1}}))
            .await;
        let event = socket.expect_event_on(&channel, "client-x").await;
        assert_eq!(event.message["user_id"], "ann");
        socket
            .send_client_event(&channel, "client-y", json!("back"))
            .await;
        client.expect_event(&channel, "client-y").await;
        let except = client.socket_id.clone();
        server
            .publish(PublishedEvent::new(&channel, "to-others", "x").excluding(&except))
            .await;
        assert!(client.fence().await.is_empty(), "{transport:?}");
        socket.expect_event_on(&channel, "to-others").await;
        client
            .send(&json!({"event": "pusher:unsubscribe", "data": {"channel": channel}}))
            .await;
        socket
            .expect_event_on(&channel, "pusher_internal:member_removed")
            .await;
    }
    server.finish().await;
}

#[tokio::test]
async fn a_user_signs_in_and_is_terminated() {
    let server = or_skip!(start().await);
    for transport in BOTH {
        let mut client = FallbackClient::connect(&server, transport).await;
        let user_data = json!({"id": "ann"}).to_string();
        let auth = client.app.user_auth(&client.socket_id, &user_data);
        client
            .send(
                &json!({"event": "pusher:signin", "data": {"auth": auth, "user_data": user_data}}),
            )
            .await;
        let answer = client.next_event().await;
        assert_eq!(answer.name, "pusher:signin_success", "{}", answer.text);
        let request = Request::post(&client.app, "/users/ann/terminate_connections");
        server
            .request(&request.json(&json!({})))
            .await
            .expect_status(200);
        let (code, reason) = client.expect_close().await;
        assert_eq!(code, 4009, "{reason}");
    }
    server.finish().await;
}

#[tokio::test]
async fn a_mistake_is_answered_and_the_connection_goes_on() {
    let server = or_skip!(start().await);
    for transport in BOTH {
        let mut client = FallbackClient::connect(&server, transport).await;
        for body in [r#"["no JSON"]"#, r#"["{\"event\":7}"]"#] {
            client.send_body(body).await.expect_status(204);
            assert_eq!(client.next_event().await.name, "pusher:error");
        }
        let channel = server.channel("private-");
        client
            .send(
                &json!({"event": "pusher:subscribe", "data": {"channel": channel, "auth": "x:y"}}),
            )
            .await;
        client
            .expect_event(&channel, "pusher:subscription_error")
            .await;
        assert!(client.fence().await.is_empty());
    }
    server.finish().await;
}

#[tokio::test]
async fn several_messages_of_one_request_are_handled_in_order() {
    let server = or_skip!(start().await);
    let mut client = FallbackClient::connect(&server, Transport::Polling).await;
    let channels: Vec<String> = (0..50).map(|_| server.channel("many-")).collect();
    let messages: Vec<String> = channels
        .iter()
        .map(|channel| {
            json!({"event": "pusher:subscribe", "data": {"channel": channel}}).to_string()
        })
        .collect();
    client
        .send_body(&json!(messages).to_string())
        .await
        .expect_status(204);
    for channel in &channels {
        client
            .expect_event(channel, "pusher_internal:subscription_succeeded")
            .await;
    }
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_relay_that_stops_closes_what_requests_carry() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let mut stream = FallbackClient::connect(&server, Transport::Streaming).await;
    let mut poll = FallbackClient::connect(&server, Transport::Polling).await;
    server.signal(Signal::Terminate);
    let (closed_stream, closed_poll) = tokio::join!(stream.expect_close(), poll.expect_close());
    assert_eq!((closed_stream.0, closed_poll.0), (1001, 1001));
    drop((stream, poll));
    server.exited().await;
}

#[tokio::test]
async fn a_page_that_is_gone_leaves_its_channels() {
    let builder = TestServer::builder().set("server.fallback_timeout", 3);
    let server = or_skip!(builder.start().await);
    for transport in BOTH {
        let channel = server.channel("presence-");
        let mut socket = server.connect().await;
        socket.subscribe_presence(&channel, "bob", json!({})).await;
        let mut client = FallbackClient::connect(&server, transport).await;
        client.subscribe(&channel, Some("ann")).await;
        socket
            .expect_event_on(&channel, "pusher_internal:member_added")
            .await;
        let mut session = client.session.clone();
        drop(client);
        socket
            .expect_event_on(&channel, "pusher_internal:member_removed")
            .await;
        let late = server.request(&session.send("[]")).await;
        assert_eq!(late.status, 404);
    }
    eventually("the sessions to be gone", async || {
        let metrics = server.metrics().await;
        (metrics.sum("fanfare_fallback_sessions", &[]) == 0.0).then_some(())
    })
    .await;
    server.finish().await;
}
