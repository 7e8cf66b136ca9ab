//! The server that a test runs against: `start` brings one up, the rest hands out clients and ends it.

mod reload;
mod start;

use std::sync::Mutex;
use std::thread;

use serde_json::Value;

use crate::client::WsClient;
use crate::config::{ANY_PORT, App, AppConfig, ServerConfig};
use crate::connection::{Connection, OpenConnections};
use crate::event::{Close, Event};
use crate::http::{HttpClient, Response};
use crate::metrics::Metrics;
use crate::names::unique;
use crate::process::{Exit, ServerProcess, Signal};
use crate::published::PublishedEvent;
use crate::request::{Request, percent_encode};
use crate::skipped::Skipped;
use crate::subject::{self, Endpoint};
use crate::wait::eventually;
use crate::websocket::{Upgrade, WebSocket};

pub use start::TestServerBuilder;

const LEFTOVERS: [&str; 3] = [
    "fanfare_connections",
    "fanfare_channels",
    "fanfare_subscriptions",
];

/// A server under test: a process of its own or a foreign one (see [`subject`]).
///
/// Every test ends with [`finish`](TestServer::finish) (or [`exited`](TestServer::exited)), which checks what the test
/// leaves behind; one that forgets fails.
#[derive(Debug)]
pub struct TestServer {
    endpoint: Endpoint,
    admin: Option<Endpoint>,
    tls: Option<String>,
    apps: Vec<App>,
    process: Option<ServerProcess>,
    config: ServerConfig,
    connections: OpenConnections,
    channels: Mutex<Vec<String>>,
    finished: bool,
}

impl TestServer {
    /// A server with one app and every setting at its default.
    pub async fn start() -> TestServer {
        TestServer::builder().start_anyhow().await
    }

    /// A server with two apps at their defaults: [`app`](Self::app) and [`second_app`](Self::second_app). The error is as
    /// for [`TestServerBuilder::start`].
    pub async fn start_with_two_apps() -> Result<TestServer, Skipped> {
        if let Some(foreign) = subject::foreign() {
            if foreign.second_app.is_some() {
                return Ok(TestServer::builder().start_anyhow().await);
            }
            return Err(Skipped::for_want_of("a second app"));
        }
        let builder = TestServer::builder();
        let builder = builder
            .app(AppConfig::new("10001"))
            .app(AppConfig::new("20002"));
        builder.start().await
    }

    /// A server to be configured before it is started.
    pub fn builder() -> TestServerBuilder {
        TestServerBuilder::new()
    }

    // What there is

    /// The first app.
    pub fn app(&self) -> &App {
        &self.apps[0]
    }

    /// The second app; panics when there is none.
    pub fn second_app(&self) -> &App {
        &self.apps[1]
    }

    /// Where the public listener is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Where the admin listener is; `None` when it is off or the server foreign.
    pub fn admin_endpoint(&self) -> Option<&Endpoint> {
        self.admin.as_ref()
    }

    /// Where the server speaks TLS, `host:port`; panics where it does not.
    pub fn tls_authority(&self) -> &str {
        self.tls.as_deref().expect("tls.listen is set")
    }

