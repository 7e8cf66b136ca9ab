//! Conversations are closed, opened again and handed over.

use conversation_api::clock::Timestamp;
use serde_json::{Value, json};

use crate::support::{Api, Database, Desk, Kind, meta};

const CONVERSATION: &str = "/api/conversations/1";

async fn post(desk: &mut Desk, action: &str, body: &Value) -> Value {
    let path = format!("{CONVERSATION}/{action}");
    desk.post(&path, body).await.expect_status(200).json()
}

async fn conversation(desk: &mut Desk) -> Value {
    desk.get(CONVERSATION).await.expect_status(200).json()
}

async fn events(database: &Database) -> i64 {
    database.number("SELECT COUNT(*) FROM outbox").await
}

#[tokio::test]
async fn what_is_resolved_is_closed_until_somebody_opens_it_or_writes() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let api = Api::on(&database).start().await;
        let mut agent = api.log_in("agent@tims.local").await;
        for (action, status, number) in [
            ("resolve", "closed", 1),
            ("resolve", "closed", 1),
            ("reopen", "open", 2),
            ("reopen", "open", 2),
            ("resolve", "closed", 3),
        ] {
            assert_eq!(post(&mut agent, action, &json!({})).await["status"], status);
            assert_eq!(
                events(&database).await,
                number,
                "only changes are announced"
            );
        }
        agent.write(1, "one more thing").await;
        let shown = conversation(&mut agent).await;
        assert_eq!(
            (&shown["status"], &shown["assignee"]["id"]),
            (&json!("open"), &json!(5))
        );
        assert_eq!(events(&database).await, 5);
        api.stop().await;
    }
}

#[tokio::test]
async fn a_reaction_leaves_a_resolved_conversation_closed() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let api = Api::on(&database).start().await;
        let mut agent = api.log_in("agent@tims.local").await;
        post(&mut agent, "resolve", &json!({})).await;
        // It is given, and taken back.
        for (id, emoji) in [("wamid.1", "👍"), ("wamid.2", "")] {
            let reaction = json!({"message_id": "wamid.0", "emoji": emoji});
            let payload = meta::other_message(id, "491701000001", "reaction", reaction);
            meta::deliver(&mut agent, &payload).await.expect_status(200);
            let shown = conversation(&mut agent).await;
            assert_eq!(shown["status"], "closed");
            assert_eq!(shown["last_message"]["type"], "reaction");
            assert_eq!(shown["last_message"]["content"], emoji);
        }
        assert_eq!(
            events(&database).await,
            3,
            "nothing but the two of them is announced"
        );
        api.stop().await;
    }
}

#[tokio::test]
async fn a_customer_who_writes_again_comes_back_to_whoever_answered() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let api = Api::on(&database).start().await;
        let mut agent = api.log_in("agent@tims.local").await;
        let mut manager = api.log_in("manager@tims.local").await;
        post(&mut agent, "resolve", &json!({})).await;
        let message = meta::message("wamid.1", "491701000001", "Grace", "me again");
        meta::deliver(&mut agent, &message).await.expect_status(200);
        let shown = conversation(&mut agent).await;
        assert_eq!(
            (&shown["status"], &shown["assignee"]["id"]),
            (&json!("open"), &json!(5))
        );
        assert_eq!(shown["last_message"]["content"], "me again");
        // Whoever has left the department does not get it back.
        for statement in [
            "UPDATE users SET department_id = 2 WHERE id = 5",
            "UPDATE users SET disabled_at = 1 WHERE id = 6",
        ] {
            post(&mut manager, "resolve", &json!({})).await;
            database.execute(statement).await;
            let id = format!("wamid.{}", statement.len());
            let message = meta::message(&id, "491701000001", "Grace", "and again");
            meta::deliver(&mut manager, &message)
                .await
                .expect_status(200);
            let shown = conversation(&mut manager).await;
            assert_eq!(
                (&shown["status"], &shown["assignee"]),
                (&json!("open"), &json!(null))
            );
            if statement.ends_with('5') {
                post(&mut manager, "assign", &json!({"user_id": 6})).await;
            }
        }
        assert_eq!(
            database.number("SELECT COUNT(*) FROM conversations").await,
            6
        );
        api.stop().await;
    }
}

