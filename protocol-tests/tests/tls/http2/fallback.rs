//! Connections that requests carry, over HTTP/2.

use h2::RecvStream;
use protocol_tests::{PublishedEvent, Request, TestServer, eventually, or_skip, within};
use serde_json::{Value, json};

use super::client::{Client, head, read_until};
use crate::server::{self, Certificates};

/// A session over a connection that others may share.
struct Session<'c> {
    client: &'c Client,
    path: String,
    number: u64,
}

impl<'c> Session<'c> {
    fn new(client: &'c Client, server: &TestServer, name: &str) -> Self {
        Self {
            client,
            path: format!("/pusher/app/{}/1/{name}", server.app().key),
            number: 0,
        }
    }

    fn request(&mut self, path: &str) -> Request {
        self.number += 1;
        let query = "protocol=7&client=js&version=8.4.0&t=1";
        let target = format!("{}/{path}?{query}&n={}", self.path, self.number);
        Request::new("POST", &target)
    }

    async fn stream(&mut self) -> RecvStream {
        let request = self.request("xhr_streaming");
        head(self.client.begin(&request, true).await.0).await
    }

    async fn poll(&mut self) -> String {
        let request = self.request("xhr");
        self.client.send(&request).await.expect_status(200).text()
    }

    async fn send(&mut self, message: &Value) {
        let request = self.request("xhr_send");
        let request = request.json(&json!([message.to_string()]));
        self.client.send(&request).await.expect_status(204);
    }

    async fn subscribe(&mut self, channel: &str) {
        let data = json!({"channel": channel});
        self.send(&json!({"event": "pusher:subscribe", "data": data}))
            .await;
    }
}

async fn no_connections(server: &TestServer) {
    eventually("the session ends", async || {
        (server.metrics().await.sum("fanfare_connections", &[]) == 0.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stream_carries_events_and_ends_the_session_when_it_is_reset() {
    let (server, certificates) = or_skip!(server::start().await);
    let client = Client::new(&server, &certificates).await;
    let channel = server.channel("http2");
    let mut session = Session::new(&client, &server, "session1");
    let mut body = session.stream().await;
    read_until(&mut body, "pusher:connection_established").await;
    session.subscribe(&channel).await;
    read_until(&mut body, "subscription_succeeded").await;
    for _ in 0..20 {
        let event = PublishedEvent::new(&channel, "news", "y".repeat(9000).as_str());
        server.publish(event).await;
        read_until(&mut body, "yyyy\\\"").await;
    }
    // The page goes away.
    drop(body);
    no_connections(&server).await;
    client.expect_healthy().await;
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn polls_carry_events() {
    let certificates = Certificates::new();
    certificates.issue("relay", &["relay.test"]);
    let builder = certificates.builder("relay");
    let server = or_skip!(builder.set("server.fallback_timeout", 10).start().await);
    let client = Client::new(&server, &certificates).await;
    let channel = server.channel("http2");
    let mut session = Session::new(&client, &server, "session1");
    assert!(session.poll().await.starts_with('o'));
    session.subscribe(&channel).await;
    let mut all = String::new();
    while !all.contains("subscription_succeeded") {
        all += &session.poll().await;
    }
    let publish = server.publish(PublishedEvent::new(&channel, "news", "yyyy"));
    let (polled, _) = tokio::join!(session.poll(), publish);
    assert!(polled.contains("yyyy"), "{polled}");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn many_sessions_share_a_connection_and_end_with_it() {
    let (server, certificates) = or_skip!(server::start().await);
    let client = Client::new(&server, &certificates).await;
    let channel = server.channel("http2");
    let mut streams = Vec::new();
    for number in 0..50 {
        let mut session = Session::new(&client, &server, &format!("session{number}"));
        let mut body = session.stream().await;
        session.subscribe(&channel).await;
        read_until(&mut body, "subscription_succeeded").await;
        streams.push(body);
    }
    server
        .publish(PublishedEvent::new(&channel, "news", "yyyy"))
        .await;
    for body in &mut streams {
        read_until(body, "yyyy").await;
    }
    client.connection.abort();
    drop((streams, client));
    no_connections(&server).await;
    server.finish().await;
}

#[tokio::test]
async fn a_quiet_page_is_asked_whether_it_is_there() {
    let certificates = Certificates::new();
    certificates.issue("relay", &["relay.test"]);
    let builder = certificates
        .builder("relay")
        .set("server.activity_timeout", 1)
        .set("server.pong_timeout", 1);
    let server = or_skip!(builder.start().await);
    let client = Client::new(&server, &certificates).await;
    let mut session = Session::new(&client, &server, "session1");
    let mut body = session.stream().await;
    read_until(&mut body, "pusher:connection_established").await;
    read_until(&mut body, "h\n").await;
    // It does not answer.
    let ended = within("the end", async {
        while let Some(chunk) = body.data().await {
            chunk.unwrap();
        }
    });
    ended.await;
    no_connections(&server).await;
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn streams_that_are_given_up_and_asked_for_again_are_no_flood() {
    let (server, certificates) = or_skip!(server::start().await);
    let client = Client::new(&server, &certificates).await;
    for number in 0..150 {
        let mut session = Session::new(&client, &server, &format!("session{number}"));
        let mut body = session.stream().await;
        read_until(&mut body, "pusher:connection_established").await;
    }
    client.expect_healthy().await;
    no_connections(&server).await;
    drop(client);
    server.finish().await;
}
