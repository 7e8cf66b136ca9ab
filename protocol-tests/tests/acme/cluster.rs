//! Several nodes with one name have one certificate.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use protocol_tests::cluster::{NODE_TIMEOUT, PREFIX};
use protocol_tests::{RedisServer, TestServer, TestServerBuilder, eventually, or_skip};
use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use crate::liar::Liar;
use crate::pebble::{Habits, Pebble, certificate, files};
use crate::support::{expect_logged, expect_orders, logged, orders, unready};

const NAMES: [&str; 4] = ["a.test", "b.test", "c.test", "d.test"];
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn node(pebble: &Pebble, redis: &RedisServer, challenge: &str, state: &Path) -> TestServerBuilder {
    sharing(pebble.server(challenge, &NAMES, state), redis)
}

fn sharing(server: TestServerBuilder, redis: &RedisServer) -> TestServerBuilder {
    server
        .set("cluster.driver", "redis")
        .set("cluster.url", redis.url())
        .set("cluster.prefix", PREFIX)
        .set("cluster.node_timeout", NODE_TIMEOUT)
        .set("tls.acme.cluster_secret", SECRET)
}

fn folders<const N: usize>() -> [TempDir; N] {
    std::array::from_fn(|_| tempfile::tempdir().unwrap())
}

/// The certificate that is kept in a folder, with its key, if there is one.
fn kept(state: &TempDir) -> Option<Vec<u8>> {
    let is_certificate = |file: &std::path::PathBuf| file.extension().is_some_and(|it| it == "pem");
    let file = files(state.path()).into_iter().find(is_certificate)?;
    Some(fs::read(file).unwrap())
}

/// Waits until all of them serve a certificate, and asserts that it is the same.
async fn expect_one_certificate(nodes: &[&TestServer], states: &[&TempDir]) {
    for node in nodes {
        eventually("a certificate to be served", || async {
            unready(node).await.is_none().then_some(())
        })
        .await;
    }
    let all: Vec<_> = states.iter().map(|state| kept(state)).collect();
    assert!(all.iter().all(|one| one.is_some() && *one == all[0]));
}

async fn total(nodes: &[&TestServer], result: &str) -> f64 {
    let mut sum = 0.0;
    for node in nodes {
        sum += orders(node, result).await;
    }
    sum
}

/// The certificate is ordered by one of three nodes, while the authority asks each of them in turn for the proofs.
async fn order_together(challenge: &str) {
    let pebble = Pebble::start(Habits::default()).await;
    let redis = RedisServer::start().await;
    let states: [TempDir; 3] = folders();
    let mut nodes = Vec::new();
    for state in &states {
        let node = node(&pebble, &redis, challenge, state.path());
        nodes.push(or_skip!(node.start().await));
    }
    let all: Vec<&TestServer> = nodes.iter().collect();
    pebble.point_to_each(&all);
    expect_one_certificate(&all, &[&states[0], &states[1], &states[2]]).await;
    eventually("both others to have received it", || async {
        (total(&all, "received").await == 2.0).then_some(())
    })
    .await;
    assert_eq!(total(&all, "issued").await, 1.0);
    for key in redis.keys(&format!("{PREFIX}common:")).await {
        let value: Vec<u8> = redis.command(redis::cmd("GET").arg(&key)).await;
        let shows_a_key = value.windows(11).any(|bytes| bytes == b"PRIVATE KEY");
        assert!(!shows_a_key, "{key}");
    }
    for node in nodes {
        node.finish().await;
    }
}

#[tokio::test]
async fn one_of_several_nodes_orders_over_http_and_all_serve_the_certificate() {
    order_together("http-01").await;
}

#[tokio::test]
async fn one_of_several_nodes_orders_over_tls_and_all_serve_the_certificate() {
    order_together("tls-alpn-01").await;
}

