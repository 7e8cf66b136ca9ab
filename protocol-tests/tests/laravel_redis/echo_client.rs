//! Laravel Echo over pusher-js, which a page has instead of socket.io-client.

use std::path::Path;
use std::process::Stdio;

use protocol_tests::{RedisServer, TestServer, or_skip, within};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

use crate::program::program;
use crate::support::{LaravelEvent, relay};

/// A page of its own process.
struct Page {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
}

impl Page {
    fn open(server: &TestServer, public: &str, private: &str) -> Page {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let node = package.join("../.tools/bin/node");
        let (host, port) = server
            .endpoint()
            .authority
            .rsplit_once(':')
            .expect("an authority has a port");
        let app = server.app();
        let settings = json!({
            "host": host,
            "port": port.parse::<u16>().expect("a port is a number"),
            "app": {"key": app.key, "secret": app.secret},
            "publicChannel": public,
            "privateChannel": private,
            "event": "OrderShipped",
        });
        let mut child = program(node.to_str().expect("the project's path is UTF-8"))
            .arg("laravel-redis.mjs")
            .current_dir(package.join("clients"))
            .env("CLIENT_TEST", settings.to_string())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("Node.js is missing: run `make setup` first");
        let stdout = child.stdout.take().expect("stdout is piped");
        Page {
            child,
            output: BufReader::new(stdout).lines(),
        }
    }

    /// The next thing that the page has received.
    async fn receives(&mut self) -> Value {
        let line = within("the page", self.output.next_line()).await;
        let line = line.expect("the page writes UTF-8");
        let line = line.expect("the page goes on");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    /// Waits for both subscriptions; returns the socket id.
    async fn subscribed(&mut self) -> String {
        let both = [self.receives().await, self.receives().await];
        let socket_id = both.map(|report| match report["socketId"].as_str() {
            Some(socket_id) if report["subscribed"].is_string() => socket_id.to_owned(),
            _ => panic!("{report}"),
        });
        assert_eq!(socket_id[0], socket_id[1]);
        socket_id[0].clone()
    }

    async fn close(mut self) {
        drop(self.child.stdin.take());
        let status = within("the page's end", self.child.wait()).await;
        assert!(status.expect("the child is ours to wait for").success());
    }
}

#[tokio::test]
async fn echo_receives_what_laravel_publishes_on_redis() {
    let redis = RedisServer::start().await;
    let server = or_skip!(relay(&redis).await);
    let public = server.channel("orders.");
    let private = server.channel("private-orders.");
    let name = private.strip_prefix("private-").unwrap();
    let mut pages = [(); 2].map(|()| Page::open(&server, &public, name));
    let sender = pages[0].subscribed().await;
    pages[1].subscribed().await;

    let channels = [("public", public.as_str()), ("private", name)];
    let event = |number| {
        let payload = json!({"order": {"number": number, "by": "Änne"}});
        LaravelEvent::new("App\\Events\\OrderShipped", &channels, payload).requested_by(&sender)
    };
    event(1).broadcast(&redis).await;
    event(2).excluding_sender().broadcast(&redis).await;
    event(3).broadcast(&redis).await;
    for (page, numbers) in pages.iter_mut().zip([&[1, 3][..], &[1, 2, 3]]) {
        for number in numbers {
            for channel in [&public, &private] {
                let data = json!({"order": {"number": number, "by": "Änne"}});
                let expected = json!({"channel": channel, "data": data});
                assert_eq!(page.receives().await, expected);
            }
        }
    }
    for page in pages {
        page.close().await;
    }
    server.finish().await;
}
