//! A relay at work: its addresses, its log, and how it stops.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Instant;

use protocol_tests::wait::PATIENCE;

use crate::support::{Directory, FAILURE, Relay, texts};

#[test]
fn an_admin_port_that_is_taken_matters_only_where_it_was_chosen() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = Directory::new();
    let output = directory.run(&["--listen", "127.0.0.1:0", "--admin-listen", &address]);
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), FAILURE, "{stderr}");
    assert!(
        stderr.contains(&address) && stderr.contains("--admin-listen HOST:PORT"),
        "{stderr}"
    );

    // The default port is this test's, or another program's: either way it is taken.
    let _default = TcpListener::bind("127.0.0.1:9601");
    let mut relay = directory
        .fanfare(&["--listen", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(relay.stderr.take().unwrap()).lines();
    let warning = log.find(|line| line.as_ref().unwrap().contains("127.0.0.1:9601 is taken"));
    assert!(warning.unwrap().unwrap().contains("WARN"));
    let admin = log.find(|line| line.as_ref().unwrap().contains("tail --admin 127.0.0.1:"));
    assert!(admin.is_some());
    relay.kill().unwrap();
    relay.wait().unwrap();
}

/// Whoever reads the address may send the signal before the relay does anything else: it
/// once died of it, without closing what it had bound.
#[test]
fn a_signal_as_soon_as_the_address_is_known_stops_in_good_order() {
    for _ in 0..5 {
        let directory = Directory::new();
        let mut relay = Relay::start(&directory, &[], "listening");
        assert_eq!(relay.stop("TERM").0, Some(0));
    }
}

#[test]
fn a_relay_that_stops_is_up_but_not_ready() {
    let text = "[server]\npath_prefix = \"relay\"\nclose_timeout = 3600\nshutdown_timeout = 3600\n";
    let directory = Directory::with("config.toml", text);
    let mut relay = Relay::start(&directory, &[], "listening");
    // Its own configuration tells where it listens, as in a container.
    let health = |args: &[&str]| {
        let mut command = directory.fanfare(&[&["health"], args].concat());
        let address = relay.url.strip_prefix("http://").unwrap();
        let output = command.env("FANFARE_SERVER__LISTEN", address).output();
        let output = output.unwrap();
        let (stdout, stderr) = texts(&output);
        (output.status.code(), stdout + &stderr)
    };
    let url = format!("{}/relay", relay.url);
    let up = (Some(0), format!("{url}/up answered 200 OK\n"));
    assert_eq!(health(&[]), up);
    assert_eq!(health(&["--ready"]).0, Some(0));
    let _client_that_answers_no_close = relay.connect_at("/relay");
    relay.signal("TERM");
    let deadline = Instant::now() + PATIENCE;
    let (code, printed) = loop {
        match health(&["--ready"]) {
            (Some(0), _) => assert!(Instant::now() < deadline, "it stays ready"),
            unready => break unready,
        }
    };
    assert_eq!(code, FAILURE, "{printed}");
    assert!(
        printed.starts_with(&format!("fanfare: {url}/ready answered 503")),
        "{printed}"
    );
    assert_eq!(health(&[]), up);
    assert_eq!(relay.stop("TERM").0, FAILURE);
}

#[test]
fn a_second_signal_stops_at_once() {
    let patient = "[server]\nclose_timeout = 3600\nshutdown_timeout = 3600\n";
    let directory = Directory::with("config.toml", patient);
    let mut relay = Relay::start(&directory, &[], "listening");
    let _client_that_answers_no_close = relay.connect();
    relay.signal("TERM");
    relay.wait_for("stopping");
    assert_eq!(relay.stop("TERM").0, FAILURE);
}

#[test]
fn the_json_log_is_json_from_the_first_line_to_the_last() {
    let directory = Directory::new();
    let mut relay = Relay::start(&directory, &["--log-format", "json"], "listening");
    let (code, rest) = relay.stop("TERM");
    assert_eq!(code, Some(0), "{rest}");
    let mut listeners = Vec::new();
    for line in relay
        .printed
        .iter()
        .map(|line| line.trim_end())
        .chain(rest.lines())
    {
        let line: serde_json::Value = serde_json::from_str(line).expect(line);
        if line["message"] == "listening" {
            assert!(
                line["address"].as_str().unwrap().starts_with("127.0.0.1:"),
                "{line}"
            );
            listeners.push(line["listener"].as_str().unwrap().to_owned());
        }
    }
    listeners.sort();
    assert_eq!(listeners, ["admin", "public"]);
}

#[test]
fn what_the_relay_refuses_is_shown_in_its_words() {
    let directory = Directory::new();
    let relay = Relay::start(&directory, &[], "listening");
    let wrong = [
        "--url", &relay.url, "--app-id", "local", "--key", "local", "--secret", "wrong",
    ];
    let output = directory.run(&[&["channels"][..], &wrong].concat());
    let (stdout, stderr) = texts(&output);
    assert_eq!((output.status.code(), stdout.as_str()), (FAILURE, ""));
    assert!(
        stderr.starts_with("fanfare: the relay answered 401 Unauthorized: "),
        "{stderr}"
    );
    let reserved = directory.run(&["trigger", "--url", &relay.url, "news", "pusher:x"]);
    let (_, stderr) = texts(&reserved);
    assert_eq!(reserved.status.code(), FAILURE);
    assert!(
        stderr.starts_with("fanfare: the relay answered 400 Bad Request: "),
        "{stderr}"
    );
}

#[test]
fn an_address_in_use_is_a_failure_and_no_mistake_of_configuration() {
    let directory = Directory::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = directory.run(&["--listen", &address, "--admin-listen", ""]);
    let (_, stderr) = texts(&output);
    assert_eq!(output.status.code(), FAILURE, "{stderr}");
    assert!(
        stderr.contains(&address) && stderr.contains("--listen HOST:PORT"),
        "{stderr}"
    );
}
