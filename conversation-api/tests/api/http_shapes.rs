//! What strangers to the routes get, and who may call from a browser.

use protocol_tests::{Request, TestServer};
use serde_json::json;

use crate::support::{Api, Database, Kind};

#[tokio::test]
async fn the_service_names_itself() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut stranger = api.stranger();
    let answer = stranger.get("/").await.expect_status(200);
    assert_eq!(
        answer.text(),
        r#"{"app":"TIMS","version":"1.0.0","status":"running"}"#
    );
    stranger.get("/up").await.expect_status(200);
    api.stop().await;
}

#[tokio::test]
async fn refusals_have_laravels_shapes() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut stranger = api.stranger();
    for path in [
        "/api/user",
        "/api/users",
        "/api/departments",
        "/api/conversations",
        "/api/conversations/1",
        "/api/conversations/1/messages",
        "/api/messages/1",
        "/api/messages/1/media",
        "/api/templates",
    ] {
        let answer = stranger.get(path).await.expect_status(401);
        assert_eq!(
            answer.json(),
            json!({"message": "Unauthenticated."}),
            "{path}"
        );
        assert_eq!(answer.header("content-type"), Some("application/json"));
    }
    for path in [
        "/api/auth/logout",
        "/api/messages/send",
        "/api/messages/1/retry",
        "/api/conversations/1/assign",
        "/api/conversations/1/read",
        "/api/conversations/1/take",
        "/api/conversations/1/resolve",
        "/api/conversations/1/reopen",
        "/api/conversations/1/move",
        "/broadcasting/auth",
        "/broadcasting/user-auth",
    ] {
        stranger.post(path, &json!({})).await.expect_status(401);
        let answer = stranger.get(path).await.expect_status(405);
        assert_eq!(answer.header("allow"), Some("POST"), "{path}");
        assert!(answer.json()["message"].is_string());
    }
    let answer = stranger
        .post("/api/user", &json!({}))
        .await
        .expect_status(405);
    assert_eq!(answer.header("allow"), Some("GET, HEAD"));
    let head = stranger
        .send(Request::new("HEAD", "/up"))
        .await
        .expect_status(200);
    assert!(head.body.is_empty());
    for path in [
        "/api",
        "/api/nothing",
        "/broadcasting",
        "/metrics",
        "/../etc/passwd",
        "/%00",
    ] {
        let answer = stranger.get(path).await.expect_status(404);
        assert_eq!(answer.json(), json!({"message": "Not found."}), "{path}");
    }
    let mut agent = api.log_in("agent@tims.local").await;
    agent.get("/api/conversations/99").await.expect_status(404);
    let twice = agent
        .get("/api/conversations?page=1&page=2")
        .await
        .expect_status(400);
    assert!(twice.json()["message"].is_string());
    let answer = agent.get("/api/conversations/2").await.expect_status(403);
    assert_eq!(
        answer.json(),
        json!({"message": "This action is unauthorized."})
    );
    api.stop().await;
}

#[tokio::test]
async fn json_is_read_whatever_curl_declares_it_to_be() {
    let relay = TestServer::start().await;
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::with(&database, &relay).await;
    let mut desk = api.stranger();
    let login = json!({"email": "manager@tims.local", "password": "password123"}).to_string();
    let answer = desk
        .form("/api/auth/login", &login)
        .await
        .expect_status(200);
    desk.token = answer.json()["token"].as_str().map(str::to_owned);
    let message = json!({"conversation_id": 1, "type": "text", "content": "100 % & more=?"});
    let pretty = format!("\n  {message:#}");
    let sent = desk
        .form("/api/messages/send", &pretty)
        .await
        .expect_status(201)
        .json();
    assert_eq!(sent["content"], "100 % & more=?");
    for (path, body) in [
        ("/api/conversations/1/read", json!({"message_id": 1})),
        ("/api/conversations/1/assign", json!({"user_id": 5})),
        (
            "/broadcasting/auth",
            json!({"socket_id": "1.2", "channel_name": "private-conversation.1"}),
        ),
        ("/broadcasting/user-auth", json!({"socket_id": "1.2"})),
    ] {
        desk.form(path, &body.to_string()).await.expect_status(200);
    }
    // Forms are read as before, and what is neither has no fields.
    let form = "conversation_id=1&type=text&content=%7B%7D+%26";
    let sent = desk
        .form("/api/messages/send", form)
        .await
        .expect_status(201)
        .json();
    assert_eq!(sent["content"], "{} &");
    for body in ["{", "{conversation_id=1&type=text&content=x", ""] {
        desk.form("/api/messages/send", body)
            .await
            .expect_status(422);
    }
    api.stop().await;
    relay.finish().await;
}