    /// The id of the server's process; `None` when it is foreign.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(ServerProcess::id)
    }

    /// A channel name that nobody else uses, beginning with `prefix`.
    pub fn channel(&self, prefix: &str) -> String {
        let name = unique(prefix);
        let mut channels = self.channels.lock().expect("no test panics holding this");
        channels.push(name.clone());
        name
    }

    /// The admin listener's figures; panics when there is no admin listener.
    pub async fn metrics(&self) -> Metrics {
        let admin = self
            .admin
            .clone()
            .expect("the server has an admin listener");
        let mut request = Request::new("GET", "/metrics");
        if let Some(token) = self.config.text("admin", "token") {
            request = request.header("Authorization", &format!("Bearer {token}"));
        }
        let response = HttpClient::new(admin).send(&request).await;
        Metrics::parse(&response.expect_status(200).text())
    }

    /// What the server has written to stderr so far; nothing of a foreign server.
    pub fn log(&self) -> Vec<String> {
        self.process
            .as_ref()
            .map(ServerProcess::log)
            .unwrap_or_default()
    }

    // Clients

    /// A client of the first app.
    pub async fn connect(&self) -> WsClient {
        self.connect_to(self.app()).await
    }

    /// A client of an app, connected with its key.
    pub async fn connect_to(&self, app: &App) -> WsClient {
        let upgrade = Upgrade::new(&format!(
            "/app/{}?protocol=7&client=tests&version=1.0",
            app.key
        ));
        self.connect_with(app, &upgrade).await
    }

    /// A client of an app, connected by this request, which must succeed.
    pub async fn connect_with(&self, app: &App, upgrade: &Upgrade) -> WsClient {
        let socket = self.open(upgrade).await.unwrap_or_else(|response| {
            panic!(
                "the upgrade was refused: {} {}",
                response.status,
                response.text()
            )
        });
        WsClient::establish(socket, app, self.http()).await
    }

    /// A raw WebSocket opened by this request, or the answer when that is no 101.
    pub async fn open(&self, upgrade: &Upgrade) -> Result<WebSocket, Response> {
        let connection = self.connection().await;
        let request = upgrade.encode(&self.endpoint.authority, &self.endpoint.prefix);
        WebSocket::open(connection, &request).await
    }

    /// Opens a WebSocket that must be refused by `pusher:error` and a close of one and the same code.
    pub async fn open_refused(&self, upgrade: &Upgrade) -> (Event, Close) {
        let mut socket = self.open(upgrade).await.unwrap_or_else(|response| {
            panic!(
                "refused by status {} instead of a close code",
                response.status
            )
        });
        let error = Event::parse(&socket.read_text().await);
        assert_eq!(error.name, "pusher:error", "{}", error.text);
        error.error_message();
        let close = socket.expect_close().await;
        assert_eq!(
            error.error_code(),
            close.code.map(u64::from),
            "{}",
            error.text
        );
        assert!(!close.reason.is_empty(), "a close carries a reason text");
        (error, close)
    }

    /// A plain TCP connection to the public listener.
    pub async fn connection(&self) -> Connection {
        let connection = Connection::open(&self.endpoint.authority).await;
        self.connections.add(&connection);
        connection
    }

    /// An HTTP client with a keep-alive connection of its own.
    pub fn http(&self) -> HttpClient {
        HttpClient::registered(self.endpoint.clone(), self.connections.clone())
    }

    /// Sends one request on a connection of its own.
    pub async fn request(&self, request: &Request) -> Response {
        self.http().send(request).await
    }

    /// Publishes to the first app, expects 200 and returns the answer.
    pub async fn publish(&self, event: PublishedEvent) -> Value {
        self.publish_to(self.app(), event).await
    }

    /// Publishes to an app, expects 200 and returns the answer.
    pub async fn publish_to(&self, app: &App, event: PublishedEvent) -> Value {
        let request = Request::post(app, "/events").json(event.body());
        self.request(&request).await.expect_status(200).json()
    }

    /// GETs a path of the first app's API (`/channels`, say), expects 200 and returns the answer.
    pub async fn get(&self, path: &str, query: &[(&str, &str)]) -> Value {
        let mut request = Request::get(self.app(), path);
        for (name, value) in query {
            request = request.query(name, value);
        }
        self.request(&request).await.expect_status(200).json()
    }

    // The end

    /// Sends a signal to the process; panics when the server is foreign.
    pub fn signal(&self, signal: Signal) {
        let process = self
            .process
            .as_ref()
            .expect("the server has a process of its own");
        process.send(signal);
    }

    /// Waits for the end of the process, which the test has brought about; panics when the server is foreign.
    pub async fn exited(mut self) -> Exit {
        self.finished = true;
        let mut process = self
            .process
            .take()
            .expect("the server has a process of its own");
        process.exited().await
    }

    /// Stops the server by SIGTERM, expecting a clean exit, and starts it again on the same addresses, public and admin.
    /// It was started with [`TestServerBuilder::to_be_restarted`].
    pub async fn restart(mut self) -> TestServer {
        self.finished = true;
        assert_ne!(
            self.config.text("server", "listen"),
            Some(ANY_PORT),
            "its port may be another's meanwhile"
        );
        self.signal(Signal::Terminate);
        let mut process = self
            .process
            .take()
            .expect("the server has a process of its own");
        process.exited().await.expect_clean();
        let mut config = self.config.clone();
        config.set("server.listen", self.endpoint.authority.clone().into());
        if let Some(admin) = &self.admin {
            config.set("admin.listen", admin.authority.clone().into());
        }
        let mut server = start::own_server(config).await;
        server.channels = Mutex::new(std::mem::take(
            &mut *self.channels.lock().expect("no test panics holding this"),
        ));
        server
    }

    /// Ends the test: closes every client still open, waits until the server counts no connection, channel and
    /// subscription any more, stops it by SIGTERM, and expects exit code 0 and no panic or error in its log. Of a foreign
    /// server only the channels that [`channel`](Self::channel) named are looked at.
    pub async fn finish(mut self) {
        self.connections.close_all();
        self.expect_nothing_left().await;
        self.finished = true;
        if let Some(mut process) = self.process.take() {
            process.send(Signal::Terminate);
            process.exited().await.expect_clean();
        }
    }

    /// Waits until nothing is left of the clients that have gone; see [`finish`](Self::finish).
    pub async fn expect_nothing_left(&self) {
        if self.admin.is_some() {
            eventually(
                "no connection, channel or subscription to be left",
                || async {
                    let metrics = self.metrics().await;
                    let left = LEFTOVERS.iter().any(|name| metrics.sum(name, &[]) != 0.0);
                    (!left).then_some(())
                },
            )
            .await;
        } else if self.process.is_none() {
            self.expect_own_channels_empty().await;
        }
    }

    async fn expect_own_channels_empty(&self) {
        let channels = self
            .channels
            .lock()
            .expect("no test panics holding this")
            .clone();
        for app in &self.apps {
            for channel in &channels {
                let path = format!("/channels/{}", percent_encode(channel));
                eventually(&format!("{channel} to be empty"), || async {
                    let response = self.request(&Request::get(app, &path)).await;
                    (response.expect_status(200).json()["occupied"] == false).then_some(())
                })
                .await;
            }
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if !self.finished && !thread::panicking() {
            panic!("a test ends with finish() or exited(), which check what it leaves behind");
        }
    }
}
