//! Everything at once: members come and go while Redis and the nodes fail in one way after the other.

use std::time::Duration;

use protocol_tests::random::number_from;
use protocol_tests::{Cluster, RedisServer, Skipped, TcpProxy, or_skip};
use tokio::time::sleep;

use crate::churn::Tabs;
use crate::roster::expect_alive;
use crate::support::{channel_name, finish, nodes};

/// Failures, one after the other. PROTOCOL_TESTS_CLUSTER_FAILURES=100 makes them many more, PROTOCOL_TESTS_SEED repeats a
/// run.
const FAILURES: usize = 6;
const KINDS_OF_FAILURE: usize = 6;

/// Three nodes, the third of which reaches Redis by a proxy.
struct World {
    redis: RedisServer,
    proxy: TcpProxy,
    cluster: Cluster,
    tabs: Tabs,
}

impl World {
    async fn start() -> Result<World, Skipped> {
        let redis = RedisServer::start().await;
        let proxy = TcpProxy::start(&[redis.authority()]).await;
        let mut cluster = nodes(&redis).nodes(2).start().await?;
        let url = format!("redis://{}/0", proxy.authority());
        cluster.add_at(&url).await;
        cluster.wait_until_ready().await;
        Ok(World {
            redis,
            proxy,
            cluster,
            tabs: Tabs::new(&channel_name("presence-")),
        })
    }

    /// Lets members come and go for a while, whether the nodes can reach Redis or not.
    async fn go_on(&mut self) {
        for _ in 0..1 + self.tabs.random.below(5) {
            self.tabs.change_some(&self.cluster).await;
        }
        // Shorter than the nodes' timeout, or longer.
        let ms = 500 * self.tabs.random.below(7);
        sleep(Duration::from_millis(ms as u64)).await;
        self.tabs.change_some(&self.cluster).await;
    }

    /// Lets something fail and makes it good again.
    async fn fail(&mut self, kind: usize) {
        match kind {
            0 => {
                self.redis.kill().await;
                self.go_on().await;
                self.redis.restart().await;
            }
            1 => {
                self.redis.pause();
                self.go_on().await;
                self.redis.resume();
            }
            2 => {
                self.proxy.cut();
                self.go_on().await;
                self.proxy.restore();
            }
            3 => {
                self.proxy.hold();
                self.go_on().await;
                self.proxy.restore();
            }
            4 => {
                for id in self.redis.clients().await {
                    self.redis.close_client(&id).await;
                }
                self.go_on().await;
            }
            _ => {
                let node = self.tabs.random.below(2);
                self.cluster.kill(node).await;
                self.tabs.forget_node(node);
                self.go_on().await;
                self.cluster.start(node).await;
            }
        }
    }
}

#[tokio::test]
async fn rosters_are_true_whatever_has_failed() {
    let mut world = or_skip!(World::start().await);
    for _ in 0..number_from("PROTOCOL_TESTS_CLUSTER_FAILURES", FAILURES) {
        world.go_on().await;
        let kind = world.tabs.random.below(KINDS_OF_FAILURE);
        eprintln!("failure of kind {kind}");
        world.fail(kind).await;
    }
    let World {
        redis,
        proxy,
        cluster,
        tabs,
    } = world;
    cluster.wait_until_ready().await;
    let (mut members, truth) = tabs.settle(&cluster).await;
    if !members.is_empty() {
        expect_alive(&cluster, &mut members, &truth).await;
    }
    drop(members);
    finish(cluster, &redis).await;
    drop(proxy);
}