#[tokio::test]
async fn a_node_that_joins_later_is_given_the_certificate_even_by_a_redis_that_forgot_it() {
    let pebble = Pebble::start(Habits::default()).await;
    let redis = RedisServer::start().await;
    let states: [TempDir; 2] = folders();
    let first = node(&pebble, &redis, "http-01", states[0].path());
    let first = or_skip!(first.start().await);
    pebble.point_to(&first);
    expect_orders(&first, "issued", 1.0).await;
    redis.flush().await;
    // From now on nothing can be ordered.
    pebble.way.cut();
    let second = node(&pebble, &redis, "http-01", states[1].path());
    let second = or_skip!(second.start().await);
    expect_one_certificate(&[&first, &second], &[&states[0], &states[1]]).await;
    expect_orders(&second, "received", 1.0).await;
    assert_eq!(orders(&second, "issued").await, 0.0);
    first.finish().await;
    second.finish().await;
}

/// The nodes that have asked whether they may order a certificate.
async fn ask_to_order(redis: &RedisServer, lease: &str) -> HashSet<String> {
    type Entry = (i64, i64, i64, Vec<Vec<u8>>, String, String);
    let mut commands = redis::cmd("SLOWLOG");
    let commands: Vec<Entry> = redis.command(commands.arg("GET").arg(-1)).await;
    let text = |argument: Vec<u8>| String::from_utf8_lossy(&argument).into_owned();
    let commands = commands.into_iter();
    let commands = commands.map(|(_, _, _, command, ..)| command.into_iter().map(text).collect());
    let asking = commands.filter_map(|command: Vec<String>| {
        let (_, arguments) = command.split_at_checked(3)?;
        match arguments {
            [key, node, lasts, ..] if key == lease && lasts == "30000" => Some(node.clone()),
            _ => None,
        }
    });
    asking.collect()
}

const REFUSAL: &str = "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n";

/// A node of a directory that does not keep to the protocol.
fn misled(liar: &Liar, redis: &RedisServer, state: &TempDir) -> TestServerBuilder {
    let node = TestServer::builder()
        .set("tls.listen", "127.0.0.1:0")
        .set("server.state_dir", state.path().to_str().unwrap())
        .set("tls.acme.domains", vec!["a.test"])
        .set("tls.acme.directory", liar.url())
        .set("tls.acme.ca_certificates", liar.certificate());
    sharing(node, redis)
}

#[tokio::test]
async fn a_node_that_stops_leaves_its_turn_to_the_others_who_say_that_they_wait() {
    const WAITS: &str = "has ordered in vain and has the turn";
    let liar = Liar::start(REFUSAL, b"").await;
    let redis = RedisServer::start().await;
    let states: [TempDir; 2] = folders();
    let first = or_skip!(misled(&liar, &redis, &states[0]).start().await);
    expect_orders(&first, "rate_limited", 1.0).await;
    let second = or_skip!(misled(&liar, &redis, &states[1]).start().await);
    let line = expect_logged(&second, WAITS, 1).await.remove(0);
    assert!(line["left_s"].as_u64().unwrap() > 60, "{line}");
    assert_eq!(orders(&second, "rate_limited").await, 0.0);
    first.finish().await;
    expect_orders(&second, "rate_limited", 1.0).await;
    assert_eq!(logged(&second, WAITS).len(), 1);
    second.finish().await;
}

