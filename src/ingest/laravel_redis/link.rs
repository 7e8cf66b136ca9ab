//! The connection to Redis.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use redis::aio::{PubSubSink, PubSubStream};
use redis::{Msg, RedisResult, Value};
use service::backoff::Backoff;
use tokio::time::{sleep, timeout};

use super::server::RedisServer;
use crate::metrics::Gauge;

/// How long it may take until a connection listens.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often Redis is asked whether it is still there.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// How long it may take to answer.
const PING_TIMEOUT: Duration = Duration::from_secs(3);
/// The most that is waited before a new attempt.
const LONGEST_DELAY: Duration = Duration::from_secs(2);
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), LONGEST_DELAY);

/// Listens to all topics with a prefix.
#[derive(Debug)]
pub(super) struct Link<'a> {
    server: &'a RedisServer,
    pattern: String,
    connected: &'a Gauge,
}

/// Why a connection came to its end.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("Redis has closed it")]
    Closed,
    #[error("Redis has not answered for {} s", PING_TIMEOUT.as_secs())]
    Silent,
}

impl<'a> Link<'a> {
    pub(super) fn new(server: &'a RedisServer, prefix: &str, connected: &'a Gauge) -> Self {
        Self {
            server,
            pattern: pattern(prefix),
            connected,
        }
    }

    /// Hands over every message, connecting again for as long as it is polled. Loss and return
    /// are logged once each.
    pub(super) async fn keep_up(&self, mut take: impl FnMut(Msg)) {
        let (server, pattern) = (self.server, &*self.pattern);
        let mut failures = 0;
        let mut is_logged = false;
        loop {
            match self.connect().await {
                Ok((sink, stream)) => {
                    tracing::info!(%server, pattern, "Laravel's events are taken in from Redis");
                    self.connected.set(1);
                    let since = Instant::now();
                    let lost = listen(sink, stream, &mut take).await;
                    self.connected.set(0);
                    tracing::warn!(%server, "the connection to Laravel's Redis is lost: {lost}");
                    is_logged = true;
                    // One that does not last is no success: it must not be tried without pause.
                    if since.elapsed() > LONGEST_DELAY {
                        failures = 0;
                    }
                }
                Err(error) if !is_logged => {
                    tracing::warn!(%server, "Laravel's Redis cannot be listened to yet: {error}");
                    is_logged = true;
                }
                Err(_) => {}
            }
            failures += 1;
            sleep(BACKOFF.delay(failures)).await;
        }
    }

    async fn connect(&self) -> Result<(PubSubSink, PubSubStream), String> {
        let connected = timeout(CONNECT_TIMEOUT, self.subscribe()).await;
        match connected {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer for {} s", CONNECT_TIMEOUT.as_secs())),
        }
    }

    async fn subscribe(&self) -> RedisResult<(PubSubSink, PubSubStream)> {
        let connection = self.server.client().get_async_pubsub().await?;
        let (mut sink, stream) = connection.split();
        sink.psubscribe(&self.pattern).await?;
        Ok((sink, stream))
    }
}

impl Drop for Link<'_> {
    fn drop(&mut self) {
        self.connected.set(0);
    }
}

/// Hands over every message until the connection is lost.
async fn listen(sink: PubSubSink, stream: PubSubStream, take: impl FnMut(Msg)) -> Lost {
    tokio::select! {
        lost = receive(stream, take) => lost,
        lost = ask(sink) => lost,
    }
}

async fn receive(mut stream: PubSubStream, mut take: impl FnMut(Msg)) -> Lost {
    // The stream has no bound, but what is taken from it has: so everything is taken at once,
    // and not only as much as a task may do in one turn.
    let all = async {
        while let Some(message) = stream.next().await {
            take(message);
        }
    };
    tokio::task::unconstrained(all).await;
    Lost::Closed
}

/// Asks again and again whether Redis is still there: a connection whose other end has vanished
/// is silent by itself.
async fn ask(mut sink: PubSubSink) -> Lost {
    loop {
        sleep(PING_INTERVAL).await;
        // Any answer will do, even that this user may not ask.
        let answer = timeout(PING_TIMEOUT, sink.ping::<Value>()).await;
        if answer.is_err() {
            return Lost::Silent;
        }
    }
}

/// What matches all topics with this prefix.
///
/// Source: the Redis documentation, `PSUBSCRIBE`: `\` makes the character behind it an ordinary
/// one.
fn pattern(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 1);
    for c in prefix.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('*');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_stands_for_itself() {
        assert_eq!(pattern(""), "*");
        assert_eq!(pattern("laravel_database_"), "laravel_database_*");
        assert_eq!(pattern(r"a[b]*?\"), r"a\[b\]\*\?\\*");
    }
}
