//! The receiver, held to what its tests rely on, by requests of this harness's own client.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::net::TcpStream;

use super::*;
use crate::connection::Ended;
use crate::http::HttpClient;
use crate::request::Request;
use crate::sign;
use crate::subject::Endpoint;
use crate::wait::eventually;

fn app() -> App {
    App {
        id: "7".to_owned(),
        key: "key".to_owned(),
        secret: "secret".to_owned(),
    }
}

fn client(receiver: &Receiver) -> HttpClient {
    HttpClient::new(Endpoint {
        authority: receiver.authority(),
        prefix: String::new(),
    })
}

/// A good request about this channel.
fn request(id: &str, channel: &str) -> Request {
    let event = json!({"name": "channel_occupied", "channel": channel});
    signed(id, &event)
}

fn signed(id: &str, event: &Value) -> Request {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let body = json!({"time_ms": now.as_millis() as u64, "events": [event]}).to_string();
    let signature = sign::hmac_sha256_hex("secret", body.as_bytes());
    Request::new("POST", "/hook")
        .body(body)
        .header("User-Agent", "test")
        .header("X-Pusher-Key", "key")
        .header("X-Pusher-Signature", &signature)
        .header("X-Fanfare-Event-Id", id)
}

async fn post(http: &mut HttpClient, id: &str, channel: &str) -> u16 {
    http.send(&request(id, channel)).await.status
}

/// Sends a request that is not answered, and returns how the connection ended.
async fn post_in_vain(http: &mut HttpClient, id: &str) -> (Vec<u8>, Ended) {
    let bytes = request(id, "a").encode("receiver", "");
    http.send_raw(&bytes).await;
    http.read_to_end().await
}

#[tokio::test]
async fn requests_are_recorded_and_accepted_over_one_connection() {
    let mut receiver = Receiver::start(&[&app()]).await;
    let mut http = client(&receiver);
    for id in ["1", "2", "3"] {
        assert_eq!(post(&mut http, id, "a").await, 200);
    }
    assert_eq!(http.opened(), 1);
    assert_eq!(receiver.connections(), 1);
    for id in ["1", "2", "3"] {
        let event = receiver
            .expect_event(json!({"name": "channel_occupied", "channel": "a"}))
            .await;
        assert_eq!(event.id, id);
    }
    receiver.expect_nothing_more();
    let deliveries = receiver.deliveries();
    assert!(deliveries.iter().all(|delivery| delivery.accepted));
    assert!(deliveries.is_sorted_by_key(|delivery| delivery.arrived));
    assert_eq!(deliveries[2].target, "/hook");
}

#[tokio::test]
async fn scripts_decide_by_what_has_come() {
    let mut receiver = Receiver::start(&[&app()]).await;
    let mut http = client(&receiver);
    receiver.script(|delivery| match delivery.attempt {
        1 => Answer::Status(500),
        2 => Answer::Redirect(307, "/elsewhere".to_owned()),
        3 => Answer::Late(Duration::from_millis(20), 503),
        _ => Answer::Body(202, b"thanks".to_vec()),
    });
    for status in [500, 307, 503, 202] {
        assert_eq!(post(&mut http, "1", "a").await, status);
    }
    assert_eq!(post(&mut http, "2", "a").await, 500);
    assert_eq!(receiver.next_event().await.id, "1");
    receiver.expect_nothing_more();
    let deliveries = receiver.deliveries_on("a");
    let attempts: Vec<usize> = deliveries.iter().map(|d| d.attempt).collect();
    assert_eq!(attempts, [1, 2, 3, 4, 1]);
    assert_eq!(receiver.events().len(), 1);
    let took = deliveries[2].ended.unwrap() - deliveries[2].arrived;
    assert!(took >= Duration::from_millis(20), "{took:?}");
}

#[tokio::test]
async fn connections_are_ended_where_a_script_wants_it() {
    let receiver = Receiver::start(&[&app()]).await;
    let mut http = client(&receiver);
    receiver.cut_next(1);
    let (answer, _) = post_in_vain(&mut http, "1").await;
    assert!(answer.is_empty());
    assert_eq!(receiver.cuts_left(), 0);
    assert!(receiver.deliveries().is_empty());
    receiver.script(|delivery| match delivery.attempt {
        1 => Answer::Close,
        _ => Answer::Broken,
    });
    assert_eq!(post_in_vain(&mut http, "1").await, (Vec::new(), Ended::Eof));
    let (answer, _) = post_in_vain(&mut http, "1").await;
    assert!(answer.starts_with(b"HTTP/1.1 200") && !answer.ends_with(b"\r\n\r\n"));
    receiver.script(|_| Answer::ThenClose(200));
    assert_eq!(post(&mut http, "1", "a").await, 200);
    let (_, ended) = http.read_to_end().await;
    assert_eq!(ended, Ended::Eof);
    assert_eq!(receiver.events().len(), 1);
}

