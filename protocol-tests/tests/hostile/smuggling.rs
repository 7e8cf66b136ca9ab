//! Requests that two servers in a row could cut apart differently: what is hidden behind one must never be done.

use protocol_tests::{PublishedEvent, Request, TestServer, or_skip};

use crate::support::{assert_unharmed, exchange, impatient};

/// A rightly signed publish to a channel that somebody watches.
fn hidden(server: &TestServer, channel: &str) -> Vec<u8> {
    let event = PublishedEvent::new(channel, "smuggled", "");
    let request = Request::post(server.app(), "/events").json(event.body());
    let endpoint = server.endpoint();
    request.encode(&endpoint.authority, &endpoint.prefix)
}

/// Sends each head with a hidden request behind its body, and asserts that nothing is ever smuggled: at most one answer,
/// and that one an error or the end of the connection after it.
async fn assert_nothing_is_smuggled(requests: &[(&str, &str)]) {
    let server = or_skip!(impatient().start().await);
    let channel = server.channel("watched-");
    let mut witness = server.connect().await;
    witness.subscribe(&channel).await;
    let hidden = hidden(&server, &channel);
    let target = Request::post(server.app(), "/users/nobody/terminate_connections").target("");
    let inputs: Vec<Vec<u8>> = requests
        .iter()
        .map(|(fields, body)| {
            let head = format!("POST {target} HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n{body}");
            [head.as_bytes(), &hidden].concat()
        })
        .collect();
    let outcomes = exchange(&server, &inputs).await;
    for ((fields, body), statuses) in requests.iter().zip(outcomes) {
        assert!(
            statuses.len() <= 1,
            "{fields:?} {body:?} was answered with {statuses:?}"
        );
    }
    witness.expect_nothing().await;
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn content_length_and_transfer_encoding_together_hide_nothing() {
    assert_nothing_is_smuggled(&[
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "0\r\n\r\n",
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 5",
            "0\r\n\r\n",
        ),
        (
            "Content-Length: 0\r\nTransfer-Encoding: chunked",
            "0\r\n\r\n",
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 0",
            "0\r\n\r\n",
        ),
    ])
    .await;
}

#[tokio::test]
async fn several_content_lengths_hide_nothing() {
    assert_nothing_is_smuggled(&[
        ("Content-Length: 0\r\nContent-Length: 5", ""),
        ("Content-Length: 5\r\nContent-Length: 0", "abcde"),
        ("Content-Length: 0, 5", ""),
        ("Content-Length: 5, 0", "abcde"),
        ("Content-Length: 0\r\ncontent-length: 1", ""),
    ])
    .await;
}

#[tokio::test]
async fn odd_transfer_encodings_hide_nothing() {
    assert_nothing_is_smuggled(&[
        ("Transfer-Encoding: xchunked", "0\r\n\r\n"),
        ("Transfer-Encoding: chunkedx", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked, identity", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked, gzip", "0\r\n\r\n"),
        ("Transfer-Encoding: gzip", "0\r\n\r\n"),
        ("Transfer-Encoding: \x0bchunked", "0\r\n\r\n"),
        ("Transfer-Encoding : chunked", "0\r\n\r\n"),
        ("Transfer-Encoding:\r\n chunked", "0\r\n\r\n"),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            "0\r\n\r\n",
        ),
        (
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
            "0\r\n\r\n",
        ),
        ("Transfer-Encoding: \"chunked\"", "0\r\n\r\n"),
        ("Transfer\u{2d}Encoding\0: chunked", "0\r\n\r\n"),
    ])
    .await;
}

#[tokio::test]
async fn bad_chunks_hide_nothing() {
    let chunked = "Transfer-Encoding: chunked";
    assert_nothing_is_smuggled(&[
        (chunked, "-1\r\n\r\n"),
        (chunked, "0x0\r\n\r\n"),
        (chunked, "zz\r\n\r\n"),
        (chunked, "\r\n\r\n"),
        (chunked, "+0\r\n\r\n"),
        (chunked, "ffffffffffffffff\r\n"),
        (chunked, "10000000000000000\r\n"),
        (chunked, "fffffffffffffffffffffffff\r\n"),
        (chunked, "1\r\nabc\r\n0\r\n\r\n"),
        (chunked, "5\r\nab\r\n0\r\n\r\n"),
        (chunked, "1\nx\n0\n\n"),
        (chunked, "0\r\rX"),
        (chunked, ";\r\n\r\n"),
    ])
    .await;
}

#[tokio::test]
async fn chunked_body_of_http_1_0_hides_nothing() {
    let server = or_skip!(impatient().start().await);
    let channel = server.channel("watched-");
    let mut witness = server.connect().await;
    witness.subscribe(&channel).await;
    let target = Request::post(server.app(), "/users/nobody/terminate_connections").target("");
    let head = format!("POST {target} HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    let input = [head.as_bytes(), &hidden(&server, &channel)].concat();
    let outcomes = exchange(&server, &[input]).await;
    assert!(outcomes[0].len() <= 1, "{outcomes:?}");
    witness.expect_nothing().await;
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn nothing_behind_an_upgrade_is_taken_for_a_request() {
    let server = or_skip!(impatient().start().await);
    let channel = server.channel("watched-");
    let mut witness = server.connect().await;
    witness.subscribe(&channel).await;
    let upgrade = |fields: &str| {
        let head = format!(
            "GET /app/{}?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{fields}\r\n",
            server.app().key
        );
        [head.as_bytes(), &hidden(&server, &channel)].concat()
    };
    // The request's first letters make a bad frame.
    let inputs = [
        "",
        "Content-Length: 0\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
    ]
    .map(upgrade);
    for (statuses, input) in exchange(&server, &inputs).await.iter().zip(&inputs) {
        assert!(
            statuses.len() <= 1,
            "{} was answered with {statuses:?}",
            String::from_utf8_lossy(input)
        );
    }
    // The same behind one that is refused.
    let unknown = inputs.map(|input| {
        let text = String::from_utf8(input).expect("the request is text");
        text.replace("/app/key", "/app/unknown").into_bytes()
    });
    for statuses in exchange(&server, &unknown).await {
        assert!(statuses.len() <= 1, "{statuses:?}");
    }
    witness.expect_nothing().await;
    assert_unharmed(&server).await;
    server.finish().await;
}