#[tokio::test]
async fn of_several_conversations_the_open_one_goes_on_and_else_the_latest() {
    let database = Database::seeded(Kind::Sqlite).await;
    for status in ["closed", "closed", "open", "closed"] {
        let statement = format!(
            "INSERT INTO conversations
                (contact_id, department_id, status, last_message_at, created_at)
             SELECT 1, 1, '{status}', COUNT(*), 0 FROM conversations"
        );
        database.execute(sqlx::AssertSqlSafe(statement)).await;
    }
    database
        .execute("UPDATE conversations SET status = 'closed' WHERE id = 1")
        .await;
    let api = Api::on(&database).start().await;
    let mut stranger = api.stranger();
    for (number, expected) in [(1, 9), (2, 1)] {
        if number == 2 {
            database
                .execute(
                    "UPDATE conversations SET status = 'closed', last_message_at = 0 WHERE id = 9",
                )
                .await;
        }
        let id = format!("wamid.{number}");
        let message = meta::message(&id, "491701000001", "Grace", "me again");
        meta::deliver(&mut stranger, &message)
            .await
            .expect_status(200);
        let query = "SELECT conversation_id FROM messages ORDER BY id DESC LIMIT 1";
        assert_eq!(database.number(query).await, expected);
    }
    api.stop().await;
}

#[tokio::test]
async fn a_conversation_goes_to_another_department_and_leaves_who_is_not_of_it() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let api = Api::on(&database).start().await;
        let mut agent = api.log_in("agent@tims.local").await;
        let mut admin = api.log_in("admin@tims.local").await;
        for (body, text) in [
            (json!({}), "The department id field is required."),
            (
                json!({"department_id": "x"}),
                "The department id field must be an integer.",
            ),
            (
                json!({"department_id": 99}),
                "The selected department id is invalid.",
            ),
        ] {
            let answer = agent.post("/api/conversations/1/move", &body).await;
            let expected = json!({"message": text, "errors": {"department_id": [text]}});
            assert_eq!(answer.expect_status(422).json(), expected);
        }
        let same = post(&mut agent, "move", &json!({"department_id": 1})).await;
        assert_eq!(same["assignee"]["id"], 5);
        assert_eq!(events(&database).await, 0);
        // The assignee hands it over, and sees what became of it, and no more.
        let moved = post(&mut agent, "move", &json!({"department_id": 2})).await;
        assert_eq!(moved["department"], json!({"id": 2, "name": "Support"}));
        assert_eq!(moved["assignee"], json!(null));
        let can = json!({
            "write": false, "take": false, "assign": false, "resolve": false, "move": false,
        });
        assert_eq!(moved["can"], can);
        agent.get(CONVERSATION).await.expect_status(403);
        assert_eq!(events(&database).await, 2, "updated and assigned");
        // Whoever sees all departments keeps it.
        post(&mut admin, "take", &json!({})).await;
        let moved = post(&mut admin, "move", &json!({"department_id": "1"})).await;
        assert_eq!(moved["assignee"]["id"], 1);
        api.stop().await;
    }
}

#[tokio::test]
async fn the_window_ends_a_day_after_the_customer_wrote_last() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let api = Api::on(&database).start().await;
        let mut agent = api.log_in("agent@tims.local").await;
        let message = meta::message("wamid.1", "491701000001", "Grace", "now");
        meta::deliver(&mut agent, &message).await.expect_status(200);
        agent.write(1, "an answer changes nothing").await;
        let query = "SELECT MAX(created_at) + 86400000 FROM messages
            WHERE conversation_id = 1 AND direction = 'inbound'";
        let expected = database.number(query).await;
        let shown = conversation(&mut agent).await;
        let expected = Timestamp::from_millis(expected).to_string();
        assert_eq!(shown["window_ends_at"], expected);
        database
            .execute("UPDATE conversations SET last_inbound_at = NULL WHERE id = 1")
            .await;
        assert_eq!(
            conversation(&mut agent).await["window_ends_at"],
            json!(null)
        );
        api.stop().await;
    }
}
