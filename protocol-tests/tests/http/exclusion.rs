//! `socket_id`: the connection that does not receive the event.

use protocol_tests::{PublishedEvent, Request, TestServer};
use serde_json::{Value, json};

use crate::support::{batch, expect_refused, publish, subscriber};

#[tokio::test]
async fn excluded_connection_alone_does_not_receive_the_event() {
    let server = TestServer::start().await;
    let channel = server.channel("public-");
    let mut sender = server.connect().await;
    let mut other = server.connect().await;
    sender.subscribe(&channel).await;
    other.subscribe(&channel).await;
    let event = PublishedEvent::new(&channel, "x", "").excluding(&sender.socket_id);
    assert_eq!(server.publish(event).await, json!({}));
    other.expect_event_on(&channel, "x").await;
    sender.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn exclusion_holds_on_every_channel_of_the_event() {
    let server = TestServer::start().await;
    let channels = [server.channel("public-"), server.channel("private-")];
    let mut sender = server.connect().await;
    let mut other = server.connect().await;
    for channel in &channels {
        sender.subscribe(channel).await;
        other.subscribe(channel).await;
    }
    let event = PublishedEvent::new("", "x", "")
        .on(&[&channels[0], &channels[1]])
        .excluding(&sender.socket_id);
    server.publish(event).await;
    for channel in &channels {
        other.expect_event_on(channel, "x").await;
    }
    sender.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn each_event_of_a_batch_excludes_its_own() {
    let server = TestServer::start().await;
    let channel = server.channel("public-");
    let mut clients = [server.connect().await, server.connect().await];
    for client in &mut clients {
        client.subscribe(&channel).await;
    }
    let events = [
        PublishedEvent::new(&channel, "not-to-0", "").excluding(&clients[0].socket_id),
        PublishedEvent::new(&channel, "to-both", ""),
        PublishedEvent::new(&channel, "not-to-1", "").excluding(&clients[1].socket_id),
    ];
    server
        .request(&batch(server.app(), &events))
        .await
        .expect_status(200);
    for (client, names) in clients
        .iter_mut()
        .zip([["to-both", "not-to-1"], ["not-to-0", "to-both"]])
    {
        for name in names {
            client.expect_event_on(&channel, name).await;
        }
        client.expect_nothing().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn well_formed_socket_id_that_is_not_connected_is_accepted() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let mut gone = server.connect().await;
    let gone_id = gone.socket_id.clone();
    gone.socket
        .send(protocol_tests::Frame::close(1000, ""))
        .await;
    gone.expect_close().await;
    for unknown in [
        "1.1",
        "0.0",
        "01.002",
        "18446744073709551615.18446744073709551615",
        "18446744073709551616.18446744073709551616",
        "99999999999999999999999999.99999999999999999999999999",
        &gone_id,
    ] {
        let event = PublishedEvent::new(&channel, "x", unknown).excluding(unknown);
        server.publish(event).await;
        let event = client.expect_event_on(&channel, "x").await;
        assert_eq!(event.data_text(), unknown);
    }
    server.finish().await;
}

#[tokio::test]
async fn malformed_socket_id_is_400_naming_it() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let id = client.socket_id.clone();
    let malformed = [
        "",
        ".",
        "1",
        "1.",
        ".1",
        "1.2.3",
        "a.b",
        "1,2",
        "-1.2",
        "1.-2",
        "+1.2",
        "1.2e3",
        "0x1.2",
        "1.2 ",
        " 1.2",
        "1.2\n",
        "1.2\0",
        "١.٢",
        "1.2:private-a",
    ];
    let values = malformed.iter().map(|text| json!(text)).chain([
        json!(1.2),
        json!(12),
        json!(true),
        json!([id]),
        json!({"id": id}),
    ]);
    for value in values {
        let event = PublishedEvent::new(&channel, "x", "").with("socket_id", value.clone());
        expect_refused(&server, &publish(server.app(), &event), 400, "socket_id").await;
        let in_batch = batch(
            server.app(),
            &[PublishedEvent::new(&channel, "x", ""), event],
        );
        expect_refused(&server, &in_batch, 400, "socket_id").await;
    }
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn null_in_an_optional_field_is_the_same_as_an_absent_one() {
    // The Rust crate sends "socket_id": null.
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let event = PublishedEvent::new(&channel, "x", "")
        .with("socket_id", Value::Null)
        .with("info", Value::Null);
    assert_eq!(
        server
            .publish(event.clone().with("channels", Value::Null))
            .await,
        json!({})
    );
    client.expect_event_on(&channel, "x").await;
    let with_list = event.clone().on(&[&channel]).with("channel", Value::Null);
    assert_eq!(server.publish(with_list).await, json!({}));
    client.expect_event_on(&channel, "x").await;
    let request = batch(server.app(), &[event]);
    let answer = server.request(&request).await.expect_status(200).json();
    assert_eq!(answer, json!({}));
    client.expect_event_on(&channel, "x").await;
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn unknown_fields_are_passed_over() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let body = json!({
        "name": "x", "channel": channel, "data": "", "tags": {"a": 1}, "user_id": "u1", "ttl": 5, "": null,
    });
    let request = Request::post(server.app(), "/events").json(&body);
    server.request(&request).await.expect_status(200);
    let event = client.expect_event_on(&channel, "x").await;
    assert_eq!(
        event.message,
        json!({"event": "x", "channel": channel, "data": ""})
    );
    server.finish().await;
}
