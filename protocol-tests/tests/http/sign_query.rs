//! How the query enters the signed string: all of it but the signature, keys in lower case and sorted, values decoded.

use protocol_tests::{Request, TestServer};

use crate::support::{expect_refused, subscriber};

#[tokio::test]
async fn every_parameter_is_covered_known_or_not() {
    let server = TestServer::start().await;
    let request = Request::get(server.app(), "/channels")
        .query("zebra", "1")
        .query("aardvark", "2")
        .query("info", "subscription_count")
        .query("empty", "");
    server.request(&request).await.expect_status(200);
    server.finish().await;
}

#[tokio::test]
async fn keys_are_case_insensitive() {
    let server = TestServer::start().await;
    let (_client, channel) = subscriber(&server, "public-").await;
    // The harness signs keys in lower case, whatever is sent.
    let request = Request::get(server.app(), "/channels")
        .query("INFO", "subscription_count")
        .query("Filter_By_Prefix", &channel);
    let answer = server.request(&request).await.expect_status(200).json();
    assert_eq!(answer["channels"][&channel]["subscription_count"], 1);
    let target = Request::get(server.app(), "/channels").target("");
    let shouted = target
        .replace("auth_key", "AUTH_KEY")
        .replace("auth_timestamp", "Auth_Timestamp")
        .replace("auth_version", "auth_VERSION")
        .replace("auth_signature", "Auth_signature");
    assert_ne!(shouted, target);
    let request = Request::new("GET", &shouted);
    server.request(&request).await.expect_status(200);
    server.finish().await;
}

#[tokio::test]
async fn values_are_signed_decoded() {
    let server = TestServer::start().await;
    for value in [
        "a b",
        "a+b",
        "ü/€/😀",
        "a&b=c",
        "100%",
        "%41",
        "\"'<>",
        "?#",
        "",
    ] {
        let request = Request::get(server.app(), "/channels").query("x", value);
        server.request(&request).await.expect_status(200);
    }
    for (value, sent) in [
        ("a/b:c", "x=a/b:c"),
        ("abc", "x=%61%62%63"),
        ("ü", "x=%c3%bc"),
        ("ü", "x=%C3%BC"),
        ("a=b", "x=a=b"),
    ] {
        let request = Request::get(server.app(), "/channels").query_as_sent("x", value, sent);
        server.request(&request).await.expect_status(200);
        let encoded = sent.trim_start_matches("x=");
        if encoded != value {
            let as_sent = Request::get(server.app(), "/channels").query_as_sent("x", encoded, sent);
            expect_refused(&server, &as_sent, 401, "auth_signature").await;
        }
    }
    server.finish().await;
}

#[tokio::test]
async fn plus_means_space() {
    let server = TestServer::start().await;
    let request = Request::get(server.app(), "/channels");
    let as_space = request.clone().query_as_sent("x", "a b c", "x=a+b%20c");
    server.request(&as_space).await.expect_status(200);
    let as_plus = request.query_as_sent("x", "a+b", "x=a+b");
    expect_refused(&server, &as_plus, 401, "auth_signature").await;
    server.finish().await;
}

#[tokio::test]
async fn order_of_parameters_in_the_url_does_not_matter() {
    let server = TestServer::start().await;
    let target = Request::get(server.app(), "/channels")
        .query("info", "subscription_count")
        .query("b", "2")
        .query("a", "1")
        .target("");
    let (path, query) = target.split_once('?').expect("it is signed");
    let mut parameters: Vec<&str> = query.split('&').collect();
    for _ in 0..parameters.len() {
        parameters.rotate_left(1);
        let request = Request::new("GET", &format!("{path}?{}", parameters.join("&")));
        server.request(&request).await.expect_status(200);
    }
    server.finish().await;
}

#[tokio::test]
async fn odd_queries_are_401_and_no_more() {
    let server = TestServer::start().await;
    let path = format!("/apps/{}/channels", server.app().id);
    for query in [
        "",
        "&",
        "&&&",
        "=",
        "=&=",
        "%",
        "%z",
        "%00",
        "%ff%fe",
        "auth_key",
        "auth_key=",
        "a=b=c=d",
    ] {
        let request = Request::new("GET", &format!("{path}?{query}"));
        expect_refused(&server, &request, 401, "auth_").await;
    }
    server.finish().await;
}
