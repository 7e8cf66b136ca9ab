//! The opening handshake of RFC 6455, in the forms that clients and proxies send and in those that none may.

use protocol_tests::{Event, Frame, Request, TestServer};

use crate::support::{assert_served, upgrade};

#[tokio::test]
async fn header_names_and_tokens_are_case_insensitive() {
    let server = TestServer::start().await;
    let request = upgrade(server.app(), "protocol=7");
    let variants = [
        request
            .clone()
            .without("Upgrade")
            .without("Connection")
            .header("UPGRADE", "WebSocket")
            .header("CONNECTION", "UPGRADE"),
        request
            .clone()
            .without("Sec-WebSocket-Key")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
            .header("Upgrade", "WEBSOCKET"),
        request
            .clone()
            .without("Upgrade")
            .header("Upgrade", "websocket, foo"),
        request
            .clone()
            .without("Upgrade")
            .header("UPGRADE", "h2c,WebSocket"),
        request
            .clone()
            .header("Upgrade", "foo")
            .header("upgrade", "websocket"),
        request.clone().header("upgrade", "foo"),
        request
            .clone()
            .header("Upgrade", "foo")
            .header("upgrade", "bar, websocket"),
        request
            .clone()
            .header("Connection", "keep-alive")
            .header("connection", "upgrade"),
        request.header("Connection", "keep-alive, upgrade"),
    ];
    for request in variants {
        let mut client = server.connect_with(server.app(), &request).await;
        assert_served(&server, &mut client).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn request_may_arrive_byte_by_byte_and_frames_too() {
    let server = TestServer::start().await;
    let mut http = server.http();
    let endpoint = server.endpoint();
    let request = upgrade(server.app(), "protocol=7").encode(&endpoint.authority, &endpoint.prefix);
    for byte in &request {
        http.send_raw(&[*byte]).await;
    }
    assert_eq!(http.read_response().await.status, 101);
    for byte in Frame::text(r#"{"event":"pusher:ping"}"#).encode() {
        http.send_raw(&[byte]).await;
    }
    let connection = http.connection().await;
    let mut names = Vec::new();
    while names.len() < 2 {
        match Frame::decode(connection.buffered()) {
            Some((frame, length)) => {
                names.push(Event::parse(frame.as_text()).name);
                connection.take(length);
            }
            None => protocol_tests::within("a frame", connection.receive())
                .await
                .unwrap(),
        }
    }
    assert_eq!(names, ["pusher:connection_established", "pusher:pong"]);
    server.finish().await;
}

#[tokio::test]
async fn frames_that_come_with_the_upgrade_request_are_not_lost() {
    let server = TestServer::start().await;
    let endpoint = server.endpoint();
    let request = upgrade(server.app(), "protocol=7");
    let mut bytes = request.encode(&endpoint.authority, &endpoint.prefix);
    let channel = server.channel("early-");
    let subscribe = format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"{channel}"}}}}"#);
    bytes.extend(Frame::text(&subscribe).encode());
    let connection = server.connection().await;
    let socket = protocol_tests::WebSocket::open(connection, &bytes)
        .await
        .unwrap();
    let mut client = protocol_tests::WsClient::establish(socket, server.app(), server.http()).await;
    client.expect_subscribed(&channel).await;
    server.finish().await;
}

