//! Who must not notice the attack: healthy subscribers, and whoever asks for `/up`.

use std::net::SocketAddrV4;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::compare::server::{APP_ID, APP_KEY, APP_SECRET, end_with_parent};
use crate::net::get;
use crate::usage::server_sockets;

/// Seconds of load before the measured ones, in which the attack begins.
pub(super) const WARMUP_S: f64 = 2.0;
const CONNECT_WITHIN: Duration = Duration::from_secs(20);
const ASK_EVERY: Duration = Duration::from_millis(20);

/// The load generator, as a process of its own.
pub(super) struct Subscribers {
    child: Child,
}

impl Subscribers {
    /// Returns when all are connected.
    pub(super) fn start(
        program: &Path,
        server: SocketAddrV4,
        count: usize,
        seconds: f64,
    ) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command
            .args(["run", "--scenario", "fanout", "--rate", "100", "--json"])
            .args(["--url", &format!("ws://{server}")])
            .args(["--app-id", APP_ID, "--key", APP_KEY, "--secret", APP_SECRET])
            .args(["--connections", &count.to_string()])
            .args(["--warmup", &WARMUP_S.to_string()])
            .args(["--seconds", &seconds.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        end_with_parent(&mut command);
        let child = command.spawn().context("starting the generator")?;
        let mut subscribers = Self { child };
        let until = Instant::now() + CONNECT_WITHIN;
        while server_sockets(server) < count {
            let ended = subscribers.child.try_wait()?.is_some();
            ensure!(
                !ended && Instant::now() < until,
                "the subscribers did not connect"
            );
            thread::sleep(Duration::from_millis(50));
        }
        Ok(subscribers)
    }

    /// The generator's report, once it has measured.
    pub(super) fn report(mut self) -> anyhow::Result<Value> {
        let stdout = self.child.stdout.take().context("stdout is piped")?;
        serde_json::from_reader(stdout).context("reading the generator's report")
    }
}

impl Drop for Subscribers {
    fn drop(&mut self) {
        // Neither does anything to a process that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks for `/up` on a new connection again and again.
pub(super) struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Answers>,
}

/// Milliseconds of each answer, sorted; and how many did not come.
#[derive(Default)]
pub(super) struct Answers {
    milliseconds: Vec<f64>,
    pub(super) failures: usize,
}

impl Probe {
    pub(super) fn start(server: SocketAddrV4) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut answers = Answers::default();
            while !seen.load(Ordering::Relaxed) {
                let began = Instant::now();
                match get(server, "/up") {
                    Ok(_) => answers
                        .milliseconds
                        .push(began.elapsed().as_secs_f64() * 1e3),
                    Err(_) => answers.failures += 1,
                }
                thread::sleep(ASK_EVERY);
            }
            answers.milliseconds.sort_by(f64::total_cmp);
            answers
        });
        Self { stop, thread }
    }

    pub(super) fn finish(self) -> Answers {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(answers) => answers,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Answers {
    pub(super) fn p99(&self) -> Option<f64> {
        let position = self.milliseconds.len() * 99 / 100;
        self.milliseconds.get(position).copied()
    }
}
