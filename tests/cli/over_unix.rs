//! Commands that ask a relay which listens on Unix sockets and nowhere else.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStderr, Stdio};

use crate::support::{Directory, FAILURE, texts};

/// A relay that runs until the test is over.
struct Relay {
    child: Child,
    /// Open, so that it can log.
    _log: Lines<BufReader<ChildStderr>>,
}

impl Relay {
    /// Starts one on `relay.sock` and `admin.sock` of the directory.
    fn start(directory: &Directory) -> Self {
        let folder = directory.0.display();
        let config = format!(
            "[server]\nlisten = \"unix:{folder}/relay.sock\"\npath_prefix = \"/relay\"\n\
             [admin]\nlisten = \"unix:{folder}/admin.sock\"\n"
        );
        fs::write(directory.0.join("config.toml"), config).unwrap();
        let mut command = directory.fanfare(&["--log-format", "json"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        for listener in ["public", "admin"] {
            let is_there = |line: &String| line.contains(&format!("\"listener\":\"{listener}\""));
            log.by_ref().map(Result::unwrap).find(is_there).unwrap();
        }
        Self { child, _log: log }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// A command that runs until the test is over.
struct Following(Child);

impl Drop for Following {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[test]
fn a_relay_is_asked_by_its_socket() {
    let directory = Directory::new();
    let relay = Relay::start(&directory);
    let run = |args: &[&str]| {
        let output = directory.run(args);
        let (stdout, stderr) = texts(&output);
        (output.status.code(), stdout + &stderr)
    };
    let socket = format!("unix:{}/relay.sock", directory.0.display());
    let up = |path: &str| (Some(0), format!("{socket} ({path}) answered 200 OK\n"));
    assert_eq!(run(&["health"]), up("/relay/up"));
    assert_eq!(run(&["health", "--ready"]), up("/relay/ready"));
    assert_eq!(run(&["health", "--url", &socket]), up("/up"));
    let (code, text) = run(&["trigger", "--url", &socket, "news", "greeting"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(run(&["channels"]).0, Some(0));
    // A browser knows no such place.
    let (code, text) = run(&["doctor"]);
    assert_eq!(code, FAILURE, "{text}");
    assert!(text.contains("--url"), "{text}");
    drop(relay);
    let (code, text) = run(&["health"]);
    assert_eq!(code, FAILURE, "{text}");
    assert!(text.contains("is the relay running there?"), "{text}");
}

#[test]
fn the_live_stream_is_followed_by_its_socket() {
    let directory = Directory::new();
    let _relay = Relay::start(&directory);
    let admin = format!("unix:{}/admin.sock", directory.0.display());
    for args in [
        &["tail", "--json"][..],
        &["tail", "--json", "--admin", &admin],
    ] {
        let mut command = directory.fanfare(args);
        let command = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut following = Following(command.spawn().unwrap());
        let mut notes = BufReader::new(following.0.stderr.take().unwrap()).lines();
        let note = notes.next().unwrap().unwrap();
        assert!(note.contains(&format!("following {admin}")), "{note}");
        let sent = directory.run(&["trigger", "news", "greeting"]);
        assert_eq!(sent.status.code(), Some(0), "{sent:?}");
        let mut lines = BufReader::new(following.0.stdout.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        assert!(line.contains("\"greeting\""), "{line}");
    }
}
