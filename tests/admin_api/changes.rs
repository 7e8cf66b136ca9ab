//! Apps that are made, changed and removed.

use std::fs;
use std::path::Path;

use protocol_tests::{App, Request, Response, TestServer, Upgrade, eventually, or_skip};
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::support::{Admin, TOKEN, locked, logged, reason, start};

const READ: &str = "read-read-read-read";

/// Makes an app, and returns what is needed to use it.
async fn made(admin: &mut Admin, settings: &Value) -> App {
    let made = admin
        .post("/api/apps", settings)
        .await
        .expect_status(201)
        .json();
    let text = |name: &str| made["settings"][name].as_str().unwrap().to_owned();
    App {
        id: text("id"),
        key: text("key"),
        secret: text("secret"),
    }
}

async fn patch(admin: &mut Admin, app: &App, changes: &Value) -> Response {
    let path = format!("/api/apps/{}", app.id);
    admin.send(Request::new("PATCH", &path).json(changes)).await
}

async fn refused_with(server: &TestServer, app: &App) -> Option<u64> {
    let upgrade = Upgrade::new(&format!("/app/{}?protocol=7", app.key));
    let (error, _) = server.open_refused(&upgrade).await;
    error.error_code()
}

#[tokio::test]
async fn are_served_at_once_with_what_was_made_for_them() {
    let server = or_skip!(start().await);
    let mut admin = Admin::of(&server);
    let app = made(&mut admin, &json!({ "client_events": false })).await;
    assert!(app.key.len() >= 20 && app.secret.len() >= 32, "{app:?}");
    let mut client = server.connect_to(&app).await;
    client.subscribe("private-room").await;
    let shown = admin.get(&format!("/api/apps/{}", app.id)).await;
    assert_eq!(
        (&shown["source"], &shown["client_events"]),
        (&json!("database"), &json!(false))
    );
    assert_eq!(shown["connections"], 1);
    assert!(!shown.to_string().contains(&app.secret));
    assert_eq!(admin.get("/api/apps").await["total"], 2);

    let kept = admin.get("/api/apps_database").await;
    assert_eq!(kept["apps"][0]["settings"]["id"], app.id);
    assert!(!kept.to_string().contains(&app.secret));

    let given = json!({ "id": "shop", "key": "shop-key", "secret": "shop-secret-shop" });
    assert_eq!(made(&mut admin, &given).await.id, "shop");
    let again = admin.post("/api/apps", &given).await;
    assert_eq!(again.status, 409, "{}", again.text());
    drop(client);
    let log = logged(&server, &["/api/apps"]).await;
    assert!(!log.contains(&app.secret));
    server.finish().await;
}

#[tokio::test]
async fn show_their_secrets_to_those_who_ask_and_may_change_them() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokens");
    fs::write(&file, format!("read {READ}\n")).unwrap();
    let server = locked().set("admin.tokens_file", file.to_str().unwrap());
    let server = or_skip!(server.start().await);
    let mut admin = Admin::of(&server);
    let app = made(&mut admin, &json!({})).await;
    let path = format!("/api/apps/{}?secrets=true", app.id);
    let keys = &admin.get(&path).await["keys"];
    assert_eq!(*keys, json!([{ "key": app.key, "secret": app.secret }]));
    let mut reader = Admin::with(&server, Some(READ));
    assert!(
        reader
            .refused("GET", &path, 403)
            .await
            .contains("role write")
    );
    let made = reader.post("/api/apps", &json!({})).await;
    assert_eq!(made.status, 403);
    server.finish().await;
}

#[tokio::test]
async fn take_changes_while_clients_are_connected() {
    let server = or_skip!(start().await);
    let mut admin = Admin::of(&server);
    let app = made(&mut admin, &json!({ "limits": { "outbox_bytes": 70_000 } })).await;
    let mut client = server.connect_to(&app).await;
    let changed = patch(
        &mut admin,
        &app,
        &json!({ "limits": { "max_connections": 1 } }),
    )
    .await;
    let changed = changed.expect_status(200).json();
    assert_eq!(changed["version"], 2);
    assert!(!changed.to_string().contains(&app.secret));
    assert_eq!(refused_with(&server, &app).await, Some(4004));
    let shown = admin.get(&format!("/api/apps/{}", app.id)).await;
    assert_eq!(shown["limits"]["outbox_bytes"], 70_000, "the others stay");
    client.ping_fence().await;
    let back = json!({ "enabled": false, "limits": { "max_connections": null } });
    patch(&mut admin, &app, &back).await.expect_status(200);
    client.expect_close_code(4003).await;
    assert_eq!(refused_with(&server, &app).await, Some(4003));
    for (changes, expected) in [
        (json!({ "id": "x" }), "keeps its id"),
        (json!({ "secret": "x" }), "rotate"),
        (
            json!({ "enabeld": true }),
            "enabeld: unknown key; did you mean `enabled`?",
        ),
        (
            json!({ "limits": { "max_connections": -1 } }),
            "max_connections: expected a whole number",
        ),
    ] {
        let response = patch(&mut admin, &app, &changes).await;
        assert_eq!(response.status, 400, "{changes}: {}", response.text());
        assert!(reason(&response).contains(expected), "{}", response.text());
    }
    server.finish().await;
}

