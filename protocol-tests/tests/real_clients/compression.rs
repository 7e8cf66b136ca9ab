//! WebSocket libraries that offer compression, in both directions.

use protocol_tests::metrics::Metrics;
use protocol_tests::{Event, PublishedEvent, Secured, TestServer, within};
use serde_json::{Value, json};

use crate::scenarios::Run;
use crate::script::{Interpreter, Script, settings_over_tls};

/// Text of so many bytes that compression makes smaller.
fn text(bytes: usize) -> String {
    let words = (0..)
        .flat_map(|number: usize| format!("naive order {}, ", number * number % 997).into_bytes());
    String::from_utf8(words.take(bytes).collect()).expect("it is ASCII")
}

struct Client {
    script: Script,
}

impl Client {
    async fn next(&mut self) -> Event {
        let Some(line) = within("a message", self.script.line()).await else {
            panic!("the program ended:\n{}", self.script.ended().await.stderr);
        };
        Event::parse(&line)
    }

    async fn send(&mut self, message: &Value) {
        self.script.write_line(&message.to_string()).await;
    }

    async fn subscribe(&mut self, channel: &str, auth: &str) {
        let data = json!({"channel": channel, "auth": auth});
        self.send(&json!({"event": "pusher:subscribe", "data": data}))
            .await;
        let subscribed = self.next().await;
        assert_eq!(subscribed.name, "pusher_internal:subscription_succeeded");
    }
}

/// A program, and the largest event that it takes compressed.
#[derive(Clone, Copy)]
struct Program<'a> {
    interpreter: Interpreter,
    arguments: &'a [&'a str],
    window: usize,
}

const NODE: Program<'_> = Program {
    interpreter: Interpreter::Node,
    arguments: &["libraries/compressed.mjs"],
    window: usize::MAX,
};

const PYTHON: [Program<'_>; 4] = [
    python(&["libraries/compressed.py", "websockets"], usize::MAX),
    python(&["libraries/compressed.py", "wsproto"], usize::MAX),
    python(&["libraries/compressed.py", "websockets", "12"], 4096),
    python(&["libraries/compressed.py", "wsproto", "12"], 4096),
];

const fn python<'a>(arguments: &'a [&'a str], window: usize) -> Program<'a> {
    Program {
        interpreter: Interpreter::Python,
        arguments,
        window,
    }
}

impl Program<'_> {
    async fn over_ws(self) {
        let server = TestServer::start().await;
        let script = Script::start(self.interpreter, self.arguments, Some(&server));
        exchanges(&server, script, self.window).await;
        server.finish().await;
    }

    async fn over_wss(self) {
        let secured = Secured::start().await;
        let (settings, certificate) = (
            Some(settings_over_tls(&secured)),
            Some(secured.certificate()),
        );
        let script =
            Script::start_trusting(self.interpreter, self.arguments, settings, certificate);
        exchanges(&secured.server, script, self.window).await;
        let metrics = secured.server.metrics().await;
        let full = [("outcome", "full")];
        assert_eq!(metrics.sum("fanfare_tls_handshakes_total", &full), 1.0);
        secured.finish().await;
    }
}

/// Has the program receive events and send others. `window`: the largest event that it takes compressed.
async fn exchanges(server: &TestServer, mut script: Script, window: usize) {
    let Some(extension) = within("the handshake", script.line()).await else {
        panic!("the program ended:\n{}", script.ended().await.stderr);
    };
    assert!(extension.starts_with("permessage-deflate"), "{extension}");
    let mut client = Client { script };
    let established = client.next().await;
    let socket_id = established.data_json()["socket_id"]
        .as_str()
        .expect("a text")
        .to_owned();
    let channel = server.channel("private-");
    let auth = server.app().channel_auth(&socket_id, &channel, None);
    client.subscribe(&channel, &auth).await;
    let mut other = server.connect().await;
    other.subscribe(&channel).await;

    let lengths = [10, 1000, 3000, 9000];
    for length in lengths {
        let event = PublishedEvent::new(&channel, "event", text(length));
        server.publish(event).await;
        let event = client.next().await;
        assert_eq!(
            (event.name.as_str(), event.data_text()),
            ("event", text(length).as_str())
        );
        other.expect_event_on(&channel, "event").await;
        let message = json!({"event": "client-event", "channel": channel, "data": text(length)});
        client.send(&message).await;
        let event = other.expect_event_on(&channel, "client-event").await;
        assert_eq!(event.data_text(), text(length));
    }
    let compressed = lengths
        .iter()
        .filter(|length| **length > 500 && **length < window);
    let metrics = server.metrics().await;
    let sum = |name| metrics.sum(name, &[]);
    assert_eq!(
        sum("fanfare_frames_compressed_total"),
        compressed.count() as f64
    );
    // All that it has sent, the subscription too, or but for what is too short to be worth it.
    assert!(sum("fanfare_messages_inflated_total") >= 3.0);
    assert_eq!(sum("fanfare_inflate_refused_total"), 0.0);
    let ended = client.script.ended().await;
    assert!(ended.succeeded, "{}", ended.stderr);
}

#[tokio::test]
async fn ws_of_node() {
    NODE.over_ws().await;
}

#[tokio::test]
async fn ws_of_node_over_tls() {
    NODE.over_wss().await;
}

#[tokio::test]
async fn websockets_and_wsproto_of_python_with_windows_of_32_and_4_kib() {
    for program in PYTHON {
        program.over_ws().await;
    }
}

#[tokio::test]
async fn websockets_and_wsproto_of_python_with_windows_of_32_and_4_kib_over_tls() {
    for program in PYTHON {
        program.over_wss().await;
    }
}

const LARGE_EVENTS: Run = Run {
    environment: "chromium",
    suite: "pusher-js",
    version: "8",
    scenario: "large_events",
};

#[tokio::test]
async fn pusher_js_in_chromium() {
    expect_compressed(&LARGE_EVENTS.with_metrics().await);
}

#[tokio::test]
async fn pusher_js_in_chromium_over_tls() {
    expect_compressed(&LARGE_EVENTS.over_tls().await);
}

fn expect_compressed(metrics: &Metrics) {
    let sum = |name| metrics.sum(name, &[]);
    assert!(sum("fanfare_compression_negotiated_total") >= 2.0);
    assert!(sum("fanfare_compression_saved_bytes_total") > 0.0);
    assert!(sum("fanfare_messages_inflated_total") > 0.0);
}
