//! The `fanfare` process that a test starts.

use std::env;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use serde_json::Value;
use tempfile::TempDir;

use crate::config::ServerConfig;
use crate::subject;
use crate::wait::eventually;

/// The configuration's name in the directory of its process.
pub(crate) const CONFIG_FILE: &str = "fanfare-test.toml";

/// A signal that a test sends to its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGINT.
    Interrupt,
    /// SIGKILL.
    Kill,
    /// SIGHUP.
    HangUp,
    /// SIGSTOP: the process does nothing until SIGCONT.
    Stop,
    /// SIGCONT: it goes on.
    Continue,
}

/// How a server ended.
#[derive(Clone, Debug)]
pub struct Exit {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// Every line that it wrote to stderr.
    pub log: Vec<String>,
}

impl Exit {
    /// Asserts exit code 0, no panic and no log line at error level.
    pub fn expect_clean(self) -> Exit {
        assert_eq!(
            (self.code, self.signal),
            (Some(0), None),
            "the server's stderr:\n{}",
            self.log.join("\n")
        );
        for line in &self.log {
            assert!(!is_fault(line), "the server logged a fault: {line}");
        }
        self
    }
}

fn is_fault(line: &str) -> bool {
    let level_is_error = serde_json::from_str::<Value>(line).is_ok_and(|line| {
        // actix-server's word for a connection that comes in just as its workers end, at a stop.
        let is_late = line["target"] == "actix_server::accept" && line["message"] == "No workers";
        let level = line["level"].as_str();
        !is_late && level.is_some_and(|level| level.eq_ignore_ascii_case("error"))
    });
    level_is_error || line.contains("panicked at")
}

/// A running server. Dropping it kills it and waits for its end.
#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
    // Removed with this value: the configuration file and the working directory.
    directory: TempDir,
}

impl ServerProcess {
    /// Starts the binary with a configuration, in an empty directory and without settings from the environment.
    pub(crate) fn start(config: &ServerConfig) -> ServerProcess {
        let directory = tempfile::tempdir().expect("the temporary directory is writable");
        let file = directory.path().join(CONFIG_FILE);
        std::fs::write(&file, config.to_toml()).expect("the temporary directory is writable");
        let mut command = command(directory.path(), &file);
        command.envs(config.variables.iter().cloned());
        if let Some(limit) = config.open_files {
            limit_open_files(&mut command, limit);
        }
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start the server: {error}"));
        let stderr = child.stderr.take().expect("stderr is piped");
        let log = Arc::new(Mutex::new(Vec::new()));
        let reader = thread::spawn({
            let log = Arc::clone(&log);
            move || collect_lines(stderr, &log)
        });
        ServerProcess {
            child,
            log,
            reader: Some(reader),
            directory,
        }
    }

    /// Waits until a listener's address is logged.
    ///
    /// # Errors
    /// When the server ends first: what it wrote.
    pub(crate) async fn address(&mut self, listener: &str) -> Result<String, String> {
        let this = &mut *self;
        eventually(
            &format!("the {listener} listener's address in the log"),
            || {
                let address = this
                    .log()
                    .iter()
                    .find_map(|line| bound_address(line, listener));
                let found = match (address, this.status()) {
                    (Some(address), _) => Some(Ok(address)),
                    (None, Some(status)) => {
                        this.read_to_end();
                        let log = this.log().join("\n");
                        Some(Err(format!("the server ended at start ({status}):\n{log}")))
                    }
                    (None, None) => None,
                };
                async { found }
            },
        )
        .await
    }

    pub(crate) fn send(&self, signal: Signal) {
        let number = match signal {
            Signal::Terminate => libc::SIGTERM,
            Signal::Interrupt => libc::SIGINT,
            Signal::Kill => libc::SIGKILL,
            Signal::HangUp => libc::SIGHUP,
            Signal::Stop => libc::SIGSTOP,
            Signal::Continue => libc::SIGCONT,
        };
        let pid = libc::pid_t::try_from(self.child.id()).expect("a pid fits pid_t");
        // SAFETY: kill takes plain numbers; the child is not yet reaped while this value holds it, so the pid is its.
        let result = unsafe { libc::kill(pid, number) };
        assert_eq!(
            result,
            0,
            "cannot send {signal:?}: {}",
            std::io::Error::last_os_error()
        );
    }

    /// Waits for the end of the process.
    pub(crate) async fn exited(&mut self) -> Exit {
        let status = eventually("the server to end", || {
            let status = self.status();
            async move { status }
        })
        .await;
        self.read_to_end();
        Exit {
            code: status.code(),
            signal: status.signal(),
            log: self.log(),
        }
    }

    /// Its working directory.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// What was written to stderr so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log
            .lock()
            .expect("the log reader does not panic")
            .clone()
    }

    /// Reads what is left of the log of a process that has ended.
    fn read_to_end(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the log reader does not panic");
        }
    }

    fn status(&mut self) -> Option<ExitStatus> {
        self.child
            .try_wait()
            .expect("the child is ours to wait for")
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
        if thread::panicking() {
            eprintln!("the server's stderr:\n{}", self.log().join("\n"));
        }
    }
}

fn command(directory: &Path, config: &Path) -> Command {
    let mut command = Command::new(subject::binary());
    command
        .arg("serve")
        .arg("--config")
        .arg(config)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if ["FANFARE_", "PUSHER_", "RUST_LOG"]
            .iter()
            .any(|prefix| text.starts_with(prefix))
        {
            command.env_remove(&name);
        }
    }
    // A test run that is itself killed runs no destructors: the kernel then ends the server with the thread that
    // started it, which is the test's own.
    // SAFETY: prctl is async-signal-safe and touches nothing of the parent.
    unsafe {
        command.pre_exec(
            || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            },
        );
    }
    command
}

/// Lets a process that is to be started have no more than so many files open.
pub fn limit_open_files(command: &mut Command, limit: u64) {
    let limit = libc::rlimit {
        rlim_cur: limit,
        rlim_max: limit,
    };
    // SAFETY: setrlimit is async-signal-safe, and the pointer is to a live rlimit for the length of the call.
    unsafe {
        command.pre_exec(
            move || match libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            },
        );
    }
}

fn collect_lines(stderr: impl Read, log: &Mutex<Vec<String>>) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    while matches!(stderr.read_until(b'\n', &mut line), Ok(count) if count > 0) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        log.lock().expect("no holder of the log panics").push(text);
        line.clear();
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_the_log() {
        let line = r#"{"level":"INFO","message":"listening","listener":"public","address":"127.0.0.1:43211"}"#;
        assert_eq!(
            bound_address(line, "public").as_deref(),
            Some("127.0.0.1:43211")
        );
        assert_eq!(bound_address(line, "admin"), None);
        assert_eq!(bound_address("not JSON", "public"), None);
    }

    #[test]
    fn panics_and_error_lines_are_faults() {
        assert!(is_fault("thread 'main' panicked at src/main.rs:1:1:"));
        assert!(is_fault(r#"{"level":"ERROR","message":"x"}"#));
        assert!(!is_fault(r#"{"level":"WARN","message":"an error"}"#));
    }
}