#[tokio::test]
async fn request_whose_sender_gives_up_is_not_accepted() {
    let receiver = Receiver::start(&[&app()]).await;
    receiver.script(|delivery| match delivery.attempt {
        1 => Answer::Never,
        2 => Answer::Late(Duration::from_secs(3600), 200),
        _ => Answer::OK,
    });
    for attempt in 1..=2 {
        let mut http = client(&receiver);
        http.send_raw(&request("1", "a").encode("receiver", ""))
            .await;
        receiver.wait_for_deliveries(attempt).await;
        assert!(receiver.deliveries()[attempt - 1].ended.is_none());
        http.disconnect();
        eventually("the receiver to see the end", || async {
            receiver.deliveries()[attempt - 1].ended.map(|_| ())
        })
        .await;
    }
    assert!(receiver.events().is_empty());
    assert_eq!(post(&mut client(&receiver), "1", "a").await, 200);
    assert_eq!(receiver.events().len(), 1);
}

#[tokio::test]
async fn connections_are_refused_for_a_while_on_the_same_port() {
    let mut receiver = Receiver::start(&[&app()]).await;
    let mut http = client(&receiver);
    assert_eq!(post(&mut http, "1", "a").await, 200);
    for id in ["2", "3"] {
        receiver.refuse_connections().await;
        http.read_to_end().await;
        let refused = TcpStream::connect(receiver.authority()).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        receiver.accept_connections();
        assert_eq!(post(&mut http, id, "a").await, 200);
    }
    assert_eq!(receiver.events().len(), 3);
    assert_eq!(receiver.connections(), 3);
}

/// How a receiver that was sent all of these judges them.
async fn faults_of(requests: &[Request]) -> String {
    let receiver = Receiver::start(&[&app()]).await;
    for (before, request) in requests.iter().enumerate() {
        let mut http = client(&receiver);
        http.send_raw(&request.encode("receiver", "")).await;
        eventually("the request to be read", || async {
            let record = receiver.shared.record();
            (record.deliveries.len() + record.faults.len() > before).then_some(())
        })
        .await;
    }
    std::mem::take(&mut receiver.shared.record().faults).join("\n")
}

#[tokio::test]
async fn what_breaks_the_rules_is_a_fault() {
    let good = || request("1", "a");
    assert_eq!(faults_of(&[good()]).await, "");
    let other = request("1", "b");
    for (requests, fault) in [
        (vec![request("", "a")], "no ids"),
        (vec![good().body("{}")], "does not sign"),
        (vec![good(), good()], "came again"),
        (vec![good(), other], "has the id of"),
        (vec![Request::new("GET", "/hook")], "method"),
        (vec![good().header("Content-Length", "x")], "Content-Length"),
    ] {
        let faults = faults_of(&requests).await;
        assert!(faults.contains(fault), "{fault:?} is not in {faults:?}");
    }
}

#[tokio::test]
async fn two_requests_of_one_channel_at_a_time_are_a_fault() {
    let receiver = Receiver::start(&[&app()]).await;
    receiver.script(|_| Answer::Never);
    let mut clients = [client(&receiver), client(&receiver), client(&receiver)];
    for (http, (id, channel)) in clients.iter_mut().zip([("1", "a"), ("2", "b"), ("3", "a")]) {
        let bytes = request(id, channel).encode("receiver", "");
        http.send_raw(&bytes).await;
    }
    eventually("all to have come", || async {
        let record = receiver.shared.record();
        (record.deliveries.len() == 3).then_some(())
    })
    .await;
    let faults = std::mem::take(&mut receiver.shared.record().faults);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains("under way"), "{faults:?}");
}

#[tokio::test]
#[should_panic(expected = "webhooks broke the rules")]
async fn faults_fail_the_test_when_the_receiver_is_dropped() {
    let receiver = Receiver::start(&[&app()]).await;
    let mut http = client(&receiver);
    http.send_raw(b"POST /hook HTTP/1.1\r\n\r\n").await;
    http.read_to_end().await;
}