#[tokio::test]
async fn get_other_keys_while_the_old_ones_go_on() {
    let server = or_skip!(start().await);
    let mut admin = Admin::of(&server);
    let app = made(&mut admin, &json!({})).await;
    let rotate = format!("/api/apps/{}/rotate", app.id);
    let rotated = admin.expect("POST", &rotate, 200).await.json();
    let text = |name: &str| rotated["settings"][name].as_str().unwrap().to_owned();
    let newer = app.with_pair(&text("key"), &text("secret"));
    assert_ne!(newer.key, app.key);
    for app in [&app, &newer] {
        let mut client = server.connect_to(app).await;
        client.subscribe("private-room").await;
    }
    let key = |app: &App| format!("/api/apps/{}/keys/{}", app.id, app.key);
    let refusal = admin.refused("DELETE", &key(&newer), 409).await;
    assert!(refusal.contains("signs"), "{refusal}");
    admin.expect("DELETE", &key(&app), 204).await;
    assert_eq!(refused_with(&server, &app).await, Some(4001));
    admin.expect("DELETE", &key(&app), 404).await;
    let client = server.connect_to(&newer).await;
    drop(client);
    server.finish().await;
}

/// Somebody writes the table.
async fn execute(file: &Path, statement: &str) {
    sqlx::any::install_default_drivers();
    let url = format!("sqlite://{}", file.display());
    let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
    let statement = sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()));
    statement.execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn of_a_row_that_cannot_be_read_are_neither_changed_nor_opened() {
    let server = or_skip!(start().await);
    let file = server.file("state").join("apps.db");
    let mut admin = Admin::of(&server);
    let app = made(
        &mut admin,
        &json!({ "id": "shop", "allowed_origins": ["https://a.example"] }),
    )
    .await;
    // A slip of the pen.
    execute(
        &file,
        "UPDATE fanfare_apps SET settings = replace(settings, ':', ';')",
    )
    .await;
    let changed = patch(&mut admin, &app, &json!({ "client_events": false })).await;
    assert_eq!(changed.status, 409, "{}", changed.text());
    assert!(
        reason(&changed).contains("settings: expected an object in JSON"),
        "{}",
        changed.text()
    );
    for (method, more) in [
        ("POST", "/rotate"),
        ("DELETE", "/keys/x"),
        ("GET", "?secrets=true"),
    ] {
        let path = format!("/api/apps/shop{more}");
        admin.refused(method, &path, 409).await;
    }
    let shown = admin.get("/api/apps/shop").await;
    assert_eq!(shown["allowed_origins"], json!(["https://a.example"]));
    let disabled = patch(&mut admin, &app, &json!({ "enabled": false })).await;
    let disabled = disabled.expect_status(200).json();
    assert!(disabled["problem"].is_string(), "{disabled}");
    assert_eq!(refused_with(&server, &app).await, Some(4003));
    execute(
        &file,
        "UPDATE fanfare_apps SET settings = replace(settings, ';', ':')",
    )
    .await;
    let mended = patch(&mut admin, &app, &json!({ "enabled": true })).await;
    let mended = mended.expect_status(200).json();
    assert_eq!(mended["problem"], json!(null));
    assert_eq!(
        mended["settings"]["allowed_origins"],
        json!(["https://a.example"]),
        "nothing was lost"
    );
    admin.expect("DELETE", "/api/apps/shop", 204).await;
    server.finish().await;
}

#[tokio::test]
async fn are_removed_with_their_connections() {
    let server = or_skip!(start().await);
    let mut admin = Admin::of(&server);
    let app = made(&mut admin, &json!({})).await;
    let mut client = server.connect_to(&app).await;
    let path = format!("/api/apps/{}", app.id);
    admin.expect("DELETE", &path, 204).await;
    client.expect_close_code(4001).await;
    admin.expect("DELETE", &path, 404).await;
    admin.expect("GET", &path, 404).await;
    assert_eq!(refused_with(&server, &app).await, Some(4001));
    server.finish().await;
}

