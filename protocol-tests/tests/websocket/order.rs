//! Order: within a node all subscribers of a channel see one order, that of acceptance, and see all of it.

use protocol_tests::{AppConfig, HttpClient, PublishedEvent, Request, TestServer, WsClient};
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::send_numbered;

/// A server with more workers than cores, so that subscribers of one channel live on different threads.
async fn start(app: AppConfig) -> TestServer {
    let builder = TestServer::builder().set("server.workers", 4).app(app);
    match builder.start().await {
        Ok(server) => server,
        Err(_configured_otherwise) => TestServer::start().await,
    }
}

async fn publish(http: &mut HttpClient, server: &TestServer, event: &PublishedEvent) {
    let request = Request::post(server.app(), "/events").json(event.body());
    http.send(&request).await.expect_status(200);
}

fn numbered(channel: &str, number: u64) -> PublishedEvent {
    PublishedEvent::new(channel, "numbered", number.to_string())
}

async fn next_number(client: &mut WsClient, channel: &str) -> u64 {
    let event = client.expect_event_on(channel, "numbered").await;
    event.data_text().parse().expect("the data is a number")
}

#[tokio::test]
async fn ten_thousand_events_arrive_complete_and_in_order_at_50_subscribers() {
    const EVENTS: u64 = 10_000;
    // Subscribers that share a core with the server fall behind it; here they may.
    let app = AppConfig::new("10001").limit("outbox_bytes", 64 << 20);
    let server = start(app).await;
    let channel = server.channel("order-");
    let mut subscribers = JoinSet::new();
    for _ in 0..50 {
        let mut client = server.connect().await;
        client.subscribe(&channel).await;
        let channel = channel.clone();
        subscribers.spawn(async move {
            for expected in 0..EVENTS {
                assert_eq!(next_number(&mut client, &channel).await, expected);
            }
            client
        });
    }
    let mut http = server.http();
    for first in (0..EVENTS).step_by(10) {
        let batch: Vec<_> = (first..first + 10)
            .map(|number| numbered(&channel, number).body().clone())
            .collect();
        let request = Request::post(server.app(), "/batch_events").json(&json!({"batch": batch}));
        http.send(&request).await.expect_status(200);
    }
    assert_eq!(http.opened(), 1, "keep-alive");
    for client in &mut subscribers.join_all().await {
        client.expect_nothing().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn requests_sent_one_after_another_reach_a_connection_in_that_order_whatever_the_channel() {
    let server = start(AppConfig::new("10001")).await;
    let channels: Vec<String> = (0..8).map(|_| server.channel("order-")).collect();
    let mut clients = Vec::new();
    for _ in 0..4 {
        let mut client = server.connect().await;
        for channel in &channels {
            client.subscribe(channel).await;
        }
        clients.push(client);
    }
    for number in 0..400 {
        // Each on a connection of its own, so that different workers take them.
        let channel = &channels[(number as usize * 5) % channels.len()];
        server.publish(numbered(channel, number)).await;
    }
    for client in &mut clients {
        for number in 0..400 {
            let channel = &channels[(number as usize * 5) % channels.len()];
            assert_eq!(next_number(client, channel).await, number);
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn all_subscribers_see_the_events_of_many_publishers_in_one_order() {
    const EACH: u64 = 200;
    let server = start(AppConfig::new("10001").limit("client_events_per_second", 100_000)).await;
    let channel = server.channel("private-");
    let mut subscribers = Vec::new();
    for _ in 0..8 {
        let mut client = server.connect().await;
        client.subscribe(&channel).await;
        subscribers.push(client);
    }
    let mut publishers = JoinSet::new();
    for publisher in 0..4 {
        let mut http = server.http();
        let request = |number: u64| {
            let event = PublishedEvent::new(&channel, "p", format!("{publisher}:{number}"));
            Request::post(server.app(), "/events").json(event.body())
        };
        let requests: Vec<Request> = (0..EACH).map(request).collect();
        publishers.spawn(async move {
            for request in &requests {
                http.send(request).await.expect_status(200);
            }
        });
    }
    publishers.join_all().await;
    let mut orders = Vec::new();
    for client in &mut subscribers {
        let events = client.next_events(4 * EACH as usize).await;
        let order: Vec<String> = events
            .iter()
            .map(|event| event.data_text().to_owned())
            .collect();
        client.expect_nothing().await;
        orders.push(order);
    }
    for order in &orders[1..] {
        assert_eq!(order, &orders[0]);
    }
    for publisher in 0..4 {
        let own: Vec<String> = (0..EACH)
            .map(|number| format!("{publisher}:{number}"))
            .collect();
        let prefix = format!("{publisher}:");
        let seen = orders[0].iter().filter(|data| data.starts_with(&prefix));
        assert!(
            seen.eq(own.iter()),
            "each publisher's events keep their order"
        );
    }
    server.finish().await;
}

#[tokio::test]
async fn client_events_and_published_events_are_in_one_order_too() {
    let server = start(AppConfig::new("10001").limit("client_events_per_second", 100_000)).await;
    let channel = server.channel("private-");
    let mut subscribers = Vec::new();
    for _ in 0..6 {
        let mut client = server.connect().await;
        client.subscribe(&channel).await;
        subscribers.push(client);
    }
    let mut sender = server.connect().await;
    sender.subscribe(&channel).await;
    // Few enough for a foreign server's default rate.
    let publishing = async {
        for number in 0..50 {
            server.publish(numbered(&channel, number)).await;
        }
    };
    tokio::join!(publishing, send_numbered(&mut sender, &channel, 0..10));
    sender.ping_fence().await;
    let mut orders: Vec<Vec<String>> = Vec::new();
    for client in &mut subscribers {
        let events = client.fence().await;
        orders.push(
            events
                .iter()
                .map(|event| format!("{} {}", event.name, event.data))
                .collect(),
        );
    }
    assert_eq!(orders[0].len(), 60);
    for order in &orders[1..] {
        assert_eq!(order, &orders[0]);
    }
    server.finish().await;
}

#[tokio::test]
async fn subscribing_while_events_are_published_misses_none_and_doubles_none() {
    let server = start(AppConfig::new("10001")).await;
    let channel = server.channel("race-");
    let mut joining = JoinSet::new();
    for _ in 0..32 {
        let mut client = server.connect().await;
        let channel = channel.clone();
        joining.spawn(async move {
            client.subscribe(&channel).await;
            client
        });
    }
    let mut http = server.http();
    for number in 0..200 {
        publish(&mut http, &server, &numbered(&channel, number)).await;
    }
    let mut joined = joining.join_all().await;
    for number in 200..220 {
        publish(&mut http, &server, &numbered(&channel, number)).await;
    }
    for client in &mut joined {
        let mut expected = next_number(client, &channel).await;
        assert!(
            expected <= 200,
            "what was published after success was missed"
        );
        while expected < 219 {
            expected += 1;
            assert_eq!(next_number(client, &channel).await, expected);
        }
        client.expect_nothing().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn leaving_and_coming_back_while_events_are_published_never_reorders() {
    let server = start(AppConfig::new("10001")).await;
    let channel = server.channel("race-");
    let mut client = server.connect().await;
    let publishing = async {
        let mut http = server.http();
        for number in 0..300 {
            publish(&mut http, &server, &numbered(&channel, number)).await;
        }
    };
    let coming_and_going = async {
        let mut last = None;
        for _ in 0..40 {
            client.send_subscribe(&channel, None, None).await;
            // What the subscription that was ended before still brings comes first.
            let succeeded = "pusher_internal:subscription_succeeded";
            let mut seen = client.events_until(|event| event.name == succeeded).await;
            client.unsubscribe(&channel).await;
            seen.extend(client.ping_fence().await);
            for event in seen {
                let number: u64 = event.data_text().parse().expect("the data is a number");
                assert!(
                    last.is_none_or(|last| last < number),
                    "{number} after {last:?}"
                );
                last = Some(number);
            }
        }
        client.fence().await;
        client
    };
    let ((), mut client) = tokio::join!(publishing, coming_and_going);
    client.expect_nothing().await;
    server.finish().await;
}
