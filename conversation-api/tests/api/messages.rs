//! Messages: writing them, announcing them, reading them page by page.

use protocol_tests::{Request, TestServer};
use serde_json::{Value, json};

use crate::support::{Api, Database, Kind, meta};

const SEND: &str = "/api/messages/send";

fn text(conversation: i64, content: &str) -> Value {
    json!({"conversation_id": conversation, "type": "text", "content": content})
}

#[tokio::test]
async fn a_message_is_stored_and_announced() {
    for kind in Kind::BOTH {
        let relay = TestServer::start().await;
        let database = Database::seeded(kind).await;
        let api = Api::with(&database, &relay).await;
        let mut agent = api.log_in("agent@tims.local").await;
        let mut manager = api.log_in("manager@tims.local").await;
        let mut client = relay.connect().await;
        manager
            .subscribe(&mut client, "private-conversation.1")
            .await;
        manager.subscribe(&mut client, "private-department.1").await;
        let answer = agent
            .post(SEND, &text(1, "  Gerne! 🚲\n"))
            .await
            .expect_status(201)
            .json();
        let expected = json!({
            "id": answer["id"],
            "conversation_id": 1,
            "direction": "outbound",
            "type": "text",
            "content": "Gerne! 🚲",
            "media": null,
            "location": null,
            "reply_to": null,
            "sender": {"id": 5, "name": "Amir Agent", "avatar": null},
            "status": "sent",
            "error": null,
            "client_id": null,
            "created_at": answer["created_at"],
            "version": answer["version"],
        });
        assert_eq!(answer, expected);
        let created_at = answer["created_at"].as_str().unwrap();
        assert!(
            created_at.ends_with('Z') && created_at.len() == 24,
            "{created_at}"
        );
        for channel in ["private-conversation.1", "private-department.1"] {
            let event = client.expect_event_on(channel, "message.sent").await;
            assert_eq!(event.data_json(), answer);
        }
        let listed = agent.get("/api/conversations/1/messages").await.json();
        assert_eq!(listed["data"].as_array().unwrap().last(), Some(&answer));
        let path = format!("/api/messages/{}", answer["id"]);
        assert_eq!(agent.get(&path).await.expect_status(200).json(), answer);
        client.expect_nothing().await;
        api.stop().await;
        relay.finish().await;
    }
}

#[tokio::test]
async fn the_connection_that_wrote_does_not_get_it_back() {
    let relay = TestServer::start().await;
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::with(&database, &relay).await;
    let mut agent = api.log_in("agent@tims.local").await;
    let mut own = relay.connect().await;
    let mut other = relay.connect().await;
    agent.subscribe(&mut own, "private-conversation.1").await;
    agent.subscribe(&mut other, "private-conversation.1").await;
    let request = Request::new("POST", SEND).header("X-Socket-ID", &own.socket_id);
    agent
        .send(request.json(&text(1, "to others")))
        .await
        .expect_status(201);
    other.expect_event("message.sent").await;
    own.expect_nothing().await;
    // What is no socket id excludes nobody, and does not stop the event.
    let request = Request::new("POST", SEND).header("X-Socket-ID", "undefined");
    agent
        .send(request.json(&text(1, "to all")))
        .await
        .expect_status(201);
    other.expect_event("message.sent").await;
    own.expect_event("message.sent").await;
    api.stop().await;
    relay.finish().await;
}

