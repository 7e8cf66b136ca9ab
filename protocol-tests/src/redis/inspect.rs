//! What is in a Redis server, who is connected to it and what they say.

use std::time::Duration;

use redis::{Value, cmd};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::RedisServer;
use crate::connection::Connection;
use crate::wait::{PATIENCE, within};

impl RedisServer {
    /// The keys that begin with `prefix`, sorted.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        let mut keys: Vec<String> = self.command(cmd("KEYS").arg(pattern(prefix))).await;
        keys.sort();
        keys
    }

    /// The keys that begin with `prefix` and stay until somebody removes them.
    pub async fn lasting_keys(&self, prefix: &str) -> Vec<String> {
        let mut lasting = Vec::new();
        for key in self.keys(prefix).await {
            // -1: no expiry; -2: gone meanwhile.
            let expiry: i64 = self.command(cmd("PTTL").arg(&key)).await;
            if expiry == -1 {
                lasting.push(key);
            }
        }
        lasting
    }

    /// Waits until every key with this prefix is gone or has an expiry.
    pub async fn expect_nothing_lasting(&self, prefix: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = self.lasting_keys(prefix).await;
            if left.is_empty() {
                return;
            }
            if Instant::now() >= deadline {
                let mut held = Vec::new();
                for key in left {
                    let value = self.value(&key).await;
                    held.push(format!("{key}: {value}"));
                }
                panic!("Redis still holds {held:#?}");
            }
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// The value of a key in words, whatever its type is.
    pub async fn value(&self, key: &str) -> String {
        let kind: String = self.command(cmd("TYPE").arg(key)).await;
        let read = match kind.as_str() {
            "string" => cmd("GET").arg(key).clone(),
            "hash" => cmd("HGETALL").arg(key).clone(),
            "set" => cmd("SMEMBERS").arg(key).clone(),
            "list" => cmd("LRANGE").arg(key).arg(0).arg(-1).clone(),
            "zset" => cmd("ZRANGE").arg(key).arg(0).arg(-1).clone(),
            "stream" => cmd("XRANGE").arg(key).arg("-").arg("+").clone(),
            // Gone meanwhile.
            "none" => return String::new(),
            other => panic!("{key} is a {other}"),
        };
        in_words(&self.command(&read).await)
    }

    /// The topics that begin with `prefix` and that somebody is subscribed to, sharded ones too.
    pub async fn topics(&self, prefix: &str) -> Vec<String> {
        let mut topics = Vec::new();
        for kind in ["CHANNELS", "SHARDCHANNELS"] {
            let ask = cmd("PUBSUB").arg(kind).arg(pattern(prefix)).clone();
            topics.extend(self.command::<Vec<String>>(&ask).await);
        }
        topics
    }

    /// The ids of the connections that others have, the oldest first.
    pub async fn clients(&self) -> Vec<String> {
        let list: String = self.command(cmd("CLIENT").arg("LIST")).await;
        let asks = |line: &&str| line.contains(" cmd=client");
        let ids = list.lines().filter(|line| !asks(line));
        ids.filter_map(|line| line.strip_prefix("id=")?.split(' ').next())
            .map(str::to_owned)
            .collect()
    }

    /// Closes one of [`clients`](Self::clients); `false` when it had gone.
    pub async fn close_client(&self, id: &str) -> bool {
        let close = cmd("CLIENT").arg("KILL").arg("ID").arg(id).clone();
        self.command::<i64>(&close).await == 1
    }

    /// Listens to every command that the server gets from now on.
    pub async fn monitor(&self) -> Monitor {
        let stream = within("a connection", TcpStream::connect(self.authority())).await;
        let mut connection = Connection::over(stream.expect("Redis is running"));
        connection.send(b"MONITOR\r\n").await;
        let mut monitor = Monitor { connection };
        assert_eq!(monitor.line().await, "+OK");
        monitor
    }
}

/// Every command that a server gets, in its own words.
#[derive(Debug)]
pub struct Monitor {
    connection: Connection,
}

impl Monitor {
    /// Everything that was said until the server is asked for `mark`, which nobody else may ask for.
    pub async fn until(&mut self, server: &RedisServer, mark: &str) -> Vec<String> {
        let _answer: String = server.command(cmd("ECHO").arg(mark)).await;
        let mut lines = Vec::new();
        loop {
            let line = self.line().await;
            if line.contains(mark) {
                return lines;
            }
            lines.push(line);
        }
    }

    async fn line(&mut self) -> String {
        loop {
            let buffered = self.connection.buffered();
            if let Some(end) = buffered.iter().position(|byte| *byte == b'\n') {
                let line = String::from_utf8_lossy(&buffered[..end]).into_owned();
                self.connection.take(end + 1);
                return line.trim_end().to_owned();
            }
            let more = within("a line of the monitor", self.connection.receive()).await;
            more.expect("Redis is running");
        }
    }
}

/// A glob pattern that `prefix` matches with whatever follows it.
fn pattern(prefix: &str) -> String {
    let mut pattern = String::new();
    for character in prefix.chars() {
        if "*?[]\\".contains(character) {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern + "*"
}

fn in_words(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Array(values) | Value::Set(values) => {
            let words: Vec<String> = values.iter().map(in_words).collect();
            words.join(" ")
        }
        other => format!("{other:?}"),
    }
}
