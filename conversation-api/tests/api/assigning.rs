//! Who answers a conversation.

use serde_json::json;

use crate::support::{Api, Database, Kind};

const PATH: &str = "/api/conversations/1/assign";

#[tokio::test]
async fn a_manager_gives_a_conversation_to_somebody_of_its_department() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut manager = api.log_in("manager@tims.local").await;
    let answer = manager
        .post(PATH, &json!({"user_id": 6}))
        .await
        .expect_status(200)
        .json();
    assert_eq!(
        answer["assignee"],
        json!({"id": 6, "name": "Ana Agent", "avatar": null})
    );
    let answer = manager
        .post(PATH, &json!({"user_id": null}))
        .await
        .expect_status(200)
        .json();
    assert_eq!(answer["assignee"], json!(null));
    let answer = manager
        .post(PATH, &json!({"user_id": "1"}))
        .await
        .expect_status(200)
        .json();
    assert_eq!(answer["assignee"]["id"], 1);
    api.stop().await;
}

#[tokio::test]
async fn nobody_else_can_be_given_one() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut manager = api.log_in("manager@tims.local").await;
    for user_id in [json!(9), json!(99), json!(-1)] {
        let answer = manager
            .post(PATH, &json!({"user_id": user_id}))
            .await
            .expect_status(422);
        assert_eq!(
            answer.json(),
            json!({
                "message": "The selected user id is invalid.",
                "errors": {"user_id": ["The selected user id is invalid."]},
            })
        );
    }
    for body in [
        json!({}),
        json!({"user_id": "x"}),
        json!({"user_id": [5]}),
        json!([]),
    ] {
        manager.post(PATH, &body).await.expect_status(422);
    }
    manager
        .post("/api/conversations/99/assign", &json!({"user_id": 5}))
        .await
        .expect_status(404);
    assert_eq!(
        database
            .number("SELECT assigned_to FROM conversations WHERE id = 1")
            .await,
        5
    );
    api.stop().await;
}

#[tokio::test]
async fn those_who_assign_see_whom_they_can_choose() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    for (email, number) in [
        ("admin@tims.local", 10),
        ("manager@tims.local", 4),
        ("agent@tims.local", 0),
    ] {
        let answer = api
            .log_in(email)
            .await
            .get("/api/users")
            .await
            .expect_status(200)
            .json();
        assert_eq!(answer["data"].as_array().unwrap().len(), number, "{email}");
    }
    let mut manager = api.log_in("manager@tims.local").await;
    let answer = manager.get("/api/users").await.json();
    assert_eq!(
        answer["data"][0],
        json!({"id": 5, "name": "Amir Agent", "role": "agent", "department_id": 1, "avatar": null})
    );
    api.stop().await;
}
