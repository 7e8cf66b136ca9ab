//! Several nodes of Fanfare that are one relay, and the Redis that makes them one.

use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Instant;

use anyhow::{Context, bail};

use super::server::{LOOK_EVERY, START_WITHIN, Server};
use crate::net::get;

const NODES: usize = 3;
/// Another program may take a free port before Redis does.
const PORTS_TRIED: usize = 3;

/// Its fields are stopped, or dropped, in this order.
pub(super) struct Cluster {
    pub(super) nodes: Vec<Server>,
    pub(super) redis: Server,
}

impl Cluster {
    /// `of_app` is what the app has beyond the defaults, as TOML.
    pub(super) fn start(program: &Path, workers: usize, of_app: &str) -> anyhow::Result<Self> {
        let redis = start_redis()?;
        let url = format!("redis://{}/0", redis.address());
        let more = format!("{of_app}\n[cluster]\ndriver = \"redis\"\nurl = \"{url}\"\n");
        // From here on dropping it ends all that has been started.
        let mut cluster = Self {
            nodes: Vec::new(),
            redis,
        };
        for _ in 0..NODES {
            let node = Server::start_fanfare(program, workers, &more)?;
            cluster.nodes.push(node);
        }
        let addresses = cluster.nodes.iter().map(Server::address);
        addresses.into_iter().try_for_each(await_ready)?;
        Ok(cluster)
    }
}

/// Waits until the node has reached Redis.
fn await_ready(node: SocketAddrV4) -> anyhow::Result<()> {
    let until = Instant::now() + START_WITHIN;
    loop {
        let answer = get(node, "/ready").with_context(|| format!("asking {node} for /ready"))?;
        if answer.status == 200 {
            return Ok(());
        }
        if Instant::now() > until {
            let reason = String::from_utf8_lossy(&answer.body);
            bail!("a node was not ready within {START_WITHIN:?}: {reason}");
        }
        thread::sleep(LOOK_EVERY);
    }
}

fn start_redis() -> anyhow::Result<Server> {
    let mut tried = Vec::new();
    for _ in 0..PORTS_TRIED {
        match try_start_redis() {
            Ok(redis) => return Ok(redis),
            Err(failure) => tried.push(format!("{failure:#}")),
        }
    }
    bail!("no Redis could be started: {}", tried.join("; "))
}

/// Keeps nothing on disk. Its log goes where the other servers' does.
fn try_start_redis() -> anyhow::Result<Server> {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("finding a free port")?;
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, free.local_addr()?.port());
    drop(free);
    let directory = tempfile::tempdir().context("a directory for Redis")?;
    let mut command = Command::new("redis-server");
    command
        .args(["--port", &address.port().to_string()])
        .args(["--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .arg("--dir")
        .arg(directory.path())
        .args(["--logfile", "/dev/stderr"]);
    let is_ready = move |line: &str| {
        line.contains("Ready to accept connections")
            .then_some(address)
    };
    Server::start(
        command,
        is_ready,
        |status| status.success(),
        Some(directory),
    )
}
