//! The process under test.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use protocol_tests::metrics::Metrics;
use protocol_tests::subject::Endpoint;
use protocol_tests::{
    App, Connection, Exit, HttpClient, Request, TestServer, eventually, limit_open_files,
};
use serde_json::Value;
use tempfile::TempDir;

use super::postgres::ends_with_its_test;
use super::{Database, Desk};

/// What the tests' Meta signs webhooks with.
pub(crate) const APP_SECRET: &str = "the app's secret";
/// What the tests' Meta proves a webhook's address with.
pub(crate) const VERIFY_TOKEN: &str = "the verify token";

/// A running process. Dropping it kills it.
pub(crate) struct Api {
    pub(crate) endpoint: Endpoint,
    metrics: Endpoint,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
    _directory: TempDir,
}

/// How to start one.
#[derive(Clone)]
pub(crate) struct Builder {
    variables: Vec<(String, String)>,
    open_files: Option<u64>,
}

impl Api {
    /// On a database, without a relay.
    pub(crate) fn on(database: &Database) -> Builder {
        Builder {
            variables: Vec::new(),
            open_files: None,
        }
        .set("DATABASE_URL", &database.url)
        .set("LISTEN", "127.0.0.1:0")
        .set("METRICS_LISTEN", "127.0.0.1:0")
        .set("LOG_FORMAT", "json")
        .set("LOG_LEVEL", "debug")
        .set("WHATSAPP_APP_SECRET", APP_SECRET)
        .set("WHATSAPP_VERIFY_TOKEN", VERIFY_TOKEN)
        .set("BROADCAST_CONNECTION", "null")
        // On a busy machine, a database that answers may take long, and so may a relay or WhatsApp.
        .set("DATABASE_WAIT_MS", "20000")
        .set("OUTBOX_LEASE_SECONDS", "60")
    }

    /// On a SQLite database and a relay.
    pub(crate) async fn with(database: &Database, relay: &TestServer) -> Api {
        Api::on(database).relay(relay).start().await
    }

    /// Somebody who is not logged in.
    pub(crate) fn stranger(&self) -> Desk {
        Desk::new(HttpClient::new(self.endpoint.clone()))
    }

    /// A connection on which nothing is sent yet.
    pub(crate) async fn connection(&self) -> Connection {
        Connection::open(&self.endpoint.authority).await
    }

    /// The resident memory of the process in bytes.
    pub(crate) fn resident_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the process lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kibibytes: Option<u64> = kibibytes.and_then(|number| number.trim().parse().ok());
        kibibytes.expect("VmRSS is in kB") * 1024
    }

    /// Somebody who is.
    pub(crate) async fn log_in(&self, email: &str) -> Desk {
        let mut desk = self.stranger();
        desk.log_in(email).await;
        desk
    }

    /// The figures of the second listener.
    pub(crate) async fn metrics(&self) -> Metrics {
        let request = Request::new("GET", "/metrics");
        let response = HttpClient::new(self.metrics.clone()).send(&request).await;
        Metrics::parse(&response.expect_status(200).text())
    }

    /// Waits until nothing waits to be sent.
    pub(crate) async fn everything_sent(&self) {
        eventually("the outbox to be empty", || async {
            let waiting = self.metrics().await.sum("conversation_outbox_waiting", &[]);
            (waiting == 0.0).then_some(())
        })
        .await;
    }

    /// Ends the process without any notice.
    pub(crate) async fn kill(mut self) {
        self.signal(libc::SIGKILL);
        self.exited().await;
    }

    /// Asks the process to end, which must go well.
    pub(crate) async fn stop(mut self) -> Exit {
        self.signal(libc::SIGTERM);
        self.exited().await.expect_clean()
    }

    pub(crate) fn signal(&self, signal: libc::c_int) {
        let pid = libc::pid_t::try_from(self.child.id()).expect("a pid fits pid_t");
        // SAFETY: kill takes plain numbers; the child is not yet reaped, so the pid is its.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    pub(crate) async fn exited(&mut self) -> Exit {
        let child = &mut self.child;
        let status = eventually("the process to end", || {
            let status = child.try_wait().expect("the child is ours to wait for");
            async move { status }
        })
        .await;
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the log reader does not panic");
        }
        Exit {
            code: status.code(),
            signal: status.signal(),
            log: self.log(),
        }
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log
            .lock()
            .expect("the log reader does not panic")
            .clone()
    }
}