#[tokio::test]
async fn permessage_deflate_is_declined() {
    let server = TestServer::start().await;
    let request = upgrade(server.app(), "protocol=7").header(
        "Sec-WebSocket-Extensions",
        "permessage-deflate; client_max_window_bits, x-webkit-deflate-frame",
    );
    // The harness fails on an answer that accepts an extension.
    let mut client = server.connect_with(server.app(), &request).await;
    assert_served(&server, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn other_websocket_versions_are_refused_naming_the_one_that_is_served() {
    let server = TestServer::start().await;
    for version in ["8", "14", "x"] {
        let request = upgrade(server.app(), "protocol=7").header("Sec-WebSocket-Version", version);
        let response = server.open(&request).await.unwrap_err();
        assert!(matches!(response.status, 400 | 426), "{response:?}");
        assert_eq!(
            response.header("sec-websocket-version"),
            Some("13"),
            "{response:?}"
        );
    }
    server.finish().await;
}

#[tokio::test]
async fn bad_upgrade_requests_get_an_http_error() {
    let server = TestServer::start().await;
    let good = upgrade(server.app(), "protocol=7");
    let mut with_post = good.clone();
    with_post.method = "POST".to_owned();
    for (what, request) in [
        ("no key", good.clone().without("Sec-WebSocket-Key")),
        ("no version", good.clone().without("Sec-WebSocket-Version")),
        ("another protocol", good.clone().header("Upgrade", "h2c")),
        (
            "no upgrade in Connection",
            good.clone().header("Connection", "keep-alive"),
        ),
        ("POST", with_post),
    ] {
        let response = server.open(&request).await.unwrap_err();
        assert!(
            (400..500).contains(&response.status),
            "{what}: {response:?}"
        );
    }
    let mut client = server.connect().await;
    assert_served(&server, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn plain_http_request_for_an_app_is_an_http_error_and_keeps_the_connection() {
    let server = TestServer::start().await;
    let path = format!("/app/{}", server.app().key);
    let mut http = server.http();
    for _ in 0..2 {
        let request = Request::new("GET", &path).query("protocol", "7");
        let response = http.send(&request).await;
        assert!((400..500).contains(&response.status), "{response:?}");
    }
    assert_eq!(http.opened(), 1);
    server.finish().await;
}

#[tokio::test]
async fn first_subprotocol_offered_that_is_served_is_chosen() {
    // PusherSwift 9 offers one and gives up unless it is chosen.
    let server = TestServer::start().await;
    let name = |version: &str| format!("pusher-channels-protocol-{version}");
    let offers: [(Vec<String>, Option<String>); 9] = [
        (vec![], None),
        (vec![name("7")], Some(name("7"))),
        (vec![name("4")], Some(name("4"))),
        (
            vec![format!("{}, {}", name("5"), name("7"))],
            Some(name("5")),
        ),
        (
            vec![format!("chat ,\t {}\t ,, {}", name("6"), name("5"))],
            Some(name("6")),
        ),
        (
            vec!["chat".into(), name("8"), name("7"), name("5")],
            Some(name("7")),
        ),
        (vec![name("3"), name("8"), name("77")], None),
        (vec!["chat, superchat".into(), String::new()], None),
        (vec!["PUSHER-CHANNELS-PROTOCOL-7".into()], None),
    ];
    for (offered, chosen) in offers {
        let mut request = upgrade(server.app(), "protocol=7");
        for value in &offered {
            let header = ("Sec-WebSocket-Protocol".to_owned(), value.clone());
            request.headers.push(header);
        }
        let client = server.connect_with(server.app(), &request).await;
        let answer = client.socket.response.header("sec-websocket-protocol");
        assert_eq!(answer, chosen.as_deref(), "{offered:?}");
    }
    server.finish().await;
}

#[tokio::test]
async fn refused_client_that_offers_a_subprotocol_can_read_why() {
    let server = TestServer::start().await;
    let request = protocol_tests::Upgrade::new("/app/unknown?protocol=7")
        .header("Sec-WebSocket-Protocol", "pusher-channels-protocol-7");
    let socket = server.open(&request).await.unwrap();
    let chosen = socket.response.header("sec-websocket-protocol");
    assert_eq!(chosen, Some("pusher-channels-protocol-7"));
    drop(socket);
    let (_, close) = server.open_refused(&request).await;
    assert_eq!(close.code, Some(4001));
    server.finish().await;
}

#[tokio::test]
async fn request_whose_upgrade_a_proxy_took_away_is_answered_with_a_hint() {
    let server = TestServer::start().await;
    for path in ["/app/KEY?protocol=7", "//app/KEY", "/app/KEY/"] {
        let path = path.replace("KEY", &server.app().key);
        let response = server.request(&Request::new("GET", &path)).await;
        assert_eq!(response.header("upgrade"), Some("websocket"), "{path}");
        assert!(response.expect_status(426).text().contains("proxy"));
    }
    server.finish().await;
}

#[tokio::test]
async fn slashes_that_are_too_many_lead_to_the_app_all_the_same() {
    let server = TestServer::start().await;
    for path in ["//app/KEY", "///app/KEY/"] {
        let path = path.replace("KEY", &server.app().key);
        let request = protocol_tests::Upgrade::new(&format!("{path}?protocol=7"));
        let mut client = server.connect_with(server.app(), &request).await;
        assert_served(&server, &mut client).await;
    }
    server.finish().await;
}
