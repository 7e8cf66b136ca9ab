//! Floods of what costs more than it carries: they end, are counted, and harm nobody else.

use h2::Reason;
use protocol_tests::{Request, TestServer, eventually, or_skip, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::client::{Client, PREFACE, connect};
use crate::server::{self, Certificates};

const ENHANCE_YOUR_CALM: u8 = 11;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// `GET /up` in HPACK, without an authority.
const GET_UP: &[u8] = b"\x82\x87\x04\x03/up";

/// Whether this ends with a GOAWAY of that reason, which may be the second.
fn calms(received: &[u8]) -> bool {
    let mut rest = received;
    let mut last = None;
    while let [high, middle, low, kind, _, _, _, _, _, payload @ ..] = rest {
        let length = u32::from_be_bytes([0, *high, *middle, *low]) as usize;
        let (payload, behind) = payload.split_at(length.min(payload.len()));
        if *kind == 7 {
            last = payload.get(7).copied();
        }
        rest = behind;
    }
    last == Some(ENHANCE_YOUR_CALM)
}

/// Sends the same without end, reading all that comes, until the server ends the connection. Returns what came.
async fn flood(
    mut stream: TlsStream<TcpStream>,
    mut more: impl FnMut() -> Option<Vec<u8>>,
) -> Vec<u8> {
    let mut received = Vec::new();
    stream.write_all(PREFACE).await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let writing = async {
        while let Some(bytes) = more() {
            if writer.write_all(&bytes).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    let reading = async {
        let _ended = reader.read_to_end(&mut received).await;
    };
    within("the end of a flood", async {
        tokio::select! {
            () = reading => {}
            () = writing => {}
        }
    })
    .await;
    received
}

async fn refused(server: &TestServer, reason: &str) -> f64 {
    let metrics = server.metrics().await;
    metrics.sum("fanfare_http2_refused_total", &[("reason", reason)])
}

async fn requests(server: &TestServer) -> f64 {
    let metrics = server.metrics().await;
    metrics.sum("fanfare_http2_requests_total", &[])
}

async fn start() -> Result<(TestServer, Certificates), protocol_tests::Skipped> {
    let certificates = Certificates::new();
    certificates.issue("relay", &["relay.test"]);
    let builder = certificates.builder("relay").set("server.workers", 1);
    Ok((builder.start().await?, certificates))
}

#[tokio::test]
async fn frames_that_belong_to_no_request_are_not_taken_without_end() {
    let (server, certificates) = or_skip!(start().await);
    let other = Client::new(&server, &certificates).await;
    for (count, one) in [
        frame(6, 0, 0, b"12345678"),
        // SETTINGS, PRIORITY, WINDOW_UPDATE, and one that nobody knows.
        frame(4, 0, 0, b"\x00\x04\x00\x00\xff\xff"),
        frame(2, 0, 3, b"\x00\x00\x00\x00\x10"),
        frame(8, 0, 0, b"\x00\x00\x00\x01"),
        frame(0xee, 0, 0, b""),
    ]
    .iter()
    .enumerate()
    {
        let stream = connect(&server, &certificates).await;
        let many = one.repeat(100);
        let received = flood(stream, || Some(many.clone())).await;
        assert!(calms(&received), "{received:?}");
        other.expect_healthy().await;
        assert_eq!(refused(&server, "frames").await, (count + 1) as f64);
    }
    drop(other);
    server.finish().await;
}

#[tokio::test]
async fn requests_that_are_reset_at_once_are_not_taken_without_end() {
    let (server, certificates) = or_skip!(start().await);
    let other = Client::new(&server, &certificates).await;
    let stream = connect(&server, &certificates).await;
    let mut id = 1;
    let received = flood(stream, || {
        let mut bytes = Vec::new();
        for _ in 0..50 {
            bytes.extend(frame(1, 5, id, GET_UP));
            bytes.extend(frame(3, 0, id, b"\x00\x00\x00\x08"));
            id += 2;
        }
        Some(bytes)
    })
    .await;
    assert!(calms(&received), "{received:?}");
    other.expect_healthy().await;
    let counted = refused(&server, "flood").await + refused(&server, "resets").await;
    assert_eq!(counted, 1.0);
    drop(other);
    server.finish().await;
}

#[tokio::test]
async fn requests_that_are_reset_before_they_are_answered_are_not_taken_without_end() {
    let (server, certificates) = or_skip!(start().await);
    let flooding = Client::new(&server, &certificates).await;
    let other = Client::new(&server, &certificates).await;
    let request = Request::post(server.app(), "/events").body("x".repeat(100));
    let target = format!("https://relay.test{}", request.target(""));
    for _ in 0..2 {
        let taken = requests(&server).await;
        let mut streams = Vec::new();
        for _ in 0..51 {
            let mut requests = flooding.requests.clone().ready().await.unwrap();
            let head = http::Request::post(&target).body(()).unwrap();
            // It waits for its body, and so has no answer.
            streams.push(requests.send_request(head, false).unwrap());
        }
        // Those which h2 has not yet handed over are counted by h2 alone.
        eventually("the requests to be taken", async || {
            (requests(&server).await == taken + 51.0).then_some(())
        })
        .await;
        for (_, stream) in &mut streams {
            stream.send_reset(Reason::CANCEL);
        }
    }
    let ended = flooding.connection.await.unwrap().unwrap_err();
    assert_eq!(ended.reason(), Some(Reason::ENHANCE_YOUR_CALM));
    assert_eq!(refused(&server, "resets").await, 1.0);
    other.expect_healthy().await;
    drop(other);
    server.finish().await;
}

#[tokio::test]
async fn heads_without_end_and_bodies_of_nothing_end() {
    let (server, certificates) = or_skip!(start().await);
    let other = Client::new(&server, &certificates).await;
    let head = frame(1, 0, 1, b"");
    let mut large = vec![0x82; 16 << 10];
    // A field that is put into the table, and asked for again and again.
    large[..7].copy_from_slice(b"\x40\x01a\x7f\xe1\x1e\x00");
    let posts = frame(1, 4, 1, b"\x83\x87\x04\x03/up");
    for (begin, more) in [
        (head.clone(), frame(9, 0, 1, b"")),
        (head.clone(), frame(9, 0, 1, b"\x82")),
        (head, frame(9, 0, 1, &large)),
        (posts.clone(), frame(0, 0, 1, b"")),
    ] {
        let stream = connect(&server, &certificates).await;
        let mut begin = Some(begin);
        let more = more.repeat(20);
        let received = flood(stream, || {
            Some(begin.take().unwrap_or_else(|| more.clone()))
        })
        .await;
        assert!(!received.is_empty());
        other.expect_healthy().await;
    }
    drop(other);
    server.finish().await;
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused_and_its_connection_stays() {
    let (server, certificates) = or_skip!(server::start().await);
    let client = Client::new(&server, &certificates).await;
    // What the server says of its limit is known only after a first answer.
    client.expect_healthy().await;
    let large = Request::new("GET", "/up").header("x-large", &"x".repeat(20_000));
    let (response, _stream) = client.begin(&large, true).await;
    let response = within("an answer", response).await.unwrap();
    assert_eq!(response.status(), 431);
    client.expect_healthy().await;
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn what_is_not_http2_ends_and_is_counted() {
    let (server, certificates) = or_skip!(start().await);
    for bytes in [
        b"GET /up HTTP/1.1\r\nHost: relay.test\r\n\r\n".to_vec(),
        [PREFACE, &frame(0, 0, 0, b"x")].concat(),
        [PREFACE, &frame(1, 5, 2, GET_UP)].concat(),
        [PREFACE, &frame(6, 0, 0, b"1")].concat(),
        [PREFACE, &frame(1, 5, 1, b"\xff\xff\xff\xff\xff")].concat(),
        [PREFACE, b"\xff\xff\xff\x00\x00\x00\x00\x00\x01"].concat(),
    ] {
        let mut stream = connect(&server, &certificates).await;
        stream.write_all(&bytes).await.unwrap();
        let mut ignored = Vec::new();
        let _ = within("the end", stream.read_to_end(&mut ignored)).await;
    }
    assert_eq!(refused(&server, "malformed").await, 6.0);
    server.finish().await;
}

#[tokio::test]
async fn what_clients_of_http2_do_is_not_logged() {
    let (server, certificates) = or_skip!(start().await);
    let before = server.log().len();
    for _ in 0..20 {
        let mut stream = connect(&server, &certificates).await;
        stream.write_all(PREFACE).await.unwrap();
        // Answers to what was not asked, and what is a mistake.
        let answers = frame(6, 1, 0, b"12345678").repeat(100);
        stream.write_all(&answers).await.unwrap();
        stream.write_all(&frame(0, 0, 0, b"x")).await.unwrap();
        let mut ignored = Vec::new();
        let _ = within("the end", stream.read_to_end(&mut ignored)).await;
    }
    assert_eq!(server.log().len(), before);
    server.finish().await;
}