/// A field, a value that it must not have, and the answer.
fn wrong_fields() -> [(&'static str, Value, &'static str); 14] {
    let no_integer = "The conversation id field must be an integer.";
    let no_conversation = "The selected conversation id is invalid.";
    [
        ("conversation_id", json!("one"), no_integer),
        ("conversation_id", json!(1.5), no_integer),
        ("conversation_id", json!([1]), no_integer),
        ("conversation_id", json!({"$gt": 0}), no_integer),
        ("conversation_id", json!("1 OR 1=1"), no_integer),
        ("conversation_id", json!(99), no_conversation),
        ("conversation_id", json!(-1), no_conversation),
        (
            "conversation_id",
            json!(null),
            "The conversation id field is required.",
        ),
        ("type", json!("image"), "The selected type is invalid."),
        ("type", json!(7), "The type field must be a string."),
        ("content", json!("   "), "The content field is required."),
        (
            "content",
            json!(["x"]),
            "The content field must be a string.",
        ),
        (
            "content",
            json!("nul\0"),
            "The content field format is invalid.",
        ),
        (
            "content",
            json!("é".repeat(4097)),
            "The content field must not be greater than 4096 characters.",
        ),
    ]
}

#[tokio::test]
async fn what_is_wrong_with_a_message_is_reported_as_laravel_does() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut agent = api.log_in("agent@tims.local").await;
    let before = database.contents().await;
    let required = |name: &str| format!("The {name} field is required.");
    let all_required = json!({
        "message": "The conversation id field is required. (and 2 more errors)",
        "errors": {
            "conversation_id": [required("conversation id")],
            "type": [required("type")],
            "content": [required("content")],
        },
    });
    for body in ["", "{}", "[]", "null", "{", "\"text\"", "7", "\u{feff}{}"] {
        let request = Request::new("POST", SEND).body(body);
        assert_eq!(
            agent.send(request).await.expect_status(422).json(),
            all_required,
            "{body}"
        );
    }
    for (field, value, expected) in wrong_fields() {
        let mut body = text(1, "x");
        body[field] = value;
        let answer = agent.post(SEND, &body).await.expect_status(422).json();
        let mut errors = json!({});
        errors[field] = json!([expected]);
        assert_eq!(
            answer,
            json!({"message": expected, "errors": errors}),
            "{body}"
        );
    }
    let huge = text(1, &"x".repeat(100_000));
    agent.post(SEND, &huge).await.expect_status(413);
    assert_eq!(database.contents().await, before);
    api.stop().await;
}

#[tokio::test]
async fn text_is_only_text() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let api = Api::on(&database).start().await;
        let mut agent = api.log_in("agent@tims.local").await;
        let before = database.contents().await;
        let tricks = [
            "'); DROP TABLE messages; --",
            "$1 $2 ? :name @p1",
            r#"{"$ne": null}"#,
            "\\u0000 \\x00",
            "<script>alert(1)</script>",
            "\u{202e}rtl \u{fffd} \u{10ffff}",
        ];
        for trick in tricks {
            let answer = agent
                .post(SEND, &text(1, trick))
                .await
                .expect_status(201)
                .json();
            assert_eq!(answer["content"], trick);
        }
        let listed = agent
            .get("/api/conversations/1/messages?per_page=6")
            .await
            .json();
        let contents = listed["data"].as_array().unwrap().iter();
        let contents: Vec<_> = contents
            .map(|message| message["content"].as_str().unwrap())
            .collect();
        assert_eq!(contents, tricks);
        let after = database.contents().await;
        assert_eq!(after[..4], before[..4]);
        assert_eq!(after[4], before[4] + 6);
        api.stop().await;
    }
}

#[tokio::test]
async fn messages_are_read_from_the_newest_back() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut agent = api.log_in("agent@tims.local").await;
    for number in 0..7 {
        agent.write(1, &number.to_string()).await;
    }
    let mut before = String::new();
    let mut contents: Vec<String> = Vec::new();
    for page in [4, 4, 2] {
        let path = format!("/api/conversations/1/messages?per_page=4{before}");
        let answer = agent.get(&path).await.expect_status(200).json();
        let messages = answer["data"].as_array().unwrap();
        assert_eq!(messages.len(), page);
        let content = |message: &Value| message["content"].as_str().unwrap().to_owned();
        contents.splice(0..0, messages.iter().map(content));
        match answer["meta"]["next_before"].as_i64() {
            Some(next) => before = format!("&before={next}"),
            None => assert_eq!(page, 2),
        }
    }
    assert_eq!(contents.len(), 10);
    assert_eq!(contents[3..], ["0", "1", "2", "3", "4", "5", "6"]);
    agent
        .get("/api/conversations/99/messages")
        .await
        .expect_status(404);
    for id in ["0x1", "-1", "1'", "99999999999999999999"] {
        let path = format!("/api/conversations/{id}/messages");
        agent.get(&path).await.expect_status(404);
    }
    api.stop().await;
}

