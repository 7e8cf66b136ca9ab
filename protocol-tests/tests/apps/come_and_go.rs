//! Apps that are added, disabled and removed; key pairs and origins.

use protocol_tests::names::unique;
use protocol_tests::{AppConfig, PublishedEvent, Request, Skipped, TestServer, Upgrade, or_skip};
use serde_json::json;

use crate::support::{
    expect_closed, expect_delivery, first, second, subscriber, upgrade, wait_for,
};

async fn start() -> Result<TestServer, Skipped> {
    TestServer::builder().app(first()).start().await
}

#[tokio::test]
async fn an_app_that_is_added_works_at_once_and_nobody_else_notices() {
    let server = or_skip!(start().await);
    let (old, new) = (first().app(), second().app());
    let channel = server.channel("private-");
    let mut here = subscriber(&server, &old, &channel).await;
    let (error, _) = server.open_refused(&upgrade(&new)).await;
    assert_eq!(error.error_code(), Some(4001));
    let answer = server.request(&Request::get(&new, "/channels")).await;
    answer.expect_status(404);
    server.serve_apps(&[first(), second()]).await;
    let mut there = subscriber(&server, &new, &channel).await;
    expect_delivery(&server, &new, &channel, &mut there).await;
    expect_delivery(&server, &old, &channel, &mut here).await;
    here.expect_nothing().await;
    there.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn a_disabled_app_s_connections_are_closed_until_it_is_enabled_again() {
    let server = or_skip!(start().await);
    let app = first().app();
    let channel = server.channel("presence-");
    let mut one = server.connect().await;
    one.subscribe_presence(&channel, "u1", json!({})).await;
    let mut other = server.connect().await;
    other.subscribe_presence(&channel, "u2", json!({})).await;
    one.expect_event_on(&channel, "pusher_internal:member_added")
        .await;
    server.serve_apps(&[first().set("enabled", false)]).await;
    for client in [&mut one, &mut other] {
        // Nobody is announced as gone, as everybody goes.
        expect_closed(client, 4003).await;
    }
    let (error, _) = server.open_refused(&upgrade(&app)).await;
    assert_eq!(error.error_code(), Some(4003));
    let body = PublishedEvent::new(&channel, "x", "");
    let request = Request::post(&app, "/events").json(body.body());
    server.request(&request).await.expect_status(403);
    server.serve_apps(&[first()]).await;
    let mut back = server.connect().await;
    let roster = back.subscribe_presence(&channel, "u3", json!({})).await;
    assert_eq!(roster.ids, ["u3"]);
    server.finish().await;
}

#[tokio::test]
async fn a_removed_app_s_connections_are_closed_and_nothing_is_left_of_it() {
    let builder = TestServer::builder().app(first()).app(second());
    let server = or_skip!(builder.start().await);
    let (kept, removed) = (first().app(), second().app());
    let channel = server.channel("cache-");
    let mut here = server.connect().await;
    here.subscribe(&channel).await;
    here.expect_event_on(&channel, "pusher:cache_miss").await;
    let mut there = server.connect_to(&removed).await;
    there.subscribe(&channel).await;
    there.expect_event_on(&channel, "pusher:cache_miss").await;
    expect_delivery(&server, &removed, &channel, &mut there).await;
    server.serve_apps(&[first()]).await;
    expect_closed(&mut there, 4001).await;
    let (error, _) = server.open_refused(&upgrade(&removed)).await;
    assert_eq!(error.error_code(), Some(4001));
    let answer = server.request(&Request::get(&removed, "/channels")).await;
    answer.expect_status(404);
    let metrics = server.metrics().await;
    assert!(!metrics.has_label("app", &removed.id));
    assert_eq!(metrics.sum("fanfare_apps", &[]), 1.0);
    expect_delivery(&server, &kept, &channel, &mut here).await;
    // Made again, it is another app: it has no last event, and its numbers begin anew.
    server.serve_apps(&[first(), second()]).await;
    let mut anew = server.connect_to(&removed).await;
    anew.subscribe(&channel).await;
    anew.expect_event_on(&channel, "pusher:cache_miss").await;
    wait_for(&server, "fanfare_connections_opened_total", &removed, 1.0).await;
    server.finish().await;
}

#[tokio::test]
async fn a_removed_pair_signs_no_more_and_whoever_is_connected_with_it_stays() {
    let config = first().extra_key("old-key", "old-secret");
    let server = or_skip!(TestServer::builder().app(config).start().await);
    let (app, channel) = (first().app(), server.channel("private-"));
    let old = app.with_pair("old-key", "old-secret");
    let mut client = subscriber(&server, &old, &channel).await;
    server
        .serve_apps(&[first().extra_key("newer-key", "newer-secret")])
        .await;
    // Subscribed it was, and is; what it signs from now on counts for nothing.
    expect_delivery(&server, &app, &channel, &mut client).await;
    let another = server.channel("private-");
    client.send_signed_subscribe(&another, None).await;
    client.expect_subscription_error(&another).await;
    let request = Request::get(&old, "/channels");
    server.request(&request).await.expect_status(401);
    let (error, _) = server.open_refused(&upgrade(&old)).await;
    assert_eq!(error.error_code(), Some(4001));
    let newer = app.with_pair("newer-key", "newer-secret");
    let mut by_newer = subscriber(&server, &newer, &another).await;
    expect_delivery(&server, &newer, &another, &mut by_newer).await;
    server.finish().await;
}

#[tokio::test]
async fn origins_hold_for_handshakes_that_come() {
    let server = or_skip!(start().await);
    let app = first().app();
    let from = |origin: &str| -> Upgrade { upgrade(&app).header("Origin", origin) };
    let mut early = server.connect_with(&app, &from("https://b.example")).await;
    let listed = |origin: &str| first().set("allowed_origins", vec![origin.to_owned()]);
    server.serve_apps(&[listed("https://a.example")]).await;
    let (error, _) = server.open_refused(&from("https://b.example")).await;
    assert_eq!(error.error_code(), Some(4009));
    let _allowed = server.connect_with(&app, &from("https://a.example")).await;
    early.ping_fence().await;
    server.serve_apps(&[listed("https://b.example")]).await;
    let _allowed = server.connect_with(&app, &from("https://b.example")).await;
    server.finish().await;
}

#[tokio::test]
async fn a_watchlist_that_is_switched_on_has_the_app_s_connections_come_back() {
    let server = or_skip!(start().await);
    let channel = server.channel("private-");
    let app = first().app();
    let mut client = subscriber(&server, &app, &channel).await;
    server.serve_apps(&[first().set("watchlist", true)]).await;
    expect_closed(&mut client, 4200).await;
    let mut watcher = server.connect().await;
    let user_data = json!({"id": "u1", "watchlist": ["u2"]}).to_string();
    watcher.sign_in_with(&user_data).await;
    watcher
        .expect_event("pusher_internal:watchlist_events")
        .await;
    let mut watched = server.connect().await;
    watched.sign_in("u2").await;
    let event = watcher
        .expect_event("pusher_internal:watchlist_events")
        .await;
    assert!(event.text.contains("online"), "{}", event.text);
    wait_for(&server, "fanfare_connections", &app, 2.0).await;
    server.finish().await;
}

#[tokio::test]
async fn apps_that_are_made_and_removed_over_and_over_leave_nothing() {
    let server = or_skip!(start().await);
    let mut figures = Vec::new();
    for round in 0..3 {
        for number in 0..5 {
            let id = format!("r{round}-{number}");
            let app = AppConfig::new(&id);
            server.serve_apps(&[first(), app.clone()]).await;
            let channel = server.channel("presence-");
            let mut client = server.connect_to(&app.app()).await;
            client.subscribe_presence(&channel, "u", json!({})).await;
            server.serve_apps(&[first()]).await;
            expect_closed(&mut client, 4001).await;
        }
        figures.push(server.metrics().await.samples());
    }
    assert!(
        figures.windows(2).all(|pair| pair[0] == pair[1]),
        "{figures:?}"
    );
    server.finish().await;
}

#[tokio::test]
async fn a_session_that_waits_for_its_client_ends_with_its_app() {
    let builder = TestServer::builder().app(first()).app(second());
    let server = or_skip!(builder.start().await);
    let (app, channel) = (second().app(), server.channel("private-"));
    let path = format!("/s/{}/app/{}?protocol=7", unique("token-"), app.key);
    let upgrade = Upgrade::new(&path);
    let mut client = server.connect_with(&app, &upgrade).await;
    client.subscribe(&channel).await;
    let before = client.socket_id.clone();
    drop(client);
    wait_for(&server, "fanfare_parked_sessions", &app, 1.0).await;
    server.serve_apps(&[first()]).await;
    server.serve_apps(&[first(), second()]).await;
    let client = server.connect_with(&app, &upgrade).await;
    assert_ne!(client.socket_id, before);
    server.finish().await;
}
