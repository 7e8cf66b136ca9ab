//! `xhr_streaming`: an answer that does not end, but when the client asks for the next one.

use protocol_tests::{AppConfig, PublishedEvent, Request, TestServer, or_skip, within};
use serde_json::json;

use crate::client::{FallbackClient, Session, Transport, start};

/// Publishes so many numbered events with this padding, a batch at a time.
async fn publish_numbers(server: &TestServer, channel: &str, count: usize, padding: &str) {
    const BATCH: usize = 10;
    let mut http = server.http();
    for first in (0..count).step_by(BATCH) {
        let event = |number| {
            let data = format!("{number} {padding}");
            json!({"channel": channel, "name": "number", "data": data})
        };
        let batch: Vec<_> = (first..count.min(first + BATCH)).map(event).collect();
        let request = Request::post(server.app(), "/batch_events").json(&json!({"batch": batch}));
        http.send(&request).await.expect_status(200);
    }
}

async fn expect_numbers(client: &mut FallbackClient<'_>, channel: &str, count: usize) {
    for number in 0..count {
        let event = client.expect_event(channel, "number").await;
        let (received, _) = event.data_text().split_once(' ').expect("a number");
        assert_eq!(received, number.to_string());
    }
}

#[tokio::test]
async fn renewals_lose_nothing_and_nothing_comes_twice() {
    let server = or_skip!(start().await);
    for padding in ["x".repeat(1000), "☕𝄞é".repeat(200)] {
        let channel = server.channel("orders-");
        let mut client = FallbackClient::on(&server, Transport::Streaming, &channel).await;
        let publishing = publish_numbers(&server, &channel, 2000, &padding);
        tokio::join!(publishing, expect_numbers(&mut client, &channel, 2000));
        assert!(client.renewals >= 4, "{}", client.renewals);
        assert!(client.fence().await.is_empty());
    }
    server.finish().await;
}

#[tokio::test]
async fn what_comes_while_a_client_is_slow_to_renew_is_kept() {
    let server = or_skip!(start().await);
    let channel = server.channel("orders-");
    let mut client = FallbackClient::on(&server, Transport::Streaming, &channel).await;
    // More than a stream holds, and less than an outbox does.
    let padding = "x".repeat(8000);
    publish_numbers(&server, &channel, 80, &padding).await;
    expect_numbers(&mut client, &channel, 80).await;
    assert!(client.renewals >= 2, "{}", client.renewals);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_stream_that_is_given_up_early_ends_in_a_new_connection_and_no_gap() {
    let server = or_skip!(start().await);
    let channel = server.channel("orders-");
    let mut client = FallbackClient::on(&server, Transport::Streaming, &channel).await;
    // It is still there as far as the relay knows.
    let _given_up = client.stream.take();
    client.renewals += 1;
    client.answers_heartbeats = false;
    let (code, reason) = client.expect_close().await;
    assert_eq!(code, 4200, "{reason}");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_message_larger_than_a_stream_comes_whole() {
    let app = AppConfig::new("10001").limit("event_data_bytes", 400_000);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let channel = server.channel("orders-");
    let mut client = FallbackClient::on(&server, Transport::Streaming, &channel).await;
    let data = "x".repeat(300_000);
    for _ in 0..3 {
        server
            .publish(PublishedEvent::new(&channel, "large", data.as_str()))
            .await;
        let event = client.expect_event(&channel, "large").await;
        assert_eq!(event.data_text(), data);
    }
    assert!(client.fence().await.is_empty());
    assert_eq!(client.renewals, 3);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn a_proxy_that_knows_no_chunks_gets_none() {
    let server = or_skip!(start().await);
    let request = Session::new(server.app()).receive(Transport::Streaming);
    let request = request.header("Connection", "keep-alive");
    let endpoint = server.endpoint();
    let bytes = request.encode(&endpoint.authority, &endpoint.prefix);
    let text = String::from_utf8(bytes).expect("it is text");
    let mut connection = server.connection().await;
    let of_proxy = text.replacen(" HTTP/1.1\r\n", " HTTP/1.0\r\n", 1);
    connection.send(of_proxy.as_bytes()).await;
    let answer = within("the beginning of a stream", async {
        loop {
            let answer = String::from_utf8_lossy(connection.buffered()).into_owned();
            if answer.contains("pusher:connection_established") && answer.ends_with('\n') {
                return answer;
            }
            connection.receive().await.expect("an answer");
        }
    })
    .await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    let head = head.to_lowercase();
    assert!(head.starts_with("http/1.0 200 "), "{head}");
    // It ends with its connection.
    for field in ["transfer-encoding", "keep-alive"] {
        assert!(!head.contains(field), "{field}: {head}");
    }
    let opened = format!("{}\no{{}}\na[", "h".repeat(2048));
    assert!(body.starts_with(&opened), "{body}");
    drop(connection);
    server.finish().await;
}
