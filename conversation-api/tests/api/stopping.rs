//! A stop in good order.

use protocol_tests::{Port, TestServer, eventually};

use crate::support::graph::{start, takes};
use crate::support::proxy::Gate;
use crate::support::{Api, Database, Kind, Proxy, StandIn};

#[tokio::test]
async fn what_was_answered_goes_out_before_the_end() {
    let relay = TestServer::start().await;
    let proxy = Proxy::to(&relay.endpoint().authority);
    let database = Database::seeded(Kind::Sqlite).await;
    // A third of it may pass while requests are held, however slow the machine is.
    let mut api = Api::on(&database)
        .relay_at(&proxy.authority, relay.app())
        .set("OUTBOX_LEASE_SECONDS", "600")
        .start()
        .await;
    let mut admin = api.log_in("admin@tims.local").await;
    let mut client = relay.connect().await;
    client.subscribe("private-department.1").await;
    proxy.set(Gate::HoldRequests);
    for number in 0..30 {
        admin.write(1 + number % 3, "x").await;
    }
    api.signal(libc::SIGTERM);
    proxy.set(Gate::Open);
    client.next_events(30).await;
    api.exited().await.expect_clean();
    let waiting = "SELECT COUNT(*) FROM outbox WHERE sent_at IS NULL";
    assert_eq!(database.number(waiting).await, 0);
    relay.finish().await;
}

#[tokio::test]
async fn a_relay_that_is_gone_does_not_keep_the_process() {
    let database = Database::seeded(Kind::Sqlite).await;
    let app = protocol_tests::AppConfig::new("10001").app();
    let gone = Port::hold();
    let api = Api::on(&database)
        .relay_at(&gone.address().to_string(), &app)
        .start()
        .await;
    let mut admin = api.log_in("admin@tims.local").await;
    for conversation in 1..=6 {
        admin.write(conversation, "x").await;
    }
    api.stop().await;
    let waiting = "SELECT COUNT(*) FROM outbox WHERE sent_at IS NULL AND dead_at IS NULL";
    assert_eq!(database.number(waiting).await, 6);
}

#[tokio::test]
async fn a_stop_gives_no_customer_a_reply_twice() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let graph = StandIn::start_slow(takes).await;
        let (mut api, _agent) = start(&database, &graph).await;
        let mut admin = api.log_in("admin@tims.local").await;
        for conversation in [1, 2, 3] {
            admin.write(conversation, &format!("{conversation}a")).await;
            admin.write(conversation, &format!("{conversation}b")).await;
        }
        graph.wait_for(3).await;
        api.signal(libc::SIGTERM);
        eventually("the stop to begin", || {
            let log = api.log().join("\n");
            async move { log.contains(r#""stopping""#).then_some(()) }
        })
        .await;
        graph.release();
        api.exited().await.expect_clean();
        assert_eq!(
            graph.arrived().len(),
            3,
            "no reply is begun after the request to stop"
        );
        let sent =
            "SELECT COUNT(*) FROM messages WHERE status = 'sent' AND whatsapp_id IS NOT NULL";
        assert_eq!(
            database.number(sent).await,
            3,
            "what was under way is noted"
        );

        let (api, _agent) = start(&database, &graph).await;
        api.everything_sent().await;
        let arrived = graph.arrived();
        let mut texts: Vec<_> = arrived
            .iter()
            .map(|request| request.body["text"]["body"].as_str().unwrap())
            .collect();
        texts.sort_unstable();
        assert_eq!(texts, ["1a", "1b", "2a", "2b", "3a", "3b"]);
        api.stop().await;
    }
}