#[tokio::test]
async fn messages_are_in_the_order_in_which_they_were_written() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let api = Api::on(&database).start().await;
        let mut agent = api.log_in("agent@tims.local").await;
        let now = agent.write(1, "now").await;
        let mut late = Vec::new();
        for (id, timestamp) in [
            ("wamid.2", "1700000002"),
            ("wamid.1", "1700000001"),
            ("wamid.b", "1700000002"),
        ] {
            let payload = meta::message(id, "491701000001", "Grace", id);
            let payload = meta::with(payload, "timestamp", json!(timestamp));
            meta::deliver(&mut api.stranger(), &payload)
                .await
                .expect_status(200);
            late.push(id);
        }
        let mut contents = Vec::new();
        let mut path = "/api/conversations/1/messages?per_page=2".to_owned();
        loop {
            let answer = agent.get(&path).await.expect_status(200).json();
            let page = answer["data"].as_array().unwrap().iter();
            let page = page.map(|message| message["content"].as_str().unwrap().to_owned());
            contents.splice(0..0, page);
            match answer["meta"]["next_before"].as_i64() {
                Some(next) => {
                    path = format!("/api/conversations/1/messages?per_page=2&before={next}")
                }
                None => break,
            }
        }
        assert_eq!(contents[..3], ["wamid.1", "wamid.2", "wamid.b"]);
        assert_eq!(contents.len(), 7);
        assert_eq!(contents[6], "now");
        let listed = agent.get("/api/conversations/1").await.json();
        assert_eq!(listed["unread_count"], 5, "those that came late are unread");
        let last = agent.get(&format!("/api/messages/{now}")).await.json();
        assert_eq!(listed["last_message_at"], last["created_at"]);
        let answer = agent.get("/api/conversations/1/messages").await.json();
        assert_eq!(answer["data"][0]["created_at"], "2023-11-14T22:13:21.000Z");
        api.stop().await;
    }
}

#[tokio::test]
async fn many_at_once_are_announced_once_each_and_in_order() {
    for kind in Kind::BOTH {
        let relay = TestServer::start().await;
        let database = Database::seeded(kind).await;
        let api = Api::with(&database, &relay).await;
        let admin = api.log_in("admin@tims.local").await;
        let mut client = relay.connect().await;
        admin
            .another()
            .subscribe(&mut client, "private-department.1")
            .await;
        admin
            .another()
            .subscribe(&mut client, "private-department.2")
            .await;
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..12_i64 {
            let mut desk = admin.another();
            writers.spawn(async move {
                let mut ids = Vec::new();
                for number in 0..20_i64 {
                    ids.push(desk.write(1 + (writer + number) % 6, "x").await);
                }
                ids
            });
        }
        let mut sent = writers.join_all().await.concat();
        sent.sort_unstable();
        let mut announced = Vec::new();
        let mut latest = [0; 7];
        for event in client.next_events(240).await {
            let data = event.data_json();
            let (id, conversation) = (&data["id"], &data["conversation_id"]);
            let (id, conversation) = (id.as_i64().unwrap(), conversation.as_u64().unwrap());
            let latest = &mut latest[usize::try_from(conversation).unwrap()];
            assert!(id > *latest, "{id} came after {latest}");
            *latest = id;
            announced.push(id);
        }
        announced.sort_unstable();
        assert_eq!(announced, sent);
        client.expect_nothing().await;
        api.stop().await;
        relay.finish().await;
    }
}
