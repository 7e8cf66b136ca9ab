//! The logs of all channels together are bounded, however many they are: the oldest of them goes.

use protocol_tests::cluster::PREFIX;
use protocol_tests::{RedisServer, eventually, or_skip};

use crate::catching_up::{BATCH, DATA, publish_large};
use crate::support::{channel_name, figure, finish, nodes};

/// Bytes that all logs may have.
const MOST: usize = 2_000_000;
/// So many channels have four times as much.
const CHANNELS: usize = MOST * 4 / (DATA * BATCH);

/// The bytes that the log of a channel takes in Redis.
async fn log_bytes(redis: &RedisServer, channel: &str) -> usize {
    let key = format!("{PREFIX}{{10001:{channel}}}:log");
    let usage = redis::cmd("MEMORY").arg("USAGE").arg(&key).clone();
    redis.command::<Option<usize>>(&usage).await.unwrap_or(0)
}

async fn all_log_bytes(redis: &RedisServer, channels: &[String]) -> usize {
    let mut sum = 0;
    for channel in channels {
        sum += log_bytes(redis, channel).await;
    }
    sum
}

#[tokio::test]
async fn all_logs_together_keep_no_more_bytes_than_they_may_and_the_newest() {
    let redis = RedisServer::start().await;
    let builder = nodes(&redis).set("cluster.total_log_bytes", MOST as i64);
    let cluster = or_skip!(builder.nodes(3).start().await);
    let channels: Vec<String> = (0..CHANNELS).map(|_| channel_name("public-")).collect();
    let mut listener = cluster[2].connect().await;
    for channel in &channels {
        listener.subscribe(channel).await;
    }
    for (number, channel) in channels.iter().enumerate() {
        let node = &cluster[number % 2];
        publish_large(node.app().clone(), node.http(), channel.clone(), BATCH).await;
        for _ in 0..BATCH {
            listener.expect_event_on(channel, "large").await;
        }
    }
    // Much sooner than entries expire.
    let kept = eventually("the logs to be small", || async {
        let bytes = all_log_bytes(&redis, &channels).await;
        (bytes < MOST * 3 / 2).then_some(bytes)
    })
    .await;
    assert!(kept > MOST / 3, "{kept}");
    let newest = log_bytes(&redis, &channels[CHANNELS - 1]).await;
    let oldest = log_bytes(&redis, &channels[0]).await;
    assert!(newest > DATA * BATCH && oldest < DATA, "{newest}, {oldest}");
    assert!(figure(&cluster[0], "log_evictions_total").await > 0.0);
    eventually("the figure to follow", || async {
        let bytes = figure(&cluster[2], "log_bytes").await;
        (bytes > 0.0 && bytes <= MOST as f64).then_some(())
    })
    .await;
    drop(listener);
    finish(cluster, &redis).await;
}
