//! A failed message is sent again when somebody asks for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol_tests::{TestServer, eventually};
use serde_json::{Value, json};

use crate::support::graph::{message, refusal, start_with, status_becomes, takes, updated};
use crate::support::{Api, Database, Kind, StandIn, meta};

#[tokio::test]
async fn a_failed_message_goes_again_as_the_same_message() {
    for kind in Kind::BOTH {
        let relay = TestServer::start().await;
        let database = Database::seeded(kind).await;
        let is_open = Arc::new(AtomicBool::new(false));
        let opened = Arc::clone(&is_open);
        let graph = StandIn::start(move |arrived| {
            if opened.load(Ordering::Relaxed) {
                takes(arrived)
            } else {
                refusal(400, 131_047, "Re-engagement message")
            }
        })
        .await;
        let (api, mut agent) = start_with(&database, &graph, |api| api.relay(&relay)).await;
        let mut client = relay.connect().await;
        agent.subscribe(&mut client, "private-conversation.1").await;
        let id = agent.write(1, "x").await;
        status_becomes(&agent, id, "failed").await;
        let retry = format!("/api/messages/{id}/retry");

        is_open.store(true, Ordering::Relaxed);
        let again = agent
            .post(&retry, &json!({}))
            .await
            .expect_status(200)
            .json();
        assert_eq!(
            (&again["id"], &again["status"]),
            (&json!(id), &json!("pending"))
        );
        assert_eq!(again["error"], Value::Null);
        status_becomes(&agent, id, "sent").await;
        let mut versions = Vec::new();
        for status in ["failed", "pending", "sent"] {
            let event = updated(&mut client, id, |message| message["status"] == status).await;
            versions.push(event["version"].as_i64().unwrap());
        }
        assert!(versions.is_sorted_by(|earlier, later| earlier < later));
        assert_eq!(again["version"], versions[1]);
        assert_eq!(message(&mut agent, id).await["version"], versions[2]);
        assert_eq!(graph.arrived().len(), 2);
        // Its reports are noted as those of any other.
        meta::deliver(&mut agent, &meta::status("wamid.x", "read"))
            .await
            .expect_status(200);
        assert_eq!(message(&mut agent, id).await["status"], "read");

        let refused = agent
            .post(&retry, &json!({}))
            .await
            .expect_status(409)
            .json();
        assert_eq!(refused, json!({"message": "The message has not failed."}));
        for (id, status) in [(1, 409), (99, 404)] {
            let retry = format!("/api/messages/{id}/retry");
            agent.post(&retry, &json!({})).await.expect_status(status);
        }
        assert_eq!(graph.arrived().len(), 2);
        api.stop().await;
        relay.finish().await;
    }
}

#[tokio::test]
async fn reports_of_the_failed_attempt_do_not_touch_the_next_one() {
    let database = Database::seeded(Kind::Sqlite).await;
    let mut number = 0;
    let graph = StandIn::start(move |_| {
        number += 1;
        (
            200,
            json!({"messages": [{"id": format!("wamid.{number}")}]}).to_string(),
        )
    })
    .await;
    let (api, mut agent) = start_with(&database, &graph, |api| api).await;
    let id = agent.write(1, "x").await;
    status_becomes(&agent, id, "sent").await;
    let failure = meta::failure("wamid.1", 131_026, "Message undeliverable", "No WhatsApp.");
    meta::deliver(&mut agent, &failure).await.expect_status(200);
    assert_eq!(message(&mut agent, id).await["status"], "failed");
    let retry = format!("/api/messages/{id}/retry");
    agent.post(&retry, &json!({})).await.expect_status(200);
    status_becomes(&agent, id, "sent").await;
    meta::deliver(&mut agent, &failure).await.expect_status(200);
    assert_eq!(message(&mut agent, id).await["status"], "sent");
    meta::deliver(&mut agent, &meta::status("wamid.2", "delivered"))
        .await
        .expect_status(200);
    assert_eq!(message(&mut agent, id).await["status"], "delivered");
    api.stop().await;
}

#[tokio::test]
async fn without_whatsapp_nothing_is_sent_again() {
    let database = Database::seeded(Kind::Sqlite).await;
    database
        .execute("UPDATE messages SET status = 'failed' WHERE sender_id = 5")
        .await;
    let api = Api::on(&database).start().await;
    let mut agent = api.log_in("agent@tims.local").await;
    let failed = database
        .number("SELECT MIN(id) FROM messages WHERE sender_id = 5")
        .await;
    let retry = format!("/api/messages/{failed}/retry");
    let answer = agent.post(&retry, &json!({})).await.expect_status(503);
    assert!(
        answer.text().contains("WHATSAPP_TOKEN"),
        "{}",
        answer.text()
    );
    assert_eq!(message(&mut agent, failed).await["status"], "failed");
    api.stop().await;
}

#[tokio::test]
async fn who_loses_the_conversation_while_they_ask_sends_nothing_again() {
    let database = Database::seeded(Kind::Postgres).await;
    let graph = StandIn::start(|_| refusal(400, 131_047, "Re-engagement message")).await;
    let (api, mut agent) = start_with(&database, &graph, |api| api).await;
    let id = agent.write(1, "x").await;
    status_becomes(&agent, id, "failed").await;
    let pool = database.pool().await;
    let mut taking_away = pool.begin().await.unwrap();
    sqlx::query("UPDATE conversations SET assigned_to = 6 WHERE id = 1")
        .execute(&mut *taking_away)
        .await
        .unwrap();
    let mut asking = agent.another();
    let retry = format!("/api/messages/{id}/retry");
    let asked = tokio::spawn(async move { asking.post(&retry, &json!({})).await });
    let waiting = "SELECT COUNT(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    eventually("it to wait for who changes the conversation", || async {
        (database.number(waiting).await == 1).then_some(())
    })
    .await;
    taking_away.commit().await.unwrap();
    asked.await.unwrap().expect_status(403);
    let mut admin = api.log_in("admin@tims.local").await;
    assert_eq!(message(&mut admin, id).await["status"], "failed");
    assert_eq!(graph.arrived().len(), 1);
    api.stop().await;
}
