//! Who may listen to, see and write in what: every role, channel and ownership.

use protocol_tests::TestServer;
use serde_json::{Value, json};

use crate::support::graph::{refusal, start, status_becomes};
use crate::support::roles::{MATRIX, Row};
use crate::support::{Api, Database, Desk, Kind, StandIn};

const STRANGE: [&str; 22] = [
    "",
    "0",
    "-1",
    "+1",
    "1abc",
    "abc",
    " 1",
    "1 ",
    "1.0",
    "1.1",
    "1e0",
    "0x1",
    "1,2",
    "1;2",
    "*",
    "1'--",
    "1 OR 1=1",
    "9223372036854775807",
    "9223372036854775808",
    "99999999999999999999999999999999",
    "\u{661}",
    "null",
];

async fn expect(desk: &mut Desk, who: &str, channel: &str, allowed: bool) {
    let response = desk.authorise("1234.5678", channel).await;
    let status = if allowed { 200 } else { 403 };
    assert_eq!(
        response.status,
        status,
        "{who} on {channel}: {}",
        response.text()
    );
    if !allowed {
        assert_eq!(
            response.json(),
            json!({"message": "This action is unauthorized."})
        );
    }
}

#[tokio::test]
async fn everybody_may_listen_to_what_is_theirs_and_to_nothing_else() {
    for kind in Kind::BOTH {
        let relay = TestServer::start().await;
        let database = Database::seeded(kind).await;
        let api = Api::with(&database, &relay).await;
        for row in MATRIX {
            let mut desk = api.stranger();
            let user = desk.log_in(row.email).await;
            assert_eq!(
                (&user["id"], &user["role"]),
                (&json!(row.id), &json!(row.role))
            );
            for id in 0..=7 {
                let theirs = row.conversations.contains(&id);
                for prefix in ["private", "presence"] {
                    let channel = format!("{prefix}-conversation.{id}");
                    expect(&mut desk, row.email, &channel, theirs).await;
                }
            }
            for id in 0..=3 {
                let channel = format!("private-department.{id}");
                expect(
                    &mut desk,
                    row.email,
                    &channel,
                    row.departments.contains(&id),
                )
                .await;
            }
            for id in 0..=11 {
                let channel = format!("private-user.{id}");
                expect(&mut desk, row.email, &channel, id == row.id).await;
            }
        }
        api.stop().await;
        relay.finish().await;
    }
}

#[tokio::test]
async fn strange_ids_and_channels_are_nobodys() {
    let relay = TestServer::start().await;
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::with(&database, &relay).await;
    for email in ["admin@tims.local", "manager@tims.local", "agent@tims.local"] {
        let mut desk = api.log_in(email).await;
        for id in STRANGE {
            for kind in [
                "private-user",
                "private-conversation",
                "presence-conversation",
                "private-department",
            ] {
                // Spaces around a field are taken off, as Laravel does.
                let allowed = id.trim() == "1" && id.starts_with('1');
                let theirs = match kind {
                    "private-user" => email.starts_with("admin"),
                    _ => true,
                };
                expect(&mut desk, email, &format!("{kind}.{id}"), allowed && theirs).await;
            }
        }
        for channel in [
            "news",
            "conversation.1",
            "private-conversation",
            "presence-user.1",
            "presence-department.1",
            "private-encrypted-conversation.1",
            "private-cache-conversation.1",
            "PRIVATE-conversation.1",
            "#server-to-user-1",
        ] {
            expect(&mut desk, email, channel, false).await;
        }
        // Ids are compared as integers.
        expect(&mut desk, email, "private-conversation.001", true).await;
    }
    api.stop().await;
    relay.finish().await;
}

#[tokio::test]
async fn rights_follow_the_assignment_at_once() {
    let relay = TestServer::start().await;
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::with(&database, &relay).await;
    let mut manager = api.log_in("manager@tims.local").await;
    let mut agent = api.log_in("agent@tims.local").await;
    let mut other = api.log_in("agent2@tims.local").await;
    expect(&mut agent, "agent", "private-conversation.1", true).await;
    let body = json!({"user_id": 6});
    manager
        .post("/api/conversations/1/assign", &body)
        .await
        .expect_status(200);
    expect(&mut agent, "agent", "private-conversation.1", false).await;
    expect(&mut other, "agent2", "private-conversation.1", true).await;
    let body = json!({"user_id": null});
    manager
        .post("/api/conversations/1/assign", &body)
        .await
        .expect_status(200);
    expect(&mut other, "agent2", "private-conversation.1", false).await;
    api.stop().await;
    relay.finish().await;
}

