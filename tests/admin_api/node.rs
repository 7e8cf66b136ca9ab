//! The relay itself.

use protocol_tests::{Request, or_skip};
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
