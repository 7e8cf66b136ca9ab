//! What the doctor is asked, and what it says.

use std::fs;
use std::path::PathBuf;

use protocol_tests::{TestServer, subject};
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpSocket;
use tokio::process::Command;

/// What the doctor knows of the app that tests have by default.
pub(crate) const APP: &str =
    "[[apps]]\nid = \"10001\"\nkey = \"key-10001\"\nsecret = \"secret-10001\"\n";

/// A port at which nobody listens, and which is nobody else's for as long as this is there.
pub(crate) fn nobody() -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    socket
}

/// A call of the doctor.
pub(crate) struct Doctor {
    folder: TempDir,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    program: Vec<String>,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Doctor {
    /// One without a configuration.
    pub(crate) fn new() -> Doctor {
        Doctor {
            folder: tempfile::tempdir().unwrap(),
            arguments: Vec::new(),
            variables: Vec::new(),
            program: Vec::new(),
        }
    }

    /// One that has a configuration, and looks at this address.
    pub(crate) fn of(url: &str, configuration: &str) -> Doctor {
        let doctor = Doctor::new();
        let file = doctor.file("relay.toml", configuration);
        doctor
            .argument("--url")
            .argument(url)
            .argument("--config")
            .argument(file.to_str().unwrap())
    }

    /// One for a server of the tests and its app.
    pub(crate) fn of_server(server: &TestServer) -> Doctor {
        Doctor::of(&format!("ws://{}", server.endpoint().authority), APP)
    }

    /// Writes a file for it.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn argument(mut self, argument: &str) -> Doctor {
        self.arguments.push(argument.to_owned());
        self
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Doctor {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Has it run by another program.
    pub(crate) fn by(mut self, program: &[&str]) -> Doctor {
        self.program = program.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Asks, for people.
    pub(crate) async fn run(self) -> Output {
        let binary = subject::binary();
        let mut command = match self.program.split_first() {
            None => Command::new(&binary),
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(&binary);
                command
            }
        };
        command
            .arg("doctor")
            .args(&self.arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .envs(self.variables.iter().cloned())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .kill_on_drop(true);
        let output = command.output().await;
        let output =
            output.unwrap_or_else(|error| panic!("{command:?}: {error}: run `make setup` first"));
        Output {
            code: output.status.code().expect("no signal ended it"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Asks, for programs.
    pub(crate) async fn ask(self) -> Findings {
        let output = self.argument("--json").run().await;
        let report = serde_json::from_str(&output.stdout);
        let report: Value = report.unwrap_or_else(|_| panic!("{output:?}"));
        let findings = Findings(report);
        let expected = match findings.0["level"].as_str() {
            Some("ok") => 0,
            Some("warn") => 3,
            _ => 2,
        };
        assert_eq!(output.code, expected, "{output:?}");
        findings
    }
}

/// What was found.
#[derive(Debug)]
pub(crate) struct Findings(Value);

impl Findings {
    /// The finding of this id, which there is one of.
    pub(crate) fn of(&self, id: &str) -> &Value {
        let all = self.0["findings"].as_array().unwrap();
        let found = all.iter().filter(|finding| finding["id"] == id);
        match &found.collect::<Vec<_>>()[..] {
            [only] => only,
            others => panic!("{} of {id} in {:#}", others.len(), self.0),
        }
    }

    pub(crate) fn has(&self, id: &str) -> bool {
        let all = self.0["findings"].as_array().unwrap();
        all.iter().any(|finding| finding["id"] == id)
    }

    /// Asserts that this is wrong, and that text or remedy contain this.
    pub(crate) fn expect_error(&self, id: &str, words: &str) {
        self.expect(id, "error", words);
    }

    pub(crate) fn expect_ok(&self, id: &str) {
        self.expect(id, "ok", "");
    }

    pub(crate) fn expect(&self, id: &str, level: &str, words: &str) {
        let finding = self.of(id);
        assert_eq!(finding["level"], level, "{finding:#}");
        assert!(
            finding.to_string().contains(words),
            "{words:?}: {finding:#}"
        );
    }

    /// Asserts that nothing is wrong but of these ids. (How many files may be open is the machine's.)
    pub(crate) fn expect_well_but(&self, ids: &[&str]) {
        for finding in self.0["findings"].as_array().unwrap() {
            let id = finding["id"].as_str().unwrap();
            let may_be = id == "files" || ids.contains(&id);
            assert!(may_be || finding["level"] == "ok", "{finding:#}");
        }
    }
}
