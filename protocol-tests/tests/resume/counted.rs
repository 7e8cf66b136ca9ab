//! What is kept for sessions beside those that wait shows in the metrics.

use protocol_tests::{TestServer, eventually, or_skip};

use crate::session::{Session, app, publish, start, token, waiting_app};

const UNPROVEN: &str = "fanfare_worker_unproven_bytes";
const REMEMBERED: &str = "fanfare_remembered_sessions";

async fn wait_for(server: &TestServer, metric: &str, is_expected: impl Fn(f64) -> bool) {
    eventually(metric, || async {
        is_expected(server.metrics().await.sum(metric, &[])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn events_count_until_they_are_proven_received() {
    let server = or_skip!(start(app()).await);
    let channel = server.channel("public-");
    let mut session = Session::open(&server, &token()).await;
    session.subscribe(&channel).await;
    for number in 0..3 {
        publish(&server, &channel, number).await;
    }
    // It answers nothing before it reads.
    wait_for(&server, UNPROVEN, |bytes| bytes > 0.0).await;
    session.expect_numbers(&channel, 0..3).await;
    session.prove().await;
    wait_for(&server, UNPROVEN, |bytes| bytes == 0.0).await;
    session.leave().await;
    server.finish().await;
}

#[tokio::test]
async fn tokens_count_as_long_as_their_sessions_may_be_resumed() {
    let server = or_skip!(start(waiting_app(1)).await);
    let tokens = async |expected: f64| {
        let labels = [("table", "resume_tokens")];
        eventually("the tokens to be counted", || async {
            let metrics = server.metrics().await;
            (metrics.sum("fanfare_table_entries", &labels) == expected).then_some(())
        })
        .await;
    };
    let first = Session::open(&server, &token()).await;
    let second = Session::open(&server, &token()).await;
    tokens(2.0).await;
    first.leave().await;
    tokens(1.0).await;
    second.reset();
    tokens(0.0).await;
    server.finish().await;
}

#[tokio::test]
async fn sessions_that_are_over_count_until_their_clients_come() {
    let server = or_skip!(start(waiting_app(1)).await);
    let channel = server.channel("public-");
    let token = token();
    let mut session = Session::open(&server, &token).await;
    session.subscribe(&channel).await;
    session.reset();
    wait_for(&server, REMEMBERED, |count| count == 1.0).await;
    let again = Session::open(&server, &token).await;
    wait_for(&server, REMEMBERED, |count| count == 0.0).await;
    again.leave().await;
    server.finish().await;
}
