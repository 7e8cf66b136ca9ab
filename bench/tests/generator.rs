//! The generator against the floor server: it must find what is wrong, and find nothing wrong
//! where nothing is.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_relay-bench");

struct Floor {
    child: Child,
    url: String,
}

impl Floor {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["floor", "--port", "0"])
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        stderr.read_line(&mut line).unwrap();
        let address = line.strip_prefix("floor server on ").unwrap();
        let url = format!("ws://{}", address.split(',').next().unwrap());
        Self { child, url }
    }

    fn measure(&self, arguments: &[&str]) -> Value {
        let output = Command::new(PROGRAM)
            .args(["run", "--url", &self.url, "--json", "--warmup", "0.1"])
            .args(["--app-id", "id", "--key", "key", "--secret", "secret"])
            .args(["--pid", &self.child.id().to_string()])
            .args(arguments)
            .output()
            .unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaint}");
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const CLOSED_LOOP: [&str; 6] = [
    "--scenario",
    "max-fanout",
    "--connections",
    "50",
    "--seconds",
    "0.5",
];

/// A loss halts a closed loop; events at a fixed rate go on.
const FIXED_RATE: [&str; 8] = [
    "--scenario",
    "fanout",
    "--connections",
    "100",
    "--rate",
    "50",
    "--seconds",
    "1",
];

#[test]
fn a_server_that_does_its_work_has_no_problems() {
    let report = Floor::start(&[]).measure(&CLOSED_LOOP);
    assert_eq!(report["problems"], serde_json::json!([]));
    assert_eq!(report["ok"], true);
    let received = report["deliveries"]["received"].as_u64().unwrap();
    assert!(received > 0);
    assert_eq!(report["deliveries"]["expected"], received);
    assert!(report["cpu"]["server_us_per_delivery"].as_f64().unwrap() > 0.0);
}

#[test]
fn lost_deliveries_are_found() {
    let report = Floor::start(&["--fault", "drop"]).measure(&FIXED_RATE);
    assert_eq!(report["ok"], false);
    assert!(report["deliveries"]["lost"].as_u64().unwrap() > 0);
}

#[test]
fn doubled_deliveries_are_found() {
    let report = Floor::start(&["--fault", "duplicate"]).measure(&CLOSED_LOOP);
    assert_eq!(report["ok"], false);
    assert!(report["deliveries"]["duplicated"].as_u64().unwrap() > 0);
}

#[test]
fn altered_deliveries_are_found() {
    let report = Floor::start(&["--fault", "corrupt"]).measure(&CLOSED_LOOP);
    assert_eq!(report["ok"], false);
    assert!(report["deliveries"]["malformed"].as_u64().unwrap() > 0);
}

#[test]
fn health_is_asked_beside_the_load() {
    let report = Floor::start(&[]).measure(&[
        "--scenario",
        "health",
        "--connections",
        "200",
        "--seconds",
        "0.5",
    ]);
    assert_eq!(report["problems"], serde_json::json!([]));
    for latency in ["health", "health_on_new_connection"] {
        assert!(report[latency]["count"].as_u64().unwrap() > 0, "{latency}");
    }
}

#[test]
fn connections_come_and_go_in_rounds() {
    let report = Floor::start(&[]).measure(&[
        "--scenario",
        "connect",
        "--connections",
        "300",
        "--rounds",
        "3",
        "--hold",
        "0.1",
    ]);
    assert_eq!(report["problems"], serde_json::json!([]));
    let rounds = report["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 3);
    for round in rounds {
        assert_eq!(round["connections"], 300);
        assert!(round["rss_held_kib"].as_u64().unwrap() > 0);
        assert!(round["let_go_s"].is_number());
    }
    assert!(report["later_rounds_rss_over_first"].is_number());
}

#[test]
fn a_stalled_client_that_is_dropped_finds_its_end() {
    let floor = Floor::start(&["--max-unsent", "65536"]);
    let report = floor.measure(&[
        "--scenario",
        "slow-consumer",
        "--connections",
        "20",
        "--stalled",
        "0.1",
        // A few dozen of these fill the kernel's buffers, however busy the machine is.
        "--payload",
        "65536",
        "--rate",
        "200",
        "--seconds",
        "2",
        // The test is about the stalled ones, on a machine that may have other things to do.
        "--p99-bound-ms",
        "60000",
    ]);
    let stalled = &report["stalled"];
    assert_eq!(stalled["clients"], 2);
    assert_eq!(stalled["never_closed"], 0, "{report}");
    assert_eq!(report["deliveries"]["lost"], 0);
}
