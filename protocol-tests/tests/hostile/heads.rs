//! Request heads that are malformed, huge or of another protocol.

use protocol_tests::or_skip;
use tokio::time::Instant;

use crate::support::{assert_soon, assert_unharmed, exchange, impatient, statuses_of};

/// Asserts that each input is answered with nothing but errors, or with the end of the connection.
async fn assert_refused(inputs: &[Vec<u8>]) {
    let server = or_skip!(impatient().start().await);
    let started = Instant::now();
    let outcomes = exchange(&server, inputs).await;
    assert_soon(started);
    for (input, statuses) in inputs.iter().zip(outcomes) {
        let shown = String::from_utf8_lossy(&input[..input.len().min(100)]).into_owned();
        assert!(
            statuses.len() <= 1,
            "{shown:?} was answered with {statuses:?}"
        );
        let refused = statuses
            .iter()
            .all(|status| (400..500).contains(status) || [501, 505].contains(status));
        assert!(refused, "{shown:?} was answered with {statuses:?}");
    }
    assert_unharmed(&server).await;
    server.finish().await;
}

fn bytes(inputs: &[&[u8]]) -> Vec<Vec<u8>> {
    inputs.iter().map(|input| input.to_vec()).collect()
}

#[tokio::test]
async fn malformed_request_lines_are_refused() {
    assert_refused(&bytes(&[
        b"GET\r\n\r\n",
        b"GET /up\r\n\r\n",
        b"/up HTTP/1.1\r\n\r\n",
        b" GET /up HTTP/1.1\r\n\r\n",
        b"GET /up HTTP/1.1 x\r\n\r\n",
        b"GET /up HTTP/9.9\r\n\r\n",
        b"GET /up HTTP/0.9\r\n\r\n",
        b"GET /up http/1.1\r\n\r\n",
        b"GET /up XTTP/1.1\r\n\r\n",
        b"GET /up HTTP/1.\r\n\r\n",
        b"GET /up HTTP/11\r\n\r\n",
        b"G\0T /up HTTP/1.1\r\n\r\n",
        b"G(T /up HTTP/1.1\r\n\r\n",
        b"G\x80T /up HTTP/1.1\r\n\r\n",
        b"GET /up\0 HTTP/1.1\r\n\r\n",
        b"GET /up\x7f HTTP/1.1\r\n\r\n",
        b"GET /u p HTTP/1.1\r\n\r\n",
        b"GET http:// HTTP/1.1\r\n\r\n",
        b"GET : HTTP/1.1\r\n\r\n",
        b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n",
    ]))
    .await;
}