#[tokio::test]
async fn a_manager_without_a_department_has_nothing() {
    let database = Database::seeded(Kind::Sqlite).await;
    database
        .execute("UPDATE users SET department_id = NULL WHERE id IN (3, 4, 5)")
        .await;
    database
        .execute("UPDATE conversations SET department_id = NULL WHERE id = 3")
        .await;
    let relay = TestServer::start().await;
    let api = Api::with(&database, &relay).await;
    for (email, own) in [
        ("manager@tims.local", None),
        ("supervisor@tims.local", None),
        ("agent@tims.local", Some(1)),
    ] {
        let mut desk = api.log_in(email).await;
        for id in 1..=6 {
            let channel = format!("private-conversation.{id}");
            expect(&mut desk, email, &channel, own == Some(id)).await;
        }
        expect(&mut desk, email, "private-department.1", false).await;
        let listed = desk
            .get("/api/conversations")
            .await
            .expect_status(200)
            .json();
        assert_eq!(listed["meta"]["total"], i64::from(own.is_some()));
    }
    api.stop().await;
    relay.finish().await;
}

#[tokio::test]
async fn everybody_reads_writes_and_decides_where_they_may_and_nowhere_else() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut admin = api.log_in("admin@tims.local").await;
    for row in MATRIX {
        let mut desk = api.log_in(row.email).await;
        let listed = desk
            .get("/api/conversations")
            .await
            .expect_status(200)
            .json();
        let mut ids: Vec<i64> = listed["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|conversation| conversation["id"].as_i64().unwrap())
            .collect();
        ids.sort_unstable();
        let mut readable = [row.conversations, row.unassigned].concat();
        readable.sort_unstable();
        assert_eq!(ids, readable, "{}", row.email);
        for id in 0..=7 {
            expect_rights(&mut desk, &row, id).await;
            if (1..=6).contains(&id) {
                let list = format!("/api/conversations/{id}/messages");
                let message = admin.get(&list).await.json()["data"][0]["id"].clone();
                expect_rights_to_message(&mut desk, &row, id, &message).await;
            }
        }
    }
    api.stop().await;
}

/// What a user gets for each thing that can be done with a message.
async fn expect_rights_to_message(desk: &mut Desk, row: &Row, id: i64, message: &Value) {
    let theirs = row.conversations.contains(&id);
    let readable = theirs || row.unassigned.contains(&id);
    let status = |allowed: bool, otherwise: u16| if allowed { otherwise } else { 403 };
    let path = format!("/api/messages/{message}");
    desk.get(&path).await.expect_status(status(readable, 200));
    desk.get(&format!("{path}/media"))
        .await
        .expect_status(status(readable, 404));
    // Nothing is sent to WhatsApp here.
    desk.post(&format!("{path}/retry"), &json!({}))
        .await
        .expect_status(status(readable, 503));
}

#[tokio::test]
async fn everybody_sends_failed_messages_again_where_they_may_write_and_nowhere_else() {
    for kind in Kind::BOTH {
        let database = Database::seeded(kind).await;
        let graph = StandIn::start(|_| refusal(400, 131_047, "Re-engagement message")).await;
        let (api, _agent) = start(&database, &graph).await;
        let mut admin = api.log_in("admin@tims.local").await;
        let mut failed = Vec::new();
        for conversation in 1..=6 {
            failed.push(admin.write(conversation, "x").await);
        }
        for id in &failed {
            status_becomes(&admin, *id, "failed").await;
        }
        let mut attempts = failed.len();
        for row in MATRIX {
            let mut desk = api.log_in(row.email).await;
            for (conversation, id) in (1..).zip(&failed) {
                let is_theirs = row.conversations.contains(&conversation);
                let retry = format!("/api/messages/{id}/retry");
                let answer = desk.post(&retry, &json!({})).await;
                answer.expect_status(if is_theirs { 200 } else { 403 });
                if is_theirs {
                    attempts += 1;
                    graph.wait_for(attempts).await;
                    status_becomes(&admin, *id, "failed").await;
                }
            }
            let unknown = desk.post("/api/messages/99999/retry", &json!({})).await;
            unknown.expect_status(404);
        }
        let retry = format!("/api/messages/{}/retry", failed[0]);
        let stranger = api.stranger().post(&retry, &json!({})).await;
        stranger.expect_status(401);
        assert_eq!(graph.arrived().len(), attempts);
        api.stop().await;
    }
}

#[tokio::test]
async fn everybody_who_is_logged_in_knows_the_templates() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    for row in MATRIX {
        let mut desk = api.log_in(row.email).await;
        let answer = desk.get("/api/templates").await.expect_status(200);
        assert_eq!(answer.json(), json!({"data": []}), "{}", row.email);
    }
    let stranger = api.stranger().get("/api/templates").await;
    stranger.expect_status(401);
    api.stop().await;
}

