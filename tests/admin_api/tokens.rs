//! Tokens: who may do what.

use std::fs;

use protocol_tests::connection::Connection;
use protocol_tests::http::read_response;
use protocol_tests::{
    Request, Signal, Skipped, TestServer, Upgrade, WebSocket, eventually, or_skip,
};

use crate::support::{Admin, TOKEN, locked, logged, reason, start};

const READ: &str = "read-read-read-read";

#[tokio::test]
async fn each_role_may_do_what_it_is_for() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokens");
    fs::write(&file, format!("# who may look\nread {READ} prometheus\n")).unwrap();
    let server = locked().set("admin.tokens_file", file.to_str().unwrap());
    let server = or_skip!(server.start().await);
    let mut reader = Admin::with(&server, Some(READ));
    let mut writer = Admin::of(&server);
    assert_eq!(reader.get("/api/whoami").await["role"], "read");
    assert_eq!(reader.get("/api/whoami").await["token"], "prometheus");
    assert_eq!(writer.get("/api/whoami").await["token"], "admin.token");
    reader.expect("GET", "/metrics", 200).await;
    let path = format!("/api/apps/{}/connections?all=true", server.app().id);
    let refusal = reader.refused("DELETE", &path, 403).await;
    assert!(refusal.contains("role write"), "{refusal}");
    writer.expect("DELETE", &path, 202).await;
    let mut nobody = Admin::with(&server, None);
    for path in ["/metrics", "/api/apps", "/api/openapi.json"] {
        let response = nobody.expect("GET", path, 401).await;
        assert!(
            response
                .header("www-authenticate")
                .unwrap()
                .starts_with("Bearer")
        );
    }
    assert!(
        !nobody
            .expect("GET", "/metrics", 401)
            .await
            .text()
            .contains("fanfare_")
    );
    nobody.expect("GET", "/health", 200).await;
    nobody.expect("GET", "/", 200).await;

    let metrics = server.metrics().await;
    for (reason, count) in [("missing_token", 4.0), ("role", 1.0)] {
        let refused = metrics.sum("fanfare_admin_refused_total", &[("reason", reason)]);
        assert_eq!(refused, count, "{reason}");
    }
    let log = logged(&server, &["changed over the admin API", &path]).await;
    assert!(log.contains("admin.token") && !log.contains(TOKEN), "{log}");
    server.finish().await;
}

#[tokio::test]
async fn whoever_guesses_is_slowed_down_and_logged_once() {
    let server = or_skip!(start().await);
    let mut statuses = Vec::new();
    let mut last = None;
    for number in 0..30 {
        let mut guesser = Admin::with(&server, Some(&format!("wrong-wrong-wrong-{number}")));
        let response = guesser.send(Request::new("GET", "/api/apps")).await;
        statuses.push(response.status);
        last = Some(response);
    }
    // One more a second is let through.
    assert_eq!(statuses[..10], [401; 10]);
    assert!(statuses[10..].contains(&429), "{statuses:?}");
    let last = last.unwrap();
    if last.status == 429 {
        let wait: u64 = last.header("retry-after").unwrap().parse().unwrap();
        assert!(wait >= 1, "{wait}");
        assert!(reason(&last).contains("wrong tokens"));
    }
    // Nothing else of what is refused is written down.
    let log = server.log();
    let about = log.iter().filter(|line| line.contains("wrong token"));
    assert_eq!(about.count(), 1, "{}", log.join("\n"));
    assert!(!log.join("\n").contains("wrong-wrong"));
    // The right token is let through as soon as there is room for a try.
    protocol_tests::eventually("the right token to be listened to", async || {
        let mut admin = Admin::of(&server);
        let response = admin.send(Request::new("GET", "/api/whoami")).await;
        (response.status == 200).then_some(())
    })
    .await;
    protocol_tests::eventually("the metrics to be served", async || {
        let mut admin = Admin::of(&server);
        let response = admin.send(Request::new("GET", "/metrics")).await;
        let page = response.text();
        let counted =
            |line: &str| line.starts_with("fanfare_admin_refused_total{reason=\"paced\"}");
        let paced = page.lines().find(|line| counted(line));
        paced
            .is_some_and(|line| !line.ends_with(" 0"))
            .then_some(())
    })
    .await;
    server.finish().await;
}

#[tokio::test]
async fn on_loopback_none_is_needed_where_none_is_set() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let mut admin = Admin::with(&server, None);
    let who = admin.get("/api/whoami").await;
    assert_eq!(who["needs_token"], false);
    assert_eq!(who["role"], "write");
    admin.get("/api/apps").await;
    server.finish().await;
}

#[tokio::test]
async fn beyond_loopback_the_relay_does_not_start_without_one() {
    for settings in [
        &[("admin.listen", "0.0.0.0:0")][..],
        &[("admin.listen", "0.0.0.0:0"), ("admin.token", "too-short")],
    ] {
        let mut builder = TestServer::builder();
        for (key, value) in settings {
            builder = builder.set(key, *value);
        }
        let exit = or_skip!(builder.start_and_exit().await);
        assert_eq!(exit.code, Some(64));
        let log = exit.log.join("\n");
        let expected = match settings.len() {
            1 => "admin.listen: expected a token, in admin.token",
            _ => "admin.token: expected a token of at least 16 characters",
        };
        assert!(log.contains(expected), "{log}");
        assert!(!log.contains("too-short"), "{log}");
    }
}

