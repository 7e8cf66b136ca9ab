//! One run of the load generator, as a process of its own: a client's heap and CPU clock begin
//! anew with it.

use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use serde_json::Value;

use super::plan::Measurement;
use super::server::{APP_ID, APP_KEY, APP_SECRET, Server, end_with_parent};

pub(super) struct Generator {
    program: PathBuf,
}

impl Generator {
    pub(super) fn new(program: PathBuf) -> Self {
        Self { program }
    }

    /// This program, which is the floor and the receiver of webhooks too.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// Its report. An error means that the generator could not measure. `more` are arguments of this run alone; `shared` is a server that
    /// the servers use; the receiver, if there is one, is asked what their webhooks reported.
    pub(super) fn run(
        &self,
        measurement: &Measurement,
        more: &[String],
        servers: &[Server],
        shared: Option<&Server>,
        receiver: Option<SocketAddrV4>,
    ) -> anyhow::Result<Value> {
        let urls = servers.iter().map(|s| format!("ws://{}", s.address()));
        let pids = servers.iter().chain(shared).map(|s| s.pid().to_string());
        let mut command = Command::new(&self.program);
        command
            .arg("run")
            .args(["--url", &urls.collect::<Vec<_>>().join(",")])
            .args(["--pid", &pids.collect::<Vec<_>>().join(",")])
            .args(["--app-id", APP_ID, "--key", APP_KEY, "--secret", APP_SECRET])
            .args(["--scenario", measurement.scenario])
            .args(measurement.arguments)
            .args(more)
            .arg("--json")
            .stdin(Stdio::null());
        if let Some(connections) = measurement.connections {
            command.args(["--connections", &connections.to_string()]);
        }
        if let Some(seconds) = measurement.seconds {
            command.args(["--seconds", &seconds.to_string()]);
        }
        if let Some(receiver) = receiver {
            command.args(["--receiver", &receiver.to_string()]);
        }
        end_with_parent(&mut command);
        let output = command.output().context("starting the generator")?;
        ensure!(
            output.status.success(),
            "{}; the servers' last words: {}",
            String::from_utf8_lossy(&output.stderr).trim(),
            servers
                .iter()
                .map(Server::last_words)
                .collect::<Vec<_>>()
                .join("; ")
        );
        serde_json::from_slice(&output.stdout).context("reading the generator's report")
    }
}
