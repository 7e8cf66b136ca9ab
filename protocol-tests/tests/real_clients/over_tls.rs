//! The same over TLS: browsers speak HTTP/2 there, for all but WebSockets.

use std::fs;
use std::path::{Path, PathBuf};

use protocol_tests::metrics::Metrics;
use protocol_tests::{TestServer, TestServerBuilder};
use pusher::PusherBuilder;
use serde_json::{Value, json};

use crate::connector::Connector;
use crate::library::Library;
use crate::scenarios::Run;
use crate::script::{Interpreter, settings_over_tls};

/// A server that speaks TLS, with a certificate for its address.
pub(crate) struct Secured {
    pub(crate) server: TestServer,
    certificate: PathBuf,
    _files: tempfile::TempDir,
}

impl Secured {
    pub(crate) async fn start() -> Secured {
        Secured::start_with(TestServer::builder()).await
    }

    /// The same of a server that is set up otherwise, too.
    pub(crate) async fn start_with(builder: TestServerBuilder) -> Secured {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])
            .expect("a certificate can be made");
        let files = tempfile::tempdir().expect("there is room for a folder");
        let file = |name: &str, content: String| {
            let path = files.path().join(name);
            fs::write(&path, content).expect("the file can be written");
            path.to_str().expect("its name is text").to_owned()
        };
        let server = builder
            .set("tls.listen", "127.0.0.1:0")
            .set("tls.certificate", file("certificate.pem", made.cert.pem()))
            .set("tls.key", file("key.pem", made.signing_key.serialize_pem()))
            .start()
            .await;
        Secured {
            server: server.expect("TLS needs a relay of its own"),
            certificate: files.path().join("certificate.pem"),
            _files: files,
        }
    }

    pub(crate) fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// What programs are given of it.
    pub(crate) fn settings(&self) -> String {
        settings_over_tls(self.server.app(), &self.authority())
    }

    /// Where it speaks TLS: `127.0.0.1:port`.
    pub(crate) fn authority(&self) -> String {
        let log = self.server.log();
        let lines = log
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok());
        let mut listening = lines.filter(|line: &Value| line["listener"] == "tls");
        let line = listening.next().expect("the address is logged");
        line["address"].as_str().expect("it is text").to_owned()
    }

    pub(crate) async fn finish(self) {
        self.server.finish().await;
    }
}

/// The server's figures after all scenarios of a suite.
async fn all(environment: &'static str, suite: &'static str, version: &'static str) -> Metrics {
    let run = Run {
        environment,
        suite,
        version,
        scenario: "all",
    };
    let metrics = run.over_tls().await;
    assert!(handshakes(&metrics) > 0.0, "{run:?} did without TLS");
    metrics
}

/// How many connections clients have opened without keys of an earlier one.
fn handshakes(metrics: &Metrics) -> f64 {
    metrics.sum("fanfare_tls_handshakes_total", &[("outcome", "full")])
}

async fn requests_of_http2(suite: &'static str, version: &'static str) -> f64 {
    let metrics = all("chromium", suite, version).await;
    metrics.sum("fanfare_http2_requests_total", &[])
}

#[tokio::test]
async fn pusher_js_7_opens_websockets_over_http1() {
    assert_eq!(requests_of_http2("pusher-js", "7").await, 0.0);
}

#[tokio::test]
async fn pusher_js_8_opens_websockets_over_http1() {
    assert_eq!(requests_of_http2("pusher-js", "8").await, 0.0);
}

#[tokio::test]
async fn echo_2_opens_websockets_over_http1() {
    assert_eq!(requests_of_http2("echo", "2").await, 0.0);
}

#[tokio::test]
async fn chromium_streams_over_http2() {
    assert!(requests_of_http2("pusher-js", "8/xhr_streaming").await > 0.0);
}

#[tokio::test]
async fn chromium_polls_over_http2() {
    assert!(requests_of_http2("pusher-js", "8/xhr_polling").await > 0.0);
}

#[tokio::test]
async fn pusher_js_7_in_node_speaks_tls() {
    all("node", "pusher-js", "7").await;
}

#[tokio::test]
async fn pusher_js_8_in_node_speaks_tls() {
    all("node", "pusher-js", "8").await;
}

#[tokio::test]
async fn echo_2_in_node_speaks_tls() {
    all("node", "echo", "2").await;
}

#[tokio::test]
async fn server_libraries_trigger_over_https() {
    for (interpreter, program) in [
        (Interpreter::Node, "libraries/node.mjs"),
        (Interpreter::Python, "libraries/python.py"),
        (Interpreter::Php, "libraries/php.php"),
    ] {
        let secured = Secured::start().await;
        let server = &secured.server;
        let channel = server.channel("https-");
        let mut client = server.connect().await;
        client.subscribe(&channel).await;
        let mut library = Library::over_tls(&secured, interpreter, program);
        let data = json!({"text": "naïve ☕"});
        library.call("trigger", json!([channel, "one", data])).await;
        let event = client.expect_event_on(&channel, "one").await;
        assert_eq!(event.data_json(), data);
        library.finish().await;
        assert!(handshakes(&server.metrics().await) > 0.0, "{program}");
        drop(client);
        secured.finish().await;
    }
}

#[tokio::test]
async fn the_rust_library_triggers_over_https() {
    let secured = Secured::start().await;
    let server = &secured.server;
    let channel = server.channel("https-");
    let mut client = server.connect().await;
    client.subscribe(&channel).await;
    let app = server.app();
    let connector = Connector::trusting(secured.certificate());
    let http = hyper::Client::builder().build(connector);
    let library = PusherBuilder::new_with_client(http, &app.id, &app.key, &app.secret)
        .host(&secured.authority())
        .secure()
        .finalize();
    let data = json!({"text": "naïve ☕"});
    library.trigger(&channel, "one", &data).await.unwrap();
    let event = client.expect_event_on(&channel, "one").await;
    assert_eq!(event.data_json(), data);
    let known = library.channels().await.unwrap().channels;
    assert!(known.contains_key(&channel), "{:?}", known.keys());
    assert_eq!(handshakes(&server.metrics().await), 1.0);
    drop(client);
    secured.finish().await;
}
