//! What Meta calls.

use std::time::{SystemTime, UNIX_EPOCH};

use protocol_tests::sign::hmac_sha256_hex;
use protocol_tests::{Request, TestServer};
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::support::graph::{start, takes};
use crate::support::meta::{self, PATH};
use crate::support::{Api, Database, Kind, StandIn};

#[tokio::test]
async fn a_customers_message_is_stored_and_announced() {
    for kind in Kind::BOTH {
        let relay = TestServer::start().await;
        let database = Database::seeded(kind).await;
        let api = Api::with(&database, &relay).await;
        let mut manager = api.log_in("manager@tims.local").await;
        let mut client = relay.connect().await;
        manager
            .subscribe(&mut client, "private-conversation.1")
            .await;
        manager.subscribe(&mut client, "private-department.1").await;
        let payload = meta::message("wamid.1", "491701000001", "Grace H.", "Bin da! ✌");
        meta::deliver(&mut api.stranger(), &payload)
            .await
            .expect_status(200);
        for channel in ["private-conversation.1", "private-department.1"] {
            let event = client.expect_event_on(channel, "message.received").await;
            let data = event.data_json();
            let expected = json!({
                "id": data["id"],
                "conversation_id": 1,
                "direction": "inbound",
                "type": "text",
                "content": "Bin da! ✌",
                "media": null,
                "location": null,
                "reply_to": null,
                "sender": null,
                "status": null,
                "error": null,
                "client_id": null,
                "conversation": {
                    "id": 1,
                    "status": "open",
                    "contact": {"id": 1, "name": "Grace H.", "phone": "491701000001"},
                    "department_id": 1,
                    "assignee": {"id": 5, "name": "Amir Agent", "avatar": null},
                    "window_ends_at": data["conversation"]["window_ends_at"],
                    "version": data["version"],
                },
                "created_at": data["created_at"],
                "version": data["version"],
            });
            assert_eq!(data, expected);
            let day = |time: &Value| time.as_str().unwrap()[..10].to_owned();
            let window_ends_at = &data["conversation"]["window_ends_at"];
            assert_eq!(
                window_ends_at.as_str().unwrap()[10..],
                data["created_at"].as_str().unwrap()[10..]
            );
            assert!(day(window_ends_at) > day(&data["created_at"]));
        }
        let messages = manager.get("/api/conversations/1/messages").await.json();
        let last = messages["data"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(
            (&last["content"], &last["status"]),
            (&json!("Bin da! ✌"), &Value::Null)
        );
        client.expect_nothing().await;
        api.stop().await;
        relay.finish().await;
    }
}

#[tokio::test]
async fn a_new_customer_begins_a_conversation_in_the_first_department() {
    let relay = TestServer::start().await;
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::with(&database, &relay).await;
    let mut manager = api.log_in("manager@tims.local").await;
    let mut client = relay.connect().await;
    manager.subscribe(&mut client, "private-department.1").await;
    let mut stranger = api.stranger();
    for (id, name, text) in [("wamid.1", "Joan", "one"), ("wamid.2", "", "two")] {
        let payload = meta::message(id, "4917099", name, text);
        meta::deliver(&mut stranger, &payload)
            .await
            .expect_status(200);
        let event = client.expect_event("message.received").await.data_json();
        assert_eq!(event["conversation_id"], 7);
        assert_eq!(event["conversation"]["contact"]["name"], "Joan");
    }
    let listed = manager.get("/api/conversations").await.json();
    assert_eq!(listed["data"][0]["id"], 7);
    assert_eq!(listed["data"][0]["unread_count"], 2);
    assert_eq!(listed["data"][0]["assignee"], json!(null));
    api.stop().await;
    relay.finish().await;
}

#[tokio::test]
async fn twenty_deliveries_at_once_make_one_message_and_one_event() {
    for kind in Kind::BOTH {
        let relay = TestServer::start().await;
        let database = Database::seeded(kind).await;
        let api = Api::with(&database, &relay).await;
        let mut client = relay.connect().await;
        let mut admin = api.log_in("admin@tims.local").await;
        admin.subscribe(&mut client, "private-department.1").await;
        for phone in ["491701000001", "4917099"] {
            let before = database.contents().await;
            let mut deliveries = tokio::task::JoinSet::new();
            for _ in 0..20 {
                let mut stranger = api.stranger();
                let payload = meta::message(&format!("wamid.{phone}"), phone, "Joan", "hello");
                deliveries.spawn(async move { meta::deliver(&mut stranger, &payload).await });
            }
            for answer in deliveries.join_all().await {
                answer.expect_status(200);
            }
            client.expect_event("message.received").await;
            api.everything_sent().await;
            client.expect_nothing().await;
            let after = database.contents().await;
            assert_eq!(after[4..], [before[4] + 1, before[5] + 1]);
        }
        assert_eq!(database.number("SELECT COUNT(*) FROM contacts").await, 7);
        assert_eq!(
            database.number("SELECT COUNT(*) FROM conversations").await,
            7
        );
        api.stop().await;
        relay.finish().await;
    }
}

#[tokio::test]
async fn a_replay_changes_nothing() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut stranger = api.stranger();
    let old = meta::message("wamid.1", "491701000001", "Old Name", "first");
    meta::deliver(&mut stranger, &old).await.expect_status(200);
    let new = meta::message("wamid.2", "491701000001", "New Name", "second");
    meta::deliver(&mut stranger, &new).await.expect_status(200);
    let before = database.contents().await;
    for _ in 0..3 {
        meta::deliver(&mut stranger, &old).await.expect_status(200);
    }
    assert_eq!(database.contents().await, before);
    let names = database
        .texts("SELECT name FROM contacts WHERE id = 1")
        .await;
    assert_eq!(names, ["New Name"]);
    api.stop().await;
}

