//! POST parameters may also stand in the query, with or without a body.

use protocol_tests::{Request, TestServer};
use serde_json::json;

use crate::support::{expect_refused, subscriber};

fn post(server: &TestServer, parameters: &[(&str, &str)]) -> Request {
    let request = Request::post(server.app(), "/events");
    parameters
        .iter()
        .fold(request, |request, (name, value)| request.query(name, value))
}

#[tokio::test]
async fn publish_without_a_body_takes_everything_from_the_query() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    for data in ["hello", "", "a b+c=d&e", "{\"a\":\"ü 😀\\n\"}", "%41"] {
        let request = post(
            &server,
            &[("name", "x"), ("channel", &channel), ("data", data)],
        );
        let response = server.request(&request).await.expect_status(200);
        assert_eq!(response.json(), json!({}));
        let event = client.expect_event_on(&channel, "x").await;
        assert_eq!(event.data_text(), data);
    }
    server.finish().await;
}

#[tokio::test]
async fn plus_in_a_parameter_means_space() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let request = post(&server, &[("channel", &channel)])
        .query_as_sent("name", "two words", "name=two+words")
        .query_as_sent("data", "a b c+d", "data=a+b%20c%2Bd");
    server.request(&request).await.expect_status(200);
    let event = client.expect_event_on(&channel, "two words").await;
    assert_eq!(event.data_text(), "a b c+d");
    server.finish().await;
}

#[tokio::test]
async fn several_channels_stand_in_the_query_with_brackets() {
    let server = TestServer::start().await;
    let base = server.channel("public-");
    let channels = [
        format!("{base}-1"),
        format!("{base}-2"),
        format!("{base}-3"),
    ];
    let mut client = server.connect().await;
    for channel in &channels {
        client.subscribe(channel).await;
    }
    let request = post(
        &server,
        &[
            ("channels[]", &channels[0]),
            ("channels[]", &channels[1]),
            ("data", "y"),
            ("name", "x"),
        ],
    );
    server.request(&request).await.expect_status(200);
    for channel in &channels[..2] {
        client.expect_event_on(channel, "x").await;
    }
    // Unencoded brackets too.
    let sent = format!("channels[]={}", channels[2]);
    let request = post(&server, &[("data", "y"), ("name", "x")]).query_as_sent(
        "channels[]",
        &channels[2],
        &sent,
    );
    server.request(&request).await.expect_status(200);
    client.expect_event_on(&channels[2], "x").await;
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn socket_id_and_info_may_stand_in_the_query() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let request = post(
        &server,
        &[
            ("name", "x"),
            ("channel", &channel),
            ("data", ""),
            ("socket_id", &client.socket_id),
            ("info", "subscription_count"),
        ],
    );
    let response = server.request(&request).await.expect_status(200);
    assert_eq!(
        response.json(),
        json!({"channels": {&channel: {"subscription_count": 1}}})
    );
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn body_and_query_may_share_the_parameters() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let request = post(&server, &[("name", "x"), ("channel", &channel)])
        .json(&json!({"data": "from the body"}));
    server.request(&request).await.expect_status(200);
    let event = client.expect_event_on(&channel, "x").await;
    assert_eq!(event.data_text(), "from the body");
    let request = post(&server, &[("data", "from the query")])
        .json(&json!({"name": "x", "channels": [channel]}));
    server.request(&request).await.expect_status(200);
    let event = client.expect_event_on(&channel, "x").await;
    assert_eq!(event.data_text(), "from the query");
    server.finish().await;
}

#[tokio::test]
async fn rules_are_the_same_in_the_query() {
    let server = TestServer::start().await;
    let whole = [("channel", "public"), ("data", ""), ("name", "x")];
    server
        .request(&post(&server, &whole))
        .await
        .expect_status(200);
    for (missing, names) in [(0, "channel"), (1, "data"), (2, "name")] {
        let mut parameters = whole.to_vec();
        parameters.remove(missing);
        expect_refused(&server, &post(&server, &parameters), 400, names).await;
    }
    let long = "x".repeat(10_241);
    for (position, value, status, names) in [
        (0, "bad name", 400, "channel"),
        (1, long.as_str(), 413, "data"),
        (2, "pusher:x", 400, "name"),
        (2, "", 400, "name"),
    ] {
        let mut parameters = whole.to_vec();
        parameters[position].1 = value;
        expect_refused(&server, &post(&server, &parameters), status, names).await;
    }
    for (name, value) in [("socket_id", "me"), ("info", "nonsense")] {
        let request = post(&server, &whole).query(name, value);
        expect_refused(&server, &request, 400, name).await;
    }
    server.finish().await;
}

#[tokio::test]
async fn terminate_needs_neither_body_nor_length() {
    let server = TestServer::start().await;
    let request = Request::post(server.app(), "/users/nobody/terminate_connections");
    let head = format!("POST {} HTTP/1.1\r\nHost: x\r\n\r\n", request.target(""));
    let mut http = server.http();
    http.send_raw(head.as_bytes()).await;
    http.read_response().await.expect_status(200);
    server.finish().await;
}
