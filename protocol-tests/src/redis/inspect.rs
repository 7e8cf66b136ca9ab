//! What is in a Redis server, who is connected to it and what they send.

use std::time::Duration;

use redis::{Value, cmd};
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

    /// How many are subscribed to a topic.
    pub async fn listeners(&self, topic: &str) -> u64 {
        let ask = cmd("PUBSUB").arg("NUMSUB").arg(topic).clone();
        let (_topic, count): (String, u64) = self.command(&ask).await;
        count
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

    /// Listens to every command that the server gets from now on. It must want no password.
    pub async fn monitor(&self) -> Monitor {
        let mut lines = Lines::of(self, "MONITOR").await;
        assert_eq!(lines.next().await, b"+OK");
        Monitor { lines }
    }

    /// Listens to a topic whose name has no space and no quotes. It must want no password.
    pub async fn listen(&self, topic: &str) -> Messages {
        let mut lines = Lines::of(self, &format!("SUBSCRIBE {topic}")).await;
        // *3, $9, subscribe, $…, the topic, :1
        for _ in 0..5 {
            lines.next().await;
        }
        assert_eq!(lines.next().await, b":1");
        Messages { lines }
    }
}

/// Every command that a server gets, in its own words.
#[derive(Debug)]
pub struct Monitor {
    lines: Lines,
}

impl Monitor {
    /// Everything that was sent until the server is asked for `mark`, which nobody else may ask for.
    pub async fn until(&mut self, server: &RedisServer, mark: &str) -> Vec<String> {
        let _answer: String = server.command(cmd("ECHO").arg(mark)).await;
        let mut sent = Vec::new();
        loop {
            let line = String::from_utf8_lossy(&self.lines.next().await).into_owned();
            if line.contains(mark) {
                return sent;
            }
            sent.push(line);
        }
    }
}

/// What is published on a topic.
#[derive(Debug)]
pub struct Messages {
    lines: Lines,
}

impl Messages {
    /// The next message.
    pub async fn next(&mut self) -> Vec<u8> {
        // *3, $7, message, $…, the topic
        for _ in 0..5 {
            self.lines.next().await;
        }
        let length = String::from_utf8(self.lines.next().await).ok();
        let length = length.and_then(|text| text.strip_prefix('$')?.parse().ok());
        self.lines
            .take(length.expect("Redis says how long it is"))
            .await
    }
}

/// A connection to a server, line by line.
#[derive(Debug)]
struct Lines {
    connection: Connection,
}

impl Lines {
    /// Connects and sends a command.
    async fn of(server: &RedisServer, command: &str) -> Lines {
        let mut connection = Connection::open(&server.authority()).await;
        connection.send(format!("{command}\r\n").as_bytes()).await;
        Lines { connection }
    }

    /// The next line, without its end.
    async fn next(&mut self) -> Vec<u8> {
        loop {
            let buffered = self.connection.buffered();
            if let Some(end) = buffered.windows(2).position(|pair| pair == b"\r\n") {
                let line = buffered[..end].to_vec();
                self.connection.take(end + 2);
                return line;
            }
            self.receive().await;
        }
    }

    /// The next bytes, so many, and the line's end after them.
    async fn take(&mut self, count: usize) -> Vec<u8> {
        while self.connection.buffered().len() < count + 2 {
            self.receive().await;
        }
        let bytes = self.connection.buffered()[..count].to_vec();
        self.connection.take(count + 2);
        bytes
    }

    async fn receive(&mut self) {
        let more = within("Redis to send more", self.connection.receive()).await;
        more.expect("Redis is running");
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
