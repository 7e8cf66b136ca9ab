//! Presence channels: rosters, arrivals and departures, members' data.

use protocol_tests::client::channel_data;
use protocol_tests::{AppConfig, PublishedEvent, TestServer, WsClient, or_skip};
use serde_json::{Value, json};

use crate::support::assert_members;

/// Expects `member_added` of this user on the channel.
async fn expect_added(client: &mut WsClient, channel: &str, user_id: &str, user_info: Value) {
    let event = client
        .expect_event_on(channel, "pusher_internal:member_added")
        .await;
    assert_members(&event, &["event", "channel", "data"]);
    assert_eq!(
        event.data_json(),
        json!({"user_id": user_id, "user_info": user_info})
    );
}

/// Expects `member_removed` of this user on the channel.
async fn expect_removed(client: &mut WsClient, channel: &str, user_id: &str) {
    let event = client
        .expect_event_on(channel, "pusher_internal:member_removed")
        .await;
    assert_members(&event, &["event", "channel", "data"]);
    assert_eq!(event.data_json(), json!({"user_id": user_id}));
}

#[tokio::test]
async fn subscription_succeeded_brings_ids_hash_and_count() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut ann = server.connect().await;
    let channel_data = r#"{"user_id":"ann","user_info":{"name":"Ann"}}"#;
    ann.send_signed_subscribe(&channel, Some(channel_data))
        .await;
    let event = ann.expect_subscribed(&channel).await;
    let expected =
        json!({"presence": {"ids": ["ann"], "hash": {"ann": {"name": "Ann"}}, "count": 1}});
    assert_eq!(event.data_json(), expected);
    let mut bob = server.connect().await;
    let roster = bob
        .subscribe_presence(&channel, "bob", json!({"name": "Bob"}))
        .await;
    assert_eq!(roster.ids, ["ann", "bob"]);
    assert_eq!(
        Value::Object(roster.hash),
        json!({"ann": {"name": "Ann"}, "bob": {"name": "Bob"}})
    );
    server.finish().await;
}

#[tokio::test]
async fn arrivals_and_departures_go_to_the_other_members() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut ann = server.connect().await;
    ann.subscribe_presence(&channel, "ann", json!({"n": 1}))
        .await;
    ann.expect_nothing().await;
    let mut bob = server.connect().await;
    bob.subscribe_presence(&channel, "bob", json!({"n": 2}))
        .await;
    expect_added(&mut ann, &channel, "bob", json!({"n": 2})).await;
    bob.expect_nothing().await;
    bob.unsubscribe(&channel).await;
    bob.expect_nothing().await;
    expect_removed(&mut ann, &channel, "bob").await;
    bob.subscribe_presence(&channel, "bob", json!({"n": 3}))
        .await;
    expect_added(&mut ann, &channel, "bob", json!({"n": 3})).await;
    drop(bob);
    expect_removed(&mut ann, &channel, "bob").await;
    server.finish().await;
}

#[tokio::test]
async fn member_whose_connection_is_reset_has_left() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut ann = server.connect().await;
    ann.subscribe_presence(&channel, "ann", json!({})).await;
    let mut bob = server.connect().await;
    bob.subscribe_presence(&channel, "bob", json!({})).await;
    expect_added(&mut ann, &channel, "bob", json!({})).await;
    bob.socket.connection().reset_on_drop();
    drop(bob);
    expect_removed(&mut ann, &channel, "bob").await;
    server.finish().await;
}

