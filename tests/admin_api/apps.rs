//! Apps.

use protocol_tests::{AppConfig, TestServer, or_skip};

use crate::support::{Admin, locked, start};

#[tokio::test]
async fn are_listed_in_parts_and_in_order() {
    let mut server = locked();
    for number in [3, 1, 4, 2, 5] {
        server = server.app(AppConfig::new(&format!("app-{number}")));
    }
    let server = or_skip!(server.app(AppConfig::new("other")).start().await);
    let mut admin = Admin::of(&server);
    let (mut ids, mut path) = (Vec::new(), "/api/apps?prefix=app-&limit=2".to_owned());
    loop {
        let part = admin.get(&path).await;
        assert_eq!(part["total"], 5);
        let apps = part["apps"].as_array().unwrap();
        assert!(apps.len() <= 2);
        ids.extend(
            apps.iter()
                .map(|app| app["id"].as_str().unwrap().to_owned()),
        );
        match part["next"].as_str() {
            Some(next) => path = format!("/api/apps?prefix=app-&limit=2&after={next}"),
            None => break,
        }
    }
    assert_eq!(ids, ["app-1", "app-2", "app-3", "app-4", "app-5"]);
    assert_eq!(admin.get("/api/apps").await["total"], 6);
    server.finish().await;
}

#[tokio::test]
async fn are_shown_with_their_settings_and_without_their_secrets() {
    let app = AppConfig::new("1")
        .extra_key("old-key", "old-secret")
        .set("allowed_origins", vec!["https://*.example.com"])
        .set("allow_missing_origin", true)
        .set("watchlist", true)
        .limit("max_connections", 77);
    let server = or_skip!(locked().app(app).start().await);
    let client = server.connect().await;
    let mut admin = Admin::of(&server);
    let response = admin.expect("GET", "/api/apps/1", 200).await;
    let text = response.text();
    assert!(
        !text.contains("secret-1") && !text.contains("old-secret"),
        "{text}"
    );
    let app = response.json();
    assert_eq!(app["key"], "key-1");
    assert_eq!(app["extra_keys"][0], "old-key");
    assert_eq!(app["allowed_origins"][0], "https://*.example.com");
    assert_eq!(app["watchlist"], true);
    assert_eq!(app["limits"]["max_connections"], 77);
    assert_eq!(app["limits"]["event_data_bytes"], 10_240);
    assert_eq!(app["connections"], 1);
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn that_there_are_not_are_named() {
    let server = or_skip!(start().await);
    let mut admin = Admin::of(&server);
    for path in [
        "",
        "/channels",
        "/connections",
        "/channels/x",
        "/connections/1.2",
    ] {
        let path = format!("/api/apps/nobody{path}");
        let refusal = admin.refused("GET", &path, 404).await;
        assert!(refusal.contains("\"nobody\""), "{refusal}");
    }
    server.finish().await;
}

#[tokio::test]
async fn of_which_there_are_many_are_listed_without_being_put_to_work() {
    let mut server = locked();
    for number in 0..400 {
        server = server.app(AppConfig::new(&format!("{number:03}")));
    }
    let server: TestServer = or_skip!(server.start().await);
    let mut admin = Admin::of(&server);
    assert_eq!(
        admin.get("/api/apps?limit=1000").await["apps"]
            .as_array()
            .unwrap()
            .len(),
        400
    );
    assert_eq!(admin.get("/api/apps/200").await["id"], "200");
    let metrics = server.metrics().await;
    assert!(!metrics.has_label("app", "200"));
    server.finish().await;
}
