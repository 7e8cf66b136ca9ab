//! The client's address in headers of proxies.

use protocol_tests::{Request, or_skip};
use toml::Value;

use crate::support::{addresses, establish, talkative, upgrade};

/// The address that the server takes for the client's, with these headers from 127.0.0.1.
async fn seen(trusted: &[&str], cases: &[(&[(&str, &str)], &str)]) {
    let trusted: Vec<Value> = trusted.iter().map(|one| (*one).into()).collect();
    let server = talkative().set("server.trusted_proxies", trusted);
    let server = or_skip!(server.start().await);
    for (count, (headers, _)) in cases.iter().enumerate() {
        let mut upgrade = upgrade(&server);
        for (name, value) in *headers {
            upgrade.headers.push(((*name).into(), (*value).into()));
        }
        let _socket = establish(&server, server.connection().await, &upgrade).await;
        addresses(&server, "connected", count + 1).await;
    }
    let expected: Vec<&str> = cases.iter().map(|(_, expected)| *expected).collect();
    let seen = addresses(&server, "connected", cases.len()).await;
    assert_eq!(seen, expected);
    server.finish().await;
}

#[tokio::test]
async fn strangers_say_nothing_of_themselves() {
    seen(
        &[],
        &[
            (&[], "127.0.0.1"),
            (&[("X-Forwarded-For", "203.0.113.7")], "127.0.0.1"),
            (&[("Forwarded", "for=203.0.113.7")], "127.0.0.1"),
        ],
    )
    .await;
    let headers: &[(&str, &str)] = &[("X-Forwarded-For", "203.0.113.7")];
    seen(&["10.0.0.0/8", "unix"], &[(headers, "127.0.0.1")]).await;
}

#[tokio::test]
async fn trusted_proxies_name_the_client_and_what_stands_before_is_not_believed() {
    seen(
        &["127.0.0.0/8", "10.0.0.0/8"],
        &[
            (&[("X-Forwarded-For", "203.0.113.7")], "203.0.113.7"),
            (
                &[("X-Forwarded-For", "6.6.6.6, 203.0.113.7")],
                "203.0.113.7",
            ),
            (
                &[("X-Forwarded-For", "6.6.6.6, 203.0.113.7, 10.1.1.1")],
                "203.0.113.7",
            ),
            (
                &[
                    ("X-Forwarded-For", "6.6.6.6"),
                    ("X-Forwarded-For", "203.0.113.7"),
                ],
                "203.0.113.7",
            ),
            (&[("X-Forwarded-For", "[2001:db8::7]:4711")], "2001:db8::7"),
            (&[("X-Forwarded-For", "::ffff:203.0.113.7")], "203.0.113.7"),
            (&[("X-Forwarded-For", "203.0.113.7, garbage")], "127.0.0.1"),
            (
                &[(
                    "Forwarded",
                    "for=6.6.6.6, for=\"[2001:db8::7]:1\";proto=https",
                )],
                "2001:db8::7",
            ),
            (
                &[("Forwarded", "for=203.0.113.7, for=unknown")],
                "127.0.0.1",
            ),
            (
                &[
                    ("X-Forwarded-For", "203.0.113.7"),
                    ("Forwarded", "for=6.6.6.6"),
                ],
                "127.0.0.1",
            ),
            (
                &[
                    ("X-Forwarded-For", "203.0.113.7"),
                    ("Forwarded", "for=203.0.113.7"),
                ],
                "203.0.113.7",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn refused_requests_are_logged_with_who_made_them() {
    let server = talkative().set("server.trusted_proxies", vec!["127.0.0.1"]);
    let server = or_skip!(server.start().await);
    let request = Request::new("GET", "/nowhere").header("X-Forwarded-For", "203.0.113.7");
    let answer = server.request(&request).await.expect_status(404);
    let message = answer.json()["error"].as_str().map(str::to_owned);
    let message = message.unwrap_or_else(|| answer.text().trim().to_owned());
    assert_eq!(addresses(&server, &message, 1).await, ["203.0.113.7"]);
    server.finish().await;
}
