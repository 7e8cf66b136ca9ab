//! Every request is signed as the protocol asks.

use protocol_tests::request::now;
use protocol_tests::sign::{hmac_sha256_hex, http_string_to_sign, md5_hex};
use publisher::{Channel, Client, Event, Info, Retry};

use crate::server::{Answer, Received, Server};

/// Checks a request against the rules, written down a second time.
fn assert_signed(request: &Received, path: &str) {
    let parameters: Vec<_> = request
        .query
        .iter()
        .filter(|(name, _)| name != "auth_signature")
        .cloned()
        .collect();
    let text = http_string_to_sign(&request.method, path, &parameters);
    assert_eq!(
        request.parameter("auth_signature"),
        hmac_sha256_hex("secret", text.as_bytes()),
        "{text}"
    );
    assert_eq!(request.parameter("auth_key"), "key");
    assert_eq!(request.parameter("auth_version"), "1.0");
    let timestamp: u64 = request.parameter("auth_timestamp").parse().unwrap();
    assert!(timestamp.abs_diff(now()) < 60, "{timestamp}");
    let md5 = if request.body.is_empty() {
        String::new()
    } else {
        md5_hex(request.body.as_bytes())
    };
    assert_eq!(request.parameter("body_md5"), md5);
}

#[tokio::test]
async fn posts_and_gets_are_signed_with_their_parameters() {
    let server = Server::answering([Answer::ok(r#"{"channels":{}}"#)]).await;
    let client = server.client();
    client
        .trigger(&[Channel::public("c")], &Event::text("e", "grüße"))
        .await
        .unwrap();
    client
        .channels("ä &=+%/?", &[Info::SubscriptionCount])
        .await
        .unwrap();
    client.terminate_connections("ä/b").await.unwrap();
    for request in server.received() {
        assert_signed(&request, &request.path);
    }
}

#[tokio::test]
async fn a_path_prefix_goes_over_the_wire_unsigned() {
    let server = Server::answering([Answer::ok("{}")]).await;
    let config = server.config().path("/relay/").retry(Retry::none());
    let client = Client::new(config).unwrap();
    client
        .trigger(&[Channel::public("c")], &Event::text("e", ""))
        .await
        .unwrap();
    let request = server.only_request();
    assert_eq!(request.path, "/relay/apps/app/events");
    assert_signed(&request, "/apps/app/events");
}

/// A signature is good for minutes; a try after that would be refused for the time of the first.
#[tokio::test]
async fn every_try_is_signed_afresh() {
    let wait = Answer::Reply(503, "Retry-After: 1\r\n", "wait".into());
    let server = Server::answering([wait, Answer::ok("{}")]).await;
    let client = Client::new(server.config()).unwrap();
    client
        .trigger(&[Channel::public("c")], &Event::text("e", ""))
        .await
        .unwrap();
    let received = server.received();
    let times: Vec<u64> = received
        .iter()
        .map(|request| request.parameter("auth_timestamp").parse().unwrap())
        .collect();
    assert!(times[0] < times[1], "{times:?}");
    for request in received {
        assert_signed(&request, "/apps/app/events");
    }
}
