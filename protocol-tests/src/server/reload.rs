//! Another configuration for a server that runs.

use std::fs;
use std::path::PathBuf;

use super::TestServer;
use crate::config::AppConfig;
use crate::process::{CONFIG_FILE, Signal};
use crate::wait::eventually;

/// What counts each time that the configuration was read again.
const RELOADS: &str = "fanfare_config_reloads_total";

impl TestServer {
    /// A file of the server's working directory; panics when the server is foreign.
    pub fn file(&self, name: &str) -> PathBuf {
        let process = self
            .process
            .as_ref()
            .expect("the server has a process of its own");
        process.directory().join(name)
    }

    /// The configuration file; panics when the server is foreign.
    pub fn config_file(&self) -> PathBuf {
        self.file(CONFIG_FILE)
    }

    /// The configuration file's text with these apps, and all else as it was started.
    pub fn config_with(&self, apps: &[AppConfig]) -> String {
        let mut config = self.config.clone();
        config.apps = apps.to_vec();
        config.names_no_apps = false;
        config.to_toml()
    }

    /// Puts another configuration file in the place of the one that there is.
    pub fn write_config(&self, text: &str) {
        let newer = self.file("newer.toml");
        fs::write(&newer, text).expect("the temporary directory is writable");
        fs::rename(&newer, self.config_file()).expect("the temporary directory is writable");
    }

    /// How often the configuration was read again, with this outcome.
    pub async fn reloads(&self, outcome: &str) -> f64 {
        self.metrics().await.sum(RELOADS, &[("outcome", outcome)])
    }

    /// Waits until the configuration has been read again more often than `before`, with this outcome.
    pub async fn reloaded(&self, outcome: &str, before: f64) {
        eventually("the configuration to be read again", || async {
            (self.reloads(outcome).await > before).then_some(())
        })
        .await;
    }

    /// Has these apps served, and no others: writes the file and sends SIGHUP. They are when this returns.
    pub async fn serve_apps(&self, apps: &[AppConfig]) {
        let before = self.reloads("applied").await;
        self.write_config(&self.config_with(apps));
        self.signal(Signal::HangUp);
        self.reloaded("applied", before).await;
    }
}
