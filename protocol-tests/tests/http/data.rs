//! The data of an event: it reaches clients byte for byte, up to its limit.

use protocol_tests::{AppConfig, PublishedEvent, Request, TestServer, WsClient, or_skip};
use serde_json::{Value, json};

use crate::support::{assert_refused, expect_refused, publish, subscriber};

/// A publish whose data is this JSON, written by hand.
fn publish_token(server: &TestServer, channel: &str, data: &str) -> Request {
    let body = format!(r#"{{"name":"x","channel":"{channel}","data":{data}}}"#);
    Request::post(server.app(), "/events").body(body)
}

/// Publishes the token and returns the data that a subscriber receives.
async fn received(
    server: &TestServer,
    client: &mut WsClient,
    channel: &str,
    token: &str,
) -> String {
    let request = publish_token(server, channel, token);
    server.request(&request).await.expect_status(200);
    let event = client.expect_event_on(channel, "x").await;
    event.data_text().to_owned()
}

#[tokio::test]
async fn data_string_arrives_byte_for_byte() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let controls: String = (0..0x20u8).map(char::from).collect();
    for data in [
        "",
        " ",
        "plain",
        r#"{"some":"data"}"#,
        "{\n  \"indented\" : [ 1 , 2 ]\n}",
        r#""quoted""#,
        r"back\slash \n \u0041",
        "/slashes/ </script>",
        "ünïcödé 频道 😀 e\u{301} \u{200b}",
        "\u{7f}\u{80}\u{2028}\u{2029}\u{feff}\u{fffd}\u{ffff}\u{10ffff}",
        &controls,
        "null",
        "123",
        "\0",
        "trailing newline\n",
        &"\"\\".repeat(2000),
    ] {
        server
            .publish(PublishedEvent::new(&channel, "x", data))
            .await;
        let event = client.expect_event_on(&channel, "x").await;
        assert_eq!(event.data_text(), data);
    }
    server.finish().await;
}

#[tokio::test]
async fn escapes_of_the_request_stand_for_their_characters() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    for (token, data) in [
        (r#""\u0041\u00e9\u20ac""#, "Aé€"),
        (r#""\ud83d\ude00""#, "😀"),
        (r#""\/ \" \\ \b\f\n\r\t""#, "/ \" \\ \u{8}\u{c}\n\r\t"),
        (r#""\u0000\u001F\u007f""#, "\0\u{1f}\u{7f}"),
        (r#""\u2028\u2029\uFEFF""#, "\u{2028}\u{2029}\u{feff}"),
        (r#""{\"a\":\"\\u00e9\"}""#, r#"{"a":"\u00e9"}"#),
    ] {
        assert_eq!(
            received(&server, &mut client, &channel, token).await,
            data,
            "{token}"
        );
    }
    server.finish().await;
}

#[tokio::test]
async fn half_a_surrogate_pair_is_400_naming_data() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    for token in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\ud83dx""#,
        r#""\ude00\ud83d""#,
    ] {
        let request = publish_token(&server, &channel, token);
        expect_refused(&server, &request, 400, "data").await;
    }
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn data_that_is_no_string_is_accepted_and_serialised() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    for token in [
        r#"{"b":1,"a":{"nested":[true,null,"é"]}}"#,
        "[1,2,3]",
        "{}",
        "[]",
        "0",
        "-1.5e3",
        "true",
        "false",
    ] {
        let data = received(&server, &mut client, &channel, token).await;
        let data: Value = serde_json::from_str(&data).expect("it is serialised as JSON");
        let sent: Value = serde_json::from_str(token).expect("the token is JSON");
        assert_eq!(data, sent);
    }
    for precise in ["12345678901234567890123", "0.1000", "1e400"] {
        let data = received(&server, &mut client, &channel, precise).await;
        assert_eq!(data, precise, "numbers keep their digits");
    }
    server.finish().await;
}

#[tokio::test]
async fn data_that_is_absent_or_null_is_400_naming_data() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let absent =
        Request::post(server.app(), "/events").json(&json!({"name": "x", "channel": channel}));
    expect_refused(&server, &absent, 400, "data").await;
    let null = publish_token(&server, &channel, "null");
    expect_refused(&server, &null, 400, "data").await;
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn data_of_exactly_10240_bytes_passes_and_one_more_is_413() {
    // Measured in bytes of the string, not in characters and not as it is escaped on its way.
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    for (unit, token) in [
        ("x", "x"),
        ("é", "é"),
        ("😀", "😀"),
        ("\n", r"\n"),
        ("\"", r#"\""#),
        ("\0", r"\u0000"),
        ("A", r"\u0041"),
        ("é", r"\u00e9"),
        ("😀", r"\ud83d\ude00"),
        ("/", r"\/"),
    ] {
        let count = 10_240 / unit.len();
        let full = token.repeat(count);
        let data = received(&server, &mut client, &channel, &format!("\"{full}\"")).await;
        assert!(data == unit.repeat(count), "{token}");
        let request = publish_token(&server, &channel, &format!("\"{full}x\""));
        let response = server.request(&request).await;
        assert_refused(&response, 413, "data");
        assert_refused(&response, 413, "10240");
    }
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn serialised_data_has_the_same_limit() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let object =
        |length: usize| format!(r#"{{"a":"{}"}}"#, "x".repeat(length - r#"{"a":""}"#.len()));
    let full = object(10_240);
    assert_eq!(received(&server, &mut client, &channel, &full).await, full);
    let request = publish_token(&server, &channel, &object(10_241));
    expect_refused(&server, &request, 413, "data").await;
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn limit_of_data_is_configurable() {
    for limit in [1i64, 5, 100_000] {
        let app = AppConfig::new("10001").limit("event_data_bytes", limit);
        let server = or_skip!(TestServer::builder().app(app).start().await);
        let (mut client, channel) = subscriber(&server, "public-").await;
        let full = "x".repeat(limit as usize);
        server
            .publish(PublishedEvent::new(&channel, "x", full.as_str()))
            .await;
        let event = client.expect_event_on(&channel, "x").await;
        assert_eq!(event.data_text(), full);
        let over = PublishedEvent::new(&channel, "x", format!("{full}x"));
        expect_refused(&server, &publish(server.app(), &over), 413, "data").await;
        server.finish().await;
    }
}
