//! Events to clients that take them compressed, and to others beside them.

use protocol_tests::{Event, PublishedEvent, Request, TestServer, WsClient, eventually, or_skip};
use serde_json::json;

use crate::support::{compressed, connect, offering, text};

async fn publish(server: &TestServer, channel: &str, data: &str) {
    server
        .publish(PublishedEvent::new(channel, "event", data))
        .await;
}

async fn received(client: &mut WsClient, channel: &str) -> Event {
    client.expect_event_on(channel, "event").await
}

#[tokio::test]
async fn all_subscribers_receive_the_same_and_an_event_is_compressed_once() {
    let server = TestServer::start().await;
    let channel = server.channel("mixed-");
    let mut clients = Vec::new();
    for number in 0..12 {
        let mut client = match number % 3 {
            0 => server.connect().await,
            _ => connect(&server).await,
        };
        client.subscribe(&channel).await;
        clients.push(client);
    }
    for number in 0..10 {
        let data = text(3000, number);
        publish(&server, &channel, &data).await;
        let mut texts = Vec::new();
        for client in &mut clients {
            let event = received(client, &channel).await;
            assert_eq!(event.data_text(), data);
            texts.push(event.text);
        }
        texts.dedup();
        assert_eq!(texts.len(), 1);
    }
    for (number, client) in clients.iter().enumerate() {
        let inflated = if number % 3 == 0 { 0 } else { 10 };
        assert_eq!(client.socket.inflated, inflated);
        let most = if inflated == 0 { 40_000 } else { 12_000 };
        let least = if inflated == 0 { 30_000 } else { 0 };
        assert!((least..most).contains(&client.socket.received_bytes));
    }
    assert_eq!(compressed(&server).await, 10.0);
    let metrics = server.metrics().await;
    let [before, after] = ["before", "after"]
        .map(|stage| metrics.sum("fanfare_compression_bytes_total", &[("stage", stage)]));
    assert!(
        before > 30_000.0 && after < before / 2.0,
        "{before} {after}"
    );
    let all = (before - after) * 8.0;
    // It is counted once all is written, which the clients may have received by then.
    eventually("what was saved to be counted", || async {
        let saved = server.metrics().await;
        let saved = saved.sum("fanfare_compression_saved_bytes_total", &[]);
        assert!(saved <= all, "{saved} of {all}");
        (saved == all).then_some(())
    })
    .await;
    assert_eq!(
        metrics.sum("fanfare_compression_negotiated_total", &[]),
        8.0
    );
    server.finish().await;
}

#[tokio::test]
async fn short_events_are_sent_as_they_are() {
    let server = or_skip!(
        TestServer::builder()
            .set("compression.min_bytes", 1000)
            .set("compression.level", 9)
            .start()
            .await
    );
    let channel = server.channel("short-");
    let mut client = connect(&server).await;
    client.subscribe(&channel).await;
    let short = text(500, 1);
    publish(&server, &channel, &short).await;
    let event = received(&mut client, &channel).await;
    assert_eq!(event.data_text(), short);
    assert_eq!(client.socket.inflated, 0);
    let long = text(1000, 1);
    publish(&server, &channel, &long).await;
    assert_eq!(received(&mut client, &channel).await.data_text(), long);
    assert_eq!(client.socket.inflated, 1);
    assert_eq!(compressed(&server).await, 1.0);
    server.finish().await;
}

#[tokio::test]
async fn a_client_with_a_small_window_is_sent_compressed_what_fits_into_it() {
    let server = TestServer::start().await;
    let channel = server.channel("window-");
    let offer = "permessage-deflate; server_max_window_bits=11";
    let upgrade = offering(server.app(), offer);
    let mut small = server.connect_with(server.app(), &upgrade).await;
    let mut large = connect(&server).await;
    for client in [&mut small, &mut large] {
        client.subscribe(&channel).await;
    }
    for (bytes, fits) in [(1500, 1), (2500, 1), (1500, 2), (9000, 2)] {
        let data = text(bytes, bytes);
        publish(&server, &channel, &data).await;
        for client in [&mut small, &mut large] {
            assert_eq!(received(client, &channel).await.data_text(), data);
        }
        assert_eq!(small.socket.inflated, fits);
    }
    assert_eq!(large.socket.inflated, 4);
    server.finish().await;
}

#[tokio::test]
async fn many_events_in_a_row_come_in_order_short_and_long() {
    let server = TestServer::start().await;
    let channel = server.channel("row-");
    let mut clients = [connect(&server).await, server.connect().await];
    for client in &mut clients {
        client.subscribe(&channel).await;
    }
    let lengths: Vec<usize> = (0..200).map(|number| (number * 379) % 2500).collect();
    for batch in lengths.chunks(10) {
        let events: Vec<_> = batch
            .iter()
            .map(|length| json!({"name": "event", "channel": channel, "data": text(*length, *length)}))
            .collect();
        let body = json!({"batch": events});
        let request = Request::post(server.app(), "/batch_events").json(&body);
        server.request(&request).await.expect_status(200);
    }
    for client in &mut clients {
        for length in &lengths {
            let event = received(client, &channel).await;
            assert_eq!(event.data_text(), text(*length, *length));
        }
    }
    let long = lengths.iter().filter(|length| **length > 520).count();
    assert!(clients[0].socket.inflated >= long);
    assert_eq!(clients[1].socket.inflated, 0);
    server.finish().await;
}

#[tokio::test]
async fn a_slow_client_is_sent_all_of_it_once_it_reads() {
    let server = TestServer::start().await;
    let channel = server.channel("slow-");
    let mut client = connect(&server).await;
    client.socket.connection().set_small_receive_buffer();
    client.subscribe(&channel).await;
    for number in 0..300 {
        publish(&server, &channel, &text(9000, number)).await;
    }
    for number in 0..300 {
        let event = received(&mut client, &channel).await;
        assert_eq!(event.data_text(), text(9000, number));
    }
    server.finish().await;
}
