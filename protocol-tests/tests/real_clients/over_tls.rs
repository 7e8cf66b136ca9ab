//! The same over TLS: browsers speak HTTP/2 there, for all but WebSockets.

use protocol_tests::Secured;
use protocol_tests::metrics::Metrics;
use pusher::PusherBuilder;
use serde_json::json;

use crate::connector::Connector;
use crate::library::Library;
use crate::scenarios::Run;
use crate::script::Interpreter;

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
        .host(secured.authority())
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
