//! Streams behind a proxy that notices only when it has something to pass on that a page is gone.

use protocol_tests::{Balancer, Connection, Request, TestServer, or_skip, within};
use serde_json::{Value, json};

use crate::client::{FallbackClient, Session, Transport, start};

/// Reads until the text has come.
async fn read_until(connection: &mut Connection, text: &str) -> String {
    within(text, async {
        loop {
            let read = String::from_utf8_lossy(connection.buffered()).into_owned();
            if read.contains(text) {
                return read;
            }
            connection.receive().await.expect("an answer");
        }
    })
    .await
}

fn socket_id(read: &str) -> String {
    let (_, behind) = read.split_once("socket_id").expect("a socket id");
    let is_part = |character: &char| character.is_ascii_digit() || *character == '.';
    let begins = behind.find(|character: char| character.is_ascii_digit());
    let from = &behind[begins.expect("digits")..];
    from.chars().take_while(is_part).collect()
}

fn encoded(server: &TestServer, request: &Request) -> Vec<u8> {
    let endpoint = server.endpoint();
    request.encode(&endpoint.authority, &endpoint.prefix)
}

#[tokio::test]
async fn a_page_that_closes_its_stream_behind_haproxy_has_soon_left() {
    // Nobody is asked for two minutes whether it is there.
    let server = or_skip!(start().await);
    let proxy = Balancer::haproxy(&[server.endpoint().authority.clone()]).await;
    let channel = server.channel("presence-");
    let mut socket = server.connect().await;
    socket.subscribe_presence(&channel, "bob", json!({})).await;

    let mut session = Session::new(server.app());
    let mut stream = Connection::open(proxy.authority()).await;
    let request = encoded(&server, &session.receive(Transport::Streaming));
    stream.send(&request).await;
    let id = socket_id(&read_until(&mut stream, "activity_timeout").await);
    let channel_data = json!({"user_id": "ann"}).to_string();
    let auth = server
        .app()
        .channel_auth(&id, &channel, Some(&channel_data));
    let data = json!({"channel": channel, "auth": auth, "channel_data": channel_data});
    let subscribe = json!({"event": "pusher:subscribe", "data": data}).to_string();
    let subscribe = session.send(&json!([subscribe]).to_string());
    server.request(&subscribe).await.expect_status(204);
    read_until(&mut stream, "subscription_succeeded").await;
    socket
        .expect_event_on(&channel, "pusher_internal:member_added")
        .await;

    drop(stream);
    let gone = socket
        .expect_event_on(&channel, "pusher_internal:member_removed")
        .await;
    assert_eq!(gone.data_json()["user_id"], Value::from("ann"));
    drop((socket, proxy));
    server.finish().await;
}

#[tokio::test]
async fn a_stream_on_which_nothing_is_sent_carries_blank_lines_that_mean_nothing() {
    let server = or_skip!(start().await);
    let mut client = FallbackClient::connect(&server, Transport::Streaming).await;
    let stream = client.stream.as_mut().expect("a stream");
    let line = within("a blank line", stream.next_text()).await;
    assert_eq!(line.as_deref(), Some(" "));
    assert!(client.fence().await.is_empty());
    drop(client);
    server.finish().await;
}
