//! What is tried again.

use std::time::Duration;

use publisher::{Batch, Channel, Client, Error, Event, Retry};

use crate::server::{Answer, Received, Server};

/// As by default, but quicker.
fn quick() -> Retry {
    Retry::default().first_delay(Duration::from_millis(2))
}

fn client(server: &Server) -> Client {
    Client::new(server.config().retry(quick())).unwrap()
}

async fn trigger(client: &Client, event: &Event) -> Result<(), Error> {
    client
        .trigger(&[Channel::public("c")], event)
        .await
        .map(drop)
}

fn keys(received: &[Received]) -> Vec<&str> {
    received
        .iter()
        .map(|request| request.header("idempotency-key").expect("each has a key"))
        .collect()
}

#[tokio::test]
async fn whatever_may_heal_is_tried_until_it_has() {
    let failures = [Answer::status(500), Answer::Close, Answer::status(429)];
    let server = Server::answering(failures.into_iter().chain([Answer::ok("{}")])).await;
    trigger(&client(&server), &Event::text("e", ""))
        .await
        .unwrap();
    let received = server.received();
    assert_eq!(received.len(), 4);
    assert!(
        received
            .iter()
            .all(|request| request.body == received[0].body)
    );
}

#[tokio::test]
async fn silence_is_tried_again() {
    let server = Server::answering([Answer::Never, Answer::ok("{}")]).await;
    let config = server
        .config()
        .timeout(Duration::from_secs(2))
        .retry(quick());
    trigger(&Client::new(config).unwrap(), &Event::text("e", ""))
        .await
        .unwrap();
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn the_last_failure_is_reported() {
    let server = Server::answering([Answer::status(502)]).await;
    let error = trigger(&client(&server), &Event::text("e", ""))
        .await
        .unwrap_err();
    assert!(
        error.can_retry() && error.to_string().contains("502"),
        "{error}"
    );
    assert_eq!(server.received().len(), 4);
}

#[tokio::test]
async fn what_will_not_heal_is_tried_once() {
    for status in [400, 401, 403, 404, 413] {
        let server = Server::answering([Answer::status(status)]).await;
        trigger(&client(&server), &Event::text("e", ""))
            .await
            .unwrap_err();
        server.only_request();
    }
}

#[tokio::test]
async fn a_wait_beyond_the_time_there_is_ends_at_once() {
    let wait = Answer::Reply(503, "Retry-After: 3600\r\n", String::new());
    let server = Server::answering([wait]).await;
    let error = trigger(&client(&server), &Event::text("e", ""))
        .await
        .unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    server.only_request();
}

#[tokio::test]
async fn every_try_of_a_call_has_the_same_key() {
    let down_at_first = || [Answer::status(503), Answer::ok("{}")];
    let server = Server::answering([down_at_first(), down_at_first()].concat()).await;
    for _ in 0..2 {
        trigger(&client(&server), &Event::text("e", ""))
            .await
            .unwrap();
    }
    let received = server.received();
    let made_up = keys(&received);
    assert_eq!(made_up[0], made_up[1]);
    assert_ne!(made_up[1], made_up[2]);
    assert_eq!(made_up[0].len(), 32);

    let server = Server::answering(down_at_first()).await;
    trigger(
        &client(&server),
        &Event::text("e", "").idempotency_key("own"),
    )
    .await
    .unwrap();
    assert_eq!(keys(&server.received()), ["own", "own"]);

    let server = Server::answering(down_at_first()).await;
    let batch = Batch::new().event(Channel::public("c"), Event::text("e", ""));
    client(&server).trigger_batch(&batch).await.unwrap();
    let received = server.received();
    assert_eq!(keys(&received)[0], keys(&received)[1]);
}
