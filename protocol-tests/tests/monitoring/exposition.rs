//! What promtool says of `/metrics`, and under which names its numbers are there.

use std::io::Write as _;
use std::process::{Command, Stdio};

use protocol_tests::{HttpClient, Request, TestServer, TestServerBuilder, or_skip};

use crate::traffic::Traffic;

/// The page as older parsers are given it.
async fn page(server: &TestServer) -> String {
    let admin = server.admin_endpoint().unwrap().clone();
    let request = Request::new("GET", "/metrics");
    let answer = HttpClient::new(admin).send(&request).await;
    answer.expect_status(200).text()
}

/// Asserts that promtool finds nothing to complain of.
fn expect_clean(page: &str) {
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("promtool: {error}: run `make setup` first"));
    let mut stdin = promtool.stdin.take().unwrap();
    stdin.write_all(page.as_bytes()).unwrap();
    drop(stdin);
    let answer = promtool.wait_with_output().unwrap();
    let words = format!(
        "{}{}",
        String::from_utf8_lossy(&answer.stdout),
        String::from_utf8_lossy(&answer.stderr)
    );
    assert!(answer.status.success() && words.is_empty(), "{words}");
}

#[tokio::test]
async fn promtool_finds_nothing_to_complain_of() {
    let named = |builder: TestServerBuilder| {
        builder
            .set("metrics.prefix", "shop_relay_")
            .set("metrics.soketi_names", true)
    };
    for builder in [
        TestServer::builder().own_process(),
        named(TestServer::builder()),
    ] {
        let server = or_skip!(builder.start().await);
        let mut traffic = Traffic::start(&server).await;
        traffic.go_on().await;
        let page = page(&server).await;
        expect_clean(&page);
        drop(traffic);
        // The harness looks for what is left under the usual names.
        server.signal(protocol_tests::Signal::Terminate);
        server.exited().await.expect_clean();
    }
}

#[tokio::test]
async fn what_soketi_counts_is_counted_under_its_names() {
    let builder = TestServer::builder().set("metrics.soketi_names", true);
    let server = or_skip!(builder.start().await);
    let (_, port) = server.endpoint().authority.rsplit_once(':').unwrap();
    let labels = [("app_id", "10001"), ("port", port)];
    let mut traffic = Traffic::start(&server).await;
    traffic.go_on().await;
    let metrics = server.metrics().await;
    for (theirs, ours) in [
        ("soketi_connected", "fanfare_connections"),
        (
            "soketi_new_connections_total",
            "fanfare_connections_opened_total",
        ),
        (
            "soketi_ws_messages_received_total",
            "fanfare_messages_received_total",
        ),
        (
            "soketi_ws_messages_sent_total",
            "fanfare_messages_sent_total",
        ),
        (
            "soketi_socket_received_bytes",
            "fanfare_received_bytes_total",
        ),
        (
            "soketi_socket_transmitted_bytes",
            "fanfare_sent_bytes_total",
        ),
    ] {
        let (theirs, ours) = (metrics.sum(theirs, &labels), metrics.sum(ours, &[]));
        assert!(theirs > 0.0 && theirs == ours, "{theirs} and {ours}");
    }
    drop(traffic);
    server.expect_nothing_left().await;
    let metrics = server.metrics().await;
    assert_eq!(metrics.sum("soketi_new_disconnections_total", &labels), 2.0);
    server.finish().await;
}

#[tokio::test]
async fn the_process_s_own_numbers_are_under_their_usual_names() {
    let server = or_skip!(TestServer::builder().own_process().start().await);
    let before = server.metrics().await;
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_threads",
        "process_start_time_seconds",
    ] {
        assert!(before.has(name), "{name}");
    }
    let own = before.sum("process_start_time_seconds", &[]);
    let started = before.sum("fanfare_start_time_seconds", &[]);
    assert!((own - started).abs() < 60.0, "{own} and {started}");
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(server.connect().await);
    }
    let after = server.metrics().await;
    let more = after.sum("process_open_fds", &[]) - before.sum("process_open_fds", &[]);
    assert!(more >= 20.0, "{more}");
    drop(clients);
    server.finish().await;
}
