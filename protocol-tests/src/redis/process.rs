//! A `redis-server` process, whatever it serves as.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use super::clock::Clock;
use crate::wait::eventually;

/// What a server logs once it can be spoken to, as Redis and as Sentinel.
const READY: [&str; 2] = ["Ready to accept connections", "Sentinel ID is"];

/// A running `redis-server`. Dropping it kills it, paused or not, and waits for its end.
#[derive(Debug)]
pub(super) struct RedisProcess {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

impl RedisProcess {
    /// Starts a server in `directory`; `None` when it ends instead, as it does when its port is taken.
    pub(super) async fn start(
        directory: &Path,
        arguments: &[String],
        clock: Option<&Clock>,
    ) -> Option<RedisProcess> {
        let mut child = command(directory, arguments, clock)
            .spawn()
            .unwrap_or_else(|error| {
                panic!("cannot start redis-server: {error}: run `make setup` first")
            });
        let stdout = child.stdout.take().expect("stdout is piped");
        let log = Arc::new(Mutex::new(Vec::new()));
        // Redis writes its log for as long as it runs; the thread ends with it.
        thread::spawn({
            let log = Arc::clone(&log);
            move || collect_lines(stdout, &log)
        });
        let mut process = RedisProcess { child, log };
        let this = &mut process;
        let is_up = eventually("redis-server to start", || {
            let is_up = this.is_ready().then_some(true);
            let is_up = is_up.or_else(|| this.has_ended().then_some(false));
            async move { is_up }
        })
        .await;
        is_up.then_some(process)
    }

    /// Sends a signal of `libc`.
    pub(super) fn signal(&self, number: i32) {
        let pid = libc::pid_t::try_from(self.child.id()).expect("a pid fits pid_t");
        // SAFETY: kill takes plain numbers; the child is not yet reaped while this value holds it, so the pid is its.
        let result = unsafe { libc::kill(pid, number) };
        let error = std::io::Error::last_os_error();
        assert_eq!(result, 0, "cannot send signal {number}: {error}");
    }

    /// Waits for the end of the process.
    pub(super) async fn ended(&mut self) {
        eventually("redis-server to end", || {
            let ended = self.has_ended().then_some(());
            async move { ended }
        })
        .await;
    }

    fn is_ready(&self) -> bool {
        let log = self.log.lock().expect("no holder of the log panics");
        log.iter()
            .any(|line| READY.iter().any(|ready| line.contains(ready)))
    }

    fn has_ended(&mut self) -> bool {
        let status = self.child.try_wait();
        status.expect("the child is ours to wait for").is_some()
    }
}

impl Drop for RedisProcess {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn command(directory: &Path, arguments: &[String], clock: Option<&Clock>) -> Command {
    let mut command = Command::new("redis-server");
    command
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    if let Some(clock) = clock {
        command.envs(clock.environment());
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

fn collect_lines(stdout: impl Read, log: &Mutex<Vec<String>>) {
    for line in BufReader::new(stdout).lines() {
        let Ok(line) = line else { return };
        log.lock().expect("no holder of the log panics").push(line);
    }
}
