//! What several topics share.

use protocol_tests::{Request, TestServer, eventually};
use serde_json::Value;

/// Orders that came to an end with this result.
pub(crate) async fn orders(server: &TestServer, result: &str) -> f64 {
    let metrics = server.metrics().await;
    metrics.sum("fanfare_acme_orders_total", &[("result", result)])
}

/// Waits until so many orders at least came to this end.
pub(crate) async fn expect_orders(server: &TestServer, result: &str, count: f64) {
    eventually(&format!("{count} orders to be {result}"), || async {
        (orders(server, result).await >= count).then_some(())
    })
    .await;
}

/// What `/ready` says against the server, if anything.
pub(crate) async fn unready(server: &TestServer) -> Option<String> {
    let response = server.request(&Request::new("GET", "/ready")).await;
    let answer = response.json();
    match response.status {
        200 => None,
        503 => Some(answer["reason"].as_str().unwrap().to_owned()),
        status => panic!("{status}: {answer}"),
    }
}

/// Waits for the lines of the log with this message in them; no more of them may be there.
pub(crate) async fn expect_logged(server: &TestServer, message: &str, count: usize) -> Vec<Value> {
    let lines = eventually(&format!("{message:?} to be logged"), || async {
        let lines = logged(server, message);
        (lines.len() >= count).then_some(lines)
    })
    .await;
    assert_eq!(lines.len(), count, "{lines:?}");
    lines
}

/// The lines of the log with this message in them.
pub(crate) fn logged(server: &TestServer, message: &str) -> Vec<Value> {
    let log = server.log();
    let lines = log
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| {
            line["message"]
                .as_str()
                .is_some_and(|it| it.contains(message))
        })
        .collect()
}