#[tokio::test]
async fn malformed_header_fields_are_refused() {
    let fields: [&[u8]; 15] = [
        b"no colon",
        b": no name",
        b"Host : space before the colon",
        b" Folded: first line",
        b"Na me: x",
        b"Na\0me: x",
        b"Na\xffme: x",
        b"N\xc3\xa4me: x",
        b"(Name): x",
        b"X: a\0b",
        b"X: a\rb",
        b"X: a\x01b",
        b"X: a\x7fb",
        b"X: a\r\n folded: b",
        b"X",
    ];
    let request =
        |field: &&[u8]| [b"GET /up HTTP/1.1\r\nHost: x\r\n", *field, b"\r\n\r\n"].concat();
    assert_refused(&fields.iter().map(request).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn malformed_content_lengths_are_refused() {
    let lengths = [
        "-1",
        "+5",
        "abc",
        "5 5",
        "5,6",
        "0x5",
        "1e3",
        "5.0",
        "\"5\"",
        "18446744073709551616",
        "99999999999999999999999999",
    ];
    let request = |length: &&str| {
        format!("POST /up HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\nabcde")
            .into_bytes()
    };
    assert_refused(&lengths.iter().map(request).collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn other_protocols_are_refused() {
    assert_refused(&bytes(&[
        b"SSH-2.0-OpenSSH_9.2p1\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\r\n\r\n",
        b"HELO example.com\r\nMAIL FROM:<a@b>\r\n\r\n",
        b"*1\r\n$4\r\nPING\r\n",
        b"\x81\x05Hello",
        b"\0\0\0\0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"{\"event\":\"pusher:ping\"}\r\n\r\n",
    ]))
    .await;
}

#[tokio::test]
async fn heads_that_never_end_are_cut_off() {
    assert_refused(&bytes(&[
        b"",
        b"G",
        b"GET /up HTTP/1.1",
        b"GET /up HTTP/1.1\r\n",
        b"GET /up HTTP/1.1\r\nHost: x\r\n",
        b"GET /up HTTP/1.1\r\nHost",
        b"GET /app/key?protocol=7 HTTP/1.1\r\nUpgrade: websocket\r\n",
        b"\r\n",
        b"\r\n\r\n\r\n\r\n",
        b"\n\n\n",
    ]))
    .await;
}

#[tokio::test]
async fn huge_heads_are_refused() {
    let long = "x".repeat(1 << 20);
    let many: String = (0..5000)
        .map(|number| format!("X-{number}: y\r\n"))
        .collect();
    assert_refused(&[
        format!("GET /up HTTP/1.1\r\nX: {long}\r\n\r\n").into_bytes(),
        format!("GET /up HTTP/1.1\r\n{long}: x\r\n\r\n").into_bytes(),
        format!("GET /up?{long} HTTP/1.1\r\n\r\n").into_bytes(),
        format!("GET /{long} HTTP/1.1\r\n\r\n").into_bytes(),
        format!("{long} /up HTTP/1.1\r\n\r\n").into_bytes(),
        format!("GET /up HTTP/1.1\r\n{many}\r\n").into_bytes(),
        format!("GET /app/key?protocol=7 HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {long}\r\n\r\n").into_bytes(),
    ])
    .await;
}

#[tokio::test]
async fn head_without_an_end_is_not_read_for_ever() {
    let server = or_skip!(
        impatient()
            .set("server.request_head_timeout", 60)
            .start()
            .await
    );
    let mut connection = server.connection().await;
    connection.send(b"GET /up HTTP/1.1\r\n").await;
    let field = format!("X-Field: {}\r\n", "x".repeat(1000));
    let mut sent = 0;
    while connection.try_send(field.as_bytes()).await.is_ok() {
        sent += field.len();
        assert!(
            sent < 64 << 20,
            "the server reads on after {sent} bytes of one head"
        );
    }
    // What was unread when the server closed may have destroyed the answer on its way.
    let (bytes, _ended) = connection.receive_to_end().await;
    assert!(
        statuses_of(&bytes)
            .iter()
            .all(|status| (400..500).contains(status))
    );
    assert_unharmed(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn bad_upgrades_are_refused() {
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let request = |line: &str, fields: &str| {
        format!("{line} HTTP/1.1\r\nHost: x\r\n{fields}\r\n").into_bytes()
    };
    let get = "GET /app/key-10001?protocol=7";
    assert_refused(&[
        request(get, upgrade),
        request(get, &format!("{upgrade}Sec-WebSocket-Key: \r\n")),
        request("POST /app/key-10001?protocol=7", &format!("{upgrade}{key}")),
        request(
            "PUT /app/key-10001?protocol=7",
            &format!("{upgrade}{key}Content-Length: 5\r\n"),
        ),
        request(get, &format!("{}{key}", upgrade.replace("13", "12"))),
        request(get, &format!("{}{key}", upgrade.replace("13", "x"))),
        request(
            get,
            &format!("{}{key}", upgrade.replace("Connection: Upgrade\r\n", "")),
        ),
        request(get, &upgrade.replace("websocket", "h2c")),
        request(get, "Upgrade: \r\nConnection: Upgrade\r\n"),
    ])
    .await;
}