#[tokio::test]
async fn what_is_not_signed_by_meta_is_refused_unread() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut stranger = api.stranger();
    let before = database.contents().await;
    let body = meta::message("wamid.1", "4917099", "Eve", "hi").to_string();
    let right = hmac_sha256_hex(crate::support::api::APP_SECRET, body.as_bytes());
    let post = || Request::new("POST", PATH).body(body.as_str());
    stranger.send(post()).await.expect_status(401);
    for signature in [
        String::new(),
        "sha256=".into(),
        right.clone(),
        format!("sha1={right}"),
        format!("sha256={}", &right[..62]),
        format!("sha256={right}00"),
        format!(
            "sha256={}",
            hmac_sha256_hex("another secret", body.as_bytes())
        ),
        format!("sha256={}", hmac_sha256_hex("", body.as_bytes())),
    ] {
        let request = post().header("X-Hub-Signature-256", &signature);
        let answer = stranger.send(request).await.expect_status(401).json();
        assert_eq!(
            answer,
            json!({"message": "Invalid signature."}),
            "{signature}"
        );
    }
    let altered = meta::signed(body.clone()).body(body.replace("hi", "ho"));
    stranger.send(altered).await.expect_status(401);
    let garbage = Request::new("POST", PATH).header("X-Hub-Signature-256", "sha256=00");
    stranger
        .send(garbage.body(vec![0xff; 1000]))
        .await
        .expect_status(401);
    assert_eq!(database.contents().await, before);
    stranger.send(meta::signed(body)).await.expect_status(200);
    api.stop().await;
}

#[tokio::test]
async fn without_a_secret_no_webhook_is_accepted() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database)
        .set("WHATSAPP_APP_SECRET", "")
        .start()
        .await;
    let body = "{}";
    let signature = format!("sha256={}", hmac_sha256_hex("", body.as_bytes()));
    let request = Request::new("POST", PATH).header("X-Hub-Signature-256", &signature);
    api.stranger()
        .send(request.body(body))
        .await
        .expect_status(401);
    api.stop().await;
}

