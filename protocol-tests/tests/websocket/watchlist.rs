//! Watchlists: who of the users that a user watches is online.

use std::collections::BTreeMap;

use protocol_tests::{
    App, AppConfig, Event, Request, Skipped, TestServer, WsClient, eventually, or_skip,
};
use serde_json::{Value, json};

use crate::support::assert_members;

/// A server whose app has watchlists; a user counts as online for `grace` seconds after the last connection.
async fn start(grace: i64) -> Result<TestServer, Skipped> {
    let app = AppConfig::new("10001")
        .set("watchlist", true)
        .set("watchlist_grace", grace);
    TestServer::builder().app(app).start().await
}

async fn sign_in(server: &TestServer, user_id: &str, watchlist: &[&str]) -> WsClient {
    sign_in_to(server, server.app(), user_id, watchlist).await
}

async fn sign_in_to(server: &TestServer, app: &App, user_id: &str, watchlist: &[&str]) -> WsClient {
    let mut client = server.connect_to(app).await;
    let user_data = json!({"id": user_id, "watchlist": watchlist});
    client.sign_in_with(&user_data.to_string()).await;
    client
}

/// Name and users of each status that a message reports.
fn statuses(event: &Event) -> Vec<(String, Vec<String>)> {
    assert_eq!(
        event.name, "pusher_internal:watchlist_events",
        "{}",
        event.text
    );
    assert_members(event, &["event", "data"]);
    let data: Value = serde_json::from_str(event.data_text()).expect("data holds JSON");
    let events = data["events"].as_array().expect("events is a list");
    assert!(!events.is_empty(), "{}", event.text);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    events
        .iter()
        .map(|event| {
            let users = event["user_ids"].as_array().expect("user_ids is a list");
            (text(&event["name"]), users.iter().map(text).collect())
        })
        .collect()
}

async fn expect_statuses(client: &mut WsClient, expected: &[(&str, &[&str])]) {
    let event = client
        .expect_event("pusher_internal:watchlist_events")
        .await;
    let expected: Vec<(String, Vec<String>)> = expected
        .iter()
        .map(|(name, users)| {
            let users = users.iter().map(|user_id| (*user_id).to_owned());
            ((*name).to_owned(), users.collect())
        })
        .collect();
    assert_eq!(statuses(&event), expected, "{}", event.text);
}

async fn terminate(server: &TestServer, user_id: &str) {
    let path = format!("/users/{user_id}/terminate_connections");
    let request = Request::post(server.app(), &path).json(&json!({}));
    server.request(&request).await.expect_status(200);
}

#[tokio::test]
async fn whoever_signs_in_is_sent_who_is_online_and_who_is_not() {
    let server = or_skip!(start(3).await);
    let _online = sign_in(&server, "on-1", &[]).await;
    let _too = sign_in(&server, "on \"2\"", &[]).await;
    let watched = ["on-1", "off-1", "on \"2\"", "off-2"];
    let mut watcher = sign_in(&server, "w", &watched).await;
    expect_statuses(
        &mut watcher,
        &[
            ("online", &["on-1", "on \"2\""]),
            ("offline", &["off-1", "off-2"]),
        ],
    )
    .await;
    let mut of_one = sign_in(&server, "x", &["on-1"]).await;
    expect_statuses(&mut of_one, &[("online", &["on-1"])]).await;
    let mut of_the_other = sign_in(&server, "y", &["off-1"]).await;
    expect_statuses(&mut of_the_other, &[("offline", &["off-1"])]).await;
    server.finish().await;
}

