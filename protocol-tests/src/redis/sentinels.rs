//! A master with a replica, and the Sentinels that make the replica master when the master dies.

use redis::cmd;
use tempfile::TempDir;

use super::process::RedisProcess;
use super::{RedisServer, ports};
use crate::wait::eventually;

/// What the Sentinels call the master.
const SERVICE: &str = "relay";

/// One master, one replica, three Sentinels. Dropping it ends them all.
#[derive(Debug)]
pub struct Sentinels {
    /// Both servers; either is the master.
    servers: [RedisServer; 2],
    sentinels: Vec<Sentinel>,
}

#[derive(Debug)]
struct Sentinel {
    port: u16,
    _process: RedisProcess,
    // Sentinel rewrites its configuration there.
    _directory: TempDir,
}

impl Sentinels {
    /// Starts all of them, and waits until they know each other and the replica follows its master.
    pub async fn start() -> Sentinels {
        let master = RedisServer::start().await;
        let port = master.port().to_string();
        let follow = [
            "--replicaof",
            "127.0.0.1",
            &port,
            "--repl-diskless-sync-delay",
            "0",
        ];
        let replica = RedisServer::start_with(&follow).await;
        let () = master
            .command(
                cmd("CONFIG")
                    .arg("SET")
                    .arg("repl-diskless-sync-delay")
                    .arg(0),
            )
            .await;
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(Sentinel::start(&master).await);
        }
        let servers = [master, replica];
        let this = Sentinels { servers, sentinels };
        this.wait_until_well().await;
        this
    }

    /// `redis+sentinel://…`, with all Sentinels.
    pub fn url(&self) -> String {
        let sentinels = self.sentinels.iter();
        let authorities: Vec<String> = sentinels
            .map(|sentinel| format!("127.0.0.1:{}", sentinel.port))
            .collect();
        format!("redis+sentinel://{}/{SERVICE}/0", authorities.join(","))
    }

    /// The server that all Sentinels take for the master, once they agree.
    pub async fn master(&self) -> &RedisServer {
        let position = self.master_position().await;
        &self.servers[position]
    }

    /// Kills the master, and waits until the Sentinels have made the other server master.
    pub async fn fail_over(&mut self) {
        let old = self.master_position().await;
        self.servers[old].kill().await;
        let this = &*self;
        eventually("a new master", || async {
            let is_new = this.agreed_master().await.is_some_and(|now| now != old);
            is_new.then_some(())
        })
        .await;
    }

    async fn master_position(&self) -> usize {
        eventually("the Sentinels to agree", || self.agreed_master()).await
    }

    async fn agreed_master(&self) -> Option<usize> {
        let mut agreed = None;
        for sentinel in &self.sentinels {
            let port = sentinel.master_port().await?;
            let position = self
                .servers
                .iter()
                .position(|server| server.port() == port)?;
            if *agreed.get_or_insert(position) != position {
                return None;
            }
        }
        agreed
    }

    async fn wait_until_well(&self) {
        for sentinel in &self.sentinels {
            eventually(
                "the Sentinels to know each other and the replica",
                || async {
                    let info = sentinel.info().await;
                    let line = info.lines().find(|line| line.starts_with("master0:"))?;
                    let is_well = line.contains("status=ok") && line.contains("slaves=1");
                    (is_well && line.trim_end().ends_with("sentinels=3")).then_some(())
                },
            )
            .await;
        }
        let replica = &self.servers[1];
        eventually("the replica to follow its master", || async {
            let info: String = replica.command(cmd("INFO").arg("replication")).await;
            info.contains("master_link_status:up").then_some(())
        })
        .await;
    }
}

impl Sentinel {
    async fn start(master: &RedisServer) -> Sentinel {
        let directory = tempfile::tempdir().expect("the temporary directory is writable");
        let file = directory.path().join("sentinel.conf");
        for _ in 0..20 {
            let port = ports::candidate();
            std::fs::write(&file, configuration(port, master.port()))
                .expect("the temporary directory is writable");
            let arguments = [file.display().to_string(), "--sentinel".to_owned()];
            if let Some(process) = RedisProcess::start(directory.path(), &arguments, None).await {
                return Sentinel {
                    port,
                    _process: process,
                    _directory: directory,
                };
            }
        }
        panic!("no Sentinel starts");
    }

    async fn master_port(&self) -> Option<u16> {
        let mut ask = cmd("SENTINEL");
        ask.arg("GET-MASTER-ADDR-BY-NAME").arg(SERVICE);
        let (_, port): (String, String) = self.ask(&ask).await;
        port.parse().ok()
    }

    async fn info(&self) -> String {
        self.ask(cmd("INFO").arg("sentinel")).await
    }

    async fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd) -> T {
        super::ask(&format!("redis://127.0.0.1:{}", self.port), command)
            .await
            .unwrap_or_else(|error| panic!("a Sentinel refuses {command:?}: {error}"))
    }
}

/// Two of three agree on a death, after half a second; the fail-over then follows at once.
fn configuration(port: u16, master: u16) -> String {
    format!(
        "bind 127.0.0.1\nport {port}\n\
         sentinel monitor {SERVICE} 127.0.0.1 {master} 2\n\
         sentinel down-after-milliseconds {SERVICE} 500\n\
         sentinel failover-timeout {SERVICE} 5000\n\
         sentinel parallel-syncs {SERVICE} 1\n"
    )
}
