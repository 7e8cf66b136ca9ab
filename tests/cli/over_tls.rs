//! Commands that ask a relay which speaks TLS and nothing else.

use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::process::{Child, ChildStderr, Stdio};

use crate::support::{Directory, FAILURE, texts};

/// A relay that runs until the test is over, and where it speaks TLS.
struct Relay {
    child: Child,
    /// Open, so that it can log.
    _log: Lines<BufReader<ChildStderr>>,
    address: String,
}

impl Relay {
    fn start(directory: &Directory) -> Self {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(directory.0.join("tls.crt"), made.cert.pem()).unwrap();
        fs::write(
            directory.0.join("tls.key"),
            made.signing_key.serialize_pem(),
        )
        .unwrap();
        let args = ["--log-format", "json", "--admin-listen", "127.0.0.1:0"];
        let mut command = directory.fanfare(&args);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = log.find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            let address = line["address"]
                .as_str()
                .filter(|_| line["listener"] == "tls");
            address.map(str::to_owned)
        });
        Self {
            child,
            _log: log,
            address: address.unwrap(),
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

const CONFIG: &str = r#"
[server]
listen = []

[tls]
listen = "127.0.0.1:0"
certificate = "tls.crt"
key = "tls.key"
"#;

#[test]
fn a_relay_that_speaks_tls_alone_is_asked_over_tls() {
    let directory = Directory::with("config.toml", CONFIG);
    let relay = Relay::start(&directory);
    let run = |args: &[&str], roots: Option<&str>| {
        let mut command = directory.fanfare(args);
        command.env("FANFARE_TLS__LISTEN", &relay.address);
        command.envs(roots.map(|file| ("SSL_CERT_FILE", directory.0.join(file))));
        let output = command.output().unwrap();
        let (stdout, stderr) = texts(&output);
        (output.status.code(), stdout + &stderr)
    };
    let url = format!("https://{}", relay.address);
    let up = (Some(0), format!("{url}/up answered 200 OK\n"));
    assert_eq!(run(&["health"], None), up);
    assert_eq!(run(&["channels"], None).0, Some(0));

    // Elsewhere it is to be the one that its name says.
    let named = url.replace("127.0.0.1", "localhost");
    let health = ["health", "--url", &named];
    let up = (Some(0), format!("{named}/up answered 200 OK\n"));
    assert_eq!(run(&health, Some("tls.crt")), up);
    let (code, printed) = run(&health, None);
    assert_eq!(code, FAILURE);
    assert!(printed.contains("invalid peer certificate"), "{printed}");
    let (code, printed) = run(&["health", "--url", &url], Some("tls.crt"));
    assert_eq!(code, FAILURE);
    assert!(printed.contains("invalid peer certificate"), "{printed}");
}