#[tokio::test]
async fn everybody_signs_in_as_themselves_whatever_they_ask_for() {
    let relay = TestServer::start().await;
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::with(&database, &relay).await;
    let path = "/broadcasting/user-auth";
    for row in MATRIX {
        let mut desk = api.stranger();
        let user = desk.log_in(row.email).await;
        let mut client = relay.connect().await;
        let body = json!({
            "socket_id": client.socket_id, "id": 1, "user_id": 1, "user_data": "{\"id\":\"1\"}",
        });
        let answer = desk.post(path, &body).await.expect_status(200).json();
        client.send_event("pusher:signin", answer.clone()).await;
        client.expect_event("pusher:signin_success").await;
        let data: Value = serde_json::from_str(answer["user_data"].as_str().unwrap()).unwrap();
        let expected = json!({
            "id": row.id.to_string(), "user_info": {"name": user["name"], "role": row.role},
        });
        assert_eq!(data, expected, "{}", row.email);
    }
    let body = json!({"socket_id": "1234.5678"});
    let stranger = api.stranger().post(path, &body).await;
    stranger.expect_status(401);
    api.stop().await;
    relay.finish().await;
}

/// What a user gets for each thing that can be done with a conversation. Nothing is changed by it.
async fn expect_rights(desk: &mut Desk, row: &Row, id: i64) {
    let theirs = row.conversations.contains(&id);
    let readable = theirs || row.unassigned.contains(&id);
    let exists = (1..=6).contains(&id);
    let status = |allowed: bool, otherwise: u16| match (exists, allowed) {
        (false, _) => 404,
        (true, true) => otherwise,
        (true, false) => 403,
    };
    let show = format!("/api/conversations/{id}");
    let answer = desk.get(&show).await.expect_status(status(readable, 200));
    let assigns = theirs && ["admin", "operation_manager", "manager"].contains(&row.role);
    let is_assignee = row.role == "agent" && theirs;
    if readable {
        let takes = matches!(id, 3 | 6);
        let can = json!({
            "write": theirs, "take": takes, "assign": assigns, "resolve": theirs,
            "move": assigns || is_assignee,
        });
        assert_eq!(answer.json()["can"], can, "{} in {id}", row.email);
    }
    desk.get(&format!("{show}/messages"))
        .await
        .expect_status(status(readable, 200));
    desk.post(&format!("{show}/read"), &json!({}))
        .await
        .expect_status(status(readable, 200));
    let message = json!({"conversation_id": id, "type": "text", "content": "x"});
    let sent = match exists {
        true if theirs => 201,
        true => 403,
        false => 422,
    };
    desk.post("/api/messages/send", &message)
        .await
        .expect_status(sent);
    desk.post(&format!("{show}/reopen"), &json!({}))
        .await
        .expect_status(status(theirs, 200));
    let assignee = match id {
        1 => json!(5),
        2 => json!(6),
        4 => json!(9),
        5 => json!(10),
        _ => json!(null),
    };
    desk.post(&format!("{show}/assign"), &json!({"user_id": assignee}))
        .await
        .expect_status(status(assigns, 200));
    // Who may do it is told what is missing.
    desk.post(&format!("{show}/move"), &json!({}))
        .await
        .expect_status(status(assigns || is_assignee, 422));
    // Who could have it and does not is told that somebody has; see below for those that nobody has.
    if !matches!(id, 3 | 6) {
        let of_department = row.departments.contains(&if id <= 3 { 1 } else { 2 });
        let taken = if is_assignee { 200 } else { 409 };
        desk.post(&format!("{show}/take"), &json!({}))
            .await
            .expect_status(status(of_department, taken));
    }
}

#[tokio::test]
async fn everybody_takes_and_closes_what_they_may() {
    for row in MATRIX {
        let database = Database::seeded(Kind::Sqlite).await;
        let api = Api::on(&database).start().await;
        let mut desk = api.log_in(row.email).await;
        for id in [3, 6] {
            let readable = row.conversations.contains(&id) || row.unassigned.contains(&id);
            let status = if readable { 200 } else { 403 };
            let path = format!("/api/conversations/{id}");
            desk.post(&format!("{path}/take"), &json!({}))
                .await
                .expect_status(status);
            desk.post(&format!("{path}/resolve"), &json!({}))
                .await
                .expect_status(status);
            let query = match id {
                3 => "SELECT COALESCE(assigned_to, 0) FROM conversations WHERE id = 3",
                _ => "SELECT COALESCE(assigned_to, 0) FROM conversations WHERE id = 6",
            };
            let expected = if readable { row.id } else { 0 };
            assert_eq!(database.number(query).await, expected, "{}", row.email);
        }
        let departments = json!({"data": [
            {"id": 1, "name": "Sales"}, {"id": 2, "name": "Support"},
        ]});
        let answer = desk.get("/api/departments").await.expect_status(200);
        assert_eq!(answer.json(), departments);
        api.stop().await;
    }
}
