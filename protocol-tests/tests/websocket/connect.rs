//! Connecting: the first message, and every reason to refuse one.

use std::collections::HashSet;

use protocol_tests::{AppConfig, Event, TestServer, Upgrade, eventually, or_skip};
use serde_json::Value;

use crate::support::{assert_members, assert_served, upgrade};

#[tokio::test]
async fn first_message_is_connection_established_with_its_data_as_a_string() {
    let server = TestServer::start().await;
    let upgrade = upgrade(
        server.app(),
        "protocol=7&client=js&version=8.4.0&flash=false",
    );
    let mut socket = server.open(&upgrade).await.unwrap();
    let event = Event::parse(&socket.read_text().await);
    assert_eq!(event.name, "pusher:connection_established");
    assert_members(&event, &["event", "data"]);
    let data = event.data_json();
    let members: Vec<&String> = data.as_object().unwrap().keys().collect();
    assert_eq!(members, ["activity_timeout", "socket_id"]);
    assert!(data["activity_timeout"].as_u64().unwrap() > 0);
    assert_is_socket_id(data["socket_id"].as_str().unwrap());
    server.finish().await;
}

fn assert_is_socket_id(text: &str) {
    let (first, second) = text.split_once('.').expect("a socket id has a dot");
    for part in [first, second] {
        let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        assert!(is_number, r"{text:?} does not match ^\d+\.\d+$");
    }
}

#[tokio::test]
async fn activity_timeout_is_30_by_default_and_else_the_configured_one() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    assert_eq!(server.connect().await.activity_timeout, 30);
    server.finish().await;
    let builder = TestServer::builder().set("server.activity_timeout", 77);
    let server = or_skip!(builder.start().await);
    assert_eq!(server.connect().await.activity_timeout, 77);
    server.finish().await;
}

#[tokio::test]
async fn socket_ids_are_unique_and_hard_to_guess_from_one_another() {
    let server = TestServer::start().await;
    let mut ids = Vec::new();
    for _ in 0..64 {
        ids.push(server.connect().await.socket_id);
    }
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    let numbers: Vec<(u128, u128)> = ids
        .iter()
        .map(|id| {
            assert_is_socket_id(id);
            let (first, second) = id.split_once('.').unwrap();
            (first.parse().unwrap(), second.parse().unwrap())
        })
        .collect();
    let near = |a: u128, b: u128| a.abs_diff(b) <= 1_000;
    for pair in numbers.windows(2) {
        let [(a, b), (c, d)] = [pair[0], pair[1]];
        assert!(!(near(a, c) && near(b, d)), "{a}.{b} reveals {c}.{d}");
    }
    server.finish().await;
}

