//! Redis servers of a test's own, in every shape, and able to fail in every way.
//!
//! Each is a real `redis-server` on loopback that keeps nothing on disk by itself: one that is started again is empty,
//! unless a test has saved what it had.

mod clock;
mod inspect;
pub(crate) mod ports;
mod process;
mod publish;
mod sentinels;
mod sharded;
#[cfg(test)]
mod tests;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, FromRedisValue, RedisResult};
use tempfile::TempDir;

use crate::wait::within;
use clock::Clock;
use process::RedisProcess;

pub use inspect::{Messages, Monitor};
pub use sentinels::Sentinels;
pub use sharded::RedisCluster;

/// The file that Redis loads when it starts.
const DUMP: &str = "dump.rdb";
/// Where a dump waits that is not to be loaded by every start.
const SAVED: &str = "saved.rdb";

/// A Redis server on a port of its own. Dropping it ends it.
#[derive(Debug)]
pub struct RedisServer {
    port: u16,
    arguments: Vec<String>,
    /// What clients must know; `None`: nothing.
    password: Option<String>,
    /// `None` while it is down.
    process: Option<RedisProcess>,
    /// `None`: the system's.
    clock: Option<Clock>,
    directory: TempDir,
}

impl RedisServer {
    /// An empty server.
    pub async fn start() -> RedisServer {
        RedisServer::start_with(&[]).await
    }

    /// An empty server with further arguments, `--maxclients 4` say.
    pub async fn start_with(arguments: &[&str]) -> RedisServer {
        let directory = tempfile::tempdir().expect("the temporary directory is writable");
        RedisServer::start_in(directory, arguments, None).await
    }

    /// An empty server whose clock is so many seconds ahead of the system's.
    pub async fn start_ahead(seconds: u32) -> RedisServer {
        let directory = tempfile::tempdir().expect("the temporary directory is writable");
        let clock = Clock::new(directory.path(), seconds);
        RedisServer::start_in(directory, &[], Some(clock)).await
    }

    async fn start_in(directory: TempDir, arguments: &[&str], clock: Option<Clock>) -> RedisServer {
        let mut server = RedisServer {
            port: 0,
            arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
            password: None,
            process: None,
            clock,
            directory,
        };
        for _ in 0..20 {
            server.port = ports::candidate();
            if server.try_start().await {
                return server;
            }
        }
        panic!("redis-server does not start with {arguments:?}");
    }

    /// An empty server that wants this password, which its URL has.
    pub async fn start_with_password(password: &str) -> RedisServer {
        let mut server = RedisServer::start_with(&["--requirepass", password]).await;
        server.password = Some(password.to_owned());
        server
    }

    // Where it is

    /// `127.0.0.1:port`.
    pub fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its URL, with database 0.
    pub fn url(&self) -> String {
        let user = self
            .password
            .as_ref()
            .map(|password| format!(":{password}@"));
        format!("redis://{}{}/0", user.unwrap_or_default(), self.authority())
    }

    // How it fares

    /// Stops it in order (SIGTERM), which closes its connections.
    pub async fn stop(&mut self) {
        self.end(libc::SIGTERM).await;
    }

    /// Kills it (SIGKILL).
    pub async fn kill(&mut self) {
        self.end(libc::SIGKILL).await;
    }

    /// Starts it again on its port, without any data.
    pub async fn restart(&mut self) {
        assert!(self.process.is_none(), "it is still running");
        assert!(
            self.try_start().await,
            "redis-server does not start again on port {}",
            self.port
        );
    }

    /// Writes what it has to disk, for [`restart_as_saved`](Self::restart_as_saved).
    pub async fn save(&self) {
        self.command::<()>(&redis::cmd("SAVE")).await;
        let dump = self.directory.path().join(DUMP);
        let saved = self.directory.path().join(SAVED);
        std::fs::rename(dump, saved).expect("SAVE writes the dump");
    }

    /// Starts it again on its port, with what it had when it was last saved.
    pub async fn restart_as_saved(&mut self) {
        let dump = self.directory.path().join(DUMP);
        let saved = self.directory.path().join(SAVED);
        std::fs::copy(saved, &dump).expect("it was saved before");
        self.restart().await;
        std::fs::remove_file(dump).expect("the dump is still there");
    }

    /// Pauses the process (SIGSTOP): connections stay, and nothing is answered.
    pub fn pause(&self) {
        self.running().signal(libc::SIGSTOP);
    }

    /// Lets a paused process go on (SIGCONT).
    pub fn resume(&self) {
        self.running().signal(libc::SIGCONT);
    }

    /// Deletes all its data, as another user of the same server may. Connections stay.
    pub async fn flush(&self) {
        let () = self.command(&redis::cmd("FLUSHALL")).await;
    }

    /// Sets the clock of a server that was started with one of its own: so many seconds ahead of the system's.
    pub fn set_clock_ahead(&self, seconds: u32) {
        let clock = self.clock.as_ref();
        clock.expect("it has a clock of its own").set(seconds);
    }

    // Commands

    /// Sends a command and expects it to be done.
    pub async fn command<T: FromRedisValue>(&self, command: &Cmd) -> T {
        let answer = self.try_command(command).await;
        answer.unwrap_or_else(|error| panic!("Redis refuses {command:?}: {error}"))
    }

    /// Sends a command on a connection of its own.
    pub async fn try_command<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<T> {
        ask(&self.url(), command).await
    }

    async fn end(&mut self, signal: i32) {
        let mut process = self.process.take().expect("it is running");
        process.signal(signal);
        process.ended().await;
    }

    /// Starts it on its port; `false` when that is taken.
    async fn try_start(&mut self) -> bool {
        let port = self.port.to_string();
        let settings = ["--bind", "127.0.0.1", "--port", &port, "--save", ""];
        let mut arguments: Vec<String> = settings.map(str::to_owned).to_vec();
        arguments.extend(["--appendonly", "no"].map(str::to_owned));
        arguments.extend(self.arguments.iter().cloned());
        self.process =
            RedisProcess::start(self.directory.path(), &arguments, self.clock.as_ref()).await;
        self.process.is_some()
    }

    fn running(&self) -> &RedisProcess {
        self.process.as_ref().expect("it is running")
    }
}

/// Sends a command to the server at `url`, on a connection of its own.
async fn ask<T: FromRedisValue>(url: &str, command: &Cmd) -> RedisResult<T> {
    let mut connection = connect(url).await?;
    within("an answer of Redis", command.query_async(&mut connection)).await
}

/// A connection to the server at `url`.
async fn connect(url: &str) -> RedisResult<MultiplexedConnection> {
    let client = Client::open(url)?;
    // The harness's own patience ends a wait, not the library's half a second.
    let config = AsyncConnectionConfig::new()
        .set_response_timeout(None)
        .set_connection_timeout(None);
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    within("a connection to Redis", connecting).await
}
