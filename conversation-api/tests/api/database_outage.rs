//! The database is away for a while: who needs it is refused soon, and nothing is done by halves. That is with the wait
//! that is the default, for which a busy machine may be too slow: what must succeed is tried again.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use protocol_tests::names::unique;
use protocol_tests::{Request, eventually};
use serde_json::{Value, json};
use sqlx::Any;
use sqlx::pool::PoolConnection;
use tokio::time::sleep;

use crate::support::api::Builder;
use crate::support::{Api, Database, Desk, Kind, meta};

/// How long refusals may take, but for once if the machine is busy: the service waits for a second and a half, and a
/// pool for a free connection for ten.
const SOON: Duration = Duration::from_secs(8);

const SEND: &str = "/api/messages/send";

const NO_DATABASE: &str = "The database is not available.";
const LATE: &str =
    "The database did not answer in time. The change may have been made all the same.";

/// With the wait that is the default.
fn impatient(database: &Database) -> Builder {
    Api::on(database).set("DATABASE_WAIT_MS", "1500")
}

async fn log_in(api: &Api, email: &str) -> Desk {
    let body = json!({"email": email, "password": "password123"});
    eventually("a log-in", || async {
        let mut desk = api.stranger();
        let answer = desk.post("/api/auth/login", &body).await;
        let token = (answer.status == 200).then(|| answer.json()["token"].clone())?;
        desk.token = token.as_str().map(str::to_owned);
        Some(desk)
    })
    .await
}

/// Everything that needs the database, each in its own connection at the same time. Returns how long it took.
async fn everything_is_refused(api: &Api, agent: &Desk) -> Duration {
    let message = json!({"conversation_id": 1, "type": "text", "content": "refused"});
    let log_in = json!({"email": "agent@tims.local", "password": "password123"});
    let channel = json!({"socket_id": "1.2", "channel_name": "private-conversation.1"});
    let webhook = meta::message("wamid.refused", "491701000001", "Grace", "refused");
    let requests = [
        Request::new("GET", "/ready"),
        Request::new("GET", "/api/conversations"),
        Request::new("GET", "/api/conversations?search=x"),
        Request::new("GET", "/api/conversations/1/messages"),
        Request::new("GET", "/api/departments"),
        Request::new("POST", "/api/messages/send").json(&message),
        Request::new("POST", "/api/conversations/1/take"),
        Request::new("POST", "/api/conversations/1/read").json(&json!({})),
        Request::new("POST", "/api/auth/login").json(&log_in),
        Request::new("POST", "/broadcasting/auth").json(&channel),
        meta::signed(webhook.to_string()),
    ];
    let answers = requests.into_iter().map(|request| async move {
        let called = format!("{} {}", request.method, request.target(""));
        (called, agent.another().send(request).await)
    });
    let start = Instant::now();
    for (called, answer) in join_all(answers).await {
        assert_eq!(answer.status, 503, "{called}");
        let body = answer.json();
        let may_be_done = called.starts_with("POST") && body["message"] == LATE;
        assert!(
            may_be_done || body["message"] == NO_DATABASE,
            "{called}: {body}"
        );
        assert!(answer.header("retry-after").is_some(), "{called}");
    }
    api.stranger().get("/up").await.expect_status(200);
    api.stranger().get("/").await.expect_status(200);
    let elapsed = start.elapsed();
    let metrics = api.metrics().await;
    assert_eq!(metrics.sum("conversation_database_up", &[]), 0.0);
    elapsed
}

/// Twice, of which a busy machine may delay one.
async fn everything_is_refused_soon(api: &Api, agent: &Desk) {
    let first = everything_is_refused(api, agent).await;
    let fastest = first.min(everything_is_refused(api, agent).await);
    assert!(fastest < SOON, "{fastest:?}");
}

async fn can_be_read(agent: &Desk) {
    eventually("the conversations", || async {
        let answer = agent.another().get("/api/conversations").await;
        (answer.status == 200).then_some(())
    })
    .await;
}

async fn works_again(api: &Api, agent: &Desk) {
    eventually("the service to be ready", || async {
        (api.stranger().get("/ready").await.status == 200).then_some(())
    })
    .await;
    is_taken(agent, &message("taken")).await;
    can_be_read(agent).await;
    eventually("the metrics to show it", || async {
        let is_up = api.metrics().await.sum("conversation_database_up", &[]);
        (is_up == 1.0).then_some(())
    })
    .await;
}

/// A message with an id, so that it may be sent again.
fn message(content: &str) -> Value {
    let client_id = unique("c-");
    json!({"conversation_id": 1, "type": "text", "content": content, "client_id": client_id})
}

/// Sends a message until it is answered that it is stored.
async fn is_taken(agent: &Desk, message: &Value) {
    eventually("a message to be taken", || async {
        let answer = agent.another().post(SEND, message).await;
        matches!(answer.status, 200 | 201).then_some(())
    })
    .await;
}