#[tokio::test]
async fn every_change_is_sent_to_those_who_watch_and_to_nobody_else() {
    let server = or_skip!(start(0).await);
    let mut watcher = sign_in(&server, "w", &["u"]).await;
    let mut second_tab = sign_in(&server, "w", &["u"]).await;
    let mut other = sign_in(&server, "x", &["v"]).await;
    for client in [&mut watcher, &mut second_tab] {
        expect_statuses(client, &[("offline", &["u"])]).await;
    }
    expect_statuses(&mut other, &[("offline", &["v"])]).await;

    let user = sign_in(&server, "u", &[]).await;
    for client in [&mut watcher, &mut second_tab] {
        expect_statuses(client, &[("online", &["u"])]).await;
    }
    drop(user);
    for client in [&mut watcher, &mut second_tab] {
        expect_statuses(client, &[("offline", &["u"])]).await;
    }
    other.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn a_user_is_online_from_the_first_connection_to_the_last() {
    let server = or_skip!(start(0).await);
    let mut watcher = sign_in(&server, "w", &["u"]).await;
    expect_statuses(&mut watcher, &[("offline", &["u"])]).await;
    let first = sign_in(&server, "u", &[]).await;
    expect_statuses(&mut watcher, &[("online", &["u"])]).await;
    let second = sign_in(&server, "u", &[]).await;
    drop(first);
    watcher.expect_nothing().await;
    drop(second);
    expect_statuses(&mut watcher, &[("offline", &["u"])]).await;
    server.finish().await;
}

#[tokio::test]
async fn a_page_that_is_loaded_again_is_no_flicker() {
    let server = or_skip!(start(2).await);
    let mut watcher = sign_in(&server, "w", &["u"]).await;
    expect_statuses(&mut watcher, &[("offline", &["u"])]).await;
    let mut page = sign_in(&server, "u", &[]).await;
    expect_statuses(&mut watcher, &[("online", &["u"])]).await;
    for _ in 0..3 {
        drop(page);
        // Meanwhile the user still counts as online.
        let mut late = sign_in(&server, "x", &["u"]).await;
        expect_statuses(&mut late, &[("online", &["u"])]).await;
        page = sign_in(&server, "u", &[]).await;
    }
    watcher.expect_nothing().await;
    drop(page);
    // The next thing that is sent is the end.
    expect_statuses(&mut watcher, &[("offline", &["u"])]).await;
    server.finish().await;
}

#[tokio::test]
async fn only_the_first_hundred_users_count() {
    let server = or_skip!(start(0).await);
    let names: Vec<String> = (0..101).map(|number| format!("u{number}")).collect();
    let mut names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut client = server.connect().await;
    let user_data = json!({"id": "w", "watchlist": names}).to_string();
    client.send_sign_in(&user_data).await;
    let mut events = client.next_events(3).await;
    events.sort_by(|one, other| one.name.cmp(&other.name));
    assert_eq!(events[0].name, "pusher:error");
    assert_eq!(events[0].error_code(), Some(4302), "{}", events[0].text);
    assert_eq!(events[1].name, "pusher:signin_success");
    let [(name, users)] = &statuses(&events[2])[..] else {
        panic!("{}", events[2].text);
    };
    let last = names.pop().unwrap();
    assert_eq!((name.as_str(), users.len()), ("offline", 100));
    assert!(users.iter().eq(names.iter()));

    // The connection stays, and is sent the hundredth, but not the one behind.
    let _behind = sign_in(&server, last, &[]).await;
    let _hundredth = sign_in(&server, "u99", &[]).await;
    expect_statuses(&mut client, &[("online", &["u99"])]).await;
    server.finish().await;
}

#[tokio::test]
async fn each_user_counts_once() {
    let server = or_skip!(start(0).await);
    let app = server.app().clone();
    let mut names = vec!["u"; 500];
    names.push("v");
    let mut watcher = sign_in_to(&server, &app, "w", &names).await;
    expect_statuses(&mut watcher, &[("offline", &["u", "v"])]).await;
    let _user = sign_in(&server, "u", &[]).await;
    expect_statuses(&mut watcher, &[("online", &["u"])]).await;
    watcher.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn ids_may_be_numbers_in_a_watchlist() {
    let server = or_skip!(start(0).await);
    let _user = sign_in(&server, "7", &[]).await;
    let mut watcher = server.connect().await;
    watcher
        .sign_in_with(r#"{"id":"w","watchlist":[7,8]}"#)
        .await;
    expect_statuses(&mut watcher, &[("online", &["7"]), ("offline", &["8"])]).await;
    server.finish().await;
}

#[tokio::test]
async fn a_watchlist_that_is_none_is_an_error() {
    let server = or_skip!(start(0).await);
    for watchlist in [r#""u""#, "{}", "[true]", "[null]", "[[\"u\"]]"] {
        let mut client = server.connect().await;
        client
            .send_sign_in(&format!(r#"{{"id":"w","watchlist":{watchlist}}}"#))
            .await;
        let error = client.expect_error(Some(4009)).await;
        assert!(
            error.error_message().contains("watchlist"),
            "{}",
            error.text
        );
        client.expect_close_code(4009).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn without_a_watchlist_nothing_is_sent() {
    let server = or_skip!(start(0).await);
    for user_data in [
        r#"{"id":"w"}"#,
        r#"{"id":"w","watchlist":null}"#,
        r#"{"id":"w","watchlist":[]}"#,
    ] {
        let mut client = server.connect().await;
        client.sign_in_with(user_data).await;
        client.expect_nothing().await;
    }
    server.finish().await;
}

#[tokio::test]
async fn an_app_has_no_watchlists_unless_it_is_configured_to() {
    let app = AppConfig::new("10001");
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let mut watcher = sign_in(&server, "w", &["u"]).await;
    let _user = sign_in(&server, "u", &[]).await;
    watcher.expect_nothing().await;
    // What is not used is not judged either.
    let mut odd = server.connect().await;
    odd.sign_in_with(r#"{"id":"w","watchlist":7}"#).await;
    odd.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn users_of_another_app_are_others() {
    let apps = ["10001", "20002"].map(|id| {
        AppConfig::new(id)
            .set("watchlist", true)
            .set("watchlist_grace", 0)
    });
    let [first, second] = apps;
    let builder = TestServer::builder().app(first).app(second);
    let server = or_skip!(builder.start().await);
    let mut watcher = sign_in(&server, "w", &["u"]).await;
    expect_statuses(&mut watcher, &[("offline", &["u"])]).await;
    let other_app = server.second_app().clone();
    let _namesake = sign_in_to(&server, &other_app, "u", &[]).await;
    watcher.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn a_user_may_watch_itself() {
    let server = or_skip!(start(0).await);
    let mut user = sign_in(&server, "u", &["u"]).await;
    expect_statuses(&mut user, &[("online", &["u"])]).await;
    user.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn a_user_whose_connections_are_ended_goes_offline() {
    let server = or_skip!(start(0).await);
    let mut watcher = sign_in(&server, "w", &["u"]).await;
    expect_statuses(&mut watcher, &[("offline", &["u"])]).await;
    let mut tabs = Vec::new();
    for _ in 0..3 {
        tabs.push(sign_in(&server, "u", &[]).await);
    }
    expect_statuses(&mut watcher, &[("online", &["u"])]).await;
    terminate(&server, "u").await;
    expect_statuses(&mut watcher, &[("offline", &["u"])]).await;
    watcher.expect_nothing().await;
    server.finish().await;
}

/// What a watcher believes in the end is the truth, whatever came together.
#[tokio::test]
async fn statuses_and_changes_fit_together() {
    let server = or_skip!(start(0).await);
    let names: Vec<String> = (0..8).map(|number| format!("u{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let come_and_go = async {
        for round in 0..12 {
            let mut clients = Vec::new();
            for name in names.iter().skip(round % 3).step_by(2) {
                clients.push(sign_in(&server, name, &[]).await);
            }
        }
        sign_in(&server, "u3", &[]).await
    };
    let watch = async {
        let mut watchers = Vec::new();
        for _ in 0..40 {
            watchers.push(sign_in(&server, "w", &names).await);
        }
        watchers
    };
    let (_last, mut watchers) = tokio::join!(come_and_go, watch);
    eventually("only u3 and the watchers to be signed in", || async {
        let users = server.metrics().await.sum("fanfare_users", &[]);
        (users == 2.0).then_some(())
    })
    .await;
    let status = |name: &&str| if *name == "u3" { "online" } else { "offline" };
    let truth: BTreeMap<String, String> = names
        .iter()
        .map(|name| ((*name).to_owned(), status(name).to_owned()))
        .collect();
    for watcher in &mut watchers {
        let mut believed = BTreeMap::new();
        for event in watcher.fence().await {
            for (status, users) in statuses(&event) {
                for user in users {
                    let before = believed.insert(user, status.clone());
                    assert_ne!(before.as_ref(), Some(&status), "notified twice");
                }
            }
        }
        assert_eq!(believed, truth);
    }
    server.finish().await;
}
