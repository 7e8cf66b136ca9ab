//! `GET /apps/{id}/channels`: the occupied channels.

use protocol_tests::{PublishedEvent, Request, TestServer};
use serde_json::{Value, json};

use crate::support::expect_refused;

/// The channels of the answer whose names hold `mark`, so that a foreign server's own do not count.
async fn list(server: &TestServer, mark: &str, query: &[(&str, &str)]) -> Value {
    let answer = server.get("/channels", query).await;
    let channels = answer["channels"].as_object();
    let channels = channels.unwrap_or_else(|| panic!("channels is no object: {answer}"));
    let own = channels.iter().filter(|(name, _)| name.contains(mark));
    Value::Object(
        own.map(|(name, attributes)| (name.clone(), attributes.clone()))
            .collect(),
    )
}

#[tokio::test]
async fn list_without_info_maps_each_occupied_channel_to_an_empty_object() {
    let server = TestServer::start().await;
    let mark = protocol_tests::names::unique("m");
    let names = ["public-", "private-", "private-encrypted-", "presence-"]
        .map(|prefix| format!("{prefix}{mark}"));
    let mut client = server.connect().await;
    for name in &names[..3] {
        client.subscribe(name).await;
    }
    client.subscribe_presence(&names[3], "u1", json!({})).await;
    server
        .publish(PublishedEvent::new(
            &format!("cache-{mark}"),
            "x",
            "nobody is on it",
        ))
        .await;
    let expected: Value = names.iter().map(|name| (name.clone(), json!({}))).collect();
    assert_eq!(list(&server, &mark, &[]).await, expected);
    client.unsubscribe(&names[0]).await;
    client.ping_fence().await;
    let left: Value = names[1..]
        .iter()
        .map(|name| (name.clone(), json!({})))
        .collect();
    assert_eq!(list(&server, &mark, &[]).await, left);
    server.finish().await;
}

#[tokio::test]
async fn list_is_never_seconds_old() {
    // Sockudo's was.
    let server = TestServer::start().await;
    let channel = server.channel("public-");
    let mut client = server.connect().await;
    for _ in 0..20 {
        client.subscribe(&channel).await;
        assert_eq!(list(&server, &channel, &[]).await, json!({&channel: {}}));
        client.unsubscribe(&channel).await;
        client.ping_fence().await;
        assert_eq!(list(&server, &channel, &[]).await, json!({}));
    }
    server.finish().await;
}

#[tokio::test]
async fn filter_by_prefix_leaves_the_others_out() {
    let server = TestServer::start().await;
    let mark = protocol_tests::names::unique("m");
    let [a, ab, private] = ["a-", "a-b-", "private-a-"].map(|prefix| format!("{prefix}{mark}"));
    let mut client = server.connect().await;
    for name in [&a, &ab, &private] {
        client.subscribe(name).await;
    }
    for (prefix, names) in [
        ("a-", vec![&a, &ab]),
        ("a-b", vec![&ab]),
        (a.as_str(), vec![&a]),
        ("private-", vec![&private]),
        ("", vec![&a, &ab, &private]),
        ("A-", vec![]),
        ("-a", vec![]),
    ] {
        let expected: Value = names
            .iter()
            .map(|name| (name.to_string(), json!({})))
            .collect();
        assert_eq!(
            list(&server, &mark, &[("filter_by_prefix", prefix)]).await,
            expected,
            "{prefix}"
        );
    }
    server.finish().await;
}

#[tokio::test]
async fn no_match_is_an_empty_object() {
    // Reverb answered with a list where an object is due.
    let server = TestServer::start().await;
    for prefix in [
        server.channel("nobody-"),
        "presence-nobody-".to_owned(),
        "no such name ü".to_owned(),
    ] {
        let answer = server
            .get("/channels", &[("filter_by_prefix", &prefix)])
            .await;
        assert_eq!(answer, json!({"channels": {}}));
    }
    server.finish().await;
}

#[tokio::test]
async fn user_count_is_reported_of_presence_channels_with_a_presence_prefix() {
    let server = TestServer::start().await;
    let channel = server.channel("presence-room-");
    let mut tabs = [
        server.connect().await,
        server.connect().await,
        server.connect().await,
    ];
    for (tab, user) in tabs.iter_mut().zip(["u1", "u1", "u2"]) {
        tab.subscribe_presence(&channel, user, json!({})).await;
    }
    for prefix in ["presence-", "presence-room-", &channel] {
        let answer = list(
            &server,
            &channel,
            &[("filter_by_prefix", prefix), ("info", "user_count")],
        )
        .await;
        assert_eq!(answer, json!({&channel: {"user_count": 2}}));
    }
    let both = [
        ("filter_by_prefix", "presence-"),
        ("info", "user_count,subscription_count"),
    ];
    let answer = list(&server, &channel, &both).await;
    assert_eq!(
        answer,
        json!({&channel: {"user_count": 2, "subscription_count": 3}})
    );
    server.finish().await;
}

#[tokio::test]
async fn user_count_without_a_presence_prefix_is_400_naming_what_is_wrong() {
    let server = TestServer::start().await;
    let request = Request::get(server.app(), "/channels");
    let no_prefix = request.clone().query("info", "user_count");
    expect_refused(&server, &no_prefix, 400, "filter_by_prefix").await;
    for prefix in [
        "",
        "p",
        "presence",
        "private-",
        "public",
        "Presence-",
        " presence-",
        "xpresence-",
    ] {
        let request = request
            .clone()
            .query("info", "user_count")
            .query("filter_by_prefix", prefix);
        expect_refused(&server, &request, 400, "user_count").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn subscription_count_needs_no_prefix() {
    let server = TestServer::start().await;
    let mark = protocol_tests::names::unique("m");
    let [public, private] = ["public-", "private-"].map(|prefix| format!("{prefix}{mark}"));
    let mut first = server.connect().await;
    let mut second = server.connect().await;
    first.subscribe(&public).await;
    first.subscribe(&private).await;
    second.subscribe(&public).await;
    let answer = list(&server, &mark, &[("info", "subscription_count")]).await;
    let expected = json!({&public: {"subscription_count": 2}, &private: {"subscription_count": 1}});
    assert_eq!(answer, expected);
    server.finish().await;
}

#[tokio::test]
async fn unknown_attribute_is_400_naming_info() {
    let server = TestServer::start().await;
    for info in ["nonsense", "subscription_count,nonsense", "users"] {
        let request = Request::get(server.app(), "/channels").query("info", info);
        expect_refused(&server, &request, 400, "info").await;
    }
    server.finish().await;
}

#[tokio::test]
async fn hundreds_of_channels_are_all_listed() {
    let server = TestServer::start().await;
    let base = server.channel("public-");
    let mut client = server.connect().await;
    for number in 0..500 {
        client
            .send_subscribe(&format!("{base}-{number}"), None, None)
            .await;
    }
    client.next_events(500).await;
    let answer = list(&server, &base, &[("info", "subscription_count")]).await;
    let channels = answer.as_object().expect("it is an object");
    assert_eq!(channels.len(), 500);
    assert!(
        channels
            .values()
            .all(|attributes| attributes["subscription_count"] == 1)
    );
    server.finish().await;
}
