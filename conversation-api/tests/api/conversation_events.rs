//! What a relay brings to whom when a conversation changes.

use protocol_tests::{Request, TestServer, WsClient, eventually};
use serde_json::{Value, json};

use crate::support::graph::{start_with, takes};
use crate::support::roles::{MATRIX, Row};
use crate::support::{Api, Database, Desk, Kind, StandIn, meta};

/// A client on one channel.
async fn listener(relay: &TestServer, desk: &mut Desk, channel: &str) -> WsClient {
    let mut client = relay.connect().await;
    desk.subscribe(&mut client, channel).await;
    client
}

async fn post(desk: &mut Desk, path: &str, body: &Value) -> Value {
    desk.post(path, body).await.expect_status(200).json()
}

const AMIR: &str = r#"{"id":5,"name":"Amir Agent","avatar":null}"#;
const ANA: &str = r#"{"id":6,"name":"Ana Agent","avatar":null}"#;

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn an_assignment_is_announced_to_the_old_and_the_new_assignee_and_where_it_belongs() {
    for kind in Kind::BOTH {
        let relay = TestServer::start().await;
        let database = Database::seeded(kind).await;
        let api = Api::with(&database, &relay).await;
        let mut manager = api.log_in("manager@tims.local").await;
        let mut admin = api.log_in("admin@tims.local").await;
        let mut agent = api.log_in("agent@tims.local").await;
        let mut other = api.log_in("agent2@tims.local").await;
        let mut before = listener(&relay, &mut agent, "private-user.5").await;
        let mut before_inside = listener(&relay, &mut agent, "private-conversation.1").await;
        let mut after = listener(&relay, &mut other, "private-user.6").await;
        let mut department = listener(&relay, &mut manager, "private-department.1").await;
        let mut inside = listener(&relay, &mut manager, "private-conversation.1").await;
        let mut elsewhere = listener(&relay, &mut admin, "private-department.2").await;
        let mut uninvolved = listener(&relay, &mut admin, "private-user.1").await;
        let path = "/api/conversations/1/assign";
        let shown = post(&mut manager, path, &json!({"user_id": 6})).await;
        // The one who loses it knows why before the connection ends.
        let event = before.expect_event("conversation.assigned").await;
        let data = event.data_json();
        assert_eq!(event.channel.as_deref(), Some("private-user.5"));
        assert_eq!(data["conversation_id"], 1);
        assert_eq!(data["assignee"], value(ANA));
        assert_eq!(data["previous_assignee"], value(AMIR));
        assert_eq!(data["by"], json!({"id": 3, "name": "Mara Manager"}));
        for field in [
            "id",
            "status",
            "contact",
            "department",
            "assignee",
            "last_message_at",
            "window_ends_at",
            "version",
        ] {
            assert_eq!(data["conversation"][field], shown[field], "{field}");
        }
        assert_eq!(data["conversation"].as_object().unwrap().len(), 8);
        before.expect_error(Some(4200)).await;
        before.expect_close_code(4200).await;
        before_inside.expect_error(Some(4200)).await;
        for client in [&mut after, &mut department, &mut inside] {
            let event = client.expect_event("conversation.assigned").await;
            assert_eq!(event.data_json(), data);
        }
        api.everything_sent().await;
        // Who comes back gets nothing a second time, and asks for the list.
        let mut again = listener(&relay, &mut agent, "private-user.5").await;
        again.expect_nothing().await;
        let listed = agent.get("/api/conversations").await.json();
        assert_eq!(listed["data"][0]["id"], 3);
        assert_eq!(listed["meta"]["total"], 1);
        for client in [
            &mut after,
            &mut department,
            &mut inside,
            &mut elsewhere,
            &mut uninvolved,
        ] {
            client.expect_nothing().await;
        }
        // The same again is no change.
        post(&mut manager, path, &json!({"user_id": 6})).await;
        api.everything_sent().await;
        department.expect_nothing().await;
        api.stop().await;
        relay.finish().await;
    }
}

