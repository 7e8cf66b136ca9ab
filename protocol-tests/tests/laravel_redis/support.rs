//! Relays that take in what Laravel publishes, and events as Laravel publishes them.

use protocol_tests::{RedisServer, Skipped, TestServer, TestServerBuilder, eventually, within};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::program::program;

/// What Laravel 8 puts before the names of channels where nothing else is configured.
pub(crate) const PREFIX: &str = "laravel_database_";

/// A relay, still to be configured, that listens to this Redis.
pub(crate) fn builder(url: &str, prefix: &str) -> TestServerBuilder {
    TestServer::builder()
        .set("ingest.laravel_redis.enabled", true)
        .set("ingest.laravel_redis.url", url)
        .set("ingest.laravel_redis.prefix", prefix)
}

/// A relay that listens to what Laravel publishes with [`PREFIX`]. `None` against a foreign server.
pub(crate) async fn relay(redis: &RedisServer) -> Result<TestServer, Skipped> {
    let server = builder(&redis.url(), PREFIX).start().await?;
    connected(&server, true).await;
    Ok(server)
}

/// Waits until the relay listens to Redis, or knows that it does not.
pub(crate) async fn connected(server: &TestServer, connected: bool) {
    let wanted = f64::from(u8::from(connected));
    eventually("the relay's connection to Redis", || async {
        let is = server.metrics().await.sum("fanfare_ingest_connected", &[]);
        (is == wanted).then_some(())
    })
    .await;
}

/// Waits until the relay has refused so many messages for this reason.
pub(crate) async fn refused(server: &TestServer, reason: &str, count: f64) {
    eventually(reason, || async {
        let metrics = server.metrics().await;
        let refused = metrics.sum("fanfare_ingest_refused_total", &[("reason", reason)]);
        (refused == count).then_some(())
    })
    .await;
}

/// Waits until the relay has taken so many messages for events: it counts one when it has handed it over.
pub(crate) async fn taken(server: &TestServer, count: f64) {
    eventually("the events to be counted", || async {
        let metrics = server.metrics().await;
        let taken = metrics.sum("fanfare_ingest_events_total", &[]);
        assert!(taken <= count, "{taken} of {count} events");
        (taken == count).then_some(())
    })
    .await;
}

/// How many of the relay's lines begin so.
pub(crate) fn lines(server: &TestServer, start: &str) -> usize {
    let log = server.log();
    let lines = log
        .iter()
        .filter_map(|line| serde_json::from_str(line).ok());
    lines
        .filter(|line: &Value| {
            line["message"]
                .as_str()
                .is_some_and(|message| message.starts_with(start))
        })
        .count()
}

/// A message as Laravel writes it, of an event with this number.
pub(crate) fn message(event: &str, number: usize) -> String {
    json!({"event": event, "data": {"number": number, "socket": null}, "socket": null}).to_string()
}

/// An event of a Laravel application.
pub(crate) struct LaravelEvent {
    wanted: Value,
}

impl LaravelEvent {
    /// On channels, each given by its kind (`public`, `private` or `presence`) and its name.
    pub(crate) fn new(name: &str, channels: &[(&str, &str)], payload: Value) -> LaravelEvent {
        LaravelEvent {
            wanted: json!({
                "event": name,
                "channels": channels,
                "payload": payload,
                "socket": null,
                "to_others": false,
                "prefix": PREFIX,
            }),
        }
    }

    /// Broadcast within a request with this header X-Socket-ID.
    pub(crate) fn requested_by(mut self, socket_id: &str) -> LaravelEvent {
        self.wanted["socket"] = socket_id.into();
        self
    }

    /// As `broadcast(…)->toOthers()`.
    pub(crate) fn excluding_sender(mut self) -> LaravelEvent {
        self.wanted["to_others"] = true.into();
        self
    }

    /// With another `database.redis.options.prefix` than [`PREFIX`].
    pub(crate) fn prefix(mut self, prefix: &str) -> LaravelEvent {
        self.wanted["prefix"] = prefix.into();
        self
    }

    /// Broadcasts it with Laravel's driver `redis`.
    pub(crate) async fn broadcast(&self, redis: &RedisServer) {
        let output = self.run("redis", redis.port()).await;
        assert_eq!(output, "");
    }

    /// What Laravel's driver `pusher` publishes for it over HTTP: the body of a request.
    pub(crate) async fn as_published_over_http(&self) -> Value {
        let body = self.run("pusher", 0).await;
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }

    async fn run(&self, driver: &str, port: u16) -> String {
        let mut wanted = self.wanted.clone();
        wanted["driver"] = driver.into();
        wanted["port"] = port.into();
        php(&wanted.to_string()).await
    }
}

/// Runs broadcast.php with this input, and returns its output.
async fn php(input: &str) -> String {
    let mut child = program("php")
        .args(["-d", "display_errors=stderr"])
        .args(["-d", "error_reporting=E_ALL&~E_DEPRECATED"])
        .arg("broadcast.php")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/laravel_redis"))
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("php is missing: run `make setup` first");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    let written = stdin.write_all(input.as_bytes()).await;
    written.expect("the script reads its input");
    drop(stdin);
    let output = within("the script's end", child.wait_with_output()).await;
    let output = output.expect("the child is ours to wait for");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && errors.is_empty(),
        "broadcast.php: {errors}"
    );
    String::from_utf8(output.stdout).expect("the script writes UTF-8")
}
