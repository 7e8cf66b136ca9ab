//! Webhooks to endpoints over TLS, which Node serves.

use protocol_tests::sign::hmac_sha256_hex;
use protocol_tests::{AppConfig, TestServer, WebhookConfig, eventually, within};
use serde_json::{Value, json};

use crate::script::{Interpreter, Script};

/// A webhook endpoint at `https://localhost`, with a certificate that it has signed itself.
struct HttpsReceiver {
    script: Script,
    port: u16,
    /// The certificate, in a file for who is to trust it.
    certificate: tempfile::NamedTempFile,
}

impl HttpsReceiver {
    /// An endpoint that speaks HTTP/1.1, and HTTP/2 too if asked to.
    async fn start(http2: bool) -> HttpsReceiver {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])
            .expect("a certificate can be made");
        let certificate = tempfile::NamedTempFile::new().expect("there is room for a file");
        std::fs::write(certificate.path(), made.cert.pem()).expect("the file can be written");
        let mut script = Script::start(Interpreter::Node, &["libraries/https-receiver.mjs"], None);
        let settings = json!({
            "key": made.signing_key.serialize_pem(),
            "cert": made.cert.pem(),
            "http2": http2,
        });
        script.write_line(&settings.to_string()).await;
        let port = within("the endpoint's port", script.line()).await;
        HttpsReceiver {
            port: port
                .and_then(|port| port.parse().ok())
                .expect("the endpoint prints its port first"),
            script,
            certificate,
        }
    }

    fn app(&self) -> AppConfig {
        let url = format!("https://localhost:{}/hook?x=1", self.port);
        AppConfig::new("10001").webhook(WebhookConfig::new(&url, &["channel_occupied"]))
    }

    /// A relay that trusts the endpoint.
    async fn relay(&self) -> TestServer {
        let path = self.certificate.path().to_str();
        let path = path.expect("temporary files have names of text");
        let builder = TestServer::builder().app(self.app());
        let builder = builder.set("webhooks.ca_certificates", path);
        builder.start().await.expect("TLS needs a relay of its own")
    }

    async fn next_request(&mut self) -> Value {
        let line = within("a request", self.script.line()).await;
        serde_json::from_str(&line.expect("the endpoint goes on")).expect("it is JSON")
    }

    async fn finish(mut self) {
        let ended = self.script.ended().await;
        assert!(ended.succeeded, "{}", ended.stderr);
    }
}

/// Lets channels be occupied, one after the other, and returns the requests that report it.
async fn requests(http2: bool) -> Vec<Value> {
    let mut receiver = HttpsReceiver::start(http2).await;
    let server = receiver.relay().await;
    let mut client = server.connect().await;
    let mut requests = Vec::new();
    for _ in 0..5 {
        let channel = server.channel("public-");
        client.subscribe(&channel).await;
        let request = receiver.next_request().await;
        let body = request["body"].as_str().expect("a body is a text");
        let reported: Value = serde_json::from_str(body).expect("a webhook is JSON");
        assert_eq!(
            reported["events"],
            json!([{"name": "channel_occupied", "channel": channel}])
        );
        let signature = hmac_sha256_hex(&server.app().secret, body.as_bytes());
        assert_eq!(request["headers"]["x-pusher-signature"], signature);
        assert_eq!(request["headers"]["x-pusher-key"], server.app().key);
        assert_eq!(request["headers"]["content-type"], "application/json");
        assert_eq!(request["path"], "/hook?x=1");
        requests.push(request);
    }
    receiver.finish().await;
    server.finish().await;
    requests
}

#[tokio::test]
async fn http_2_is_used_where_it_is_offered() {
    for request in requests(true).await {
        assert_eq!(request["httpVersion"], "2.0");
        assert_eq!(request["session"], 1, "a connection is kept");
    }
}

#[tokio::test]
async fn http_1_is_used_where_nothing_else_is_offered() {
    let requests = requests(false).await;
    for request in &requests {
        assert_eq!(request["httpVersion"], "1.1");
    }
    // One more is opened only where the answer on another is still under way.
    let connections = requests.last().unwrap()["session"].as_u64().unwrap();
    assert!(connections < requests.len() as u64, "connections are kept");
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let receiver = HttpsReceiver::start(true).await;
    let builder = TestServer::builder().app(receiver.app());
    // What cannot be sent holds up the end of the relay until then.
    let builder = builder.set("server.shutdown_timeout", 1);
    let server = builder.start().await.expect("TLS needs a relay of its own");
    let mut client = server.connect().await;
    client.subscribe(&server.channel("public-")).await;
    eventually("the log to have it", || async {
        let log = server.log();
        let is_logged = log.iter().any(|line| line.contains("certificate"));
        is_logged.then_some(())
    })
    .await;
    receiver.finish().await;
    drop(client);
    server.finish().await;
}