#[tokio::test]
async fn what_was_taken_or_given_up_is_announced_in_order_with_messages() {
    let relay = TestServer::start().await;
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::with(&database, &relay).await;
    let mut manager = api.log_in("manager@tims.local").await;
    let mut agent = api.log_in("agent@tims.local").await;
    let mut department = listener(&relay, &mut manager, "private-department.1").await;
    let mut own = listener(&relay, &mut agent, "private-user.5").await;
    post(&mut manager, "/api/conversations/3/resolve", &json!({})).await;
    post(&mut agent, "/api/conversations/3/take", &json!({})).await;
    agent.write(3, "hello").await;
    post(&mut agent, "/api/conversations/3/resolve", &json!({})).await;
    let message = meta::message("wamid.1", "491701000003", "Barbara", "again");
    meta::deliver(&mut agent, &message).await.expect_status(200);
    let mut seen = Vec::new();
    for event in department.next_events(7).await {
        let data = event.data_json();
        let changes = data["changes"][0].as_str().unwrap_or_default().to_owned();
        let status = data["conversation"]["status"].as_str().unwrap_or_default();
        let by = data["by"]["id"].as_i64();
        seen.push((event.name.clone(), changes, status.to_owned(), by));
    }
    let expected = [
        ("conversation.updated", "status", "closed", Some(3)),
        ("conversation.assigned", "", "closed", Some(5)),
        ("conversation.updated", "status", "open", Some(5)),
        ("message.sent", "", "", None),
        ("conversation.updated", "status", "closed", Some(5)),
        ("conversation.updated", "status", "open", None),
        ("message.received", "", "open", None),
    ];
    let expected = expected.map(|(name, changes, status, by)| {
        (name.to_owned(), changes.to_owned(), status.to_owned(), by)
    });
    assert_eq!(seen, expected);
    for name in ["conversation.assigned", "conversation.updated"] {
        let event = own.expect_event(name).await;
        assert_eq!(event.channel.as_deref(), Some("private-user.5"));
    }
    api.stop().await;
    relay.finish().await;
}

#[tokio::test]
async fn a_move_is_announced_to_both_departments() {
    for kind in Kind::BOTH {
        let relay = TestServer::start().await;
        let database = Database::seeded(kind).await;
        let api = Api::with(&database, &relay).await;
        let mut manager = api.log_in("manager@tims.local").await;
        let mut agent = api.log_in("agent@tims.local").await;
        let mut admin = api.log_in("admin@tims.local").await;
        let mut supervisor = api.log_in("supervisor@tims.local").await;
        let mut other = api.log_in("agent2@tims.local").await;
        let mut left = listener(&relay, &mut manager, "private-department.1").await;
        let mut leaves = listener(&relay, &mut supervisor, "private-department.1").await;
        // An agent may not listen to what a colleague has, and so loses nothing.
        let mut stays = listener(&relay, &mut other, "private-department.1").await;
        let mut dropped = listener(&relay, &mut agent, "private-user.5").await;
        let mut joined = listener(&relay, &mut admin, "private-department.2").await;
        let mut inside = listener(&relay, &mut admin, "private-conversation.1").await;
        let mut old = listener(&relay, &mut admin, "private-department.1").await;
        let path = "/api/conversations/1/move";
        post(&mut manager, path, &json!({"department_id": 2})).await;
        for client in [
            &mut left,
            &mut leaves,
            &mut stays,
            &mut joined,
            &mut inside,
            &mut old,
        ] {
            let event = client
                .expect_event("conversation.updated")
                .await
                .data_json();
            assert_eq!(event["changes"], json!(["department"]));
            assert_eq!(event["previous_department_id"], 1);
            assert_eq!(event["conversation"]["department"]["id"], 2);
            assert_eq!(event["by"]["id"], 3);
        }
        let event = dropped
            .expect_event("conversation.assigned")
            .await
            .data_json();
        assert_eq!(event["assignee"], json!(null));
        assert_eq!(event["previous_assignee"], value(AMIR));
        for client in [&mut left, &mut leaves, &mut dropped] {
            client.expect_error(Some(4200)).await;
            client.expect_close_code(4200).await;
        }
        for client in [&mut joined, &mut inside] {
            client.expect_event("conversation.assigned").await;
        }
        api.everything_sent().await;
        for client in [&mut joined, &mut inside, &mut old, &mut stays] {
            client.expect_nothing().await;
        }
        api.stop().await;
        relay.finish().await;
    }
}

