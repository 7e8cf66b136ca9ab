//! Several processes share one PostgreSQL database, and its outbox.

use conversation_api::store::{Connection, Store, Write};
use futures_util::future::join_all;
use protocol_tests::TestServer;
use serde_json::json;

use crate::support::proxy::Gate;
use crate::support::{Api, Database, Desk, Kind, Proxy};

#[tokio::test]
async fn each_event_is_sent_by_one_of_them_and_in_order() {
    // Its client reads nothing before the end.
    let relay = TestServer::builder().set("server.activity_timeout", 600);
    let relay = relay.start().await.expect("it is our own");
    let proxy = Proxy::to(&relay.endpoint().authority);
    let database = Database::seeded(Kind::Postgres).await;
    let start = Api::on(&database).relay_at(&proxy.authority, relay.app());
    let mut processes = Vec::new();
    for _ in 0..3 {
        processes.push(start.clone().start().await);
    }
    let mut client = relay.connect().await;
    client.subscribe("private-department.1").await;
    client.subscribe("private-department.2").await;
    let mut writers = tokio::task::JoinSet::new();
    for process in &processes {
        let admin = process.log_in("admin@tims.local").await;
        for writer in 0..4_i64 {
            let mut desk: Desk = admin.another();
            writers.spawn(async move {
                for number in 0..15 {
                    desk.write(1 + (writer + number) % 6, "x").await;
                }
            });
        }
    }
    writers.join_all().await;
    let mut latest = [0; 7];
    for event in client.next_events(180).await {
        let data = event.data_json();
        let conversation = usize::try_from(data["conversation_id"].as_u64().unwrap()).unwrap();
        let id = data["id"].as_i64().unwrap();
        assert!(
            id > latest[conversation],
            "{id} came after {}",
            latest[conversation]
        );
        latest[conversation] = id;
    }
    processes[0].everything_sent().await;
    client.expect_nothing().await;
    let mut keys = proxy.keys();
    assert_eq!(keys.len(), 180, "no event was published twice");
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 180);
    for process in processes {
        process.stop().await;
    }
    relay.finish().await;
}

/// Stores its number, the later the smaller that is.
struct Numbered(i64);

impl Write for Numbered {
    type Outcome = ();

    fn conversation(&self) -> Option<i64> {
        Some(1)
    }

    async fn apply(&self, connection: &mut Connection) -> Result<(), sqlx::Error> {
        sqlx::query("SELECT CAST(pg_sleep(0.02 * (8 - $1)) AS TEXT)")
            .bind(self.0)
            .execute(&mut *connection)
            .await?;
        sqlx::query("INSERT INTO departments (name) VALUES ($1)")
            .bind(format!("number {}", self.0))
            .execute(connection)
            .await?;
        Ok(())
    }
}

#[tokio::test]
async fn what_is_handed_in_for_a_conversation_is_committed_in_that_order() {
    let database = Database::seeded(Kind::Postgres).await;
    let store = Store::open(&database.url.parse().unwrap()).await.unwrap();
    let writes = (0..8).map(|number| store.write(Numbered(number)));
    for written in join_all(writes).await {
        written.unwrap();
    }
    let query = "SELECT name FROM departments WHERE name LIKE 'number %' ORDER BY id";
    let numbers = database.texts(query).await;
    let expected: Vec<_> = (0..8).map(|number| format!("number {number}")).collect();
    assert_eq!(numbers, expected);
    store.close().await;
}

#[tokio::test]
async fn what_a_killed_process_held_another_one_sends() {
    let relay = TestServer::start().await;
    let held = Proxy::to(&relay.endpoint().authority);
    held.set(Gate::HoldRequests);
    let database = Database::seeded(Kind::Postgres).await;
    let doomed = Api::on(&database)
        .relay_at(&held.authority, relay.app())
        .doomed()
        .start()
        .await;
    let mut client = relay.connect().await;
    client.subscribe("private-conversation.1").await;
    let mut agent = doomed.log_in("agent@tims.local").await;
    let id = agent.write(1, "x").await;
    protocol_tests::eventually("the publish to be under way", || async {
        (!held.keys().is_empty()).then_some(())
    })
    .await;
    let heir = Api::with(&database, &relay).await;
    doomed.kill().await;
    let event = client.expect_event("message.sent").await;
    assert_eq!(event.data_json()["id"], json!(id));
    heir.everything_sent().await;
    client.expect_nothing().await;
    heir.stop().await;
    relay.finish().await;
}

#[tokio::test]
async fn a_token_of_one_is_good_at_the_other() {
    let database = Database::seeded(Kind::Postgres).await;
    let one = Api::on(&database).start().await;
    let other = Api::on(&database).start().await;
    let desk = one.log_in("agent@tims.local").await;
    let mut elsewhere = other.stranger();
    elsewhere.token = desk.token.clone();
    elsewhere.get("/api/user").await.expect_status(200);
    elsewhere
        .post("/api/auth/logout", &json!({}))
        .await
        .expect_status(200);
    elsewhere.get("/api/user").await.expect_status(401);
    one.stop().await;
    other.stop().await;
}
