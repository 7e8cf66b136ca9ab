//! Starting and stopping the servers that are compared, and what they need.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddrV4;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};
use std::{io, thread};

use anyhow::{Context, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::receiver::Answer;

pub(crate) const APP_ID: &str = "bench";
pub(crate) const APP_KEY: &str = "bench-key";
pub(crate) const APP_SECRET: &str = "bench-secret";

pub(super) const START_WITHIN: Duration = Duration::from_secs(20);
const STOP_WITHIN: Duration = Duration::from_secs(20);
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Lines of a server's stderr that are kept to explain a failure.
const WORDS_KEPT: usize = 5;

type Words = Arc<Mutex<VecDeque<String>>>;

pub(crate) struct Server {
    child: Child,
    address: SocketAddrV4,
    words: Words,
    /// Lines that it wrote to stderr.
    lines: Arc<AtomicUsize>,
    /// What stopping it on SIGTERM must end in.
    ends_well: fn(ExitStatus) -> bool,
    /// Holds the configuration as long as the server may read it.
    _directory: Option<TempDir>,
}

/// What `PATH --version` prints.
pub(crate) fn version(program: &Path) -> anyhow::Result<String> {
    let output = Command::new(program).arg("--version").output();
    let output = output.with_context(|| {
        format!(
            "there is no fanfare binary at {} (build it with `cargo build --release -p fanfare`, \
             or say where it is with --fanfare)",
            program.display()
        )
    })?;
    ensure!(
        output.status.success(),
        "`{} --version` failed",
        program.display()
    );
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
}

/// What a server finds when it starts.
#[derive(Default)]
pub(crate) struct Environment {
    /// The limit on open files, if it is another than ours.
    pub(crate) descriptors: Option<u64>,
    /// Variables of the environment, with their values.
    pub(crate) variables: Vec<(String, String)>,
}

impl Server {
    pub(super) fn start_floor(program: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(["floor", "--port", "0"]).stdout(Stdio::null());
        let killed = |status: ExitStatus| status.signal() == Some(libc::SIGTERM);
        Self::start(command, floor_address, killed, None)
    }

    /// `more` is what the configuration has beyond the defaults, as TOML: of the app, and then
    /// other sections.
    pub(crate) fn start_fanfare(
        program: &Path,
        workers: usize,
        more: &str,
    ) -> anyhow::Result<Self> {
        Self::start_fanfare_with(program, workers, more, &Environment::default())
    }

    /// The same with what is set from outside.
    pub(crate) fn start_fanfare_with(
        program: &Path,
        workers: usize,
        more: &str,
        environment: &Environment,
    ) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir().context("a directory for the configuration")?;
        let config = directory.path().join("config.toml");
        std::fs::write(&config, fanfare_config(workers, more))
            .with_context(|| format!("writing {}", config.display()))?;
        let program = program
            .canonicalize()
            .with_context(|| format!("looking for {}", program.display()))?;
        let mut command = Command::new(program);
        // What it keeps goes with the directory.
        command.current_dir(directory.path());
        command.arg("serve").arg("--config").arg(&config);
        command.stdout(Stdio::null());
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("FANFARE_") || text.starts_with("PUSHER_") {
                command.env_remove(&name);
            }
        }
        for (name, value) in &environment.variables {
            command.env(name, value);
        }
        if let Some(limit) = environment.descriptors {
            limit_descriptors(&mut command, limit);
        }
        Self::start(
            command,
            fanfare_address,
            |status| status.success(),
            Some(directory),
        )
    }

    /// A receiver of webhooks; what it prints when it stops are its counts.
    pub(crate) fn start_receiver(program: &Path, answer: Answer) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(["receiver", "--port", "0", "--answer", answer.name()]);
        command.stdout(Stdio::piped());
        Self::start(command, receiver_address, |status| status.success(), None)
    }

    /// Starts the server and waits until it has logged where it listens.
    pub(crate) fn start(
        mut command: Command,
        address_in: impl Fn(&str) -> Option<SocketAddrV4> + Send + 'static,
        ends_well: fn(ExitStatus) -> bool,
        directory: Option<TempDir>,
    ) -> anyhow::Result<Self> {
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        end_with_parent(&mut command);
        let program = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .spawn()
            .with_context(|| format!("starting {program}"))?;
        let words = Words::default();
        let lines = Arc::new(AtomicUsize::new(0));
        let (found, address) = mpsc::sync_channel(1);
        if let Some(stderr) = child.stderr.take() {
            let (words, lines) = (Arc::clone(&words), Arc::clone(&lines));
            thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    lines.fetch_add(1, Ordering::Relaxed);
                    if let Some(address) = address_in(&line) {
                        // Nobody waits any more for what is logged later.
                        let _ = found.send(address);
                    }
                    keep(&words, line);
                }
            });
        }
        // From here on dropping it ends the process.
        let mut server = Self {
            child,
            address: SocketAddrV4::new(std::net::Ipv4Addr::LOCALHOST, 0),
            words,
            lines,
            ends_well,
            _directory: directory,
        };
        match address.recv_timeout(START_WITHIN) {
            Ok(address) => server.address = address,
            Err(_) => bail!(
                "{program} did not say where it listens; its last words: {}",
                server.last_words()
            ),
        }
        Ok(server)
    }

    pub(crate) fn address(&self) -> SocketAddrV4 {
        self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How many lines it has logged.
    pub(crate) fn lines_logged(&self) -> usize {
        self.lines.load(Ordering::Relaxed)
    }

    /// The end of what it wrote to stderr.
    pub(super) fn last_words(&self) -> String {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        words.iter().cloned().collect::<Vec<_>>().join(" / ")
    }

    /// Asks it to stop, and hands out what it printed meanwhile. An error means that it did not
    /// stop, or not as it should.
    pub(super) fn stop(mut self) -> anyhow::Result<String> {
        // SAFETY: touches no memory, and the child has not been waited for, so that the pid is
        // still its own.
        unsafe { libc::kill(self.child.id() as i32, libc::SIGTERM) };
        let until = Instant::now() + STOP_WITHIN;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().context("waiting for the server")? {
                let well = (self.ends_well)(status);
                ensure!(
                    well,
                    "asked to stop, the server ended with {status}; its last words: {}",
                    self.last_words()
                );
                return self.printed();
            }
            thread::sleep(LOOK_EVERY);
        }
        bail!("the server did not stop within {STOP_WITHIN:?}");
    }

    /// All of its stdout, if that is kept.
    fn printed(&mut self) -> anyhow::Result<String> {
        let mut printed = String::new();
        if let Some(mut stdout) = self.child.stdout.take() {
            let read = stdout.read_to_string(&mut printed);
            read.context("reading what the server printed")?;
        }
        Ok(printed)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Neither does anything to a process that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Has the kernel end the program should this one die first.
pub(crate) fn end_with_parent(command: &mut Command) {
    let ask = || {
        // SAFETY: this request takes a number and touches no memory.
        match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec only this one system call is made, which allocates and
    // locks nothing.
    unsafe { command.pre_exec(ask) };
}

fn limit_descriptors(command: &mut Command, limit: u64) {
    let ask = move || {
        let limit = libc::rlimit {
            rlim_cur: limit,
            rlim_max: limit,
        };
        // SAFETY: the structure is a local one.
        match unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: between fork and exec only this one system call is made, which allocates and
    // locks nothing.
    unsafe { command.pre_exec(ask) };
}

fn keep(words: &Words, line: String) {
    let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
    if words.len() == WORDS_KEPT {
        words.pop_front();
    }
    words.push_back(line);
}

fn floor_address(line: &str) -> Option<SocketAddrV4> {
    let rest = line.strip_prefix("floor server on ")?;
    rest.split(',').next()?.parse().ok()
}

fn receiver_address(line: &str) -> Option<SocketAddrV4> {
    line.strip_prefix("receiver on ")?.parse().ok()
}

fn fanfare_address(line: &str) -> Option<SocketAddrV4> {
    let line: Value = serde_json::from_str(line).ok()?;
    let public = line["message"] == "listening" && line["listener"] == "public";
    public.then(|| line["address"].as_str()?.parse().ok())?
}

/// The defaults, but for the port, the number of workers, what is not measured (such as how long
/// a stop may wait for dead webhooks), and what is asked for beside them.
fn fanfare_config(workers: usize, more: &str) -> String {
    format!(
        r#"[server]
listen = "127.0.0.1:0"
workers = {workers}
shutdown_timeout = 2

[admin]
listen = ""

[log]
format = "json"
level = "info"

[[apps]]
id = "{APP_ID}"
key = "{APP_KEY}"
secret = "{APP_SECRET}"
{more}"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_lines_are_distinguished_from_others() {
        let address: SocketAddrV4 = "127.0.0.1:4321".parse().unwrap();
        let floor = "floor server on 127.0.0.1:4321, at most 20000 descriptors";
        assert_eq!(floor_address(floor), Some(address));
        assert_eq!(floor_address("anything else"), None);
        assert_eq!(
            receiver_address(&format!("receiver on {address}")),
            Some(address)
        );
        assert_eq!(receiver_address("anything else"), None);
        let line = |listener: &str| {
            format!(r#"{{"message":"listening","listener":"{listener}","address":"{address}"}}"#)
        };
        assert_eq!(fanfare_address(&line("public")), Some(address));
        assert_eq!(fanfare_address(&line("admin")), None);
        assert_eq!(fanfare_address("not JSON"), None);
    }
}
