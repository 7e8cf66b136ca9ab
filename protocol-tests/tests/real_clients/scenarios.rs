//! Runs the JavaScript scenarios.

use std::path::Path;
use std::time::Duration;

use protocol_tests::metrics::Metrics;
use protocol_tests::{AppConfig, Balancer, Cluster, RedisServer, Secured, TestServer, or_skip};
use serde_json::Value;
use tokio::time::timeout;

use crate::script::{Interpreter, Script, settings, settings_over_tls};

/// Ends a run that hangs. A scenario has a limit of its own, far below this.
const LIMIT: Duration = Duration::from_secs(600);

/// What to run, as `run.mjs` takes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) environment: &'static str,
    pub(crate) suite: &'static str,
    pub(crate) version: &'static str,
    pub(crate) scenario: &'static str,
}

impl Run {
    /// Runs it against a server at its defaults.
    pub(crate) async fn on_default_server(self) {
        self.on(TestServer::start().await).await;
    }

    /// Runs it against a server that it may restart.
    pub(crate) async fn on_server_to_restart(self) {
        let server = or_skip!(TestServer::builder().to_be_restarted().start().await);
        self.on(server).await;
    }

    /// Runs it against a server whose app counts subscriptions.
    pub(crate) async fn on_counting_server(self) {
        let app = AppConfig::new("10001").set("subscription_count", true);
        let server = or_skip!(TestServer::builder().app(app).start().await);
        self.on(server).await;
    }

    /// Runs it against a server whose app has watchlists.
    pub(crate) async fn on_watching_server(self) {
        let app = AppConfig::new("10001")
            .set("watchlist", true)
            .set("watchlist_grace", 10);
        let server = or_skip!(TestServer::builder().app(app).start().await);
        self.on(server).await;
    }

    /// Runs it against a server that serves its development app.
    pub(crate) async fn on_development_server(self) {
        let server = or_skip!(TestServer::builder().development_app().start().await);
        self.on(server).await;
    }

    /// Runs it against a server that soon takes quiet clients for gone.
    pub(crate) async fn on_impatient_server(self) {
        let builder = TestServer::builder()
            .set("server.activity_timeout", 2)
            .set("server.pong_timeout", 2);
        let server = or_skip!(builder.start().await);
        self.on(server).await;
    }

    /// Runs it against a server whose app's sessions wait for so many seconds, and that soon takes quiet clients for gone.
    pub(crate) async fn on_waiting_server(self, window: i64) {
        let builder = TestServer::builder()
            .app(AppConfig::new("10001").set("resume.window", window))
            .set("server.activity_timeout", 2)
            .set("server.pong_timeout", 2);
        let server = or_skip!(builder.start().await);
        self.on(server).await;
    }

    /// Runs it against a server that it may restart, behind an nginx that passes no WebSocket on.
    pub(crate) async fn behind_nginx(self) {
        let server = or_skip!(TestServer::builder().to_be_restarted().start().await);
        let nginx = Balancer::nginx(&server.endpoint().authority).await;
        let settings = settings(server.app(), nginx.authority());
        let server = self.to_its_end(settings, Some(server)).await;
        let server = server.expect("it was handed over");
        let metrics = server.metrics().await;
        assert!(metrics.sum("fanfare_fallback_opened_total", &[]) > 0.0);
        server.finish().await;
    }

    /// Runs it against two nodes behind an HAProxy.
    pub(crate) async fn behind_haproxy(self) {
        let redis = RedisServer::start().await;
        // HAProxy does not pass on that a page has closed its stream: the relay has to find out.
        let builder = Cluster::builder(redis.url())
            .app(AppConfig::new("10001"))
            .set("server.activity_timeout", 8)
            .set("server.pong_timeout", 10);
        let cluster = or_skip!(builder.nodes(2).start().await);
        let haproxy = Balancer::haproxy(&cluster.authorities()).await;
        let settings = settings(cluster.app(), haproxy.authority());
        self.to_its_end(settings, None).await;
        drop(haproxy);
        cluster.finish().await;
    }

    /// Runs it against a server at its defaults, and returns the server's figures afterwards.
    pub(crate) async fn with_metrics(self) -> Metrics {
        let server = TestServer::start().await;
        let settings = settings(server.app(), &server.endpoint().authority);
        let server = self.to_its_end(settings, Some(server)).await;
        let server = server.expect("it was handed over");
        let metrics = server.metrics().await;
        server.finish().await;
        metrics
    }

    /// Runs it against a server over TLS, and returns the server's figures afterwards.
    pub(crate) async fn over_tls(self) -> Metrics {
        let secured = Secured::start().await;
        let run = self.run(
            settings_over_tls(&secured),
            None,
            Some(secured.certificate()),
        );
        let run = timeout(LIMIT, run).await;
        run.unwrap_or_else(|_| panic!("{self:?} did not end within {LIMIT:?}"));
        let metrics = secured.server.metrics().await;
        secured.finish().await;
        metrics
    }

    async fn on(self, server: TestServer) {
        let settings = settings(server.app(), &server.endpoint().authority);
        let server = self.to_its_end(settings, Some(server)).await;
        server.expect("it was handed over").finish().await;
    }

    /// Runs it, and returns the server, which it may have restarted.
    async fn to_its_end(self, settings: String, server: Option<TestServer>) -> Option<TestServer> {
        let run = timeout(LIMIT, self.run(settings, server, None)).await;
        run.unwrap_or_else(|_| panic!("{self:?} did not end within {LIMIT:?}"))
    }

    async fn run(
        self,
        settings: String,
        mut server: Option<TestServer>,
        certificate: Option<&Path>,
    ) -> Option<TestServer> {
        let arguments = [
            "run.mjs",
            self.environment,
            self.suite,
            self.version,
            self.scenario,
        ];
        let mut script =
            Script::start_trusting(Interpreter::Node, &arguments, Some(settings), certificate);
        let mut passed = 0;
        while let Some(line) = script.line().await {
            if line == "@restart" {
                let running = server.take().expect("only a server by itself is restarted");
                server = Some(running.restart().await);
                script.write_line("restarted").await;
            } else {
                passed += usize::from(line.starts_with("PASS "));
                // At once, so that a run that hangs shows how far it came.
                eprintln!("{line}");
            }
        }
        let ended = script.ended().await;
        assert!(ended.succeeded, "{self:?} failed\n{}", ended.stderr);
        assert!(passed > 0, "{self:?} ran nothing\n{}", ended.stderr);
        server
    }
}

/// The scenarios that `run.mjs list` names, of a suite's `scenarios` or `special` list.
pub(crate) async fn listed(suite: &str, list: &str) -> Vec<String> {
    let mut script = Script::start(Interpreter::Node, &["run.mjs", "list"], None);
    let line = script.line().await;
    let ended = script.ended().await;
    assert!(ended.succeeded, "{}", ended.stderr);
    let suites: Value =
        serde_json::from_str(&line.expect("run.mjs prints the list")).expect("run.mjs prints JSON");
    let names = suites[suite][list].as_array().expect("a list of names");
    let names = names
        .iter()
        .map(|name| name.as_str().expect("a name").to_owned());
    names.collect()
}
