//! Everything invalid is 400 with a message that names the field.

use protocol_tests::{Request, TestServer};
use serde_json::{Value, json};

use crate::support::{expect_refused, subscriber};

/// The whole body of a publish.
fn events(server: &TestServer, body: impl Into<Vec<u8>>) -> Request {
    Request::post(server.app(), "/events").body(body)
}

#[tokio::test]
async fn body_that_is_no_json_object_is_400() {
    // Reverb answered 500; a null body ended soketi.
    let server = TestServer::start().await;
    for path in ["/events", "/batch_events"] {
        for body in [
            "null",
            "true",
            "1",
            "\"x\"",
            "[]",
            "[{}]",
            "{",
            "}",
            "{]",
            "{\"name\"}",
            "{\"name\":}",
            "nonsense",
            "{}{}",
            "{\"name\":\"x\",}",
            "{'name':'x'}",
            "\u{feff}{}",
            "{\"name\":\"x\"} trailing",
            " ",
            "\n",
            "\0",
            "NaN",
        ] {
            let request = Request::post(server.app(), path).body(body);
            let response = server.request(&request).await;
            assert_eq!(response.status, 400, "{path} {body:?}: {}", response.text());
            assert!(response.json()["error"].is_string(), "{body:?}");
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn body_that_is_no_utf8_is_400() {
    let server = TestServer::start().await;
    for bytes in [
        &b"\xff\xfe"[..],
        b"{\"name\":\"\xff\",\"channel\":\"c\",\"data\":\"\"}",
        b"\x80",
        b"\xc3\x28",
    ] {
        let request = events(&server, bytes);
        server.request(&request).await.expect_status(400);
    }
    let in_data = b"{\"name\":\"x\",\"channel\":\"c\",\"data\":\"\xed\xa0\x80\"}";
    server
        .request(&events(&server, &in_data[..]))
        .await
        .expect_status(400);
    server.finish().await;
}

#[tokio::test]
async fn missing_and_null_required_fields_are_400_naming_them() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let whole = json!({"name": "x", "channel": channel, "data": ""});
    for (field, names) in [("name", "name"), ("channel", "channel"), ("data", "data")] {
        let mut without = whole.clone();
        without
            .as_object_mut()
            .expect("it is an object")
            .remove(field);
        let mut null = whole.clone();
        null[field] = Value::Null;
        for body in [without, null] {
            expect_refused(&server, &events(&server, body.to_string()), 400, names).await;
            let request =
                Request::post(server.app(), "/batch_events").json(&json!({"batch": [whole, body]}));
            expect_refused(&server, &request, 400, names).await;
        }
    }
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn fields_of_the_wrong_type_are_400_naming_them() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let whole = json!({"name": "x", "channel": channel, "data": ""});
    for (field, values) in [
        (
            "name",
            vec![json!(1), json!(true), json!([]), json!({}), json!(["x"])],
        ),
        (
            "channel",
            vec![
                json!(1),
                json!(false),
                json!([channel]),
                json!({"0": channel}),
            ],
        ),
        (
            "channels",
            vec![
                json!(channel),
                json!(1),
                json!({"0": channel}),
                json!([1]),
                json!([null]),
                json!([[channel]]),
            ],
        ),
        (
            "info",
            vec![
                json!(1),
                json!(true),
                json!(["subscription_count"]),
                json!({}),
            ],
        ),
    ] {
        for value in values {
            let mut body = whole.clone();
            if field == "channels" {
                body.as_object_mut()
                    .expect("it is an object")
                    .remove("channel");
            }
            body[field] = value;
            expect_refused(&server, &events(&server, body.to_string()), 400, field).await;
        }
    }
    client.expect_nothing().await;
    server.finish().await;
}

#[tokio::test]
async fn empty_list_of_channels_is_400_naming_it() {
    let server = TestServer::start().await;
    let body = json!({"name": "x", "channels": [], "data": ""});
    expect_refused(&server, &events(&server, body.to_string()), 400, "channels").await;
    server.finish().await;
}

#[tokio::test]
async fn field_given_twice_is_no_internal_error() {
    let server = TestServer::start().await;
    let body = r#"{"name":"x","name":"y","channel":"c","data":"","data":""}"#;
    let response = server.request(&events(&server, body)).await;
    assert!(matches!(response.status, 200 | 400), "{}", response.status);
    server.finish().await;
}

#[tokio::test]
async fn white_space_around_json_is_allowed() {
    let server = TestServer::start().await;
    let (mut client, channel) = subscriber(&server, "public-").await;
    let body = format!(
        "\r\n\t {{ \"name\" : \"x\" ,\n \"channel\" : \"{channel}\" , \"data\" : \"\" }} \n"
    );
    server
        .request(&events(&server, body))
        .await
        .expect_status(200);
    client.expect_event_on(&channel, "x").await;
    server.finish().await;
}
