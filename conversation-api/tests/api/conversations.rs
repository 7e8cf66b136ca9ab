//! The list of conversations, and what has been read of them.

use serde_json::{Value, json};

use crate::support::{Api, Database, Desk, Kind, meta};

fn ids(listed: &Value) -> Vec<i64> {
    let data = listed["data"].as_array().unwrap();
    data.iter()
        .map(|item| item["id"].as_i64().unwrap())
        .collect()
}

async fn unread(desk: &mut Desk, conversation: i64) -> i64 {
    let path = format!("/api/conversations/{conversation}");
    desk.get(&path).await.expect_status(200).json()["unread_count"]
        .as_i64()
        .unwrap()
}

#[tokio::test]
async fn the_list_has_what_an_inbox_shows() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let api = Api::on(&database).start().await;
        let mut agent = api.log_in("agent@tims.local").await;
        let listed = agent
            .get("/api/conversations")
            .await
            .expect_status(200)
            .json();
        let counts = json!({"mine": 1, "unassigned": 1, "all": 2, "unread": 2});
        let meta = json!({
            "current_page": 1, "last_page": 1, "per_page": 20, "total": 2, "next_before": null,
            "counts": counts,
        });
        assert_eq!(listed["meta"], meta);
        let conversation = &listed["data"][0];
        assert_eq!(conversation["id"], 1);
        assert_eq!(conversation["status"], "open");
        assert_eq!(
            conversation["contact"],
            json!({"id": 1, "name": "Grace Hopper", "phone": "491701000001"})
        );
        assert_eq!(
            conversation["department"],
            json!({"id": 1, "name": "Sales"})
        );
        assert_eq!(conversation["assignee"]["name"], "Amir Agent");
        assert_eq!(conversation["unread_count"], 2);
        let can = json!({
            "write": true, "take": false, "assign": false, "resolve": true, "move": true,
        });
        assert_eq!(conversation["can"], can);
        let can = json!({
            "write": false, "take": true, "assign": false, "resolve": false, "move": false,
        });
        assert_eq!(listed["data"][1]["can"], can);
        assert_eq!(conversation["last_message"]["direction"], "inbound");
        assert_eq!(conversation["last_message"]["sender"], json!(null));
        assert_eq!(
            agent.get("/api/conversations/1").await.json(),
            *conversation
        );
        api.stop().await;
    }
}

#[tokio::test]
async fn the_list_is_paged_and_the_newest_message_comes_first() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut admin = api.log_in("admin@tims.local").await;
    let page = async |admin: &mut Desk, query: &str| {
        let path = format!("/api/conversations{query}");
        admin.get(&path).await.expect_status(200).json()
    };
    let first = page(&mut admin, "?per_page=4").await;
    assert_eq!(ids(&first), [1, 2, 3, 4]);
    let counts = json!({"mine": 0, "unassigned": 2, "all": 6, "unread": 6});
    let meta = json!({
        "current_page": 1, "last_page": 2, "per_page": 4, "total": 6,
        "next_before": first["meta"]["next_before"], "counts": counts,
    });
    assert_eq!(first["meta"], meta);
    assert!(first["meta"]["next_before"].is_string());
    assert_eq!(ids(&page(&mut admin, "?per_page=4&page=2").await), [5, 6]);
    assert_eq!(
        ids(&page(&mut admin, "?per_page=4&page=3").await),
        [0_i64; 0]
    );
    admin.write(6, "now the newest").await;
    assert_eq!(ids(&page(&mut admin, "").await), [6, 1, 2, 3, 4, 5]);
    for nonsense in [
        "?page=0",
        "?page=-1",
        "?page=x",
        "?per_page=0",
        "?page=1'--&per_page=x",
    ] {
        assert_eq!(
            ids(&page(&mut admin, nonsense).await).len(),
            6,
            "{nonsense}"
        );
    }
    let most = page(&mut admin, "?per_page=100000").await;
    assert_eq!(most["meta"]["per_page"], 100);
    api.stop().await;
}

#[tokio::test]
async fn reading_is_per_user_and_never_goes_back() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let api = Api::on(&database).start().await;
        let mut agent = api.log_in("agent@tims.local").await;
        let mut manager = api.log_in("manager@tims.local").await;
        let path = "/api/conversations/1/read";
        let answer = agent
            .post(path, &json!({"message_id": 1}))
            .await
            .expect_status(200)
            .json();
        let one = json!({"conversation_id": 1, "last_read_message_id": 1, "unread_count": 1});
        assert_eq!(answer, one);
        let answer = agent.post(path, &json!({})).await.expect_status(200).json();
        let all = json!({"conversation_id": 1, "last_read_message_id": 3, "unread_count": 0});
        assert_eq!(answer, all);
        let answer = agent
            .post(path, &json!({"message_id": 1}))
            .await
            .expect_status(200)
            .json();
        assert_eq!(answer, all);
        // Ids of other conversations and of none mark no more than there is.
        let answer = agent.post(path, &json!({"message_id": 999})).await.json();
        assert_eq!(answer, all);
        agent
            .post(path, &json!({"message_id": "x"}))
            .await
            .expect_status(422);
        assert_eq!(unread(&mut manager, 1).await, 2);
        let again = meta::message("wamid.unread", "491701000001", "Grace Hopper", "again");
        meta::deliver(&mut agent, &again).await.expect_status(200);
        assert_eq!(unread(&mut agent, 1).await, 1);
        assert_eq!(unread(&mut manager, 1).await, 3);
        agent.write(1, "my own message is not unread").await;
        assert_eq!(unread(&mut agent, 1).await, 1);
        api.stop().await;
    }
}
