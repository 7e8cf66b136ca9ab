//! Sessions that outlive the requests that carry them.

use protocol_tests::names::unique;
use protocol_tests::{
    AppConfig, Frame, PublishedEvent, Skipped, TestServer, Upgrade, eventually, or_skip,
};

use crate::client::{BOTH, FallbackClient, Session};

async fn start() -> Result<TestServer, Skipped> {
    let app = AppConfig::new("10001").set("resume.window", 60);
    let builder = TestServer::builder().set("server.fallback_timeout", 3);
    builder.app(app).start().await
}

/// Waits until so many sessions wait for their clients.
async fn expect_parked(server: &TestServer, count: usize) {
    eventually(&format!("{count} sessions to be parked"), || async {
        let metrics = server.metrics().await;
        let app = [("app", server.app().id.as_str())];
        let parked = metrics.sum("fanfare_parked_sessions", &app) as usize;
        (parked == count).then_some(())
    })
    .await;
}

async fn publish(server: &TestServer, channel: &str, number: usize) {
    let event = PublishedEvent::new(channel, "number", number.to_string());
    server.publish(event).await;
}

/// Reads the events up to this one, which come in order; what was not proven received may come again.
async fn expect_up_to(client: &mut FallbackClient<'_>, channel: &str, first: usize, last: usize) {
    let mut next = None;
    while next != Some(last + 1) {
        let event = client.expect_event(channel, "number").await;
        let number: usize = event.data_text().parse().expect("a number");
        match next {
            None => assert!(number <= first, "{number}"),
            Some(expected) => assert_eq!(number, expected),
        }
        next = Some(number + 1);
    }
}

#[tokio::test]
async fn a_page_whose_requests_break_off_comes_back_and_has_missed_nothing() {
    let server = or_skip!(start().await);
    for (transport, next) in BOTH.into_iter().zip(BOTH.into_iter().rev()) {
        let (channel, token) = (server.channel("orders-"), unique("session-token-"));
        let page = || Session::of_page(server.app(), &token);
        let app = server.app();
        let mut client = FallbackClient::connect_as(&server, app, transport, page()).await;
        client.subscribe(&channel, None).await;
        publish(&server, &channel, 1).await;
        expect_up_to(&mut client, &channel, 1, 1).await;
        let socket_id = client.socket_id.clone();
        drop(client);
        expect_parked(&server, 1).await;
        publish(&server, &channel, 2).await;
        publish(&server, &channel, 3).await;
        // It may come back in the other way.
        let mut client = FallbackClient::connect_as(&server, app, next, page()).await;
        assert_eq!(client.socket_id, socket_id);
        expect_parked(&server, 0).await;
        client.subscribe(&channel, None).await;
        publish(&server, &channel, 4).await;
        expect_up_to(&mut client, &channel, 2, 4).await;
        drop(client);
        expect_parked(&server, 1).await;
        let query = "protocol=7&client=js&version=8.6.0";
        let upgrade = Upgrade::new(&format!("/s/{token}/app/{}?{query}", app.key));
        let mut client = server.connect_with(app, &upgrade).await;
        assert_eq!(client.socket_id, socket_id);
        client.socket.send(Frame::close(1000, "")).await;
        client.socket.read_close().await;
        expect_parked(&server, 0).await;
    }
    server.finish().await;
}