#[tokio::test]
async fn browsers_are_sent_who_may_call() {
    let database = Database::seeded(Kind::Sqlite).await;
    let preflight = |origin: &str| {
        Request::new("OPTIONS", "/api/messages/send")
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "POST")
            .header(
                "Access-Control-Request-Headers",
                "authorization,content-type,x-socket-id",
            )
    };
    let allow = "access-control-allow-origin";
    let api = Api::on(&database).start().await;
    let answer = api
        .stranger()
        .send(preflight("https://desk.example"))
        .await
        .expect_status(200);
    assert_eq!(answer.header(allow), Some("*"));
    assert!(
        answer
            .header("access-control-allow-headers")
            .unwrap()
            .contains("x-socket-id")
    );
    let request = Request::new("GET", "/api/user").header("Origin", "https://desk.example");
    let answer = api.stranger().send(request).await.expect_status(401);
    assert_eq!(
        answer.header(allow),
        Some("*"),
        "a page can read refusals, too"
    );
    api.stop().await;

    let start = Api::on(&database).set("CORS_ALLOWED_ORIGINS", "https://desk.example");
    let api = start.start().await;
    let answer = api
        .stranger()
        .send(preflight("https://desk.example"))
        .await
        .expect_status(200);
    assert_eq!(answer.header(allow), Some("https://desk.example"));
    let answer = api.stranger().send(preflight("https://evil.example")).await;
    assert_eq!(answer.header(allow), None);
    api.stop().await;
}

#[tokio::test]
async fn the_inbox_is_served_from_its_folder() {
    let database = Database::seeded(Kind::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("assets")).unwrap();
    std::fs::write(folder.path().join("index.html"), "<title>Inbox</title>").unwrap();
    std::fs::write(folder.path().join("assets/app.js"), "1").unwrap();
    let api = Api::on(&database)
        .set("WEB", &folder.path().to_string_lossy())
        .start()
        .await;
    let mut stranger = api.stranger();
    let page = stranger.get("/inbox/").await.expect_status(200);
    assert_eq!(page.text(), "<title>Inbox</title>");
    assert!(
        page.header("content-type")
            .unwrap()
            .starts_with("text/html")
    );
    let script = stranger
        .get("/inbox/assets/app.js")
        .await
        .expect_status(200);
    assert!(
        script
            .header("content-type")
            .unwrap()
            .contains("javascript")
    );
    let moved = stranger.get("/inbox").await.expect_status(307);
    assert_eq!(moved.header("location"), Some("/inbox/"));
    for path in [
        "/inbox/nothing.js",
        "/inbox/../../etc/passwd",
        "/inbox/%2e%2e/%2e%2e/etc/passwd",
    ] {
        let status = stranger.get(path).await.status;
        assert!((400..500).contains(&status), "{path}: {status}");
    }
    api.stop().await;

    let api = Api::on(&database).set("WEB", "/nonexistent").start().await;
    for path in ["/inbox", "/inbox/", "/inbox/assets/app.js"] {
        let answer = api.stranger().get(path).await.expect_status(404);
        assert!(answer.text().contains("not built"), "{}", answer.text());
    }
    api.stop().await;
}

#[tokio::test]
async fn browsers_keep_what_does_not_change_and_run_nothing_that_is_not_the_pages() {
    let database = Database::seeded(Kind::Sqlite).await;
    let folder = tempfile::tempdir().unwrap();
    let assets = folder.path().join("assets");
    std::fs::create_dir(&assets).unwrap();
    std::fs::write(folder.path().join("index.html"), "<title>Inbox</title>").unwrap();
    std::fs::write(assets.join("app-1a2b.js"), "plain").unwrap();
    std::fs::write(assets.join("app-1a2b.js.br"), "brotli").unwrap();
    std::fs::write(assets.join("app-1a2b.js.gz"), "gzip").unwrap();
    let api = Api::on(&database)
        .set("WEB", &folder.path().to_string_lossy())
        .start()
        .await;
    let mut stranger = api.stranger();
    for (path, cached) in [
        ("/inbox/", "no-cache"),
        ("/inbox/index.html", "no-cache"),
        (
            "/inbox/assets/app-1a2b.js",
            "public, max-age=31536000, immutable",
        ),
        ("/inbox/assets/nothing.js", "no-cache"),
    ] {
        let answer = stranger.get(path).await;
        assert_eq!(answer.header("cache-control"), Some(cached), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        let policy = answer.header("content-security-policy").unwrap();
        for part in [
            "default-src 'none'",
            "script-src 'self';",
            "style-src 'self';",
            "connect-src 'self' ws: wss:",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
    }
    for (accepted, encoding, content) in [
        ("gzip, deflate, br", Some("br"), "brotli"),
        ("gzip", Some("gzip"), "gzip"),
        ("identity", None, "plain"),
    ] {
        let request = Request::new("GET", "/inbox/assets/app-1a2b.js");
        let answer = stranger
            .send(request.header("Accept-Encoding", accepted))
            .await
            .expect_status(200);
        assert_eq!(answer.header("content-encoding"), encoding);
        assert_eq!(answer.text(), content);
        let kind = answer.header("content-type").unwrap();
        assert!(kind.contains("javascript"), "{kind}");
    }
    api.stop().await;
}

#[tokio::test]
async fn requests_are_counted_by_route_and_status() {
    let database = Database::seeded(Kind::Sqlite).await;
    let api = Api::on(&database).start().await;
    let mut agent = api.log_in("agent@tims.local").await;
    agent.get("/api/conversations/1").await.expect_status(200);
    agent.get("/api/conversations/2").await.expect_status(403);
    agent.get("/nothing").await.expect_status(404);
    let metrics = api.metrics().await;
    let count = |route: &str, status: &str| {
        metrics.sum(
            "conversation_http_requests_total",
            &[("route", route), ("status", status)],
        )
    };
    assert_eq!(count("/api/conversations/:id", "200"), 1.0);
    assert_eq!(count("/api/conversations/:id", "403"), 1.0);
    assert_eq!(count("none", "404"), 1.0);
    api.stop().await;
}
