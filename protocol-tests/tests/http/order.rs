//! Requests sent one after another reach a connection in that order, whatever the channel and the kind of request.

use protocol_tests::{PublishedEvent, Request, TestServer, WsClient};

use crate::support::{batch, publish};

/// The requests of a publisher who uses every way there is, and what each connection must see of them.
fn plan(server: &TestServer, channels: &[String]) -> (Vec<Request>, Vec<(String, String)>) {
    let (mut requests, mut expected) = (Vec::new(), Vec::new());
    let mut number = 0;
    let mut next = |channels: &[&String]| {
        number += 1;
        let names: Vec<&str> = channels.iter().map(|channel| channel.as_str()).collect();
        for name in &names {
            expected.push((name.to_string(), number.to_string()));
        }
        PublishedEvent::new("", "numbered", number.to_string()).on(&names)
    };
    let app = server.app();
    for round in 0..40 {
        let pick = |offset: usize| &channels[(round * 3 + offset) % channels.len()];
        requests.push(publish(app, &next(&[pick(0)])));
        requests.push(publish(app, &next(&[pick(2), pick(1)])));
        let single = |event: PublishedEvent, channel: &String| {
            event
                .with("channels", serde_json::Value::Null)
                .with("channel", channel.as_str().into())
        };
        let events = [0, 1, 0, 3].map(|offset| single(next(&[pick(offset)]), pick(offset)));
        requests.push(batch(app, &events));
        let chunked = publish(app, &next(&[pick(1)])).chunked(50);
        requests.push(chunked);
    }
    (requests, expected)
}

async fn connections(server: &TestServer, channels: &[String]) -> Vec<WsClient> {
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = server.connect().await;
        for channel in channels {
            client.subscribe(channel).await;
        }
        clients.push(client);
    }
    clients
}

async fn assert_seen(clients: &mut [WsClient], expected: &[(String, String)]) {
    for client in clients {
        for (channel, number) in expected {
            let event = client.expect_event_on(channel, "numbered").await;
            assert_eq!(event.data_text(), number);
        }
        client.expect_nothing().await;
    }
}

async fn start() -> TestServer {
    let builder = TestServer::builder().set("server.workers", 4);
    match builder.start().await {
        Ok(server) => server,
        Err(_configured_otherwise) => TestServer::start().await,
    }
}

fn channels(server: &TestServer) -> Vec<String> {
    [
        "public-",
        "private-",
        "public-",
        "private-",
        "private-encryptedx-",
    ]
    .map(|prefix| server.channel(prefix))
    .to_vec()
}

#[tokio::test]
async fn requests_of_one_connection_arrive_in_order() {
    let server = start().await;
    let channels = channels(&server);
    let mut clients = connections(&server, &channels).await;
    let (requests, expected) = plan(&server, &channels);
    let mut http = server.http();
    for request in &requests {
        http.send(request).await.expect_status(200);
    }
    assert_eq!(http.opened(), 1);
    assert_seen(&mut clients, &expected).await;
    server.finish().await;
}

#[tokio::test]
async fn requests_of_a_connection_each_arrive_in_order_too() {
    let server = start().await;
    let channels = channels(&server);
    let mut clients = connections(&server, &channels).await;
    let (requests, expected) = plan(&server, &channels);
    for request in &requests {
        // A new connection goes to the next worker.
        server.request(request).await.expect_status(200);
    }
    assert_seen(&mut clients, &expected).await;
    server.finish().await;
}
