//! A client that has lost an answer sends the message again: it is sent once.

use protocol_tests::{Request, TestServer};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::graph::{start, start_with, status_becomes, takes};
use crate::support::{Api, Database, Desk, Kind, StandIn};

const SEND: &str = "/api/messages/send";

fn named(client_id: &str, content: &str) -> Value {
    json!({"conversation_id": 1, "type": "text", "content": content, "client_id": client_id})
}

#[tokio::test]
async fn a_repeat_is_answered_as_the_first_and_sent_once() {
    for kind in Kind::BOTH {
        let relay = TestServer::start().await;
        let database = Database::seeded(kind).await;
        let graph = StandIn::start(takes).await;
        let (api, mut agent) = start_with(&database, &graph, |api| api.relay(&relay)).await;
        let mut client = relay.connect().await;
        agent.subscribe(&mut client, "private-department.1").await;
        let first = agent
            .post(SEND, &named("c-1", "x"))
            .await
            .expect_status(201)
            .json();
        assert_eq!(first["client_id"], "c-1");
        status_becomes(&agent, first["id"].as_i64().unwrap(), "sent").await;
        for _ in 0..3 {
            let again = agent
                .post(SEND, &named("c-1", "x"))
                .await
                .expect_status(200)
                .json();
            assert_eq!(again["id"], first["id"]);
            assert_eq!(again["created_at"], first["created_at"]);
        }
        // By the header, too; in another conversation or by another user it is another message.
        let header = |key: &str, body: &Value| {
            Request::new("POST", SEND)
                .header("Idempotency-Key", key)
                .json(body)
        };
        let plain = json!({"conversation_id": 1, "type": "text", "content": "x"});
        let again = agent
            .send(header("c-1", &plain))
            .await
            .expect_status(200)
            .json();
        assert_eq!(again["id"], first["id"]);
        let mut admin = api.log_in("admin@tims.local").await;
        admin
            .post(SEND, &named("c-1", "x"))
            .await
            .expect_status(201);
        let mut elsewhere = named("c-1", "x");
        elsewhere["conversation_id"] = json!(2);
        admin.post(SEND, &elsewhere).await.expect_status(201);
        let sent = graph.wait_for(3).await;
        assert_eq!(sent.len(), 3);
        let events = client.next_events(3).await;
        assert!(
            events
                .iter()
                .any(|event| event.data_json()["client_id"] == "c-1")
        );
        api.stop().await;
        relay.finish().await;
    }
}

#[tokio::test]
async fn a_client_id_of_another_message_is_refused() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut agent = api.log_in("agent@tims.local").await;
    agent
        .post(SEND, &named("c-1", "x"))
        .await
        .expect_status(201);
    let before = database.contents().await;
    let mut note = named("c-1", "x");
    note["type"] = json!("note");
    for other in [named("c-1", "y"), note] {
        let answer = agent.post(SEND, &other).await.expect_status(422).json();
        let text = "The client id has already been taken by another message.";
        assert_eq!(
            answer,
            json!({"message": text, "errors": {"client_id": [text]}})
        );
    }
    let too_long = "x".repeat(65);
    for wrong in [
        json!(""),
        json!("a b"),
        json!("é"),
        json!(7),
        json!(["c"]),
        json!(too_long),
    ] {
        let mut body = named("", "x");
        body["client_id"] = wrong;
        let answer = agent.post(SEND, &body).await.expect_status(422).json();
        assert!(answer["errors"]["client_id"].is_array(), "{body}");
    }
    let request = Request::new("POST", SEND).header("Idempotency-Key", "a b");
    let body = json!({"conversation_id": 1, "type": "text", "content": "x"});
    agent.send(request.json(&body)).await.expect_status(422);
    assert_eq!(database.contents().await, before);
    agent
        .post(SEND, &named(&"x".repeat(64), "x"))
        .await
        .expect_status(201);
    api.stop().await;
}

/// Sends the same message twenty times at once, by all of these processes.
async fn send_at_once(agents: &[Desk]) {
    let mut sending = JoinSet::new();
    for number in 0..20 {
        let mut desk = agents[number % agents.len()].another();
        sending.spawn(async move { desk.post(SEND, &named("c-1", "at once")).await });
    }
    let answers = sending.join_all().await;
    let ids: Vec<_> = answers
        .iter()
        .map(|answer| answer.json()["id"].clone())
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let stored = answers.iter().filter(|answer| answer.status == 201).count();
    let repeated = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((stored, repeated), (1, 19));
}

#[tokio::test]
async fn repeats_that_come_at_once_are_one_message() {
    let database = Database::seeded(Kind::Sqlite).await;
    let graph = StandIn::start(takes).await;
    let (api, agent) = start(&database, &graph).await;
    send_at_once(&[agent]).await;
    api.everything_sent().await;
    assert_eq!(graph.arrived().len(), 1);
    api.stop().await;
}

#[tokio::test]
async fn repeats_that_come_to_several_processes_are_one_message() {
    let database = Database::seeded(Kind::Postgres).await;
    let graph = StandIn::start(takes).await;
    let (one, agent) = start(&database, &graph).await;
    let (other, elsewhere) = start(&database, &graph).await;
    send_at_once(&[agent, elsewhere]).await;
    one.everything_sent().await;
    let query = "SELECT COUNT(*) FROM messages WHERE client_id = 'c-1'";
    assert_eq!(database.number(query).await, 1);
    assert_eq!(graph.arrived().len(), 1);
    let sequence = "SELECT last_sequence FROM conversations WHERE id = 1";
    let wasted = database.number(sequence).await;
    assert!(
        wasted <= 2,
        "repeats take no place in the sequence: {wasted}"
    );
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn whoever_has_lost_the_conversation_since_learns_that_the_message_is_there() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let graph = StandIn::start(takes).await;
        let (api, mut agent) = start(&database, &graph).await;
        let first = agent.post(SEND, &named("c-1", "x")).await;
        let first = first.expect_status(201).json();
        api.everything_sent().await;
        let mut admin = api.log_in("admin@tims.local").await;
        admin
            .post("/api/conversations/1/assign", &json!({"user_id": 6}))
            .await
            .expect_status(200);
        let again = agent.post(SEND, &named("c-1", "x")).await;
        assert_eq!(again.expect_status(200).json()["id"], first["id"]);
        // That is all: nothing else is written there, nor found by anybody else.
        let before = database.contents().await;
        agent
            .post(SEND, &named("c-2", "x"))
            .await
            .expect_status(403);
        let mut plain = named("", "x");
        plain.as_object_mut().unwrap().remove("client_id");
        agent.post(SEND, &plain).await.expect_status(403);
        let mut stranger = api.log_in("agent3@tims.local").await;
        let refused = stranger.post(SEND, &named("c-1", "x")).await;
        refused.expect_status(403);
        assert_eq!(database.contents().await[4..], before[4..]);
        assert_eq!(graph.arrived().len(), 1);
        api.stop().await;
    }
}

#[tokio::test]
async fn who_may_not_write_in_a_conversation_does_not_wait_for_those_who_do() {
    let database = Database::seeded(Kind::Postgres).await;
    let api = Api::on(&database).start().await;
    let mut stranger = api.log_in("agent3@tims.local").await;
    let pool = database.pool().await;
    let mut writing = pool.begin().await.unwrap();
    sqlx::query("UPDATE conversations SET last_sequence = last_sequence WHERE id = 1")
        .execute(&mut *writing)
        .await
        .unwrap();
    let refused = stranger.post(SEND, &named("c-1", "x")).await;
    refused.expect_status(403);
    writing.rollback().await.unwrap();
    api.stop().await;
}
