//! Connections: what they are like, and their ends.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use protocol_tests::{AppConfig, TestServer, or_skip};
use serde_json::json;

use crate::support::{Admin, locked, logged, start};

fn path(server: &TestServer) -> String {
    format!("/api/apps/{}/connections", server.app().id)
}

#[tokio::test]
async fn are_shown_as_they_are() {
    let server = or_skip!(start().await);
    let mut client = server.connect().await;
    client.sign_in("ada").await;
    client.subscribe("news").await;
    client
        .subscribe_presence("presence-room", "ada", json!({}))
        .await;
    let mut admin = Admin::of(&server);
    let list = admin.get(&path(&server)).await;
    let connection = &list["connections"][0];
    assert_eq!(connection["socket_id"], *client.socket_id);
    assert_eq!(connection["address"], "127.0.0.1");
    assert_eq!(connection["user_id"], "ada");
    assert_eq!(
        (&connection["carrier"], &connection["transport"]),
        (&json!("websocket"), &json!("tcp"))
    );
    assert_eq!(connection["subscriptions"], 2);
    assert_eq!(connection["waiting_bytes"], 0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let since = connection["connected_at"].as_u64().unwrap();
    assert!(since <= now && now - since < 600, "{since} of {now}");
    assert_eq!((&list["total"], &list["next"]), (&json!(1), &json!(null)));
    assert!(connection.get("channels").is_none());

    let one = admin
        .get(&format!("{}/{}", path(&server), client.socket_id))
        .await;
    let channels: BTreeSet<String> = one["channels"]
        .as_array()
        .unwrap()
        .iter()
        .map(|channel| format!("{} {}", channel["name"], channel["user_id"]))
        .collect();
    let expected = ["\"news\" null", "\"presence-room\" \"ada\""];
    assert_eq!(channels, expected.map(str::to_owned).into());
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn are_listed_in_parts_while_others_come_and_go() {
    let server = locked()
        .set("server.workers", 3)
        .app(AppConfig::new("1"))
        .app(AppConfig::new("2"));
    let server = or_skip!(server.start().await);
    let mut clients = Vec::new();
    for _ in 0..40 {
        clients.push(server.connect().await);
    }
    let other = server.connect_to(server.second_app()).await;
    let mut admin = Admin::of(&server);
    let (mut seen, mut path) = (
        BTreeSet::new(),
        "/api/apps/1/connections?limit=7".to_owned(),
    );
    loop {
        let part = admin.get(&path).await;
        let connections = part["connections"].as_array().unwrap();
        assert!(connections.len() <= 7);
        for connection in connections {
            let id = connection["socket_id"].as_str().unwrap().to_owned();
            assert!(seen.insert(id), "one is listed twice");
        }
        match part["next"].as_str() {
            Some(next) => path = format!("/api/apps/1/connections?limit=7&after={next}"),
            None => break,
        }
        clients.push(server.connect().await);
    }
    for client in &clients[..40] {
        assert!(seen.contains(&client.socket_id), "one is missing");
    }
    assert!(!seen.contains(&other.socket_id));
    let refusal = admin
        .refused("GET", "/api/apps/1/connections?after=x", 400)
        .await;
    assert!(refusal.contains("`next`"), "{refusal}");
    drop((clients, other));
    server.finish().await;
}

#[tokio::test]
async fn are_closed_one_by_one() {
    let server = or_skip!(start().await);
    let (mut one, mut other) = (server.connect().await, server.connect().await);
    let mut admin = Admin::of(&server);
    let path = format!("{}/{}", path(&server), one.socket_id);
    admin.expect("DELETE", &path, 204).await;
    one.expect_close_code(4009).await;
    let again = format!("{path}x");
    admin.refused("DELETE", &again, 400).await;
    protocol_tests::eventually("the connection to be gone", async || {
        let mut admin = Admin::of(&server);
        let response = admin
            .send(protocol_tests::Request::new("DELETE", &path))
            .await;
        (response.status == 404).then_some(())
    })
    .await;
    other.ping_fence().await;
    let reconnect = path.replace(&one.socket_id, &other.socket_id);
    admin
        .expect("DELETE", &format!("{reconnect}?reconnect=true"), 204)
        .await;
    other.expect_close_code(4200).await;
    server.finish().await;
}

#[tokio::test]
async fn are_closed_by_their_user() {
    let server = or_skip!(start().await);
    let mut clients = [
        server.connect().await,
        server.connect().await,
        server.connect().await,
    ];
    for (client, user) in clients.iter_mut().zip(["ada", "ada", "ben"]) {
        client.sign_in(user).await;
    }
    let path = format!("/api/apps/{}/users/ada/connections", server.app().id);
    Admin::of(&server).expect("DELETE", &path, 204).await;
    let [one, other, bens] = &mut clients;
    one.expect_close_code(4009).await;
    other.expect_close_code(4009).await;
    bens.ping_fence().await;
    drop(clients);
    server.finish().await;
}

/// `..` in a path is a step to browsers and to curl, encoded or not.
#[tokio::test]
async fn of_a_user_whose_id_is_a_step_are_closed_and_no_others() {
    let server = or_skip!(start().await);
    let (mut one, mut other) = (server.connect().await, server.connect().await);
    one.sign_in("..").await;
    other.sign_in("ada").await;
    let mut admin = Admin::of(&server);
    for query in ["", "?reconnect=true", "?all=false"] {
        // What is left of …/users/../connections.
        let folded = format!("{}{query}", path(&server));
        let refusal = admin.refused("DELETE", &folded, 400).await;
        assert!(refusal.contains("all"), "{refusal}");
    }
    one.ping_fence().await;
    other.ping_fence().await;
    let named = format!("/api/apps/{}/users/connections", server.app().id);
    admin.refused("DELETE", &named, 400).await;
    admin
        .expect("DELETE", &format!("{named}?user=.."), 204)
        .await;
    one.expect_close_code(4009).await;
    other.ping_fence().await;
    logged(&server, &["changed over the admin API", "?user=.."]).await;
    drop(other);
    server.finish().await;
}

#[tokio::test]
async fn are_closed_with_their_app_and_no_other() {
    let server = locked().app(AppConfig::new("1")).app(AppConfig::new("2"));
    let server = or_skip!(server.start().await);
    let mut clients = [server.connect().await, server.connect().await];
    let mut other = server.connect_to(server.second_app()).await;
    let closing = Admin::of(&server)
        .expect("DELETE", "/api/apps/1/connections?all=true", 202)
        .await;
    assert_eq!(closing.json()["closing"], 2);
    for client in &mut clients {
        client.expect_close_code(4009).await;
    }
    other.ping_fence().await;
    drop(other);
    server.finish().await;
}
