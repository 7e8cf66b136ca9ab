//! A database of an earlier version, with data and with what waits to be sent, is served on.

use std::borrow::Cow;
use std::path::Path;

use protocol_tests::TestServer;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use sqlx::migrate::Migrator;

use crate::support::database::run;
use crate::support::graph::{message, start_with, status_becomes, takes};
use crate::support::{Database, Kind, StandIn};

/// The version before messages and conversations had versions, and lanes were made due by triggers.
const EARLIER: i64 = 4;

const WRITTEN: i64 = 1_770_000_000_000;

async fn migrations(kind: Kind) -> Migrator {
    let folder = match kind {
        Kind::Sqlite => "sqlite",
        Kind::Postgres => "postgres",
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("migrations")
        .join(folder);
    Migrator::new(folder).await.unwrap()
}

async fn latest(kind: Kind) -> i64 {
    let migrations = migrations(kind).await;
    migrations
        .iter()
        .map(|migration| migration.version)
        .max()
        .unwrap()
}

/// A database as the program left it at that version: an agent, a conversation that is theirs, and an
/// answer of which neither the event nor the way to the customer has been sent.
async fn earlier(kind: Kind) -> Database {
    let database = Database::empty(kind).await;
    if kind == Kind::Sqlite {
        std::fs::write(&database.url["sqlite://".len()..], "").unwrap();
    }
    let all = migrations(kind).await;
    let earlier = all.iter().filter(|migration| migration.version <= EARLIER);
    let migrator = Migrator {
        migrations: Cow::Owned(earlier.cloned().collect()),
        ..Migrator::DEFAULT
    };
    let pool = database.pool().await;
    migrator.run(&pool).await.unwrap();
    let people = Database::seeded(Kind::Sqlite).await;
    let password = "SELECT password FROM users WHERE id = 5";
    let password = people.texts(password).await.remove(0);
    for statement in statements(&password) {
        let inserted = sqlx::query(AssertSqlSafe(statement)).execute(&pool).await;
        inserted.unwrap();
    }
    pool.close().await;
    database
}

fn statements(password: &str) -> [String; 8] {
    let event = json!({
        "event": "message.sent",
        "channels": ["private-conversation.1", "private-department.1"],
        "payload": {
            "id": 2, "conversation_id": 1, "direction": "outbound", "type": "text",
            "content": "Good morning!", "status": "pending", "truncated": false,
        },
        "socket_id": null,
        "idempotency_id": "event-2",
    });
    let reply = json!({"message_id": 2, "to": "491701000001", "text": "Good morning!"});
    [
        "INSERT INTO departments (name) VALUES ('Sales')".into(),
        format!(
            "INSERT INTO users (name, email, password, role, department_id, created_at)
             VALUES ('Amir Agent', 'agent@tims.local', '{password}', 'agent', 1, {WRITTEN})"
        ),
        format!(
            "INSERT INTO contacts (phone, name, created_at)
             VALUES ('491701000001', 'Grace Hopper', {WRITTEN})"
        ),
        format!(
            "INSERT INTO conversations (contact_id, department_id, assigned_to, status,
                last_sequence, last_message_at, created_at)
             VALUES (1, 1, 1, 'open', 2, {WRITTEN}, {WRITTEN})"
        ),
        format!(
            "INSERT INTO messages (conversation_id, direction, content, sender_id, client_id,
                status, created_at)
             VALUES (1, 'inbound', 'Hello?', NULL, NULL, NULL, {WRITTEN}),
                (1, 'outbound', 'Good morning!', 1, 'c-1', 'pending', {WRITTEN})"
        ),
        format!(
            "INSERT INTO outbox (event_id, kind, conversation_id, sequence, payload, created_at)
             VALUES ('event-2', 'broadcast', 1, 2, '{event}', {WRITTEN}),
                ('event-2', 'whatsapp', 1, 2, '{reply}', {WRITTEN})"
        ),
        format!(
            "INSERT INTO outbox (event_id, kind, conversation_id, sequence, payload, created_at,
                dead_at, error)
             VALUES ('event-0', 'whatsapp', 1, 0, 'x', {WRITTEN}, {WRITTEN},
                    'the row cannot be read: expected value'),
                ('event-1', 'whatsapp', 1, 1, '{reply}', {WRITTEN}, {WRITTEN},
                    'the Graph API answered 400 Bad Request: Message undeliverable (code 131026)')"
        ),
        format!(
            "INSERT INTO outbox_lanes (kind, conversation_id, due_at, failures)
             VALUES ('broadcast', 1, {WRITTEN}, 0), ('whatsapp', 1, {WRITTEN}, 3)"
        ),
    ]
}

#[tokio::test]
async fn a_database_of_an_earlier_version_is_migrated_and_served_on() {
    for kind in Kind::BOTH {
        let database = earlier(kind).await;
        let migrated = run(&["migrate"], &database.url);
        let due = latest(kind).await - EARLIER;
        let expected = format!("{due} migrations were run");
        assert!(migrated.contains(&expected), "{migrated}");
        let dead = "SELECT event_id FROM outbox WHERE dead_at IS NOT NULL";
        assert_eq!(
            database.texts(dead).await,
            ["event-0"],
            "a refused reply is done"
        );
        let relay = TestServer::start().await;
        let mut client = relay.connect().await;
        client.subscribe("private-conversation.1").await;
        let graph = StandIn::start(takes).await;
        let (api, mut agent) = start_with(&database, &graph, |api| api.relay(&relay)).await;

        // What waited goes out.
        let event = client.expect_event("message.sent").await.data_json();
        assert_eq!((&event["id"], &event["version"]), (&json!(2), &Value::Null));
        assert_eq!(
            graph.wait_for(1).await[0].body["text"]["body"],
            "Good morning!"
        );
        let event = client.expect_event("message.updated").await.data_json();
        assert_eq!(
            (&event["id"], &event["status"]),
            (&json!(2), &json!("sent"))
        );
        status_becomes(&agent, 2, "sent").await;

        // What was there is there, and has versions.
        let listed = agent
            .get("/api/conversations")
            .await
            .expect_status(200)
            .json();
        assert_eq!(listed["data"][0]["contact"]["name"], "Grace Hopper");
        assert_eq!(listed["data"][0]["unread_count"], 1);
        assert_eq!(message(&mut agent, 1).await["version"], 0);
        assert_eq!(message(&mut agent, 2).await["version"], event["version"]);

        // And it goes on behind it, in order.
        let next = agent.write(1, "next").await;
        status_becomes(&agent, next, "sent").await;
        for name in ["message.sent", "message.updated"] {
            let data = client.expect_event(name).await.data_json();
            assert_eq!(data["id"], next);
            assert!(data["version"].as_i64() > event["version"].as_i64());
        }
        assert_eq!(graph.arrived().len(), 2);
        api.stop().await;
        relay.finish().await;
    }
}
