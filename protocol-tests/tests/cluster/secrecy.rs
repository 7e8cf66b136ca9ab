//! What is in Redis is no secret's place, and what is put there by others does no harm.

use protocol_tests::cluster::PREFIX;
use protocol_tests::names::unique;
use protocol_tests::{AppConfig, Cluster, PublishedEvent, RedisServer, Request, Skipped, or_skip};
use redis::cmd;
use serde_json::json;

use crate::support::{
    KINDS, channel_name, expect_nothing, figure, finish, member, nodes, signed_in, start,
    subscriber_of_each, wait_for_figure,
};

const SECRETS: [&str; 3] = ["s3cret-of-app", "s3cret-of-rotation", "s3cret-of-header"];

/// Three nodes whose app has all these secrets.
async fn start_with_secrets(redis: &RedisServer) -> Result<Cluster, Skipped> {
    let webhook = protocol_tests::WebhookConfig::new("http://127.0.0.1:9/", &["member_added"]);
    let app = AppConfig::new("10001")
        .set("secret", SECRETS[0])
        .set("watchlist", true)
        .extra_key("old-key", SECRETS[1])
        .webhook(webhook.set("headers.Authorization", SECRETS[2]));
    Cluster::builder(redis.url()).app(app).start().await
}

/// Does everything that leaves something in Redis or is sent there.
async fn use_everything(cluster: &Cluster) {
    for kind in KINDS {
        let channel = channel_name(kind);
        let clients = subscriber_of_each(cluster, &channel).await;
        let event = PublishedEvent::new(&channel, "x", "y").excluding(&clients[0].socket_id);
        let event = event.with("idempotency_key", unique("k-").into());
        cluster[0].publish(event).await;
    }
    let user = unique("u-");
    let mut page = signed_in(&cluster[0], &user, &["other"]).await;
    let _member = member(&cluster[1], &channel_name("presence-"), &user).await;
    for path in ["terminate_connections", "force_reconnect"] {
        let path = format!("/users/{user}/{path}");
        let request = Request::post(cluster.app(), &path).json(&json!({}));
        cluster[2].request(&request).await.expect_status(200);
    }
    page.expect_close().await;
    for path in ["/channels", "/channels/a"] {
        cluster[2].get(path, &[]).await;
    }
}

#[tokio::test]
async fn no_secret_is_ever_sent_to_redis() {
    let redis = RedisServer::start().await;
    let mut monitor = redis.monitor().await;
    let mut cluster = or_skip!(start_with_secrets(&redis).await);
    use_everything(&cluster).await;
    for key in redis.keys("").await {
        let value = redis.value(&key).await;
        for secret in SECRETS {
            let held = key.contains(secret) || value.contains(secret);
            assert!(!held, "{key} holds {secret}: {value}");
        }
    }
    cluster.kill(2).await;
    cluster.wait_until_ready().await;
    cluster.finish().await;
    let commands = monitor.until(&redis, &unique("mark-")).await;
    assert!(
        commands.len() > 50,
        "the monitor has seen little: {commands:#?}"
    );
    for line in commands {
        for secret in SECRETS {
            assert!(!line.contains(secret), "{secret} was sent: {line}");
        }
    }
}

#[tokio::test]
async fn all_that_nodes_keep_and_publish_is_under_the_prefix() {
    let redis = RedisServer::start().await;
    let cluster = or_skip!(start_with_secrets(&redis).await);
    let all = |name: &str| cmd(name).arg("*").clone();
    use_everything(&cluster).await;
    let keys: Vec<String> = redis.command(&all("KEYS")).await;
    let mut topics = redis.topics("").await;
    topics.extend(keys);
    assert!(!topics.is_empty());
    for name in topics {
        assert!(name.starts_with(PREFIX), "{name}");
    }
    // What is not used any more is not listened to for long.
    protocol_tests::eventually("nobody to listen", || async {
        let topics = redis.topics(PREFIX).await;
        topics.is_empty().then_some(())
    })
    .await;
    cluster.finish().await;
}

#[tokio::test]
async fn password_of_redis_is_used_and_not_logged() {
    const PASSWORD: &str = "p4ss-of-redis";
    let mut redis = RedisServer::start_with_password(PASSWORD).await;
    let cluster = or_skip!(nodes(&redis).nodes(2).start().await);
    let channel = channel_name("public-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    cluster[0]
        .publish(PublishedEvent::new(&channel, "x", "y"))
        .await;
    for client in &mut clients {
        client.expect_event_on(&channel, "x").await;
    }
    redis.kill().await;
    for node in cluster.nodes() {
        protocol_tests::eventually("the node to know that Redis is away", || async {
            (figure(node, "connected").await == 0.0).then_some(())
        })
        .await;
    }
    redis.restart().await;
    cluster.wait_until_ready().await;
    for node in cluster.nodes() {
        for line in node.log() {
            assert!(!line.contains(PASSWORD), "{line}");
        }
    }
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn messages_that_nobody_can_read_are_counted_and_do_no_harm() {
    let (redis, cluster) = or_skip!(start().await);
    let channel = channel_name("presence-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    let topics = redis.topics(PREFIX).await;
    assert!(
        topics.iter().any(|topic| topic.contains(&channel)),
        "{topics:?}"
    );
    let messages: [&[u8]; 7] = [
        b"",
        b"garbage",
        b"\xff\xfe\x00\x80",
        b"{\"version\": 9, \"event\": \"x\"}",
        b"9 9 9",
        b"O:16:\"SerializedObject\":0:{}",
        &[b'x'; 1_000_000],
    ];
    for topic in &topics {
        for message in messages {
            let publish = cmd("PUBLISH").arg(topic).arg(message).clone();
            let listeners: i64 = redis.command(&publish).await;
            assert!(listeners >= 1, "nobody listens to {topic}");
        }
    }
    for node in cluster.nodes() {
        wait_for_figure(node, "unreadable_total", messages.len() as f64).await;
    }
    expect_nothing(&cluster, &mut clients).await;
    for node in cluster.nodes() {
        node.publish(PublishedEvent::new(&channel, "x", "y")).await;
        for client in &mut clients {
            client.expect_event_on(&channel, "x").await;
        }
    }
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn messages_that_are_cut_short_do_no_harm() {
    let (redis, cluster) = or_skip!(start().await);
    let channel = channel_name("presence-");
    let mut clients = subscriber_of_each(&cluster, &channel).await;
    let topics = redis.topics(PREFIX).await;
    let topic = topics.iter().find(|topic| topic.contains(&channel));
    let topic = topic.expect("the nodes listen to the channel");
    let real = real_message(&redis, &cluster, topic, &channel).await;
    for client in &mut clients {
        client.expect_event_on(&channel, "real").await;
    }
    for end in 0..real.len() {
        let publish = cmd("PUBLISH").arg(topic).arg(&real[..end]).clone();
        let _listeners: i64 = redis.command(&publish).await;
    }
    expect_nothing(&cluster, &mut clients).await;
    for node in cluster.nodes() {
        node.publish(PublishedEvent::new(&channel, "x", "y")).await;
        for client in &mut clients {
            client.expect_event_on(&channel, "x").await;
        }
    }
    finish(cluster, &redis).await;
}

/// What the nodes send each other of an event on this channel.
async fn real_message(
    redis: &RedisServer,
    cluster: &Cluster,
    topic: &str,
    channel: &str,
) -> Vec<u8> {
    let mut messages = redis.listen(topic).await;
    cluster[0]
        .publish(PublishedEvent::new(channel, "real", "x"))
        .await;
    messages.next().await
}
