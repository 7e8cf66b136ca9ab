//! A stop in good order.

use protocol_tests::TestServer;

use crate::support::proxy::Gate;
use crate::support::{Api, Database, Kind, Proxy};

#[tokio::test]
async fn what_was_answered_goes_out_before_the_end() {
    let relay = TestServer::start().await;
    let proxy = Proxy::to(&relay.endpoint().authority).await;
    let database = Database::seeded(Kind::Sqlite).await;
    let mut api = Api::on(&database)
        .relay_at(&proxy.authority, relay.app())
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
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let api = Api::on(&database).relay_at(&gone, &app).start().await;
    let mut admin = api.log_in("admin@tims.local").await;
    for conversation in 1..=6 {
        admin.write(conversation, "x").await;
    }
    api.stop().await;
    let waiting = "SELECT COUNT(*) FROM outbox WHERE sent_at IS NULL AND dead_at IS NULL";
    assert_eq!(database.number(waiting).await, 6);
}