#[tokio::test]
async fn oversized_webhooks_are_refused() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let before = database.contents().await;
    let text = "x".repeat(3 * 1024 * 1024);
    let body = meta::message("wamid.1", "4917099", "Eve", &text).to_string();
    api.stranger()
        .send(meta::signed(body.clone()))
        .await
        .expect_status(413);
    api.stranger()
        .send(meta::signed(body).chunked(64 * 1024))
        .await
        .expect_status(413);
    assert_eq!(database.contents().await, before);
    api.stop().await;
}

#[tokio::test]
async fn whatever_is_not_understood_is_accepted_and_ignored() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let api = Api::on(&database).start().await;
        let mut stranger = api.stranger();
        let before = database.contents().await;
        let message = |change: &dyn Fn(&mut Value)| {
            let mut payload = meta::message("wamid.1", "4917099", "Eve", "hi");
            change(&mut payload["entry"][0]["changes"][0]);
            payload
        };
        for payload in [
            json!({}),
            json!([]),
            json!(null),
            json!({"entry": null}),
            json!({"entry": [{"changes": [null, 7, {}]}]}),
            message(&|change| change["field"] = json!("account_update")),
            message(&|change| change["value"]["messages"][0]["id"] = json!(7)),
            message(&|change| change["value"]["messages"][0]["from"] = json!("+49' --")),
            meta::status("wamid.unknown", "delivered"),
            meta::status("wamid.unknown", "frozen"),
        ] {
            meta::deliver(&mut stranger, &payload)
                .await
                .expect_status(200);
        }
        for body in ["", "{", "not JSON", "{\"entry\":[\"\\ud800\"]}"] {
            stranger.send(meta::signed(body)).await.expect_status(400);
        }
        assert_eq!(database.contents().await, before);
        // Characters that a database may choke on do not keep a message from arriving.
        let odd = meta::message(
            "wamid.odd",
            "4917099",
            "E\u{0}ve",
            "'; DROP TABLE\u{0} messages",
        );
        meta::deliver(&mut stranger, &odd).await.expect_status(200);
        let query = "SELECT content FROM messages WHERE whatsapp_id = 'wamid.odd'";
        assert_eq!(database.texts(query).await, ["'; DROP TABLE messages"]);
        api.stop().await;
    }
}

#[tokio::test]
async fn several_messages_of_one_webhook_are_all_stored_in_order() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let message = |id: &str, text: &str| json!({"from": "4917099", "id": id, "type": "text", "text": {"body": text}});
    let payload = meta::webhook(json!({"messages": [message("a", "1"), message("b", "2")]}));
    meta::deliver(&mut api.stranger(), &payload)
        .await
        .expect_status(200);
    let query = "SELECT content FROM messages WHERE conversation_id = 7 ORDER BY id";
    assert_eq!(database.texts(query).await, ["1", "2"]);
    api.stop().await;
}

/// A webhook with a text of the customer's of the first conversation, written in this second.
fn written_in(second: i64, id: &str, text: &str) -> Value {
    let message = meta::message(id, "491701000001", "Grace Hopper", text);
    meta::with(message, "timestamp", json!(second.to_string()))
}

#[tokio::test]
async fn a_message_that_comes_late_is_the_newest_and_not_the_last() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let api = Api::on(&database).start().await;
        let mut agent = api.log_in("agent@tims.local").await;
        let read = "/api/conversations/1/read";
        agent.post(read, &json!({})).await.expect_status(200);
        let reply = agent.write(1, "reply").await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let second = i64::try_from(now.as_secs()).unwrap() - 300;
        let late = written_in(second, "wamid.late", "late");
        meta::deliver(&mut agent, &late).await.expect_status(200);
        let shown = agent.get("/api/conversations/1").await.json();
        assert_eq!(shown["last_message"]["id"], reply);
        assert_eq!(
            shown["last_message_at"],
            shown["last_message"]["created_at"]
        );
        assert_eq!(shown["newest_message_id"], reply + 1);
        assert_eq!(shown["last_read_message_id"], 3);
        assert_eq!(shown["unread_count"], 1);
        let path = "/api/conversations/1/messages";
        let messages = agent.get(path).await.json();
        let messages = messages["data"].as_array().unwrap();
        assert_eq!(messages.last().unwrap()["id"], reply);
        api.stop().await;
    }
}

