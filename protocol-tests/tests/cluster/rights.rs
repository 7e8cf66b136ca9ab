//! A Redis that does not let its user do everything: what docs/redis-acl.md grants is enough, and what is missing is
//! named.

use std::collections::BTreeSet;

use protocol_tests::cluster::PREFIX;
use protocol_tests::{
    Cluster, PublishedEvent, RedisCluster, RedisServer, Request, Response, TestServer, eventually,
    or_skip,
};
use redis::cmd;
use serde_json::json;

use crate::support::{
    app, channel, channel_name, figure, finish, member, signed_in, subscriber_of_each, users,
};

const PASSWORD: &str = "opensesame";

/// What the documentation grants for one server, rule by rule.
fn documented() -> Vec<String> {
    let text = include_str!("../../../docs/redis-acl.md");
    let (_, rest) = text.split_once("resetchannels").expect("the rules follow");
    let (rules, _) = rest.split_once("```").expect("the block ends");
    rules.split_whitespace().map(str::to_owned).collect()
}

/// The same for a Redis Cluster.
fn documented_for_redis_cluster() -> Vec<String> {
    let text = include_str!("../../../docs/redis-acl.md");
    let row = text
        .lines()
        .find(|line| line.starts_with("| a Redis Cluster"));
    let row = row.expect("there is such a row").replace("\\|", "|");
    let (_, rest) = row.split_once('`').expect("rules are marked");
    let (instead, _) = rest.split_once('`').expect("the mark ends");
    let topics = ["publish", "subscribe", "unsubscribe", "pubsub"];
    let is_kept = |rule: &String| !topics.iter().any(|topic| rule[1..].starts_with(topic));
    let mut rules: Vec<String> = documented().into_iter().filter(is_kept).collect();
    rules.extend(instead.split_whitespace().map(str::to_owned));
    rules
}

/// Makes a user who may do just this.
async fn grant(redis: &RedisServer, user: &str, rules: &[String]) {
    let mut command = cmd("ACL");
    command.arg("SETUSER").arg(user);
    for rule in ["reset", "on", &format!(">{PASSWORD}"), "resetchannels"] {
        command.arg(rule);
    }
    command.arg(rules);
    let () = redis.command(&command).await;
}

/// Changes what a user may do.
async fn change(redis: &RedisServer, user: &str, rule: &str) {
    let mut command = cmd("ACL");
    command.arg("SETUSER").arg(user).arg(rule);
    let () = redis.command(&command).await;
}

fn url_for(redis: &RedisServer, user: &str) -> String {
    format!("redis://{user}:{PASSWORD}@{}/0", redis.authority())
}

async fn publish(node: &TestServer, channel: &str) -> Response {
    let event = PublishedEvent::new(channel, "x", "y");
    let request = Request::post(node.app(), "/events").json(event.body());
    node.request(&request).await
}

/// Waits until a node says that it is not ready for a reason that names this.
async fn wait_until_named(node: &TestServer, what: &str) -> String {
    let reason = eventually(&format!("/ready to name {what}"), || async {
        let answer = node.request(&Request::new("GET", "/ready")).await;
        if answer.status == 200 {
            return None;
        }
        let answer = answer.expect_status(503).json();
        let reason = answer["reason"].as_str().expect("there is a reason");
        let names = reason.split(' ').any(|word| word == what);
        names.then(|| reason.to_owned())
    })
    .await;
    assert_eq!(figure(node, "refused").await, 1.0);
    assert_eq!(figure(node, "connected").await, 0.0);
    reason
}

/// Uses a little of everything that nodes share.
async fn expect_all_to_work(cluster: &Cluster) {
    for kind in ["public-", "private-cache-", "presence-"] {
        let name = channel_name(kind);
        let mut clients = subscriber_of_each(cluster, &name).await;
        for node in cluster.nodes() {
            publish(node, &name).await.expect_status(200);
            for client in &mut clients {
                client.expect_event_on(&name, "x").await;
            }
        }
        assert_eq!(channel(&cluster[0], &name, "").await["occupied"], true);
        let list = cluster[1].get("/channels", &[]).await;
        assert!(list["channels"][&name].is_object(), "{list}");
    }
    let name = channel_name("presence-");
    let ann = member(&cluster[0], &name, "ann").await;
    let _bob = member(&cluster[1], &name, "bob").await;
    assert_eq!(users(&cluster[0], &name).await, ["ann", "bob"]);
    drop(ann);
    eventually("ann to have left", || async {
        (users(&cluster[1], &name).await == ["bob"]).then_some(())
    })
    .await;
    let mut user = signed_in(&cluster[0], "u", &[]).await;
    let path = "/users/u/terminate_connections";
    let terminate = Request::post(cluster.app(), path).json(&json!({}));
    cluster[1].request(&terminate).await.expect_status(200);
    user.expect_close_code(4009).await;
    let event = PublishedEvent::new(&name, "x", "y").with("idempotency_key", json!("k"));
    for node in cluster.nodes() {
        node.publish(event.clone()).await;
    }
}

