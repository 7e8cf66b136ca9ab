//! Messages of others, on topics of a Redis.

use redis::Cmd;

use super::{RedisServer, connect};
use crate::wait::within;

impl RedisServer {
    /// Publishes a message; returns how many listened.
    pub async fn publish(&self, topic: &str, message: &str) -> u64 {
        self.publish_bytes(topic.as_bytes(), message.as_bytes())
            .await
    }

    /// Publishes what need be no text.
    pub async fn publish_bytes(&self, topic: &[u8], message: &[u8]) -> u64 {
        self.command(&publish(topic, message)).await
    }

    /// Publishes messages one after another, without waiting in between; returns how many listened to them in sum.
    pub async fn publish_all(&self, messages: &[(&str, &str)]) -> u64 {
        let mut pipeline = redis::pipe();
        for (topic, message) in messages {
            pipeline.add_command(publish(topic.as_bytes(), message.as_bytes()));
        }
        let mut connection = connect(&self.url()).await.expect("Redis listens");
        let published = pipeline.query_async(&mut connection);
        let counts: Vec<u64> = within("Redis to publish", published)
            .await
            .expect("it publishes");
        counts.iter().sum()
    }
}

fn publish(topic: &[u8], message: &[u8]) -> Cmd {
    let mut command = redis::cmd("PUBLISH");
    command.arg(topic).arg(message);
    command
}