#[tokio::test]
async fn over_a_unix_socket_none_is_needed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("admin.sock");
    let listen = format!("unix:{}", path.display());
    let server = TestServer::builder().set("admin.listen", listen);
    let server = or_skip!(server.start().await);
    let mut connection = Connection::open_unix(&path).await;
    let request = Request::new("GET", "/api/whoami");
    connection.send(&request.encode("localhost", "")).await;
    let answer = read_response(&mut connection, "GET").await.unwrap();
    assert_eq!(answer.expect_status(200).json()["role"], "write");
    drop(connection);
    server.finish().await;
    assert!(!path.exists());
}

#[tokio::test]
async fn metrics_can_be_open_by_themselves() {
    let server = or_skip!(locked().set("admin.open_metrics", true).start().await);
    let mut nobody = Admin::with(&server, None);
    nobody.expect("GET", "/metrics", 200).await;
    nobody.expect("GET", "/api/apps", 401).await;
    server.finish().await;
}

#[tokio::test]
async fn a_token_in_the_query_is_no_token() {
    let server = or_skip!(start().await);
    let mut nobody = Admin::with(&server, None);
    let path = format!("/api/apps?token={TOKEN}");
    nobody.expect("GET", &path, 401).await;
    let refusal = Admin::of(&server).refused("GET", &path, 400).await;
    assert!(refusal.contains("Authorization: Bearer"), "{refusal}");
    server.finish().await;
}

/// A server whose tokens stand in a file, and the file's folder.
async fn with_file(tokens: &str) -> Result<(TestServer, tempfile::TempDir), Skipped> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    fs::write(&file, tokens).unwrap();
    let server = TestServer::builder()
        .own_process()
        .set("admin.tokens_file", file.to_str().unwrap())
        .set("admin.open_metrics", true);
    Ok((server.start().await?, folder))
}

async fn is_let_in(server: &TestServer, token: &str) -> bool {
    let mut admin = Admin::with(server, Some(token));
    let response = admin.send(Request::new("GET", "/api/whoami")).await;
    response.status == 200
}

#[tokio::test]
async fn others_hold_without_a_restart() {
    const OTHER: &str = "other-other-other-other";
    let (server, folder) = or_skip!(with_file(&format!("write {TOKEN} ada\n")).await);
    let file = folder.path().join("tokens");
    let mut admin = Admin::of(&server);
    let ticket = admin.expect("POST", "/api/tickets", 201).await.json();
    let authority = &server.admin_endpoint().unwrap().authority;
    let upgrade = Upgrade::new("/stream").header("Authorization", &format!("Bearer {TOKEN}"));
    let connection = Connection::open(authority).await;
    let stream = WebSocket::open(connection, &upgrade.encode(authority, "")).await;
    let mut stream = stream.unwrap();

    // A file that is wrong changes nothing.
    fs::write(&file, "write short ada\n").unwrap();
    server.signal(Signal::HangUp);
    logged(
        &server,
        &["admin.tokens_file", "what was read before holds"],
    )
    .await;
    assert!(is_let_in(&server, TOKEN).await);

    fs::write(&file, format!("write {OTHER} ada\nread {READ} grace\n")).unwrap();
    server.signal(Signal::HangUp);
    eventually("the other token to hold", async || {
        is_let_in(&server, OTHER).await.then_some(())
    })
    .await;
    assert!(!is_let_in(&server, TOKEN).await, "the old one does not");
    assert!(is_let_in(&server, READ).await);
    // What the old one has opened is closed, and its tickets open nothing.
    let close = stream.expect_close().await;
    assert_eq!(close.code, Some(1008), "{close:?}");
    let ticket = ticket["ticket"].as_str().unwrap();
    let offered = format!("fanfare.stream, ticket.{ticket}");
    let upgrade = Upgrade::new("/stream").header("Sec-WebSocket-Protocol", &offered);
    let connection = Connection::open(authority).await;
    let refused = WebSocket::open(connection, &upgrade.encode(authority, "")).await;
    assert_eq!(refused.unwrap_err().status, 401);
    let config = Admin::with(&server, Some(OTHER)).get("/api/config").await;
    assert_eq!(config["admin"]["tokens"][1]["name"], "grace");
    let log = logged(&server, &["opened by other tokens", "grace"]).await;
    assert!(
        !log.contains(OTHER) && !log.contains("hold when it is started again"),
        "{log}"
    );
    server.finish().await;
}

/// The file is looked at as the configuration is.
#[tokio::test]
async fn a_file_that_changes_is_read_by_itself() {
    let (server, folder) = or_skip!(with_file(&format!("write {TOKEN} ada\n")).await);
    let file = folder.path().join("tokens");
    fs::write(&file, format!("read {READ} grace\n")).unwrap();
    eventually("the other token to hold", async || {
        is_let_in(&server, READ).await.then_some(())
    })
    .await;
    server.finish().await;
}

/// It would be open to everybody until the next start.
#[tokio::test]
async fn the_last_one_is_not_taken_away_from_a_listener_that_others_reach() {
    let server = TestServer::builder()
        .own_process()
        .set("admin.listen", "0.0.0.0:0")
        .set("admin.token", TOKEN);
    let server = or_skip!(server.start().await);
    let config = fs::read_to_string(server.config_file()).unwrap();
    let open = config
        .replace(&format!("token = \"{TOKEN}\"\n"), "")
        .replace("0.0.0.0:0", "127.0.0.1:0");
    assert!(open.len() < config.len(), "{config}");
    server.write_config(&open);
    server.signal(Signal::HangUp);
    logged(&server, &["no admin token is configured any more"]).await;
    let mut nobody = Admin::with(&server, None);
    nobody.expect("GET", "/api/apps", 401).await;
    assert!(is_let_in(&server, TOKEN).await);
    server.finish().await;
}
