//! Clients of a relay by itself that is stopped and started again.

use protocol_tests::{TestServer, or_skip};

use crate::script::{Interpreter, Script};

#[tokio::test]
async fn clients_of_a_relay_that_is_restarted_are_closed_with_1001_and_come_back() {
    let mut server = or_skip!(TestServer::builder().to_be_restarted().start().await);
    let python = Interpreter::Python.path();
    let arguments = ["restarted.mjs", python.to_str().expect("UTF-8")];
    let mut script = Script::start(Interpreter::Node, &arguments, Some(&server));
    let mut back = Vec::new();
    while let Some(line) = script.line().await {
        if line == "@restart" {
            server = server.restart().await;
        } else {
            back.push(line);
        }
    }
    let ended = script.ended().await;
    assert!(ended.succeeded, "after {back:?}:\n{}", ended.stderr);
    assert_eq!(
        back,
        [
            "pusher-js 4 1001",
            "pusher-js 7 1001",
            "pusher-js 8 1001",
            "asyncpusher 1001",
        ]
    );
    server.finish().await;
}
