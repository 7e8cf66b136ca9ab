//! A Redis server of a test's own, and a subscriber.

use std::process::Stdio;

use futures_util::StreamExt as _;
use protocol_tests::{candidate_port, within};
use redis::AsyncConnectionConfig;
use redis::aio::{MultiplexedConnection, PubSub};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

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
    /// With further arguments.
    pub(crate) async fn start(arguments: &[&str]) -> RedisServer {
        let directory = tempfile::tempdir().expect("the temporary directory is writable");
        for _ in 0..10 {
            // The system gives it to nobody while the server is down: whoever finds it taken takes another.
            let port = candidate_port();
            if let Some(process) = start(port, arguments, &directory).await {
                return RedisServer {
                    port,
                    process,
                    directory,
                };
            }
        }
        panic!("redis-server does not start with {arguments:?}");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Ends the process at once.
    pub(crate) async fn kill(&mut self) {
        let ended = self.process.child.kill();
        ended.await.expect("the child is ours to end");
    }

    /// Starts again on the same port.
    pub(crate) async fn restart(&mut self) {
        let process = start(self.port, &[], &self.directory).await;
        self.process = process.expect("the port is still free");
    }

    /// A client that receives everything that is published.
    pub(crate) async fn subscriber(&self) -> Subscriber {
        Subscriber::of(&self.url()).await
    }
}

impl Subscriber {
    /// A client of the server at this URL.
    pub(crate) async fn of(url: &str) -> Subscriber {
        let client = redis::Client::open(url).unwrap();
        let mut connection = client.get_async_pubsub().await.unwrap();
        connection.psubscribe("*").await.unwrap();
        Subscriber { connection }
    }
}

/// A connection for commands to the server at this URL, on which the tests' own patience ends a wait, not the library's half
/// a second.
pub(crate) async fn connection(url: &str) -> MultiplexedConnection {
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_connection_timeout(None);
    let client = redis::Client::open(url).unwrap();
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    within("a connection to Redis", connecting).await.unwrap()
}

/// Starts a server; `None` if it ends instead.
async fn start(port: u16, arguments: &[&str], directory: &TempDir) -> Option<Process> {
    let mut command = Command::new("redis-server");
    command
        .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
        .args(["--port", &port.to_string()])
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    // A test run that is itself killed runs no destructors: the kernel then ends the server with
    // the thread that started it, which is the test's own.
    // SAFETY: prctl is async-signal-safe and touches nothing of the parent.
    unsafe {
        command.pre_exec(
            || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            },
        );
    }
    let mut child = command
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

/// What was published: the channel's name, and the message.
pub(crate) type Message = (String, String);

pub(crate) struct Subscriber {
    connection: PubSub,
}

impl Subscriber {
    /// The next messages.
    pub(crate) async fn next(&mut self, count: usize) -> Vec<Message> {
        let messages = self.connection.on_message().take(count).map(|message| {
            let text = message.get_payload().expect("messages are text");
            (message.get_channel_name().to_owned(), text)
        });
        within("messages", messages.collect()).await
    }
}
