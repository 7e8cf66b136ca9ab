//! Channels and their members.

use std::time::{Duration, Instant};

use protocol_tests::{AppConfig, PublishedEvent, or_skip};
use serde_json::json;

use crate::support::{Admin, locked, start};

#[tokio::test]
async fn are_counted_in_order_and_by_prefix() {
    let server = or_skip!(start().await);
    let mut clients = [server.connect().await, server.connect().await];
    for client in &mut clients {
        client.subscribe("news-b").await;
    }
    clients[0].subscribe("news-a").await;
    clients[0]
        .subscribe_presence("presence-room", "ada", json!({}))
        .await;
    clients[1]
        .subscribe_presence("presence-room", "ben", json!({}))
        .await;
    let mut admin = Admin::of(&server);
    let base = format!("/api/apps/{}/channels", server.app().id);
    let list = admin.get(&base).await;
    assert_eq!(list["total"], 3);
    assert_eq!(
        list["channels"],
        json!([
            { "name": "news-a", "kind": "public", "subscribers": 1 },
            { "name": "news-b", "kind": "public", "subscribers": 2 },
            { "name": "presence-room", "kind": "presence", "subscribers": 2, "users": 2 },
        ])
    );
    let part = admin.get(&format!("{base}?prefix=news-&limit=1")).await;
    assert_eq!(
        (&part["total"], &part["next"]),
        (&json!(2), &json!("news-a"))
    );
    let part = admin
        .get(&format!("{base}?prefix=news-&limit=1&after=news-a"))
        .await;
    assert_eq!(
        (&part["channels"][0]["name"], &part["next"]),
        (&json!("news-b"), &json!(null))
    );

    let room = admin.get(&format!("{base}/presence-room")).await;
    assert_eq!(room["users"], 2);
    assert_eq!(room["occupied"], true);
    let members = admin.get(&format!("{base}/presence-room/members")).await;
    assert_eq!(
        members["members"],
        json!([{ "user_id": "ada" }, { "user_id": "ben" }])
    );
    let nobody = admin.get(&format!("{base}/news-c")).await;
    assert_eq!(
        (&nobody["occupied"], &nobody["subscribers"]),
        (&json!(false), &json!(0))
    );
    let refusal = admin
        .refused("GET", &format!("{base}/news-a/members"), 400)
        .await;
    assert!(refusal.contains("presence-"), "{refusal}");
    let refusal = admin.refused("GET", &format!("{base}/a%20b"), 400).await;
    assert!(refusal.contains("channel"), "{refusal}");
    drop(clients);
    server.finish().await;
}

#[tokio::test]
async fn that_keep_an_event_show_it() {
    let server = or_skip!(start().await);
    let mut client = server.connect().await;
    client.subscribe("cache-weather").await;
    let mut admin = Admin::of(&server);
    let path = format!("/api/apps/{}/channels/cache-weather", server.app().id);
    assert_eq!(admin.get(&path).await["has_event"], false);
    server
        .publish(PublishedEvent::new("cache-weather", "sun", "today"))
        .await;
    assert_eq!(admin.get(&path).await["has_event"], true);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn of_which_there_are_ten_thousand_are_listed_quickly() {
    const EACH: usize = 1000;
    let app = AppConfig::new("1").limit("messages_per_second", 100_000);
    let server = or_skip!(locked().app(app).start().await);
    let mut clients = Vec::new();
    for number in 0..10 {
        let mut client = server.connect().await;
        for channel in 0..EACH {
            let name = format!("channel-{:05}", number * EACH + channel);
            client.send_subscribe(&name, None, None).await;
        }
        clients.push(client);
    }
    for client in &mut clients {
        client.next_events(EACH).await;
    }
    let mut admin = Admin::of(&server);
    let started = Instant::now();
    let list = admin
        .get("/api/apps/1/channels?limit=100&after=channel-04999")
        .await;
    let took = started.elapsed();
    assert_eq!(list["total"], 10_000);
    assert_eq!(list["channels"][0]["name"], "channel-05000");
    assert_eq!(list["next"], "channel-05099");
    // Generous: on a quiet machine it is milliseconds, in a debug build tens of them.
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop(clients);
    server.finish().await;
}
