//! The servers, held to what the cluster tests rely on.

use redis::cmd;

use super::*;
use crate::wait::eventually;

async fn set(server: &RedisServer, key: &str, value: &str) {
    let () = server.command(cmd("SET").arg(key).arg(value)).await;
}

#[tokio::test]
async fn server_is_empty_again_after_a_restart_on_its_port() {
    let mut server = RedisServer::start().await;
    let url = server.url();
    set(&server, "a:1", "x").await;
    set(&server, "a:2", "y").await;
    set(&server, "b:1", "z").await;
    assert_eq!(server.keys("a:").await, ["a:1", "a:2"]);
    assert_eq!(server.value("a:2").await, "y");
    server.kill().await;
    assert!(server.try_command::<()>(&cmd("PING")).await.is_err());
    server.restart().await;
    assert_eq!(server.url(), url);
    assert!(server.keys("").await.is_empty());
    server.stop().await;
    server.restart().await;
}

#[tokio::test]
async fn keys_with_an_expiry_are_not_lasting() {
    let server = RedisServer::start().await;
    set(&server, "a*1", "x").await;
    set(&server, "ab1", "x").await;
    assert_eq!(server.lasting_keys("a").await, ["a*1", "ab1"]);
    let () = server.command(cmd("EXPIRE").arg("a*1").arg(100)).await;
    assert_eq!(server.lasting_keys("a").await, ["ab1"]);
    assert_eq!(server.keys("a*").await, ["a*1"]);
    server.expect_nothing_lasting("a*").await;
}

#[tokio::test]
async fn paused_server_answers_later() {
    let server = RedisServer::start().await;
    server.pause();
    let ping = cmd("PING");
    let answer = tokio::spawn({
        let url = server.url();
        async move { ask::<String>(&url, &ping).await }
    });
    // The kernel has taken the connection; the process has not.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(!answer.is_finished());
    server.resume();
    assert_eq!(answer.await.unwrap().unwrap(), "PONG");
    server.pause();
}

#[tokio::test]
async fn clients_are_closed_one_at_a_time() {
    let server = RedisServer::start().await;
    let mut monitor = server.monitor().await;
    assert!(monitor.until(&server, "mark").await.len() < 10);
    let clients = server.clients().await;
    assert_eq!(clients.len(), 1, "{clients:?}");
    assert!(server.close_client(&clients[0]).await);
    assert!(!server.close_client(&clients[0]).await);
    assert!(server.clients().await.is_empty());
}

#[tokio::test]
async fn commands_and_messages_are_seen() {
    let server = RedisServer::start().await;
    let mut monitor = server.monitor().await;
    let mut messages = server.listen("topic").await;
    assert_eq!(server.topics("to").await, ["topic"]);
    for text in [b"a\r\nb".as_slice(), b"", b"\xff"] {
        let publish = cmd("PUBLISH").arg("topic").arg(text).clone();
        let receivers: i64 = server.command(&publish).await;
        assert_eq!(receivers, 1);
        assert_eq!(messages.next().await, text);
    }
    let commands = monitor.until(&server, "mark").await;
    let published = commands.iter().filter(|line| line.contains("\"PUBLISH\""));
    assert_eq!(published.count(), 3, "{commands:#?}");
}

#[tokio::test]
async fn password_is_wanted_and_is_in_the_url() {
    let server = RedisServer::start_with_password("secret").await;
    let answer: String = server.command(&cmd("PING")).await;
    assert_eq!(answer, "PONG");
    let without = format!("redis://{}/0", server.authority());
    assert!(ask::<String>(&without, &cmd("PING")).await.is_err());
}

#[tokio::test]
async fn slot_moves_with_its_keys() {
    let cluster = RedisCluster::start().await;
    let mut slots = Vec::new();
    for number in 0..20 {
        let key = format!("x:{{moved}}:{number}");
        slots = cluster.slots_of("x:", "moved").await;
        let slot: u16 = match slots.first() {
            Some(slot) => *slot,
            None => {
                let ask = cmd("CLUSTER").arg("KEYSLOT").arg(&key).clone();
                cluster.masters()[0].command(&ask).await
            }
        };
        let owner = cluster.owner(slot).await;
        set(&cluster.masters()[owner], &key, "x").await;
    }
    assert_eq!(slots.len(), 1);
    let before = cluster.owner(slots[0]).await;
    cluster.move_slot(slots[0]).await;
    let after = cluster.owner(slots[0]).await;
    assert_ne!(before, after);
    assert_eq!(cluster.masters()[after].keys("x:").await.len(), 20);
    assert!(cluster.masters()[before].keys("x:").await.is_empty());
}

#[tokio::test]
async fn replica_takes_over_with_the_data() {
    let mut sentinels = Sentinels::start().await;
    let old = sentinels.master().await.url();
    set(sentinels.master().await, "kept", "x").await;
    let mut wait = cmd("WAIT");
    wait.arg(1).arg(5000);
    let replicas: i64 = sentinels.master().await.command(&wait).await;
    assert_eq!(replicas, 1);
    sentinels.fail_over().await;
    assert_ne!(sentinels.master().await.url(), old);
    eventually("the new master to take writes", || async {
        let write = cmd("SET").arg("new").arg("y").clone();
        let done = sentinels.master().await.try_command::<()>(&write).await;
        done.is_ok().then_some(())
    })
    .await;
    assert_eq!(sentinels.master().await.keys("").await, ["kept", "new"]);
}
