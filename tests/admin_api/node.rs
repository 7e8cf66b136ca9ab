//! The relay itself.

use protocol_tests::{Request, eventually, or_skip};
use serde_json::json;

use crate::support::{Admin, TOKEN, locked, start};

#[tokio::test]
async fn shows_what_it_was_started_with_but_no_secrets() {
    let server = locked().set("server.activity_timeout", 77);
    let server = or_skip!(server.start().await);
    let response = Admin::of(&server).expect("GET", "/api/config", 200).await;
    assert!(!response.text().contains(TOKEN) && !response.text().contains("secret-"));
    let config = response.json();
    assert_eq!(config["server"]["activity_timeout"], 77);
    assert_eq!(config["server"]["pong_timeout"], 30);
    assert_eq!(
        config["admin"]["tokens"],
        json!([{ "name": "admin.token", "role": "write" }])
    );
    server.finish().await;
}

#[tokio::test]
async fn shows_what_a_reload_has_changed_and_what_waits_for_a_restart() {
    let server = locked().set("server.activity_timeout", 77);
    let server = or_skip!(server.start().await);
    let mut admin = Admin::of(&server);
    let config = admin.get("/api/config").await;
    assert_eq!(config["needs_restart"], json!([]));
    assert_eq!(config["last_reload_error"], json!(null));
    let before = std::fs::read_to_string(server.config_file()).unwrap();
    let mut after = before.replace("activity_timeout = 77", "activity_timeout = 78");
    assert_ne!(before, after);
    after = after.replace("level = \"info\"", "level = \"debug\"");
    assert!(after.contains("debug"), "{after}");
    server.write_config(&after);
    let shown = eventually("the change to be seen", async || {
        let config = Admin::of(&server).get("/api/config").await;
        (config["needs_restart"] != json!([])).then_some(config)
    });
    let shown = shown.await;
    assert_eq!(shown["needs_restart"], json!(["server.activity_timeout"]));
    // That which holds.
    assert_eq!(shown["server"]["activity_timeout"], 77);
    assert_eq!(shown["log"]["level"], "debug");
    server.write_config(&format!("{after}\n[nonsense]\n"));
    eventually("the mistake to be seen", async || {
        let config = Admin::of(&server).get("/api/config").await;
        let error = config["last_reload_error"].as_str().map(str::to_owned);
        error.filter(|error| error.contains("nonsense"))
    })
    .await;
    server.write_config(&before);
    eventually("all to be well again", async || {
        let config = Admin::of(&server).get("/api/config").await;
        let is_well = config["last_reload_error"].is_null() && config["needs_restart"] == json!([]);
        is_well.then_some(())
    })
    .await;
    server.finish().await;
}

#[tokio::test]
async fn knows_itself() {
    let server = or_skip!(start().await);
    let client = server.connect().await;
    let nodes = Admin::of(&server).get("/api/nodes").await;
    assert_eq!(nodes["this"]["connections"], 1);
    assert_eq!(nodes["this"]["draining"], false);
    assert_eq!(nodes["this"]["standing"], "well");
    assert_eq!(nodes["cluster"], json!([]));
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn drains_as_on_a_signal() {
    let server = or_skip!(start().await);
    let mut client = server.connect().await;
    let drained = Admin::of(&server)
        .send(Request::new("POST", "/api/drain"))
        .await;
    assert_eq!(
        drained.expect_status(202).json(),
        json!({ "draining": true })
    );
    client.expect_close_code(1001).await;
    let exit = server.exited().await.expect_clean();
    let log = exit.log.join("\n");
    assert!(
        log.contains("/api/drain") && log.contains("stopped"),
        "{log}"
    );
}