/// How many outages were logged, and how many ends of them, of reads and of writes.
fn outages(api: &Api) -> [(usize, usize); 2] {
    let log = api.log();
    [r#""operation":"read""#, r#""operation":"write""#].map(|operation| {
        let count = |text: &str| {
            let of_both = |line: &&String| line.contains(text) && line.contains(operation);
            log.iter().filter(of_both).count()
        };
        (
            count("the database does not answer"),
            count("the database answers again"),
        )
    })
}

/// Nothing succeeds since `before`: there is one line for reads and one for writes, whatever was refused.
async fn one_outage_is_logged(api: &Api, before: [(usize, usize); 2]) {
    let expected = before.map(|(begun, ended)| (begun + 1, ended));
    eventually("one line each for reads and writes", || async {
        (outages(api) == expected).then_some(())
    })
    .await;
}

/// What was lost since `before` is there again. Meanwhile a busy machine may have been too slow once more.
async fn its_end_is_logged(api: &Api, before: [(usize, usize); 2]) {
    let was_lost = before.map(|(begun, _)| begun);
    let begun = eventually("the end of each outage in the log", || async {
        let begun = outages(api).map(|(begun, ended)| (begun == ended).then_some(begun));
        let [Some(reads), Some(writes)] = begun else {
            return None;
        };
        (writes > was_lost[1]).then_some([reads, writes])
    })
    .await;
    for (begun, before) in begun.into_iter().zip(was_lost) {
        assert!(begun - before <= 3, "there is a line for each request");
    }
}

#[tokio::test]
async fn a_postgresql_that_has_stopped_or_is_gone_is_reported_soon() {
    let mut database = Database::seeded(Kind::Postgres).await;
    let api = impatient(&database)
        .set("PUSHER_APP_ID", "1")
        .set("PUSHER_APP_KEY", "key")
        .set("PUSHER_APP_SECRET", "secret")
        .start()
        .await;
    let agent = log_in(&api, "agent@tims.local").await;
    works_again(&api, &agent).await;
    let before = outages(&api);
    database.server().freeze();
    everything_is_refused_soon(&api, &agent).await;
    one_outage_is_logged(&api, before).await;
    database.server().thaw();
    works_again(&api, &agent).await;
    its_end_is_logged(&api, before).await;
    let before = outages(&api);
    database.server().kill();
    everything_is_refused_soon(&api, &agent).await;
    one_outage_is_logged(&api, before).await;
    database.server().restart().await;
    works_again(&api, &agent).await;
    its_end_is_logged(&api, before).await;
    let refused = "SELECT COUNT(*) FROM messages WHERE content = 'refused'";
    assert_eq!(
        database.number(refused).await,
        0,
        "what was refused is not done later"
    );
    api.stop().await;
}

/// Takes the right to write for as long as the connection lives, or until it is rolled back.
async fn hold_writes(database: &Database) -> PoolConnection<Any> {
    let mut other = database.pool().await.acquire().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut *other)
        .await
        .unwrap();
    other
}

async fn release(mut other: PoolConnection<Any>) {
    sqlx::query("ROLLBACK").execute(&mut *other).await.unwrap();
}

#[tokio::test]
async fn a_sqlite_file_that_another_process_writes_delays_nobody_for_long() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = impatient(&database).start().await;
    let mut agent = log_in(&api, "agent@tims.local").await;
    let before = outages(&api);
    let other = hold_writes(&database).await;
    let refused = message("refused");
    let mut fastest = Duration::MAX;
    for _ in 0..2 {
        // What is asked first is what waits in the database; behind it, nothing is begun.
        let start = Instant::now();
        api.stranger().get("/ready").await.expect_status(503);
        agent.post(SEND, &refused).await.expect_status(503);
        fastest = fastest.min(start.elapsed());
        can_be_read(&agent).await;
    }
    assert!(fastest < SOON, "{fastest:?}");
    release(other).await;
    works_again(&api, &agent).await;
    its_end_is_logged(&api, before).await;
    let refused = "SELECT COUNT(*) FROM messages WHERE content = 'refused'";
    assert_eq!(
        database.number(refused).await,
        0,
        "what was not begun is not done later"
    );
    api.stop().await;
}

#[tokio::test]
async fn what_was_answered_too_late_is_stored_once_when_it_is_sent_again() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = impatient(&database).start().await;
    let agent = log_in(&api, "agent@tims.local").await;
    let other = hold_writes(&database).await;
    let message = message("late");
    eventually("an answer that nobody knows", || async {
        let answer = agent.another().post(SEND, &message).await;
        (answer.expect_status(503).json()["message"] == LATE).then_some(())
    })
    .await;
    release(other).await;
    is_taken(&agent, &message).await;
    is_taken(&agent, &message).await;
    let stored = "SELECT COUNT(*) FROM messages WHERE content = 'late'";
    assert_eq!(database.number(stored).await, 1);
    api.stop().await;
}

#[tokio::test]
async fn a_request_waits_for_the_database_for_as_long_as_is_set() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut agent = api.log_in("agent@tims.local").await;
    let other = hold_writes(&database).await;
    let writing = tokio::spawn(async move { agent.write(1, "patient").await });
    // Longer than the default, shorter than SQLite waits for another process.
    sleep(Duration::from_secs(3)).await;
    release(other).await;
    writing.await.unwrap();
    api.stop().await;
}
