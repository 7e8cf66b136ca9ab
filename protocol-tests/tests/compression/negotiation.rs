//! What clients offer, and what they are answered.

use protocol_tests::deflate::OFFER;
use protocol_tests::{Frame, PublishedEvent, TestServer, or_skip};

use crate::support::{AGREED, compressed, offering, text};

/// What a server answers to this offer.
async fn answer(server: &TestServer, offer: &str) -> Option<String> {
    let upgrade = offering(server.app(), offer);
    let client = server.connect_with(server.app(), &upgrade).await;
    client.socket.extension().map(str::to_owned)
}

#[tokio::test]
async fn the_first_offer_that_can_be_accepted_is() {
    let server = TestServer::start().await;
    for offer in [
        OFFER,
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits=10; server_no_context_takeover",
        "permessage-deflate;client_max_window_bits=\"12\" ; client_no_context_takeover",
        "x-webkit-deflate-frame, permessage-deflate; unknown=1, permessage-deflate",
        "permessage-deflate; server_max_window_bits=7, , permessage-deflate",
        "permessage-deflate; client_no_context_takeover=1,permessage-deflate",
        "permessage-deflate; client_max_window_bits; client_max_window_bits, permessage-deflate",
    ] {
        assert_eq!(
            answer(&server, offer).await.as_deref(),
            Some(AGREED),
            "{offer}"
        );
    }
    for bits in 8..=15 {
        let offer = format!("permessage-deflate; server_max_window_bits={bits}");
        let expected = format!("{AGREED}; server_max_window_bits={bits}");
        assert_eq!(answer(&server, &offer).await, Some(expected));
    }
    server.finish().await;
}

#[tokio::test]
async fn offers_in_several_headers_are_one_list() {
    let server = TestServer::start().await;
    let mut upgrade = offering(server.app(), "permessage-deflate; unknown");
    let second = (
        "sec-websocket-extensions".to_owned(),
        "foo, permessage-deflate".to_owned(),
    );
    upgrade.headers.push(second);
    let client = server.connect_with(server.app(), &upgrade).await;
    assert_eq!(client.socket.extension(), Some(AGREED));
    server.finish().await;
}

#[tokio::test]
async fn an_offer_that_cannot_be_accepted_makes_a_plain_connection() {
    let server = TestServer::start().await;
    for offer in [
        "permessage-deflate; unknown",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; client_max_window_bits=99",
        "permessage-deflate; server_no_context_takeover=yes",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-bzip2",
        "foo; bar=\"baz\"",
    ] {
        let upgrade = offering(server.app(), offer);
        let mut client = server.connect_with(server.app(), &upgrade).await;
        assert_eq!(client.socket.extension(), None, "{offer}");
        let channel = server.channel("plain-");
        client.subscribe(&channel).await;
        let event = PublishedEvent::new(&channel, "large", text(4000, 1));
        server.publish(event).await;
        client.expect_event("large").await;
        assert_eq!(client.socket.inflated, 0);
    }
    assert_eq!(compressed(&server).await, 0.0);
    server.finish().await;
}

#[tokio::test]
async fn a_malformed_offer_is_answered_with_400() {
    let server = TestServer::start().await;
    for offer in [
        "permessage-deflate;",
        "permessage-deflate; client_max_window_bits=",
        "permessage-deflate; client_max_window_bits=\"1",
        "permessage-deflate client_max_window_bits",
        "permessage-deflate, ;",
        "\"permessage-deflate\"",
    ] {
        let upgrade = offering(server.app(), offer);
        let refused = server.open(&upgrade).await.map(|_| ()).expect_err(offer);
        assert_eq!(refused.status, 400, "{offer}");
        assert!(
            refused.text().contains("Sec-WebSocket-Extensions"),
            "{}",
            refused.text()
        );
    }
    server.finish().await;
}

#[tokio::test]
async fn nothing_is_agreed_on_where_compression_is_off() {
    let server = TestServer::builder()
        .set("compression.enabled", false)
        .start();
    let server = or_skip!(server.await);
    for offer in [OFFER, "permessage-deflate;"] {
        let upgrade = offering(server.app(), offer);
        let mut client = server.connect_with(server.app(), &upgrade).await;
        assert_eq!(client.socket.extension(), None);
        client
            .socket
            .send(Frame::deflated(r#"{"event":"pusher:ping"}"#))
            .await;
        client.expect_close_code(1002).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn a_refusal_can_be_read_by_one_that_offers_compression() {
    let server = TestServer::start().await;
    let mut app = server.app().clone();
    app.key = "no-such-key".into();
    let (error, _) = server.open_refused(&offering(&app, OFFER)).await;
    assert_eq!(error.error_code(), Some(4001));
    server.finish().await;
}