#[tokio::test]
async fn of_the_configuration_are_changed_there() {
    let server = or_skip!(start().await);
    let mut admin = Admin::of(&server);
    let app = server.app().clone();
    let path = format!("/api/apps/{}", app.id);
    let changed = patch(&mut admin, &app, &json!({ "enabled": false })).await;
    assert_eq!(changed.status, 409);
    assert!(
        reason(&changed).contains("configuration"),
        "{}",
        changed.text()
    );
    for (method, more) in [
        ("DELETE", ""),
        ("POST", "/rotate"),
        ("DELETE", "/keys/x"),
        ("GET", "?secrets=true"),
    ] {
        admin.refused(method, &format!("{path}{more}"), 409).await;
    }
    let taken = admin.post("/api/apps", &json!({ "id": app.id })).await;
    assert_eq!(taken.status, 409, "{}", taken.text());
    server.finish().await;
}

#[tokio::test]
async fn that_those_of_the_configuration_hide_can_be_removed() {
    let server = or_skip!(start().await);
    let mut admin = Admin::of(&server);
    made(&mut admin, &json!({ "id": "shop" })).await;
    let id = &server.app().id;
    let hidden = format!("UPDATE fanfare_apps SET id = '{id}'");
    execute(&server.file("state").join("apps.db"), &hidden).await;
    eventually("the row to be hidden", || async {
        let kept = Admin::of(&server).get("/api/apps_database").await;
        let problem = kept["apps"][0]["problem"].as_str()?;
        problem.contains("another app has its id").then_some(())
    })
    .await;
    let path = format!("/api/apps/{id}");
    let refusal = admin.refused("DELETE", &path, 409).await;
    assert!(refusal.contains("?database=true"), "{refusal}");
    let mut client = server.connect().await;
    let of_database = format!("{path}?database=true");
    admin.expect("DELETE", &of_database, 204).await;
    admin.expect("DELETE", &of_database, 404).await;
    client.ping_fence().await;
    let kept = admin.get("/api/apps_database").await;
    assert_eq!(kept["apps"], json!([]));
    let refusal = admin.refused("DELETE", &path, 409).await;
    assert!(!refusal.contains("?database=true"), "{refusal}");
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn are_kept_in_the_state_folder() {
    let server = or_skip!(start().await);
    let directory = server.file("state");
    let app = made(&mut Admin::of(&server), &json!({})).await;
    assert!(directory.join("apps.db").exists());
    let mut nobody = Admin::with(&server, None);
    let refused = nobody.post("/api/apps", &json!({})).await;
    assert_eq!(refused.status, 401);
    assert!(!refused.text().contains(TOKEN));
    let client = server.connect_to(&app).await;
    drop(client);
    server.finish().await;
}

#[tokio::test]
async fn are_logged_with_what_came_of_it_and_so_is_a_look_at_secrets() {
    let directory = tempfile::tempdir().unwrap();
    let tokens = directory.path().join("tokens");
    fs::write(&tokens, format!("read {READ} reader\n")).unwrap();
    let file = directory.path().join("apps.db");
    let server = locked()
        .set("admin.tokens_file", tokens.to_str().unwrap())
        .set("apps_database.url", format!("sqlite://{}", file.display()));
    let server = or_skip!(server.start().await);
    let mut admin = Admin::of(&server);
    let app = made(&mut admin, &json!({ "id": "shop" })).await;
    let secrets = "/api/apps/shop?secrets=true";
    admin.get(secrets).await;
    logged(
        &server,
        &["secrets were shown", "/api/apps/shop", "admin.token"],
    )
    .await;
    Admin::with(&server, Some(READ))
        .refused("GET", secrets, 403)
        .await;
    logged(&server, &["secrets were not shown", "by reader"]).await;
    admin.expect("DELETE", "/api/apps/none", 404).await;
    logged(
        &server,
        &["was refused", "/api/apps/none", "no app has the id"],
    )
    .await;
    // The database is away: whether it has done it is not known.
    fs::rename(&file, directory.path().join("away.db")).unwrap();
    let failed = patch(&mut admin, &app, &json!({ "enabled": false })).await;
    assert_eq!(failed.status, 503, "{}", failed.text());
    let log = logged(
        &server,
        &["may have been made all the same", "\"status\":503"],
    )
    .await;
    assert!(!log.contains(&app.secret));
    server.finish().await;
}

#[tokio::test]
async fn that_are_refused_again_and_again_do_not_fill_the_log() {
    let server = or_skip!(start().await);
    let mut admin = Admin::of(&server);
    for _ in 0..100 {
        admin.expect("DELETE", "/api/apps/none", 404).await;
    }
    let log = logged(&server, &["more was refused by the admin API"]).await;
    let lines = log
        .lines()
        .filter(|line| line.contains("was refused; asked for"));
    assert_eq!(lines.count(), 60);
    server.finish().await;
}
