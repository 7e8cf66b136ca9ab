//! The database is away for a while: who needs it is refused soon, and nothing is done by halves.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use protocol_tests::{Request, eventually};
use serde_json::json;

use crate::support::{Api, Database, Desk, Kind, meta};

/// How long a refusal may take: the service waits for a second and a half, and a pool for a free connection for ten.
const SOON: Duration = Duration::from_secs(6);

/// Everything that needs the database, each in its own connection at the same time.
async fn everything_is_refused(api: &Api, agent: &Desk) {
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
        let target = request.target("");
        let mut desk = agent.another();
        let start = Instant::now();
        let answer = desk.send(request).await;
        (target, answer, start.elapsed())
    });
    for (target, answer, elapsed) in join_all(answers).await {
        let expected = json!({"message": "The database is not available."});
        assert_eq!((answer.status, answer.json()), (503, expected), "{target}");
        assert!(answer.header("retry-after").is_some(), "{target}");
        assert!(elapsed < SOON, "{target} took {elapsed:?}");
    }
    let start = Instant::now();
    api.stranger().get("/up").await.expect_status(200);
    api.stranger().get("/").await.expect_status(200);
    assert!(start.elapsed() < SOON);
    let metrics = api.metrics().await;
    assert_eq!(metrics.sum("conversation_database_up", &[]), 0.0);
}

async fn works_again(api: &Api, agent: &mut Desk) {
    eventually("the service to be ready", || async {
        (api.stranger().get("/ready").await.status == 200).then_some(())
    })
    .await;
    agent.write(1, "taken").await;
    agent.get("/api/conversations").await.expect_status(200);
    assert_eq!(
        api.metrics().await.sum("conversation_database_up", &[]),
        1.0
    );
}

/// How many outages were logged, and how many ends of them. Each is one line for reads and one for
/// writes.
fn outages(api: &Api, operation: &str) -> (usize, usize) {
    let count = |text: &str| {
        let log = api.log().into_iter();
        let lines = log.filter(|line| line.contains(text) && line.contains(operation));
        lines.count()
    };
    (
        count("the database does not answer"),
        count("the database answers again"),
    )
}

const READ: &str = r#""operation":"read""#;
const WRITE: &str = r#""operation":"write""#;

#[tokio::test]
async fn a_postgresql_that_has_stopped_or_is_gone_is_reported_soon() {
    let mut database = Database::seeded(Kind::Postgres).await;
    let api = Api::on(&database)
        .set("PUSHER_APP_ID", "1")
        .set("PUSHER_APP_KEY", "key")
        .set("PUSHER_APP_SECRET", "secret")
        .start()
        .await;
    let mut agent = api.log_in("agent@tims.local").await;
    works_again(&api, &mut agent).await;
    database.server().freeze();
    for _ in 0..2 {
        everything_is_refused(&api, &agent).await;
    }
    assert_eq!(outages(&api, READ), (1, 0));
    assert_eq!(outages(&api, WRITE), (1, 0));
    database.server().thaw();
    works_again(&api, &mut agent).await;
    database.server().kill();
    for _ in 0..2 {
        everything_is_refused(&api, &agent).await;
    }
    database.server().restart().await;
    works_again(&api, &mut agent).await;
    assert_eq!(outages(&api, READ), (2, 2));
    assert_eq!(outages(&api, WRITE), (2, 2));
    let refused = "SELECT COUNT(*) FROM messages WHERE content = 'refused'";
    assert_eq!(
        database.number(refused).await,
        0,
        "what was refused is not done later"
    );
    api.stop().await;
}

#[tokio::test]
async fn a_sqlite_file_that_another_process_writes_delays_nobody_for_long() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut agent = api.log_in("agent@tims.local").await;
    let pool = database.pool().await;
    let mut other = pool.acquire().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE")
        .execute(&mut *other)
        .await
        .unwrap();
    let message = json!({"conversation_id": 1, "type": "text", "content": "refused"});
    for _ in 0..2 {
        let start = Instant::now();
        let ready = api.stranger().get("/ready").await;
        assert_eq!(ready.status, 503);
        assert!(start.elapsed() < SOON);
        let start = Instant::now();
        let answer = agent.post("/api/messages/send", &message).await;
        assert_eq!(answer.status, 503);
        assert!(start.elapsed() < SOON);
        agent.get("/api/conversations").await.expect_status(200);
    }
    sqlx::query("ROLLBACK").execute(&mut *other).await.unwrap();
    drop(other);
    works_again(&api, &mut agent).await;
    assert_eq!(outages(&api, READ), (0, 0));
    assert_eq!(outages(&api, WRITE), (1, 1));
    let refused = "SELECT COUNT(*) FROM messages WHERE content = 'refused'";
    assert_eq!(
        database.number(refused).await,
        0,
        "what was refused is not done later"
    );
    api.stop().await;
}