#[tokio::test]
async fn user_arrives_with_the_first_connection_and_leaves_after_the_last() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut watcher = server.connect().await;
    watcher
        .subscribe_presence(&channel, "watcher", json!({}))
        .await;
    let mut tabs = Vec::new();
    for tab in 0..4 {
        let mut client = server.connect().await;
        let roster = client
            .subscribe_presence(&channel, "ann", json!({"tab": tab}))
            .await;
        assert_eq!(roster.ids, ["ann", "watcher"]);
        tabs.push(client);
    }
    expect_added(&mut watcher, &channel, "ann", json!({"tab": 0})).await;
    watcher.expect_nothing().await;
    // The first goes before the last, by closing as by unsubscribing.
    drop(tabs.remove(0));
    tabs[0].unsubscribe(&channel).await;
    tabs[0].ping_fence().await;
    drop(tabs.remove(1));
    for tab in &mut tabs {
        tab.expect_nothing().await;
    }
    watcher.expect_nothing().await;
    drop(tabs);
    expect_removed(&mut watcher, &channel, "ann").await;
    watcher.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn first_connections_user_info_holds_until_the_user_has_left() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut first = server.connect().await;
    first
        .subscribe_presence(&channel, "ann", json!({"name": "first"}))
        .await;
    let mut second = server.connect().await;
    let roster = second
        .subscribe_presence(&channel, "ann", json!({"name": "second"}))
        .await;
    assert_eq!(roster.hash["ann"], json!({"name": "first"}));
    first.unsubscribe(&channel).await;
    first.ping_fence().await;
    let mut watcher = server.connect().await;
    let roster = watcher
        .subscribe_presence(&channel, "watcher", json!({}))
        .await;
    assert_eq!(roster.hash["ann"], json!({"name": "first"}));
    second
        .expect_event_on(&channel, "pusher_internal:member_added")
        .await;
    second.unsubscribe(&channel).await;
    expect_removed(&mut watcher, &channel, "ann").await;
    second
        .subscribe_presence(&channel, "ann", json!({"name": "third"}))
        .await;
    expect_added(&mut watcher, &channel, "ann", json!({"name": "third"})).await;
    server.finish().await;
}

