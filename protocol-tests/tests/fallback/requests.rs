//! What requests are answered, whoever makes them.

use protocol_tests::{AppConfig, Request, TestServer, or_skip};
use serde_json::json;

use crate::client::{BOTH, FallbackClient, Line, Session, Transport, start};

async fn refusal(server: &TestServer, session: &mut Session, transport: Transport) -> u16 {
    let response = server.request(&session.receive(transport)).await;
    let response = response.expect_status(200);
    assert_eq!(response.header("access-control-allow-origin"), Some("*"));
    match &Line::all(&response.text())[..] {
        [Line::Open, Line::Close(code, reason)] => {
            assert!(!reason.is_empty());
            *code
        }
        other => panic!("instead of a close: {other:?}"),
    }
}

#[tokio::test]
async fn whoever_is_not_let_in_is_closed_with_the_websockets_codes() {
    let listed = AppConfig::new("10001")
        .set("allowed_origins", vec!["https://example.com"])
        .limit("max_connections", 1);
    let disabled = AppConfig::new("20002").set("enabled", false);
    let server = or_skip!(
        TestServer::builder()
            .app(listed)
            .app(disabled)
            .start()
            .await
    );
    for transport in BOTH {
        let session = || Session::new(server.app()).header("Origin", "https://example.com");
        let mut unknown = session();
        unknown.base = unknown.base.replace(&server.app().key, "no-such-key");
        let mut of_no_page = session();
        of_no_page.base = format!("/s/short{}", of_no_page.base);
        let mut of_disabled = session();
        of_disabled.base = of_disabled
            .base
            .replace(&server.app().key, &server.second_app().key);
        let with_query = |query: &[(&'static str, &str)]| {
            let mut session = session();
            session.query = query
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()))
                .collect();
            session
        };
        for (mut session, expected) in [
            (unknown, 4001),
            (of_no_page, 4005),
            (of_disabled, 4003),
            (with_query(&[("protocol", "x")]), 4006),
            (with_query(&[("protocol", "9")]), 4007),
            (with_query(&[]), 4008),
            (Session::new(server.app()), 4009),
            (
                Session::new(server.app()).header("Origin", "https://evil.org"),
                4009,
            ),
        ] {
            assert_eq!(refusal(&server, &mut session, transport).await, expected);
        }
        let app = server.app();
        let client = FallbackClient::connect_as(&server, app, transport, session()).await;
        assert_eq!(refusal(&server, &mut session(), transport).await, 4004);
        drop(client);
        server.expect_nothing_left().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn any_page_may_ask_and_read_the_answer() {
    let server = or_skip!(start().await);
    let session = Session::new(server.app());
    for purpose in ["xhr_streaming", "xhr", "xhr_send"] {
        let path = format!("{}/{purpose}", session.base);
        for path in [path.clone(), path.replace("/pusher", "")] {
            let request = Request::new("OPTIONS", &path)
                .header("Origin", "https://example.com")
                .header("Access-Control-Request-Method", "POST")
                .header("Access-Control-Request-Headers", "content-type");
            let response = server.request(&request).await.expect_status(204);
            assert_eq!(response.header("access-control-allow-origin"), Some("*"));
            assert_eq!(
                response.header("access-control-allow-methods"),
                Some("POST")
            );
            assert_eq!(
                response.header("access-control-allow-headers"),
                Some("content-type")
            );
            let response = server.request(&Request::new("GET", &path)).await;
            assert_eq!(
                response.expect_status(405).header("allow"),
                Some("POST, OPTIONS")
            );
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn paths_are_served_with_and_without_what_pusher_js_puts_in_front() {
    let server = or_skip!(
        TestServer::builder()
            .set("server.path_prefix", "/relay")
            .start()
            .await
    );
    // All of them behind the configured prefix.
    for in_front in ["/pusher", "", "/", "//pusher"] {
        let mut session = Session::new(server.app());
        session.base = session.base.replace("/pusher", in_front);
        let app = server.app();
        let mut client =
            FallbackClient::connect_as(&server, app, Transport::Polling, session).await;
        assert!(client.fence().await.is_empty(), "{in_front}");
    }
    server.finish().await;
}

#[tokio::test]
async fn nobody_sends_to_a_session_that_is_not_theirs() {
    let server = or_skip!(TestServer::start_with_two_apps().await);
    let session = Session::new(server.app()).header("Origin", "https://example.com");
    let app = server.app();
    let mut client = FallbackClient::connect_as(&server, app, Transport::Polling, session).await;
    let ping = json!([json!({"event": "pusher:ping", "data": {}}).to_string()]).to_string();

    let mut unknown = Session::new(app);
    server
        .request(&unknown.send(&ping))
        .await
        .expect_status(404);
    let mut of_other_app = client.session.clone();
    of_other_app.base = of_other_app
        .base
        .replace(&app.key, &server.second_app().key);
    server
        .request(&of_other_app.send(&ping))
        .await
        .expect_status(404);
    let mut of_other_page = client.session.clone();
    of_other_page.headers = vec![("Origin", "https://evil.org".to_owned())];
    server
        .request(&of_other_page.send(&ping))
        .await
        .expect_status(403);
    let poll = of_other_page.receive(Transport::Polling);
    server.request(&poll).await.expect_status(403);
    let mut with_other_transport = client.session.clone();
    let stream = with_other_transport.receive(Transport::Streaming);
    server.request(&stream).await.expect_status(409);

    assert!(client.fence().await.is_empty());
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn what_is_sent_again_on_the_way_is_handled_once() {
    let server = or_skip!(start().await);
    for transport in BOTH {
        let channel = server.channel("private-");
        let mut socket = server.connect().await;
        socket.subscribe(&channel).await;
        let mut client = FallbackClient::on(&server, transport, &channel).await;
        let event = |number: u32| {
            let event = json!({"event": "client-x", "channel": channel, "data": number});
            json!([event.to_string()]).to_string()
        };
        let requests: Vec<_> = (0..5)
            .map(|number| client.session.send(&event(number)))
            .collect();
        for number in [0, 0, 1, 2, 3, 1, 4, 4, 0] {
            server.request(&requests[number]).await.expect_status(204);
        }
        // Of several that are made at once, too.
        let request = client.session.send(&event(5));
        let [one, other] = [server.request(&request), server.request(&request)];
        let (one, other) = tokio::join!(one, other);
        one.expect_status(204);
        other.expect_status(204);
        for number in 0..6 {
            let event = socket.expect_event_on(&channel, "client-x").await;
            assert_eq!(event.message["data"], number, "{transport:?}");
        }
        socket.expect_nothing().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn bodies_that_are_no_messages_are_refused_and_large_ones_close() {
    let server = or_skip!(start().await);
    for transport in BOTH {
        let mut client = FallbackClient::connect(&server, transport).await;
        for body in ["", "{}", "[1]", "\"x\"", "[\"x\"", "[\"\u{1}\"]"] {
            let response = client.send_body(body).await;
            assert_eq!(response.status, 400, "{body}");
        }
        assert!(client.fence().await.is_empty());
        let large = json!(["x".repeat(64 * 1024 + 1)]).to_string();
        client.send_body(&large).await.expect_status(413);
        let (code, reason) = client.expect_close().await;
        assert_eq!(code, 1009, "{reason}");

        let mut client = FallbackClient::connect(&server, transport).await;
        let giant = format!("[\"{}\"]", "x".repeat(2 << 20));
        client.send_body(&giant).await.expect_status(413);
        assert_eq!(client.expect_close().await.0, 1009);
    }
    server.finish().await;
}
