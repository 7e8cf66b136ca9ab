//! What names a session, and what does not.

use protocol_tests::{AppConfig, Connection, Request, TestServer, Upgrade, WebSocket, or_skip};
use serde_json::json;

use crate::session::{
    KINDS, Kind, Session, app, parked, publish, start, token, upgrade, wait_for_users,
    wait_until_parked, waiting_app,
};

#[tokio::test]
async fn session_is_named_in_the_path_behind_a_configured_prefix_too() {
    for prefix in ["", "/relay"] {
        let builder = TestServer::builder().app(app());
        let server = or_skip!(builder.set("server.path_prefix", prefix).start().await);
        for kind in KINDS {
            let token = token();
            let session = Session::open_as(&server, &token, kind).await;
            let id = session.id().to_owned();
            session.park(&server).await;
            let again = Session::open_as(&server, &token, kind).await;
            assert_eq!(again.id(), id);
            again.leave().await;
        }
        server.finish().await;
    }
}

#[tokio::test]
async fn token_of_22_to_64_letters_digits_hyphens_and_underscores_is_one() {
    let server = or_skip!(start(app()).await);
    for token in [
        "-_aZ09".repeat(4)[..22].to_owned(),
        "Ab-_5".repeat(13)[..64].to_owned(),
    ] {
        let session = Session::open(&server, &token).await;
        let id = session.id().to_owned();
        session.park(&server).await;
        let again = Session::open(&server, &token).await;
        assert_eq!(again.id(), id);
        again.leave().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn token_of_another_form_is_refused_with_4005() {
    let server = or_skip!(start(app()).await);
    for token in [
        "a".repeat(21),
        "a".repeat(65),
        format!("{}.", "a".repeat(30)),
        format!("{}%41", "a".repeat(30)),
        format!("{}~", "a".repeat(30)),
        format!("{}%C3%A4", "a".repeat(30)),
        String::new(),
    ] {
        let upgrade = upgrade(&server, &format!("/s/{token}"), Kind::Page);
        let (error, _) = server.open_refused(&upgrade).await;
        assert_eq!(error.error_code(), Some(4005), "{token:?}: {}", error.text);
        let shown = !token.is_empty() && error.text.contains(&token);
        assert!(!shown, "a token is nobody else's: {}", error.text);
    }
    server.finish().await;
}

#[tokio::test]
async fn without_a_token_a_session_ends_with_its_socket() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("presence-");
    let mut observer = server.connect().await;
    observer
        .subscribe_presence(&channel, "observer", json!({}))
        .await;
    let upgrade = upgrade(&server, "", Kind::Page);
    let mut session = Session::open_with(&server, &upgrade).await;
    session.join(&channel, "u").await;
    observer
        .expect_event_on(&channel, "pusher_internal:member_added")
        .await;
    session.reset();
    observer
        .expect_event_on(&channel, "pusher_internal:member_removed")
        .await;
    assert_eq!(parked(&server).await, 0);
    server.finish().await;
}

#[tokio::test]
async fn without_a_token_nobody_is_asked_whether_events_have_come() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("public-");
    let plain = upgrade(&server, "", Kind::Page);
    let mut plain = Session::open_with(&server, &plain).await;
    plain.subscribe(&channel).await;
    let mut session = Session::open(&server, &token()).await;
    session.subscribe(&channel).await;
    publish(&server, &channel, 1).await;
    plain.expect_numbers(&channel, 1..2).await;
    session.expect_numbers(&channel, 1..2).await;
    session.prove().await;
    plain.expect_nothing(&server).await;
    assert_eq!(plain.asked, 0);
    session.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn window_of_zero_accepts_tokens_and_ignores_them() {
    let server = or_skip!(start(waiting_app(0)).await);
    let channel = server.channel("presence-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    let id = session.id().to_owned();
    session.join(&channel, "u").await;
    session.reset();
    wait_for_users(&server, &channel, &[]).await;
    assert_eq!(parked(&server).await, 0);
    let mut again = Session::open(&server, &token).await;
    assert_ne!(again.id(), id);
    again.join(&channel, "u").await;
    again.expect_nothing(&server).await;
    // Two at a time are two, as without a token.
    let mut other = Session::open(&server, &token).await;
    assert_ne!(other.id(), again.id());
    for session in [&mut again, &mut other] {
        session.expect_nothing(&server).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn apps_share_no_sessions() {
    let apps = ["10001", "20002"].map(|id| AppConfig::new(id).set("resume.window", 60));
    let [first, second] = apps;
    let builder = TestServer::builder().app(first).app(second);
    let server = or_skip!(builder.start().await);
    let token = token();
    let session = Session::open(&server, &token).await;
    let id = session.id().to_owned();
    session.park(&server).await;
    let key = &server.second_app().key;
    let target = format!("/s/{token}/app/{key}?protocol=7&client=tests");
    let foreign = Upgrade::new(&target);
    let foreign = server.connect_with(server.second_app(), &foreign).await;
    assert_ne!(foreign.socket_id, id);
    wait_until_parked(&server, 1).await;
    let again = Session::open(&server, &token).await;
    assert_eq!(again.id(), id);
    again.leave().await;
    drop(foreign);
    server.finish().await;
}

/// Somebody who watches the live stream.
async fn watch(server: &TestServer) -> WebSocket {
    let admin = &server
        .admin_endpoint()
        .expect("the server has an admin listener")
        .authority;
    let connection = Connection::open(admin).await;
    let stream = Upgrade::new("/stream").encode(admin, "");
    let watcher = WebSocket::open(connection, &stream).await;
    watcher.expect("the stream is open")
}

/// What is shown up to an event that is published now, and for as long as something is missing that must be shown.
async fn shown(server: &TestServer, watcher: &mut WebSocket, must: &[&str]) -> Vec<String> {
    let channel = server.channel("last-");
    publish(server, &channel, 0).await;
    let mut lines: Vec<String> = Vec::new();
    for part in [&[channel.as_str()], must].concat() {
        while !lines.iter().any(|line| line.contains(part)) {
            lines.push(watcher.read_text().await);
        }
    }
    lines
}

/// Does with this token whatever shows something to those who watch, or is logged.
async fn use_in_all_ways(server: &TestServer, token: &str) {
    Session::open(server, token).await.park(server).await;
    let mut again = Session::open(server, token).await;
    again.client.send_text("no JSON").await;
    again.next().await;
    again.leave().await;
    let key = &server.app().key;
    for (path, kind) in [
        (format!("/s/{token}.malformed/app/{key}"), 4005),
        (format!("/s/{token}/app/of-nobody"), 4001),
    ] {
        let upgrade = Upgrade::new(&format!("{path}?{}", Kind::Page.query()));
        let (error, _) = server.open_refused(&upgrade).await;
        assert_eq!(error.error_code(), Some(kind), "{}", error.text);
    }
    let session = format!("/s/{token}/pusher/app/{key}/123/abcdefgh");
    for path in [
        format!("{session}/xhr_send"),
        format!("{session}/nothing"),
        format!("/s/{token}"),
        format!("/s/{token}/nowhere"),
        format!("/elsewhere/s/{token}/app/{key}"),
    ] {
        let answer = server.request(&Request::new("POST", &path)).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text());
        assert!(!answer.text().contains(token), "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn token_is_neither_logged_nor_shown_to_those_who_watch() {
    let builder = TestServer::builder().app(app()).set("log.level", "debug");
    let server = or_skip!(builder.start().await);
    let mut watcher = watch(&server).await;
    let token = token();
    use_in_all_ways(&server, &token).await;
    let must = [r#""type":"connect""#, r#""code":404"#, "JSON"];
    let lines = shown(&server, &mut watcher, &must).await;
    let log = server.log();
    let both = lines.iter().chain(&log);
    let leaks: Vec<&String> = both.filter(|line| line.contains(&token)).collect();
    assert!(leaks.is_empty(), "{leaks:#?}");
    drop(watcher);
    server.finish().await;
}