#[tokio::test]
async fn what_one_session_reads_is_read_in_the_others_and_colleagues_see_by_whom() {
    for kind in Kind::BOTH {
        let relay = TestServer::start().await;
        let database = Database::seeded(kind).await;
        let api = Api::with(&database, &relay).await;
        let mut here = api.log_in("manager@tims.local").await;
        let mut there = api.log_in("manager@tims.local").await;
        let mut agent = api.log_in("agent@tims.local").await;
        let mut reading = listener(&relay, &mut here, "private-user.3").await;
        let mut other = listener(&relay, &mut there, "private-user.3").await;
        let mut assignee = listener(&relay, &mut agent, "private-user.5").await;
        let mut department = listener(&relay, &mut here, "private-department.1").await;
        let read = Request::new("POST", "/api/conversations/1/read")
            .header("X-Socket-ID", &reading.socket_id.clone());
        let first = read.clone().json(&json!({"message_id": 1}));
        here.send(first).await.expect_status(200);
        let event = other.expect_event("conversation.updated").await.data_json();
        assert_eq!(event["changes"], json!(["read"]));
        assert_eq!(
            event["read"],
            json!({"user_id": 3, "last_read_message_id": 1})
        );
        for colleague in [&mut assignee, &mut department] {
            let same = colleague.expect_event("conversation.updated").await;
            assert_eq!(same.data_json(), event);
        }
        here.send(read.clone().json(&json!({})))
            .await
            .expect_status(200);
        let event = other.expect_event("conversation.updated").await.data_json();
        assert_eq!(event["read"]["last_read_message_id"], 3);
        for colleague in [&mut assignee, &mut department] {
            let same = colleague.expect_event("conversation.updated").await;
            assert_eq!(same.data_json(), event);
        }
        // What changes nothing is not announced.
        here.send(read.json(&json!({"message_id": 2})))
            .await
            .expect_status(200);
        api.everything_sent().await;
        for client in [&mut reading, &mut other, &mut assignee, &mut department] {
            client.expect_nothing().await;
        }
        api.stop().await;
        relay.finish().await;
    }
}

#[tokio::test]
async fn whoever_causes_an_event_does_not_get_it_back() {
    let relay = TestServer::start().await;
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::with(&database, &relay).await;
    let mut manager = api.log_in("manager@tims.local").await;
    let mut own = listener(&relay, &mut manager, "private-department.1").await;
    let mut other = listener(&relay, &mut manager, "private-department.1").await;
    for (path, body) in [
        ("/api/conversations/3/assign", json!({"user_id": 5})),
        ("/api/conversations/3/resolve", json!({})),
        ("/api/conversations/3/reopen", json!({})),
    ] {
        let request = Request::new("POST", path).header("X-Socket-ID", &own.socket_id.clone());
        manager.send(request.json(&body)).await.expect_status(200);
    }
    other.next_events(3).await;
    own.expect_nothing().await;
    api.stop().await;
    relay.finish().await;
}

/// A client of this user on all channels that are theirs.
async fn listens(api: &Api, relay: &TestServer, row: &Row) -> WsClient {
    let mut desk = api.log_in(row.email).await;
    let conversations = row.conversations.iter();
    let departments = row.departments.iter();
    let channels = conversations
        .map(|id| format!("private-conversation.{id}"))
        .chain(departments.map(|id| format!("private-department.{id}")))
        .chain([format!("private-user.{}", row.id)]);
    let mut client = relay.connect().await;
    for channel in channels {
        desk.subscribe(&mut client, &channel).await;
    }
    client
}

