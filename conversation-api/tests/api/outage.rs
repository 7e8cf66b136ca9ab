//! The relay is down for a while: requests go on, events wait, none is lost, all are in order.

use std::time::{Duration, Instant};

use protocol_tests::{Signal, TestServer, WsClient};
use serde_json::json;

use crate::support::{Api, Database, Kind, Proxy};

async fn relay_is_down_for(outage: Duration) {
    let relay = TestServer::start().await;
    let mut proxy = Proxy::to(&relay.endpoint().authority);
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database)
        .relay_at(&proxy.authority, relay.app())
        .start()
        .await;
    let mut admin = api.log_in("admin@tims.local").await;
    admin.write(1, "before").await;
    api.everything_sent().await;
    relay.signal(Signal::Terminate);
    relay.exited().await.expect_clean();
    proxy.refuse().await;

    let mut sent = vec![Vec::new(); 7];
    let mut took = Vec::new();
    let end = Instant::now() + outage;
    let mut number = 0;
    while Instant::now() < end || number < 60 {
        let conversation = 1 + number % 6;
        let begun = Instant::now();
        let id = admin
            .write(i64::try_from(conversation).unwrap(), "meanwhile")
            .await;
        took.push(begun.elapsed());
        sent[conversation].push(id);
        number += 1;
        // Some requests a second are as good as thousands here.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Half of them, as a busy machine may delay some.
    took.sort();
    let half = took[took.len() / 2];
    assert!(half < Duration::from_secs(2), "requests took {half:?}");
    admin.get("/up").await.expect_status(200);
    let metrics = api.metrics().await;
    let waiting = metrics.sum("conversation_outbox_waiting", &[("kind", "broadcast")]);
    assert_eq!(waiting, f64::from(u32::try_from(number).unwrap()));
    let lag = metrics.sum("conversation_outbox_lag_seconds", &[("kind", "broadcast")]);
    assert!(lag + 2.0 >= outage.as_secs_f64(), "the lag is {lag} s");

    let relay = TestServer::start().await;
    let mut client = relay.connect().await;
    client.subscribe("private-department.1").await;
    client.subscribe("private-department.2").await;
    proxy.lead_to(&relay.endpoint().authority);
    proxy.accept();
    expect_in_order(&mut client, sent).await;
    api.everything_sent().await;
    client.expect_nothing().await;
    let id = admin.write(1, "after").await;
    let event = client.expect_event("message.sent").await;
    assert_eq!(event.data_json()["id"], json!(id));
    api.stop().await;
    relay.finish().await;
}

/// Takes these messages' events, each conversation's in its order.
async fn expect_in_order(client: &mut WsClient, mut sent: Vec<Vec<i64>>) {
    let total: usize = sent.iter().map(Vec::len).sum();
    for event in client.next_events(total).await {
        let data = event.data_json();
        let conversation = data["conversation_id"].as_u64().unwrap();
        let expected = sent[usize::try_from(conversation).unwrap()].remove(0);
        assert_eq!(data["id"], json!(expected), "conversation {conversation}");
    }
    assert!(sent.iter().all(Vec::is_empty));
}

#[tokio::test]
async fn a_relay_that_is_down_delays_events_and_loses_none() {
    relay_is_down_for(Duration::from_secs(10)).await;
}

#[tokio::test]
#[ignore = "takes more than a minute"]
async fn a_relay_that_is_down_for_a_minute_delays_events_and_loses_none() {
    relay_is_down_for(Duration::from_secs(60)).await;
}
