//! How connections over HTTP/2 end when the relay stops.

use protocol_tests::{PublishedEvent, Request, Signal, TestServer, or_skip, within};

use super::client::{Client, head, read_until, whole};
use crate::server;

async fn begins_to_stop(server: &TestServer) {
    server.signal(Signal::Terminate);
    within("the relay to stop", async {
        while server.request(&Request::new("GET", "/ready")).await.status == 200 {}
    })
    .await;
}

#[tokio::test]
async fn a_request_under_way_is_answered_before_the_relay_stops() {
    let (server, certificates) = or_skip!(server::start().await);
    let client = Client::new(&server, &certificates).await;
    let event = PublishedEvent::new("news", "news", "x");
    let request = Request::post(server.app(), "/events").json(event.body());
    let (response, mut stream) = client.begin(&request, false).await;
    // What was sent before was handled.
    client.expect_healthy().await;
    begins_to_stop(&server).await;
    stream.send_data(request.body.clone().into(), true).unwrap();
    let response = within("an answer", response).await.unwrap();
    whole(response).await.expect_status(200);
    let ended = within("the end", client.connection).await.unwrap();
    assert!(ended.is_ok(), "{ended:?}");
    server.exited().await.expect_clean();
}

#[tokio::test]
async fn idle_connections_are_closed_in_good_order_when_the_relay_begins_to_stop() {
    let (server, certificates) = or_skip!(server::start().await);
    let busy = Client::new(&server, &certificates).await;
    let event = PublishedEvent::new("news", "news", "x");
    let request = Request::post(server.app(), "/events").json(event.body());
    let (response, mut stream) = busy.begin(&request, false).await;
    busy.expect_healthy().await;
    let idle = Client::new(&server, &certificates).await;
    idle.expect_healthy().await;
    begins_to_stop(&server).await;
    let ended = within("the end", idle.connection).await.unwrap();
    assert!(ended.is_ok(), "{ended:?}");
    // It has not stopped: who comes now is served, on a connection for that alone.
    let late = Client::new(&server, &certificates).await;
    late.expect_healthy().await;
    let ended = within("the end", late.connection).await.unwrap();
    assert!(ended.is_ok(), "{ended:?}");
    stream.send_data(request.body.clone().into(), true).unwrap();
    let response = within("an answer", response).await.unwrap();
    whole(response).await.expect_status(200);
    server.exited().await.expect_clean();
}

#[tokio::test]
async fn fallback_streams_are_told_to_come_back() {
    let (server, certificates) = or_skip!(server::start().await);
    let client = Client::new(&server, &certificates).await;
    let path = format!(
        "/pusher/app/{}/1/session1/xhr_streaming?protocol=7&client=js&version=8.4.0&t=1&n=1",
        server.app().key
    );
    let (response, _stream) = client.begin(&Request::new("POST", &path), true).await;
    let mut body = head(response).await;
    read_until(&mut body, "pusher:connection_established").await;
    server.signal(Signal::Terminate);
    read_until(&mut body, "c[").await;
    let ended = within("the end", client.connection).await.unwrap();
    assert!(ended.is_ok(), "{ended:?}");
    server.exited().await.expect_clean();
}
