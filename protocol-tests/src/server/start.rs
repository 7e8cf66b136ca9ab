//! Starting a server, or turning to one that runs already.

use std::sync::Mutex;

use toml::Value;

use super::TestServer;
use crate::config::{ANY_PORT, AppConfig, ServerConfig};
use crate::connection::OpenConnections;
use crate::process::{Exit, ServerProcess};
use crate::redis::ports;
use crate::skipped::Skipped;
use crate::subject::{self, Endpoint, ForeignServer};

/// What a test asks of its server.
#[derive(Clone, Debug)]
pub struct TestServerBuilder {
    config: ServerConfig,
    reason_to_own: Option<String>,
    keeps_ports: bool,
}

impl TestServerBuilder {
    pub(super) fn new() -> TestServerBuilder {
        TestServerBuilder {
            config: ServerConfig::new(),
            reason_to_own: None,
            keeps_ports: false,
        }
    }

    /// Adds an app; without one there is an app `10001`. The first is the one that [`TestServer::app`] names.
    pub fn app(mut self, app: AppConfig) -> TestServerBuilder {
        let reason = format!("an app with {{ {} }}", app.settings());
        self.config.apps.push(app);
        self.needs(&reason)
    }

    /// Configures no app, so that the development app is served; [`TestServer::app`] names it.
    pub fn development_app(mut self) -> TestServerBuilder {
        self.config.apps = vec![AppConfig::development()];
        self.config.names_no_apps = true;
        self.needs("the development app")
    }

    /// Sets a key of the configuration file. Dots go down: `server.activity_timeout`.
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> TestServerBuilder {
        let value = value.into();
        let reason = format!("{key} = {value}");
        self.config.set(key, value);
        self.needs(&reason)
    }

    /// Says that the test needs a process of its own, to send signals to or to read metrics of.
    pub fn own_process(self) -> TestServerBuilder {
        self.needs("a process of its own")
    }

    /// Says that the test restarts the server, on ports that the system gives to nobody else meanwhile.
    pub fn to_be_restarted(mut self) -> TestServerBuilder {
        self.keeps_ports = true;
        self.own_process()
    }

    /// Sets a variable of the process's environment.
    pub fn variable(mut self, name: &str, value: &str) -> TestServerBuilder {
        self.config.variables.push((name.into(), value.into()));
        self.needs("an environment of its own")
    }

    /// Lets the server have no more than so many files open.
    pub fn open_files(mut self, limit: u64) -> TestServerBuilder {
        self.config.open_files = Some(limit);
        self.needs("a limit on open files")
    }

    /// Says that the test needs something that Fanfare adds to the protocol.
    pub fn extension(self, what: &str) -> TestServerBuilder {
        self.needs(what)
    }

    /// Starts the server.
    ///
    /// # Errors
    /// When the tests run against a foreign server, which cannot be configured: see [`or_skip!`](crate::or_skip).
    pub async fn start(self) -> Result<TestServer, Skipped> {
        if subject::foreign().is_some()
            && let Some(reason) = &self.reason_to_own
        {
            return Err(Skipped::for_want_of(reason));
        }
        Ok(self.start_anyhow().await)
    }

    /// Starts the binary with a configuration that it must refuse, and waits for its end. The error is as for
    /// [`start`](Self::start).
    pub async fn start_and_exit(mut self) -> Result<Exit, Skipped> {
        if subject::foreign().is_some() {
            return Err(Skipped::for_want_of("a process of its own"));
        }
        self.complete();
        Ok(ServerProcess::start(&self.config).exited().await)
    }

    fn needs(mut self, reason: &str) -> TestServerBuilder {
        self.reason_to_own.get_or_insert_with(|| reason.to_owned());
        self
    }

    fn complete(&mut self) {
        if self.config.apps.is_empty() {
            self.config.apps.push(AppConfig::new("10001"));
        }
    }

    pub(super) async fn start_anyhow(mut self) -> TestServer {
        if let Some(foreign) = subject::foreign() {
            return foreign_server(foreign, self.config);
        }
        self.complete();
        if self.keeps_ports {
            return server_that_keeps_ports(&self.config).await;
        }
        own_server(self.config).await
    }
}

/// Starts a process with this configuration.
pub(super) async fn own_server(config: ServerConfig) -> TestServer {
    let started = try_own_server(config).await;
    started.unwrap_or_else(|ended| panic!("{ended}"))
}

/// Starts a process with this configuration, on ports that are chosen here instead of any.
async fn server_that_keeps_ports(config: &ServerConfig) -> TestServer {
    for _ in 0..20 {
        let mut config = config.clone();
        for section in ["server", "admin"] {
            if config.text(section, "listen") == Some(ANY_PORT) {
                let authority = format!("127.0.0.1:{}", ports::candidate());
                config.set(&format!("{section}.listen"), authority.into());
            }
        }
        match try_own_server(config).await {
            Ok(server) => return server,
            Err(ended) => assert!(ended.contains("Address already in use"), "{ended}"),
        }
    }
    panic!("twenty ports are in use");
}

/// Starts a process with this configuration. The error is what it wrote, if it ended instead.
async fn try_own_server(config: ServerConfig) -> Result<TestServer, String> {
    let mut process = ServerProcess::start(&config);
    let prefix = config.text("server", "path_prefix").unwrap_or_default();
    let prefix = prefix.trim_matches('/');
    let endpoint = Endpoint {
        authority: process.address("public").await?,
        prefix: if prefix.is_empty() {
            String::new()
        } else {
            format!("/{prefix}")
        },
    };
    let admin = match config.text("admin", "listen") {
        Some("") | None => None,
        // What speaks to it over TCP is of no use there.
        Some(listen) if listen.starts_with("unix:") => None,
        Some(_) => Some(Endpoint {
            authority: process.address("admin").await?,
            prefix: String::new(),
        }),
    };
    let tls = match config.text("tls", "listen") {
        Some("") | None => None,
        Some(_) => Some(process.address("tls").await?),
    };
    Ok(TestServer {
        endpoint,
        admin,
        tls,
        apps: config.apps.iter().map(AppConfig::app).collect(),
        process: Some(process),
        config,
        connections: OpenConnections::default(),
        channels: Mutex::default(),
        finished: false,
    })
}

fn foreign_server(foreign: ForeignServer, config: ServerConfig) -> TestServer {
    let mut apps = vec![foreign.app];
    apps.extend(foreign.second_app);
    TestServer {
        endpoint: foreign.endpoint,
        admin: None,
        tls: None,
        apps,
        process: None,
        config,
        connections: OpenConnections::default(),
        channels: Mutex::default(),
        finished: false,
    }
}
