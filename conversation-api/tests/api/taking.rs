//! Taking a conversation that nobody has.

use futures_util::future::join_all;
use serde_json::json;

use crate::support::{Api, Database, Kind};

/// Nobody has conversation 3, of department 1.
const TAKE: &str = "/api/conversations/3/take";

#[tokio::test]
async fn of_all_who_take_a_conversation_at_once_one_gets_it() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let api = Api::on(&database).start().await;
        let emails = [
            "admin@tims.local",
            "manager@tims.local",
            "supervisor@tims.local",
            "agent@tims.local",
            "agent2@tims.local",
        ];
        let mut desks = Vec::new();
        for email in emails {
            desks.push(api.log_in(email).await);
        }
        for _ in 0..10 {
            let body = json!({});
            let answers = join_all(desks.iter_mut().map(|desk| desk.post(TAKE, &body))).await;
            let (taken, refused): (Vec<_>, Vec<_>) =
                answers.iter().partition(|answer| answer.status == 200);
            assert_eq!(taken.len(), 1);
            let assignee = taken[0].json()["assignee"].clone();
            for answer in refused {
                let name = assignee["name"].as_str().unwrap();
                let expected = json!({"message": format!("{name} has taken this conversation.")});
                assert_eq!((answer.status, answer.json()), (409, expected));
            }
            let query = "SELECT assigned_to FROM conversations WHERE id = 3";
            assert_eq!(
                database.number(query).await,
                assignee["id"].as_i64().unwrap()
            );
            database
                .execute("UPDATE conversations SET assigned_to = NULL WHERE id = 3")
                .await;
        }
        let query = "SELECT COUNT(*) FROM outbox WHERE payload LIKE '%conversation.assigned%'";
        assert_eq!(database.number(query).await, 10, "one event each");
        api.stop().await;
    }
}

#[tokio::test]
async fn whoever_takes_a_conversation_may_write_in_it_and_may_take_it_again() {
    let database = Database::seeded(Kind::Sqlite).await;
    database
        .execute("UPDATE conversations SET status = 'closed' WHERE id = 3")
        .await;
    let api = Api::on(&database).start().await;
    let mut agent = api.log_in("agent@tims.local").await;
    let message = json!({"conversation_id": 3, "type": "text", "content": "x"});
    agent
        .post("/api/messages/send", &message)
        .await
        .expect_status(403);
    for _ in 0..2 {
        let taken = agent.post(TAKE, &json!({})).await.expect_status(200).json();
        assert_eq!(taken["assignee"]["id"], 5);
        assert_eq!(taken["status"], "open", "taking opens what was closed");
        assert_eq!(taken["can"]["write"], true);
        assert_eq!(taken["can"]["take"], false);
    }
    agent.write(3, "x").await;
    agent
        .post("/api/conversations/99/take", &json!({}))
        .await
        .expect_status(404);
    api.stop().await;
}