#[tokio::test]
async fn subscribing_twice_is_answered_with_the_roster_again_and_changes_nothing() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut watcher = server.connect().await;
    watcher
        .subscribe_presence(&channel, "watcher", json!({}))
        .await;
    let mut ann = server.connect().await;
    let first = ann.subscribe_presence(&channel, "ann", json!({})).await;
    let again = ann.subscribe_presence(&channel, "ann", json!({})).await;
    assert_eq!(first, again);
    expect_added(&mut watcher, &channel, "ann", json!({})).await;
    watcher.expect_nothing().await;
    ann.unsubscribe(&channel).await;
    expect_removed(&mut watcher, &channel, "ann").await;
    ann.expect_nothing().await;
    watcher.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn numeric_user_id_is_used_as_its_string_everywhere() {
    // Sockudo refused it, though Laravel's ids are numbers.
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut watcher = server.connect().await;
    watcher
        .subscribe_presence(&channel, "watcher", json!({}))
        .await;
    let mut number = server.connect().await;
    number
        .send_signed_subscribe(&channel, Some(r#"{"user_id":42,"user_info":{"id":42}}"#))
        .await;
    let roster = number.expect_subscribed(&channel).await.data_json();
    assert_eq!(roster["presence"]["hash"]["42"], json!({"id": 42}));
    assert!(
        roster["presence"]["ids"]
            .as_array()
            .unwrap()
            .contains(&json!("42")),
        "{roster}"
    );
    expect_added(&mut watcher, &channel, "42", json!({"id": 42})).await;
    // As a string it is the same user.
    let mut text = server.connect().await;
    let roster = text.subscribe_presence(&channel, "42", json!({})).await;
    assert_eq!(roster.ids, ["42", "watcher"]);
    watcher.expect_nothing().await;
    number
        .send_client_event(&channel, "client-x", json!(1))
        .await;
    assert_eq!(
        watcher.expect_event("client-x").await.message["user_id"],
        "42"
    );
    let users = server.get(&format!("/channels/{channel}/users"), &[]).await;
    assert!(
        users["users"]
            .as_array()
            .unwrap()
            .contains(&json!({"id": "42"})),
        "{users}"
    );
    drop((number, text));
    expect_removed(&mut watcher, &channel, "42").await;
    server.finish().await;
}

#[tokio::test]
async fn user_info_is_any_json_and_passed_on_unchanged() {
    let server = TestServer::start().await;
    let infos = [
        json!({"name": "Ünï €😀", "nested": {"a": [1, 2.5, null, true]}}),
        json!([1, "two", {}]),
        json!("text \"quoted\" \\ \n"),
        json!(7),
        json!(false),
        json!({}),
    ];
    for user_info in infos {
        let channel = server.channel("presence-");
        let mut watcher = server.connect().await;
        watcher
            .subscribe_presence(&channel, "watcher", json!({}))
            .await;
        let mut ann = server.connect().await;
        let roster = ann
            .subscribe_presence(&channel, "ann", user_info.clone())
            .await;
        assert_eq!(roster.hash["ann"], user_info);
        expect_added(&mut watcher, &channel, "ann", user_info).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn absent_user_info_appears_as_an_empty_object() {
    // One member without it broke Reverb's channel for everyone who joined later.
    let server = TestServer::start().await;
    for data in [
        r#"{"user_id":"ann"}"#,
        r#"{"user_id":"ann","user_info":null}"#,
    ] {
        let channel = server.channel("presence-");
        let mut watcher = server.connect().await;
        watcher
            .subscribe_presence(&channel, "watcher", json!({}))
            .await;
        let mut ann = server.connect().await;
        ann.send_signed_subscribe(&channel, Some(data)).await;
        let roster = ann.expect_subscribed(&channel).await.data_json();
        assert_eq!(roster["presence"]["hash"]["ann"], json!({}), "{roster}");
        expect_added(&mut watcher, &channel, "ann", json!({})).await;
        let mut late = server.connect().await;
        assert_eq!(
            late.subscribe_presence(&channel, "late", json!({}))
                .await
                .hash["ann"],
            json!({})
        );
    }
    server.finish().await;
}

#[tokio::test]
async fn channel_data_must_be_there_and_name_a_user() {
    // Reverb accepted presence without channel_data.
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    for prefix in ["presence-", "presence-cache-"] {
        for data in [
            None,
            Some("{}"),
            Some(""),
            Some("not JSON"),
            Some("[]"),
            Some("null"),
            Some(r#""ann""#),
            Some(r#"{"user_id":null}"#),
            Some(r#"{"user_id":["ann"]}"#),
            Some(r#"{"user_id":{}}"#),
            Some(r#"{"user_info":{"user_id":"ann"}}"#),
        ] {
            let channel = server.channel(prefix);
            client.send_signed_subscribe(&channel, data).await;
            client.expect_subscription_error(&channel).await;
            let info = server.get(&format!("/channels/{channel}"), &[]).await;
            assert_eq!(info["occupied"], false, "{data:?}");
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn user_id_over_128_characters_is_refused() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut client = server.connect().await;
    let too_long = "ü".repeat(129);
    client
        .send_signed_subscribe(&channel, Some(&channel_data(&too_long, json!({}))))
        .await;
    client.expect_subscription_error(&channel).await;
    let longest = "ü".repeat(128);
    assert_eq!(
        client
            .subscribe_presence(&channel, &longest, json!({}))
            .await
            .ids,
        [longest]
    );
    server.finish().await;
}

#[tokio::test]
async fn user_info_over_1_kilobyte_is_refused() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut client = server.connect().await;
    // As JSON a text is two quotes longer.
    let too_large = channel_data("ann", "x".repeat(1023).into());
    client
        .send_signed_subscribe(&channel, Some(&too_large))
        .await;
    client.expect_subscription_error(&channel).await;
    let largest = "x".repeat(1022);
    client
        .subscribe_presence(&channel, "ann", largest.into())
        .await;
    server.finish().await;
}

#[tokio::test]
async fn limits_of_user_id_and_user_info_are_configurable() {
    let app = AppConfig::new("10001")
        .limit("presence_user_id_length", 3)
        .limit("presence_user_info_bytes", 10);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let channel = server.channel("presence-");
    let mut client = server.connect().await;
    for (user_id, user_info) in [("anna", json!({})), ("ann", json!("123456789"))] {
        client
            .send_signed_subscribe(&channel, Some(&channel_data(user_id, user_info)))
            .await;
        client.expect_subscription_error(&channel).await;
    }
    client
        .subscribe_presence(&channel, "ann", json!("12345678"))
        .await;
    server.finish().await;
}

#[tokio::test]
async fn channel_is_full_at_its_limit_but_for_the_members_further_connections() {
    let app = AppConfig::new("10001").limit("presence_members", 2);
    let server = or_skip!(TestServer::builder().app(app).start().await);
    let channel = server.channel("presence-");
    let mut ann = server.connect().await;
    ann.subscribe_presence(&channel, "ann", json!({})).await;
    let mut bob = server.connect().await;
    bob.subscribe_presence(&channel, "bob", json!({})).await;
    let mut eve = server.connect().await;
    eve.send_signed_subscribe(&channel, Some(&channel_data("eve", json!({}))))
        .await;
    let error = eve.expect_subscription_error(&channel).await;
    assert_eq!(error.data["type"], "LimitReached", "{}", error.text);
    let mut second_tab = server.connect().await;
    let roster = second_tab
        .subscribe_presence(&channel, "ann", json!({}))
        .await;
    assert_eq!(roster.ids, ["ann", "bob"]);
    eve.expect_nothing().await;
    bob.unsubscribe(&channel).await;
    bob.ping_fence().await;
    let roster = eve.subscribe_presence(&channel, "eve", json!({})).await;
    assert_eq!(roster.ids, ["ann", "eve"]);
    server.finish().await;
}

#[tokio::test]
async fn channel_holds_100_members_by_default() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut members = Vec::new();
    for number in 0..100 {
        let mut client = server.connect().await;
        let roster = client
            .subscribe_presence(&channel, &format!("u{number}"), json!({}))
            .await;
        assert_eq!(roster.count, number + 1);
        members.push(client);
    }
    let mut late = server.connect().await;
    late.send_signed_subscribe(&channel, Some(&channel_data("late", json!({}))))
        .await;
    let error = late.expect_subscription_error(&channel).await;
    assert_eq!(error.data["type"], "LimitReached", "{}", error.text);
    server.finish().await;
}

#[tokio::test]
async fn leave_is_seen_by_the_http_api_at_once() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut watcher = server.connect().await;
    watcher
        .subscribe_presence(&channel, "watcher", json!({}))
        .await;
    let mut ann = server.connect().await;
    ann.subscribe_presence(&channel, "ann", json!({})).await;
    let path = format!("/channels/{channel}");
    assert_eq!(
        server.get(&path, &[("info", "user_count")]).await["user_count"],
        2
    );
    ann.unsubscribe(&channel).await;
    ann.ping_fence().await;
    assert_eq!(
        server.get(&path, &[("info", "user_count")]).await["user_count"],
        1
    );
    let users = server.get(&format!("{path}/users"), &[]).await;
    assert_eq!(users, json!({"users": [{"id": "watcher"}]}));
    server.finish().await;
}

#[tokio::test]
async fn events_reach_every_connection_of_every_member() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut clients = Vec::new();
    for user_id in ["ann", "bob", "ann"] {
        let mut client = server.connect().await;
        client
            .subscribe_presence(&channel, user_id, json!({}))
            .await;
        clients.push(client);
    }
    expect_added(&mut clients[0], &channel, "bob", json!({})).await;
    server.publish(PublishedEvent::new(&channel, "x", "")).await;
    for client in &mut clients {
        client.expect_event_on(&channel, "x").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn user_ids_are_any_text() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-");
    let mut watcher = server.connect().await;
    watcher
        .subscribe_presence(&channel, "watcher", json!({}))
        .await;
    for user_id in [
        "ü€😀",
        "a b",
        "\"quoted\" \\",
        "a/b?c#d",
        "\n",
        "<x>",
        "__proto__",
        "0",
    ] {
        let mut client = server.connect().await;
        let roster = client
            .subscribe_presence(&channel, user_id, json!({}))
            .await;
        assert!(roster.ids.iter().any(|id| id == user_id), "{roster:?}");
        expect_added(&mut watcher, &channel, user_id, json!({})).await;
        drop(client);
        expect_removed(&mut watcher, &channel, user_id).await;
    }
    server.finish().await;
}