#[tokio::test]
async fn documented_rights_are_enough() {
    let redis = RedisServer::start().await;
    grant(&redis, "relay", &documented()).await;
    let builder = Cluster::builder(url_for(&redis, "relay")).app(app());
    let cluster = or_skip!(builder.nodes(2).start().await);
    expect_all_to_work(&cluster).await;
    assert_eq!(figure(&cluster[0], "refused").await, 0.0);
    finish(cluster, &redis).await;
}

#[tokio::test]
async fn documented_rights_are_enough_for_a_redis_cluster() {
    let redis = RedisCluster::start().await;
    let mut urls = Vec::new();
    for master in redis.masters() {
        grant(master, "relay", &documented_for_redis_cluster()).await;
        urls.push(url_for(master, "relay"));
    }
    let builder = Cluster::builder(urls).app(app());
    let cluster = or_skip!(builder.nodes(2).start().await);
    expect_all_to_work(&cluster).await;
    cluster.finish().await;
}

#[tokio::test]
async fn every_missing_right_is_named_and_nothing_is_taken() {
    let redis = RedisServer::start().await;
    let all = documented();
    // Without these nothing else can be found out.
    let first = ["+evalsha", "+script|load"];
    let names = [PREFIX, "*"].concat();
    let (keys, topics) = (format!("~{names}"), format!("&{names}"));
    let mut missing: Vec<Vec<String>> = Vec::new();
    for one in [first[0], first[1], "+xadd", "+subscribe", &keys, &topics] {
        missing.push(vec![one.to_owned()]);
    }
    let is_later = |rule: &&String| rule.starts_with('+') && !first.contains(&rule.as_str());
    missing.push(all.iter().filter(is_later).cloned().collect());
    for (number, missing) in missing.iter().enumerate() {
        let user = format!("user{number}");
        let rest = all.iter().filter(|rule| !missing.contains(rule));
        grant(&redis, &user, &rest.cloned().collect::<Vec<_>>()).await;
        let builder = Cluster::builder(url_for(&redis, &user)).app(app());
        let mut cluster = or_skip!(builder.nodes(1).start_without_redis().await);
        let reason = wait_until_named(&cluster[0], &missing[0]).await;
        let named: BTreeSet<&str> = reason.split(' ').filter(|word| word.len() > 3).collect();
        for one in missing {
            assert!(named.contains(one.as_str()), "{one} is not in: {reason}");
        }
        publish(&cluster[0], "public-x").await.expect_status(503);
        // It has logged an error, as it should: that would not be a clean end.
        cluster.kill(0).await;
        assert_eq!(redis.keys(PREFIX).await, [""; 0]);
    }
}

#[tokio::test]
async fn rights_that_are_taken_away_and_given_back_lose_no_event() {
    let redis = RedisServer::start().await;
    grant(&redis, "relay", &documented()).await;
    let builder = Cluster::builder(url_for(&redis, "relay")).app(app());
    let mut cluster = or_skip!(builder.nodes(2).start().await);
    let name = channel_name("private-");
    let mut clients = subscriber_of_each(&cluster, &name).await;
    change(&redis, "relay", "-xadd").await;
    // It notices by this one, which waits for the others until it may be written.
    publish(&cluster[0], &name).await.expect_status(200);
    clients[0].expect_event_on(&name, "x").await;
    wait_until_named(&cluster[0], "+xadd").await;
    publish(&cluster[0], &name).await.expect_status(503);
    // Its own clients are served.
    let mut late = cluster[0].connect().await;
    late.subscribe(&name).await;
    change(&redis, "relay", "+xadd").await;
    cluster.wait_until_ready().await;
    assert_eq!(figure(&cluster[0], "refused").await, 0.0);
    clients[1].expect_event_on(&name, "x").await;
    for client in &mut clients {
        cluster.expect_nothing(client).await;
    }
    let log = cluster[0].log();
    let lines = log
        .iter()
        .filter(|line| line.contains("grant its user +xadd"));
    assert_eq!(lines.count(), 1, "{log:#?}");
    // They have logged an error: the one that published, and the other if it had to write meanwhile.
    for node in 0..2 {
        cluster.kill(node).await;
    }
}

#[tokio::test]
async fn password_that_is_wrong_is_named() {
    let redis = RedisServer::start_with_password("right").await;
    for url in ["redis://:wrong@", "redis://"] {
        let url = format!("{url}{}/0", redis.authority());
        let builder = Cluster::builder(url).app(app()).nodes(1);
        let mut cluster = or_skip!(builder.start_without_redis().await);
        let reason = wait_until_named(&cluster[0], "password,").await;
        assert!(reason.contains("cluster.url"), "{reason}");
        publish(&cluster[0], "public-x").await.expect_status(503);
        cluster.kill(0).await;
    }
}