#[tokio::test]
async fn a_directory_that_refuses_one_node_is_not_asked_by_the_others() {
    let liar = Liar::start(REFUSAL, b"").await;
    let redis = RedisServer::start().await;
    for (key, value) in [("slowlog-log-slower-than", 0), ("slowlog-max-len", 100_000)] {
        let mut set = redis::cmd("CONFIG");
        let _: String = redis.command(set.arg("SET").arg(key).arg(value)).await;
    }
    let states: [TempDir; 3] = folders();
    let mut nodes = Vec::new();
    for state in &states {
        nodes.push(or_skip!(misled(&liar, &redis, state).start().await));
    }
    let all: Vec<&TestServer> = nodes.iter().collect();
    eventually("a node to be refused", || async {
        (total(&all, "rate_limited").await >= 1.0).then_some(())
    })
    .await;
    let mut forget = redis::cmd("SLOWLOG");
    let _: String = redis.command(forget.arg("RESET")).await;
    let lease = redis.keys(&format!("{PREFIX}common:")).await;
    let lease = lease.into_iter().find(|key| key.ends_with("/lease}"));
    let lease = lease.unwrap();
    eventually("both others to have asked", || async {
        (ask_to_order(&redis, &lease).await.len() >= 2).then_some(())
    })
    .await;
    let left: u64 = redis.command(redis::cmd("PTTL").arg(&lease)).await;
    assert!(left > 60_000, "{left}");
    assert_eq!(total(&all, "rate_limited").await, 1.0);
    for node in nodes {
        node.finish().await;
    }
}

#[tokio::test]
async fn a_renewed_certificate_reaches_all_nodes() {
    let habits = Habits {
        validity: 30,
        ..Habits::default()
    };
    let pebble = Pebble::start(habits).await;
    let redis = RedisServer::start().await;
    let states: [TempDir; 2] = folders();
    let first = or_skip!(
        node(&pebble, &redis, "http-01", states[0].path())
            .start()
            .await
    );
    let second = or_skip!(
        node(&pebble, &redis, "http-01", states[1].path())
            .start()
            .await
    );
    pebble.point_to_each(&[&first, &second]);
    expect_one_certificate(&[&first, &second], &[&states[0], &states[1]]).await;
    let old = kept(&states[0]).unwrap();
    for state in &states {
        let file = certificate(state.path());
        eventually("another certificate to be kept", || async {
            (fs::read(&file).unwrap() != old).then_some(())
        })
        .await;
    }
    first.finish().await;
    second.finish().await;
}

/// A certificate for all names that was issued before the others, and holds for very long.
fn old_and_lasting() -> String {
    let mut params = CertificateParams::new(NAMES.map(str::to_owned)).unwrap();
    params.not_before = rcgen::date_time_ymd(2000, 1, 1);
    params.not_after = rcgen::date_time_ymd(2100, 1, 1);
    let key = KeyPair::generate().unwrap();
    key.serialize_pem() + &params.self_signed(&key).unwrap().pem()
}

#[tokio::test]
async fn a_newer_certificate_takes_the_place_of_one_that_would_expire_later() {
    let pebble = Pebble::start(Habits::default()).await;
    let redis = RedisServer::start().await;
    let states: [TempDir; 2] = folders();
    let first = node(&pebble, &redis, "http-01", states[0].path());
    let first = or_skip!(first.start().await);
    pebble.point_to(&first);
    expect_orders(&first, "issued", 1.0).await;
    let new = kept(&states[0]);
    // The other node has an old one in the same place.
    let place = certificate(states[0].path());
    let place = states[1]
        .path()
        .join(place.strip_prefix(states[0].path()).unwrap());
    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, old_and_lasting()).unwrap();
    let second = node(&pebble, &redis, "http-01", states[1].path());
    let second = or_skip!(second.start().await);
    expect_orders(&second, "received", 1.0).await;
    assert_eq!(kept(&states[1]), new);
    // What one of them has in Redis, a third is given.
    let [state] = folders();
    let third = or_skip!(node(&pebble, &redis, "http-01", state.path()).start().await);
    expect_one_certificate(&[&first, &third], &[&states[0], &state]).await;
    assert_eq!(kept(&states[0]), new);
    for node in [first, second, third] {
        node.finish().await;
    }
}

/// The key in Redis whose name ends so, once there is one.
async fn common_key(redis: &RedisServer, end: &str) -> String {
    let prefix = format!("{PREFIX}common:");
    eventually(&format!("a key {end}"), || async {
        let keys = redis.keys(&prefix).await;
        keys.into_iter().find(|key| key.ends_with(end))
    })
    .await
}