impl Builder {
    /// Sets a variable of the environment.
    pub(crate) fn set(mut self, name: &str, value: &str) -> Builder {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.into(), value.into()));
        self
    }

    /// What it is sending when it is killed is free for the next process soon after; so a request to the relay or to
    /// WhatsApp may take three seconds only.
    pub(crate) fn doomed(self) -> Builder {
        self.set("OUTBOX_LEASE_SECONDS", "9")
    }

    /// With no more than so many files open.
    pub(crate) fn open_files(mut self, limit: u64) -> Builder {
        self.open_files = Some(limit);
        self
    }

    /// With a relay.
    pub(crate) fn relay(self, relay: &TestServer) -> Builder {
        self.relay_at(&relay.endpoint().authority, relay.app())
    }

    /// With a relay at an address.
    pub(crate) fn relay_at(self, authority: &str, app: &App) -> Builder {
        let (host, port) = authority.rsplit_once(':').expect("host:port");
        self.set("BROADCAST_CONNECTION", "pusher")
            .set("PUSHER_APP_ID", &app.id)
            .set("PUSHER_APP_KEY", &app.key)
            .set("PUSHER_APP_SECRET", &app.secret)
            .set("PUSHER_HOST", host)
            .set("PUSHER_PORT", port)
    }

    /// Starts the process and waits until it listens.
    pub(crate) async fn start(self) -> Api {
        let mut api = self.spawn();
        api.endpoint = Endpoint::parse(&format!("http://{}", address(&mut api, "public").await));
        api.metrics = Endpoint::parse(&format!("http://{}", address(&mut api, "metrics").await));
        api
    }

    /// Starts a process that is expected to end by itself.
    pub(crate) async fn start_and_exit(self) -> Exit {
        self.spawn().exited().await
    }

    fn spawn(self) -> Api {
        let directory = tempfile::tempdir().expect("the temporary directory is writable");
        let mut command = Command::new(env!("CARGO_BIN_EXE_conversation-api"));
        command
            .arg("serve")
            .env_clear()
            .envs(self.variables)
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        ends_with_its_test(&mut command);
        if let Some(limit) = self.open_files {
            limit_open_files(&mut command, limit);
        }
        let mut child = command.spawn().expect("the program starts");
        let stderr = child.stderr.take().expect("stderr is piped");
        let log = Arc::new(Mutex::new(Vec::new()));
        let reader = thread::spawn({
            let log = Arc::clone(&log);
            move || collect_lines(stderr, &log)
        });
        let unknown = Endpoint {
            authority: String::new(),
            prefix: String::new(),
        };
        Api {
            endpoint: unknown.clone(),
            metrics: unknown,
            child,
            log,
            reader: Some(reader),
            _directory: directory,
        }
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        if thread::panicking() {
            eprintln!("the process's stderr:\n{}", self.log().join("\n"));
        }
    }
}

async fn address(api: &mut Api, listener: &str) -> String {
    eventually(
        &format!("the {listener} listener's address in the log"),
        || {
            let found = api
                .log()
                .iter()
                .find_map(|line| bound_address(line, listener));
            if found.is_none()
                && let Ok(Some(status)) = api.child.try_wait()
            {
                panic!("it ended at start ({status}):\n{}", api.log().join("\n"));
            }
            async { found }
        },
    )
    .await
}

fn bound_address(line: &str, listener: &str) -> Option<String> {
    let line: Value = serde_json::from_str(line).ok()?;
    let is_it = line["message"] == "listening" && line["listener"] == listener;
    is_it.then(|| {
        line["address"]
            .as_str()
            .expect("address is a string")
            .to_owned()
    })
}

fn collect_lines(stderr: impl Read, log: &Mutex<Vec<String>>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        log.lock().expect("no holder of the log panics").push(line);
    }
}