/// Where an event of conversation 3 comes to this user, which is for these users, too.
fn comes_on(row: &Row, users: &[i64]) -> Vec<String> {
    let mut channels = Vec::new();
    if row.conversations.contains(&3) {
        channels.push("private-conversation.3".to_owned());
    }
    if row.departments.contains(&1) {
        channels.push("private-department.1".to_owned());
    }
    if users.contains(&row.id) {
        channels.push(format!("private-user.{}", row.id));
    }
    channels
}

/// Takes so many events of this name as there are channels, one on each of them.
async fn expect_on(client: &mut WsClient, row: &Row, name: &str, expected: &[String]) {
    let mut channels = Vec::new();
    for event in client.next_events(expected.len()).await {
        assert_eq!(event.name, name, "{}", row.email);
        channels.push(event.channel.unwrap());
    }
    channels.sort();
    assert_eq!(channels, expected, "{name} to {}", row.email);
}

#[tokio::test]
async fn every_role_gets_what_happens_where_it_may_listen_and_nothing_else() {
    let relay = TestServer::start().await;
    let database = Database::seeded(Kind::Sqlite).await;
    let graph = StandIn::start(takes).await;
    let (api, _agent) = start_with(&database, &graph, |api| api.relay(&relay)).await;
    let mut clients = Vec::new();
    for row in MATRIX {
        clients.push((listens(&api, &relay, &row).await, row));
    }
    let mut admin = api.log_in("admin@tims.local").await;
    let assign = "/api/conversations/3/assign";
    post(&mut admin, assign, &json!({"user_id": 6})).await;
    post(&mut admin, "/api/conversations/3/resolve", &json!({})).await;
    // It is opened again, written, and taken by WhatsApp.
    admin.write(3, "x").await;
    let taken = "SELECT COUNT(*) FROM messages WHERE content = 'x' AND status = 'sent'";
    eventually("the message to be taken", || async {
        (database.number(taken).await == 1).then_some(())
    })
    .await;
    let message = meta::message("wamid.1", "491701000003", "Barbara", "again");
    meta::deliver(&mut admin, &message).await.expect_status(200);
    let mut manager = api.log_in("manager@tims.local").await;
    post(&mut manager, "/api/conversations/3/read", &json!({})).await;
    api.everything_sent().await;
    for (client, row) in &mut clients {
        // The conversation is Ana's by now, who is user 6.
        let happened = [
            ("conversation.assigned", &[6][..]),
            ("conversation.updated", &[6]),
            ("conversation.updated", &[6]),
            ("message.sent", &[]),
            ("message.updated", &[]),
            ("message.received", &[]),
            ("conversation.updated", &[3, 6]),
        ];
        for (name, users) in happened {
            expect_on(client, row, name, &comes_on(row, users)).await;
        }
        client.expect_nothing().await;
    }
    api.stop().await;
    relay.finish().await;
}

#[tokio::test]
async fn every_role_of_either_department_gets_a_move_where_it_may_listen_and_nothing_else() {
    let relay = TestServer::start().await;
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::with(&database, &relay).await;
    let mut clients = Vec::new();
    for row in MATRIX {
        clients.push((listens(&api, &relay, &row).await, row));
    }
    let mut admin = api.log_in("admin@tims.local").await;
    let path = "/api/conversations/3/move";
    post(&mut admin, path, &json!({"department_id": 2})).await;
    for (client, row) in &mut clients {
        // The former department has no more of it than that it is gone.
        let sees_all = row.departments.len() == 2;
        let mut expected = Vec::new();
        if sees_all {
            expected.push("private-conversation.3".to_owned());
        }
        let departments = row.departments.iter();
        expected.extend(departments.map(|id| format!("private-department.{id}")));
        expect_on(client, row, "conversation.updated", &expected).await;
        if matches!(row.id, 3 | 4) {
            client.expect_error(Some(4200)).await;
            client.expect_close_code(4200).await;
        }
    }
    api.everything_sent().await;
    for (client, row) in &mut clients {
        if !matches!(row.id, 3 | 4) {
            client.expect_nothing().await;
        }
    }
    api.stop().await;
    relay.finish().await;
}
