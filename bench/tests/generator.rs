//! The generator against the floor server: it must find what is wrong, and find nothing wrong
//! where nothing is. And the receiver of webhooks, which must count right.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
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

struct Receiver {
    child: Child,
    address: String,
}

impl Receiver {
    fn start(answer: &str) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["receiver", "--port", "0", "--answer", answer])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        stderr.read_line(&mut line).unwrap();
        let address = line.strip_prefix("receiver on ").unwrap();
        let address = address.trim_end().to_string();
        Self { child, address }
    }

    /// A connection that has posted this in one request.
    fn post(&self, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let length = body.len();
        let request = format!("POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// What it prints when it is asked to stop.
    fn stop(mut self) -> Value {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").arg(pid).status().unwrap().success());
        let mut printed = String::new();
        let mut stdout = self.child.stdout.take().unwrap();
        stdout.read_to_string(&mut printed).unwrap();
        assert!(self.child.wait().unwrap().success());
        serde_json::from_str(&printed).unwrap()
    }
}

impl Drop for Receiver {
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
        "8",
        "--stalled",
        "0.25",
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

const CLIENT_FANOUT: [&str; 8] = [
    "--scenario",
    "client-fanout",
    "--connections",
    "20",
    "--rate",
    "20",
    "--seconds",
    "0.5",
];

#[test]
fn clients_receive_each_others_events_beside_publishes_and_channels_that_come_and_go() {
    let beside = ["--publish-rate", "50", "--churn", "20"];
    let report = Floor::start(&[]).measure(&[&CLIENT_FANOUT[..], &beside].concat());
    assert_eq!(report["problems"], serde_json::json!([]));
    let events = report["client_events"].as_u64().unwrap();
    let publishes = report["publishes_accepted"].as_u64().unwrap();
    assert_eq!((events, publishes), (200, 25));
    // All but the sender; and all.
    assert_eq!(
        report["deliveries"]["received"],
        events * 19 + publishes * 20
    );
    assert_eq!(report["latency"]["count"], events * 19);
    assert_eq!(report["publish_latency"]["count"], publishes * 20);
    assert_eq!(report["channels_come_and_gone"], 10);
}

#[test]
fn client_events_that_go_wrong_are_found() {
    for (fault, found) in [
        ("drop", "lost"),
        ("duplicate", "duplicated"),
        ("corrupt", "malformed"),
    ] {
        let report = Floor::start(&["--fault", fault]).measure(&CLIENT_FANOUT);
        assert_eq!(report["ok"], false);
        assert!(report["deliveries"][found].as_u64().unwrap() > 0, "{fault}");
    }
}

#[test]
fn members_who_reload_are_watched() {
    let report = Floor::start(&[]).measure(&[
        "--scenario",
        "presence-reload",
        "--connections",
        "60",
        "--observers",
        "3",
        "--seconds",
        "0.3",
    ]);
    assert_eq!(report["problems"], serde_json::json!([]));
    let reloads = report["reloads"].as_u64().unwrap();
    assert_eq!(report["returns"], reloads * 60);
    let announcements = &report["announcements"];
    assert_eq!(announcements["leaves_observed"], reloads * 60 * 3);
    assert_eq!(announcements["joins_observed"], reloads * 60 * 3);
    assert_eq!(announcements["wrong"], 0);
    assert!(report["health"]["count"].as_u64().unwrap() > 0);
}

#[test]
fn the_receiver_counts_what_it_answers_and_what_it_does_not() {
    let body = r#"{"time_ms":1,"events":[{"name":"a","channel":"c"},{"name":"b","channel":"c"}]}"#;
    let expected = serde_json::json!({ "requests": 1, "events": { "a": 1, "b": 1 } });

    let receiver = Receiver::start("ok");
    let mut answer = [0; 15];
    receiver.post(body).read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    assert_eq!(receiver.stop(), expected);

    let receiver = Receiver::start("never");
    let mut stream = receiver.post(body);
    let patience = std::time::Duration::from_secs(2);
    stream.set_read_timeout(Some(patience)).unwrap();
    let error = stream.read_exact(&mut answer).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(receiver.stop(), expected);
}

#[test]
fn client_events_that_no_webhook_reports_are_found() {
    // The floor has no webhooks.
    let receiver = Receiver::start("ok");
    let asked = ["--receiver", &receiver.address];
    let report = Floor::start(&[]).measure(&[&CLIENT_FANOUT[..], &asked].concat());
    assert_eq!(report["ok"], false);
    assert_eq!(report["deliveries"]["lost"], 0);
    let webhooks = &report["webhooks"];
    assert!(webhooks["missing"].as_u64().unwrap() >= 200, "{webhooks}");
}

/// At a rate that a busy machine holds, too.
const CROSS_NODE: [&str; 6] = [
    "--scenario",
    "cross-node",
    "--rate",
    "40",
    "--seconds",
    "0.5",
];
const CROSS_NODE_EVENTS: u64 = 20;

#[test]
fn a_node_alone_is_measured_as_several_are() {
    let floor = Floor::start(&[]);
    let report = floor.measure(&CROSS_NODE);
    assert_eq!(report["problems"], serde_json::json!([]));
    assert_eq!(report["deliveries"]["received"], CROSS_NODE_EVENTS * 20);
    assert!(report["shares"]["alone"]["us_per_publish"].is_number());
    let bystander = ["--scenario", "bystander", "--rate", "100"];
    let report = floor.measure(&[&bystander[..], &["--seconds", "0.3"]].concat());
    assert_eq!(report["problems"], serde_json::json!([]));
    assert_eq!(report["connections"], 200);
    assert_eq!(report["deliveries"]["received"], 30 * 100);
}

#[test]
fn nodes_that_are_not_one_are_found_out() {
    let (first, second) = (Floor::start(&[]), Floor::start(&[]));
    let report = first.measure(&[&CROSS_NODE[..], &["--url", &second.url]].concat());
    assert_eq!(report["ok"], false);
    assert_eq!(
        report["latency_by_node"]["node_1"]["count"],
        CROSS_NODE_EVENTS * 10
    );
    assert_eq!(report["deliveries"]["lost"], CROSS_NODE_EVENTS * 10);
}

#[test]
fn the_rate_that_is_held_is_the_last_of_the_steps_that_were() {
    let slowly = ["--scenario", "capacity", "--seconds", "0.2"];
    let few = ["--connections", "90", "--rate", "40000"];
    let report = Floor::start(&[]).measure(&[&slowly[..], &few].concat());
    let steps = report["steps"].as_array().unwrap();
    let last = steps.last().unwrap();
    assert_eq!(last["held"], false, "{report}");
    let held = steps.iter().rfind(|step| step["held"] == true);
    match held {
        Some(step) => assert_eq!(report["rate_asked"].as_f64().unwrap().round(), step["rate"]),
        None => assert_eq!(report["ok"], false),
    }
    assert_eq!(report["deliveries"]["lost"], 0);
}
