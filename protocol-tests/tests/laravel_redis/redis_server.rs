//! A Redis server of a test's own.

use std::net::TcpListener;

use protocol_tests::within;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout};

use crate::program::program;

/// A Redis server on a free port of loopback. Dropping it ends it.
pub(crate) struct RedisServer {
    pub(crate) port: u16,
    process: Process,
    directory: TempDir,
}

struct Process {
    child: Child,
    // Redis writes its log for as long as it runs.
    _log: Lines<BufReader<ChildStdout>>,
}

impl RedisServer {
    pub(crate) async fn start() -> RedisServer {
        let directory = tempfile::tempdir().expect("the temporary directory is writable");
        for _ in 0..10 {
            // It is known to be free only for this moment: whoever loses it takes another.
            let port = free_port();
            if let Some(process) = start(port, &directory).await {
                return RedisServer {
                    port,
                    process,
                    directory,
                };
            }
        }
        panic!("redis-server does not start");
    }

    /// Starts a server on a port that a test has chosen before.
    pub(crate) async fn start_on(port: u16) -> RedisServer {
        let directory = tempfile::tempdir().expect("the temporary directory is writable");
        let process = start(port, &directory).await;
        RedisServer {
            port,
            process: process.expect("the port is still free"),
            directory,
        }
    }

    pub(crate) fn url(&self) -> String {
        url(self.port)
    }

    /// Ends the process at once.
    pub(crate) async fn kill(&mut self) {
        let ended = self.process.child.kill();
        ended.await.expect("the child is ours to end");
    }

    /// Starts again on the same port.
    pub(crate) async fn restart(&mut self) {
        let process = start(self.port, &self.directory).await;
        self.process = process.expect("the port is still free");
    }

    /// Stops the process from running, or lets it run again. Its connections stay.
    pub(crate) fn pause(&self, paused: bool) {
        let pid = self.process.child.id().expect("the process runs");
        let pid = libc::pid_t::try_from(pid).expect("a pid fits pid_t");
        let signal = if paused { libc::SIGSTOP } else { libc::SIGCONT };
        // SAFETY: kill takes plain numbers; the child is not yet reaped, so the pid is its.
        let sent = unsafe { libc::kill(pid, signal) };
        assert_eq!(sent, 0, "{}", std::io::Error::last_os_error());
    }

    /// Publishes a message; returns how many listened.
    pub(crate) async fn publish(&self, topic: &str, message: &str) -> u64 {
        self.publish_all(&[(topic, message)]).await
    }

    /// Publishes what need be no text.
    pub(crate) async fn publish_bytes(&self, topic: &[u8], message: &[u8]) -> u64 {
        self.send(&command(topic, message)).await
    }

    /// Publishes messages one after another on one connection, without waiting in between; returns how many listened
    /// to them in sum.
    pub(crate) async fn publish_all(&self, messages: &[(&str, &str)]) -> u64 {
        let commands = messages
            .iter()
            .map(|(topic, message)| command(topic.as_bytes(), message.as_bytes()));
        self.send(&commands.collect::<Vec<_>>().concat()).await
    }

    /// Sends commands that are answered by numbers, and returns their sum.
    async fn send(&self, commands: &[u8]) -> u64 {
        let connection = TcpStream::connect(("127.0.0.1", self.port)).await;
        let (reader, mut writer) = connection.expect("Redis listens").into_split();
        let write = async {
            writer.write_all(commands).await.expect("Redis reads");
            writer.shutdown().await.expect("Redis reads");
        };
        let mut answers = String::new();
        let mut reader = BufReader::new(reader);
        let read = reader.read_to_string(&mut answers);
        let ((), read) = within("Redis to answer", async { tokio::join!(write, read) }).await;
        read.expect("Redis answers");
        let counts = answers.lines().map(|line| {
            let count = line.strip_prefix(':').map(str::parse::<u64>);
            count.unwrap_or_else(|| panic!("{line}")).expect("a number")
        });
        counts.sum()
    }
}

/// Source: the Redis documentation, "RESP protocol".
fn command(topic: &[u8], message: &[u8]) -> Vec<u8> {
    let mut command = b"*3\r\n".to_vec();
    for part in [b"PUBLISH", topic, message] {
        command.extend_from_slice(format!("${}\r\n", part.len()).as_bytes());
        command.extend_from_slice(part);
        command.extend_from_slice(b"\r\n");
    }
    command
}

pub(crate) fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}/0")
}

/// A port that is free for now.
pub(crate) fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    free.expect("there are free ports").port()
}

/// Starts a server; `None` if it ends instead.
async fn start(port: u16, directory: &TempDir) -> Option<Process> {
    let mut child = program("redis-server")
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(["--port", &port.to_string()])
        .current_dir(directory)
        .spawn()
        .expect("redis-server is missing: run `make setup` first");
    let stdout = child.stdout.take().expect("stdout is piped");
    let mut log = BufReader::new(stdout).lines();
    loop {
        let line = within("Redis to start", log.next_line()).await;
        match line.expect("Redis writes UTF-8") {
            None => return None,
            Some(line) if line.contains("Ready to accept connections") => {
                return Some(Process { child, _log: log });
            }
            Some(_) => {}
        }
    }
}
