//! The cases of WebSocket conformance suites, read and judged by another client's library, over TCP and over TLS,
//! with compression and without.

use protocol_tests::{AppConfig, Secured, TestServer, TestServerBuilder, within};

use crate::script::{Interpreter, Script, settings_over_tls};

const SCRIPT: &str = "libraries/websocket_cases.py";

/// Without compression, and with it; a change of the number is one of the cases.
const CASES: [(&str, usize); 2] = [("none", 333), ("deflate", 366)];

/// A server to which a client may send more than people do, and messages of up to 2 MiB.
fn builder() -> TestServerBuilder {
    let app = AppConfig::new("10001")
        .limit("client_events_per_second", 100_000)
        .limit("messages_per_second", 100_000)
        .limit("event_data_bytes", 2 << 20)
        .limit("message_bytes", 2 << 20)
        .limit("outbox_bytes", 64 << 20);
    TestServer::builder().app(app)
}

/// Reads what became of each case, of which there are so many.
async fn every_case_succeeds(mut script: Script, expected: usize) {
    let (mut cases, mut failures) = (0, Vec::new());
    while let Some(line) = within("the next case", script.line()).await {
        cases += 1;
        if !line.ends_with(": ok") {
            failures.push(line);
        }
    }
    let ended = script.ended().await;
    assert!(ended.succeeded, "{}", ended.stderr);
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_eq!(cases, expected);
}

#[tokio::test]
async fn every_case_over_tcp() {
    for (compression, expected) in CASES {
        let server = builder().start().await.expect("it is a relay of its own");
        let arguments = [SCRIPT, compression];
        let script = Script::start(Interpreter::Python, &arguments, Some(&server));
        every_case_succeeds(script, expected).await;
        server.finish().await;
    }
}

#[tokio::test]
async fn every_case_over_tls() {
    for (compression, expected) in CASES {
        let secured = Secured::start_with(builder()).await;
        let (settings, certificate) = (
            Some(settings_over_tls(&secured)),
            Some(secured.certificate()),
        );
        let arguments = [SCRIPT, compression];
        let script = Script::start_trusting(Interpreter::Python, &arguments, settings, certificate);
        every_case_succeeds(script, expected).await;
        secured.finish().await;
    }
}