#[tokio::test]
async fn every_path_prefix_can_be_configured() {
    let builder = TestServer::builder().set("server.path_prefix", "/ws/v1");
    let server = or_skip!(builder.start().await);
    assert_eq!(server.endpoint().prefix, "/ws/v1");
    let mut client = server.connect().await;
    assert_served(&server, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn websocket_and_http_api_share_one_host_and_port() {
    let server = TestServer::start().await;
    let mut client = server.connect().await;
    assert_served(&server, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn unknown_key_is_closed_with_4001() {
    // Sockudo ended the TCP connection without a word, so that clients retried for ever.
    let server = TestServer::start().await;
    let upgrade = Upgrade::new("/app/no-such-key?protocol=7");
    let (error, close) = server.open_refused(&upgrade).await;
    assert_eq!(close.code, Some(4001));
    assert!(error.data.is_object(), "{}", error.text);
    server.finish().await;
}

#[tokio::test]
async fn disabled_app_is_closed_with_4003() {
    let builder = TestServer::builder()
        .app(AppConfig::new("10001").set("enabled", false))
        .app(AppConfig::new("10002"));
    let server = or_skip!(builder.start().await);
    let (_, close) = server
        .open_refused(&upgrade(server.app(), "protocol=7"))
        .await;
    assert_eq!(close.code, Some(4003));
    let mut other = server.connect_to(server.second_app()).await;
    assert_served(&server, &mut other).await;
    server.finish().await;
}

#[tokio::test]
async fn connection_over_the_quota_is_closed_with_4004_and_a_place_that_is_left_can_be_taken() {
    // Reverb sent the error and left the socket open, free to subscribe.
    let builder = TestServer::builder().app(AppConfig::new("10001").limit("max_connections", 2));
    let server = or_skip!(builder.start().await);
    let mut first = server.connect().await;
    let second = server.connect().await;
    for _ in 0..3 {
        let (_, close) = server
            .open_refused(&upgrade(server.app(), "protocol=7"))
            .await;
        assert_eq!(close.code, Some(4004));
    }
    assert_served(&server, &mut first).await;
    drop(second);
    let mut third = eventually("a place to be free again", || async {
        let mut socket = server
            .open(&upgrade(server.app(), "protocol=7"))
            .await
            .unwrap();
        let event = Event::parse(&socket.read_text().await);
        (event.name == "pusher:connection_established").then_some(socket)
    })
    .await;
    let (_, close) = server
        .open_refused(&upgrade(server.app(), "protocol=7"))
        .await;
    assert_eq!(close.code, Some(4004));
    third.send(protocol_tests::Frame::close(1000, "")).await;
    server.finish().await;
}

#[tokio::test]
async fn server_over_its_capacity_closes_with_4100_and_goes_on_serving_the_others() {
    let builder = TestServer::builder().set("server.max_connections", 2);
    let server = or_skip!(builder.start().await);
    let mut first = server.connect().await;
    let _second = server.connect().await;
    let (_, close) = server
        .open_refused(&upgrade(server.app(), "protocol=7"))
        .await;
    assert_eq!(close.code, Some(4100));
    assert_served(&server, &mut first).await;
    server.finish().await;
}

#[tokio::test]
async fn unknown_path_is_closed_with_4005() {
    let server = TestServer::start().await;
    for path in ["/", "/app", "/app/", "/nowhere", "/app/key/more"] {
        let upgrade = Upgrade::new(&format!("{path}?protocol=7"));
        let (_, close) = server.open_refused(&upgrade).await;
        assert_eq!(close.code, Some(4005), "{path}");
    }
    server.finish().await;
}

#[tokio::test]
async fn protocol_versions_4_to_7_are_served() {
    let server = TestServer::start().await;
    for version in 4..=7 {
        let upgrade = upgrade(server.app(), &format!("protocol={version}"));
        let mut client = server.connect_with(server.app(), &upgrade).await;
        assert_served(&server, &mut client).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn protocol_that_is_not_a_number_is_closed_with_4006() {
    // None of soketi, Sockudo and Reverb looked at the version.
    let server = TestServer::start().await;
    for version in ["seven", "", "7x", "%00"] {
        let upgrade = upgrade(server.app(), &format!("protocol={version}&version=8.4.0"));
        let (_, close) = server.open_refused(&upgrade).await;
        assert_eq!(close.code, Some(4006), "protocol={version:?}");
    }
    server.finish().await;
}

#[tokio::test]
async fn any_other_protocol_version_is_closed_with_4007() {
    let server = TestServer::start().await;
    for version in ["0", "1", "3", "8", "70", "4294967303"] {
        let upgrade = upgrade(server.app(), &format!("protocol={version}&version=8.4.0"));
        let (_, close) = server.open_refused(&upgrade).await;
        assert_eq!(close.code, Some(4007), "protocol={version}");
    }
    server.finish().await;
}

#[tokio::test]
async fn missing_protocol_is_taken_as_supported_when_a_version_is_given() {
    let server = TestServer::start().await;
    let upgrade = upgrade(server.app(), "client=js&version=8.4.0");
    let mut client = server.connect_with(server.app(), &upgrade).await;
    assert_served(&server, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn missing_protocol_without_a_version_is_closed_with_4008() {
    let server = TestServer::start().await;
    for target in ["", "?", "?client=js"] {
        let upgrade = Upgrade::new(&format!("/app/{}{target}", server.app().key));
        let (_, close) = server.open_refused(&upgrade).await;
        assert_eq!(close.code, Some(4008), "{target:?}");
    }
    server.finish().await;
}

#[tokio::test]
async fn unknown_query_parameters_are_ignored() {
    let server = TestServer::start().await;
    let upgrade = upgrade(
        server.app(),
        "colour=blue&protocol=7&&x&=y&%zz=1&flash=true",
    );
    let mut client = server.connect_with(server.app(), &upgrade).await;
    assert_served(&server, &mut client).await;
    server.finish().await;
}

#[tokio::test]
async fn refusals_name_code_and_message_in_an_error_object() {
    let server = TestServer::start().await;
    let upgrade = upgrade(server.app(), "protocol=99");
    let (error, close) = server.open_refused(&upgrade).await;
    assert_members(&error, &["event", "data"]);
    let data = error.data.as_object().unwrap();
    assert_eq!(data.len(), 2, "{}", error.text);
    assert_eq!(data["code"], Value::from(close.code.unwrap()));
    server.finish().await;
}
