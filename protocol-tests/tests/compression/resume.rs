//! Sessions that are taken up again by way of another connection: that decides what is compressed.

use protocol_tests::deflate::OFFER;
use protocol_tests::names::unique;
use protocol_tests::{Event, Frame, PublishedEvent, TestServer, Upgrade, WsClient, eventually};

use crate::support::text;

const BYTES: usize = 2000;

async fn connect(server: &TestServer, token: &str, compresses: bool) -> WsClient {
    let app = server.app();
    let target = format!(
        "/s/{token}/app/{}?protocol=7&client=tests&version=1.0",
        app.key
    );
    let mut upgrade = Upgrade::new(&target);
    if compresses {
        upgrade = upgrade.header("Sec-WebSocket-Extensions", OFFER);
    }
    let client = server.connect_with(app, &upgrade).await;
    assert_eq!(client.socket.extension().is_some(), compresses);
    client
}

async fn publish(server: &TestServer, channel: &str, number: usize) {
    let event = PublishedEvent::new(channel, "event", text(BYTES, number));
    server.publish(event).await;
}

/// Cuts the connection off, and waits until its session waits for its client.
async fn park(server: &TestServer, mut client: WsClient) {
    client.socket.connection().reset_on_drop();
    drop(client);
    eventually("the session to wait", || async {
        let metrics = server.metrics().await;
        (metrics.sum("fanfare_parked_sessions", &[]) == 1.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_carries_a_session_decides_whether_its_events_are_compressed() {
    let server = TestServer::start().await;
    for carriers in [[true, false], [false, true], [true, true]] {
        let channel = server.channel("public-");
        let token = unique("session-token-");
        let mut client = connect(&server, &token, carriers[0]).await;
        let id = client.socket_id.clone();
        client.subscribe(&channel).await;
        publish(&server, &channel, 0).await;
        let event = client.expect_event_on(&channel, "event").await;
        assert_eq!(event.data_text(), text(BYTES, 0));
        assert_eq!(client.socket.inflated, usize::from(carriers[0]));
        park(&server, client).await;
        for number in 1..5 {
            publish(&server, &channel, number).await;
        }
        let mut client = connect(&server, &token, carriers[1]).await;
        assert_eq!(client.socket_id, id);
        client.subscribe(&channel).await;
        let last = text(BYTES, 4);
        let is_last = |event: &Event| event.data == last.as_str();
        let mut missed = client.events_until(is_last).await;
        // The last one is left out; the first may have been on its way when the connection was cut off.
        missed.retain(|event| event.data != text(BYTES, 0).as_str());
        let texts: Vec<_> = missed.iter().map(Event::data_text).collect();
        assert_eq!(texts, [text(BYTES, 1), text(BYTES, 2), text(BYTES, 3)]);
        // What is sent again is sent as it is.
        assert_eq!(client.socket.inflated, 0);
        publish(&server, &channel, 5).await;
        let event = client.expect_event_on(&channel, "event").await;
        assert_eq!(event.data_text(), text(BYTES, 5));
        assert_eq!(client.socket.inflated, usize::from(carriers[1]));
        client.socket.send(Frame::close(1000, "")).await;
        client.socket.read_close().await;
        client.socket.expect_end().await;
    }
    server.finish().await;
}