#[tokio::test]
async fn within_a_second_what_arrives_later_was_written_later_whoever_wrote_it() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let api = Api::on(&database).start().await;
        let mut agent = api.log_in("agent@tims.local").await;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let second = i64::try_from(now.as_secs()).unwrap() - 5;
        let reply = agent.write(1, "reply").await;
        let earlier = format!(
            "UPDATE messages SET created_at =
                CASE WHEN id = {reply} THEN {second}900 ELSE created_at - 600000 END
             WHERE conversation_id = 1"
        );
        database.execute(AssertSqlSafe(earlier)).await;
        for (id, text) in [("wamid.1", "one"), ("wamid.2", "two")] {
            let message = written_in(second, id, text);
            meta::deliver(&mut agent, &message).await.expect_status(200);
        }
        let path = "/api/conversations/1/messages";
        let messages = agent.get(path).await.json();
        let texts = messages["data"].as_array().unwrap().iter();
        let texts: Vec<_> = texts.rev().take(3).map(|last| &last["content"]).collect();
        assert_eq!(texts, ["two", "one", "reply"]);
        api.stop().await;
    }
}

#[tokio::test]
async fn the_address_is_verified_with_the_token() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut stranger = api.stranger();
    let verify = |mode: &str, token: &str| {
        Request::new("GET", PATH)
            .query("hub.mode", mode)
            .query("hub.verify_token", token)
            .query("hub.challenge", "1158201444")
    };
    let token = crate::support::api::VERIFY_TOKEN;
    let answer = stranger
        .send(verify("subscribe", token))
        .await
        .expect_status(200);
    assert_eq!(answer.text(), "1158201444");
    assert!(
        answer
            .header("content-type")
            .unwrap()
            .starts_with("text/plain")
    );
    for (mode, claimed) in [
        ("subscribe", "wrong"),
        ("subscribe", ""),
        ("unsubscribe", token),
    ] {
        stranger
            .send(verify(mode, claimed))
            .await
            .expect_status(403);
    }
    stranger.get(PATH).await.expect_status(403);
    api.stop().await;
    let api = Api::on(&database)
        .set("WHATSAPP_VERIFY_TOKEN", "")
        .start()
        .await;
    api.stranger()
        .send(verify("subscribe", ""))
        .await
        .expect_status(403);
    api.stop().await;
}

#[tokio::test]
async fn what_another_number_of_the_app_receives_is_passed_over() {
    let database = Database::seeded(Kind::Sqlite).await;
    let graph = StandIn::start(takes).await;
    let (api, mut agent) = start(&database, &graph).await;
    for id in ["wamid.1", "wamid.2"] {
        let mut payload = meta::message(id, "491701000001", "Grace", "to the test number");
        payload["entry"][0]["changes"][0]["value"]["metadata"]["phone_number_id"] = json!("99");
        meta::deliver(&mut agent, &payload).await.expect_status(200);
    }
    let payload = meta::message("wamid.3", "491701000001", "Grace", "to the desk");
    meta::deliver(&mut agent, &payload).await.expect_status(200);
    let stored = "SELECT content FROM messages WHERE whatsapp_id LIKE 'wamid.%'";
    assert_eq!(database.texts(stored).await, ["to the desk"]);
    let log = api.stop().await.log;
    let warns = |line: &&String| line.contains("another number") && line.contains(r#""99""#);
    assert_eq!(log.iter().filter(warns).count(), 1, "once");
}