async fn unopened(server: &TestServer) -> f64 {
    let metrics = server.metrics().await;
    metrics.sum("fanfare_acme_unopened_total", &[])
}

const UNOPENED: &str = "cannot be opened, and counts as missing";

#[tokio::test]
async fn a_certificate_that_was_changed_in_redis_is_not_taken_and_soon_replaced() {
    let pebble = Pebble::start(Habits::default()).await;
    let redis = RedisServer::start().await;
    let states: [TempDir; 2] = folders();
    let first = node(&pebble, &redis, "http-01", states[0].path());
    let first = or_skip!(first.start().await);
    pebble.point_to(&first);
    expect_orders(&first, "issued", 1.0).await;
    let key = common_key(&redis, "/certificate}").await;
    let mut change = redis::cmd("SETRANGE");
    let _length: u64 = redis
        .command(change.arg(&key).arg(100).arg("changed"))
        .await;
    // From now on nothing can be ordered.
    pebble.way.cut();
    let second = node(&pebble, &redis, "http-01", states[1].path());
    let second = or_skip!(second.start().await);
    expect_logged(&second, UNOPENED, 1).await;
    // The first node finds out, too, and puts there what it has.
    expect_orders(&second, "received", 1.0).await;
    expect_one_certificate(&[&first, &second], &[&states[0], &states[1]]).await;
    for node in [&first, &second] {
        assert!(unopened(node).await >= 1.0);
    }
    assert_eq!(logged(&second, UNOPENED).len(), 1);
    first.finish().await;
    second.finish().await;
}

#[tokio::test]
async fn of_what_somebody_else_puts_into_redis_no_more_is_read_than_a_value_may_have() {
    const HUGE: usize = 100 << 20;
    let pebble = Pebble::start(Habits::default()).await;
    let redis = RedisServer::start().await;
    let [state] = folders();
    let server = node(&pebble, &redis, "http-01", state.path());
    let server = or_skip!(server.start().await);
    pebble.point_to(&server);
    expect_orders(&server, "issued", 1.0).await;
    let certificate = common_key(&redis, "/certificate}").await;
    for end in ["proofs}", "lease}"] {
        let key = certificate.replace("certificate}", end);
        let mut write = redis::cmd("SETRANGE");
        let _length: u64 = redis.command(write.arg(&key).arg(HUGE).arg("x")).await;
    }
    let written = |info: String| {
        let line = info
            .lines()
            .find(|line| line.starts_with("total_net_output_bytes"));
        let (_, number) = line
            .expect("Redis counts")
            .split_once(':')
            .expect("a number");
        number.trim().parse::<usize>().expect("it is one")
    };
    let info = redis::cmd("INFO").arg("stats").clone();
    let before = written(redis.command(&info).await);
    let start = unopened(&server).await;
    eventually("the node to have looked", || async {
        (unopened(&server).await >= start + 3.0).then_some(())
    })
    .await;
    let after = written(redis.command(&info).await);
    assert!(after - before < HUGE / 2, "{} bytes", after - before);
    expect_logged(&server, UNOPENED, 1).await;
    server.finish().await;
}

#[tokio::test]
async fn while_redis_is_away_no_node_orders_and_then_one_does() {
    let pebble = Pebble::start(Habits::default()).await;
    let mut redis = RedisServer::start().await;
    let [state] = folders();
    let server = or_skip!(node(&pebble, &redis, "http-01", state.path()).start().await);
    redis.kill().await;
    pebble.point_to(&server);
    expect_logged(&server, "certificates are not shared", 1).await;
    let before = orders(&server, "issued").await;
    redis.restart().await;
    expect_orders(&server, "issued", 1.0).await;
    assert_eq!(before, 0.0);
    server.finish().await;
}
