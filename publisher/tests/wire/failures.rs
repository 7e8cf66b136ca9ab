//! What callers learn of failures.

use std::time::{Duration, Instant};

use publisher::{Channel, Client, Config, Error, Event, Retry, Scheme};
use tokio::net::TcpListener;

use crate::server::{Answer, Server};

async fn trigger(client: &Client) -> Result<(), Error> {
    client
        .trigger(&[Channel::public("c")], &Event::text("e", ""))
        .await
        .map(drop)
}

async fn failure(answer: Answer) -> Error {
    let server = Server::answering([answer]).await;
    trigger(&server.client()).await.unwrap_err()
}

#[tokio::test]
async fn a_refusal_keeps_the_servers_words() {
    for status in [400, 403, 404] {
        let error = failure(Answer::Reply(status, "", "no such thing\n".into())).await;
        let message = "no such thing".to_owned();
        assert_eq!(
            error,
            Error::Rejected {
                status: Some(status),
                message
            }
        );
        assert!(!error.can_retry());
    }
    let error = failure(Answer::Reply(401, "", "who?".into())).await;
    assert_eq!(
        error,
        Error::Unauthorized {
            message: "who?".into()
        }
    );
    let error = failure(Answer::Reply(413, "", "10 KB".into())).await;
    assert_eq!(
        error,
        Error::TooLarge {
            message: "10 KB".into()
        }
    );
}

#[tokio::test]
async fn a_refusal_is_a_sentence_whatever_it_comes_in() {
    let page = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>nginx</body></html>";
    for (status, body, shown) in [
        (
            404,
            r#"{"error":"no such app","status":404}"#,
            "refused with status 404: no such app",
        ),
        (
            400,
            r#"{"message":"The name\nis missing."}"#,
            "refused with status 400: The name is missing.",
        ),
        (
            502,
            page,
            "unavailable: status 502: 502 Bad Gateway (a page of HTML)",
        ),
        (
            403,
            "go\x1b[2J away\r\n",
            "refused with status 403: go [2J away",
        ),
    ] {
        let error = failure(Answer::Reply(status, "", body.into())).await;
        assert_eq!(error.to_string(), shown);
    }
    let long = failure(Answer::Reply(400, "", "é".repeat(100_000)))
        .await
        .to_string();
    assert!(long.len() < 600 && long.ends_with('…'), "{long}");
}

#[tokio::test]
async fn what_may_heal_comes_with_a_time() {
    for status in [408, 429, 500, 503] {
        let error = failure(Answer::Reply(status, "Retry-After: 9\r\n", String::new())).await;
        assert!(error.can_retry());
        assert_eq!(error.retry_after(), Some(Duration::from_secs(9)), "{error}");
    }
}

#[tokio::test]
async fn connections_that_break_may_heal() {
    for answer in [Answer::Close, Answer::Broken] {
        let error = failure(answer).await;
        assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    }
}

#[tokio::test]
async fn nobody_there_may_heal() {
    // A port that nobody listens on while the test holds it.
    let held = tokio::net::TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = Config::new("app", "key", "a-secret")
        .scheme(Scheme::Http)
        .host("127.0.0.1")
        .port(held.local_addr().unwrap().port())
        .retry(Retry::none());
    let error = trigger(&Client::new(config).unwrap()).await.unwrap_err();
    assert!(error.can_retry());
    assert!(error.to_string().contains("onnection refused"), "{error}");
}

#[tokio::test]
async fn silence_ends_with_the_timeout() {
    let server = Server::answering([Answer::Never]).await;
    let timeout = Duration::from_millis(50);
    let config = server.config().timeout(timeout).retry(Retry::none());
    let start = Instant::now();
    let error = trigger(&Client::new(config).unwrap()).await.unwrap_err();
    assert!(start.elapsed() >= timeout);
    assert_eq!(
        error,
        Error::Unavailable {
            retry_after: None,
            message: "there was no answer in time".into()
        }
    );
}

#[tokio::test]
async fn another_kind_of_server_is_distinguished_from_a_relay() {
    let error = failure(Answer::ok("<title>It works!</title>")).await;
    assert!(
        error.to_string().contains("It works! (a page of HTML)"),
        "{error}"
    );
    assert!(
        matches!(
            error,
            Error::Rejected {
                status: Some(200),
                ..
            }
        ),
        "{error}"
    );
}

/// What is signed goes nowhere else.
#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let location = format!("Location: http://{}/\r\n", elsewhere.local_addr().unwrap());
    let moved = Answer::Reply(307, Box::leak(location.into_boxed_str()), String::new());
    let error = failure(moved).await;
    // Whoever runs the server puts it right, and the same call succeeds.
    assert!(error.can_retry(), "{error}");
    let place = format!("points to http://{}/ (", elsewhere.local_addr().unwrap());
    assert!(error.to_string().contains(&place), "{error}");
    let arrived = elsewhere.into_std().unwrap().accept();
    assert_eq!(arrived.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}
