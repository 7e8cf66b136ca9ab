//! Several nodes of one relay, which share a Redis.

use std::ops::Index;
use std::sync::Arc;

use tempfile::TempDir;
use toml::Value;

use crate::client::WsClient;
use crate::config::{App, AppConfig};
use crate::event::Event;
use crate::names::unique;
use crate::process::{Exit, Signal};
use crate::published::PublishedEvent;
use crate::request::Request;
use crate::server::{TestServer, TestServerBuilder};
use crate::skipped::Skipped;
use crate::wait::eventually;

/// What every key and topic in Redis begins with.
pub const PREFIX: &str = "fanfare:";
/// Seconds without a heartbeat after which the nodes of a test count as dead, three times what they wait for Redis: less
/// than the default, and more than a busy machine lets a node wait for its turn.
pub const NODE_TIMEOUT: u32 = 4;

/// Nodes with one configuration, each in a process and a directory of its own. `cluster[0]` is the first.
///
/// Every test ends with [`finish`](Cluster::finish); one that forgets fails.
#[derive(Debug)]
pub struct Cluster {
    builder: ClusterBuilder,
    /// `None` where a node was stopped or killed. Positions stay.
    nodes: Vec<Option<TestServer>>,
    /// The URL of Redis for each position, where it is another than the builder's.
    urls: Vec<Option<String>>,
}

/// What a test asks of its nodes.
#[derive(Clone, Debug)]
pub struct ClusterBuilder {
    node: TestServerBuilder,
    count: usize,
    journals: Option<Arc<TempDir>>,
}

impl ClusterBuilder {
    /// Adds an app, as [`TestServerBuilder::app`] does.
    pub fn app(mut self, app: AppConfig) -> ClusterBuilder {
        self.node = self.node.app(app);
        self
    }

    /// Sets a key of every node's configuration file. Dots go down: `cluster.backlog_bytes`.
    pub fn set(mut self, key: &str, value: impl Into<Value>) -> ClusterBuilder {
        self.node = self.node.set(key, value);
        self
    }

    /// Lets the webhooks that wait at a node outlast its process: whoever starts at its position sends them.
    pub fn with_journals(mut self) -> ClusterBuilder {
        let folder = tempfile::tempdir().expect("the temporary directory is writable");
        self.journals = Some(Arc::new(folder));
        self
    }

    fn node_at(&self, position: usize) -> TestServerBuilder {
        let node = self.node.clone();
        match &self.journals {
            None => node,
            Some(folder) => {
                let folder = folder.path().join(position.to_string());
                let folder = folder.to_str().expect("temporary paths are UTF-8");
                node.set("webhooks.journal", folder)
            }
        }
    }

    /// So many nodes; three without this.
    pub fn nodes(mut self, count: usize) -> ClusterBuilder {
        self.count = count;
        self
    }

    /// Starts the nodes, and waits until each is ready and knows the others. The error is as for
    /// [`TestServerBuilder::start`].
    pub async fn start(self) -> Result<Cluster, Skipped> {
        let cluster = self.start_without_redis().await?;
        cluster.wait_until_ready().await;
        Ok(cluster)
    }

    /// Starts the nodes and waits for their listeners alone.
    pub async fn start_without_redis(self) -> Result<Cluster, Skipped> {
        let mut nodes = Vec::new();
        for position in 0..self.count {
            nodes.push(Some(self.node_at(position).start().await?));
        }
        Ok(Cluster {
            urls: vec![None; self.count],
            builder: self,
            nodes,
        })
    }
}

impl Cluster {
    /// Nodes that share the Redis at this URL (or these URLs).
    pub fn builder(url: impl Into<Value>) -> ClusterBuilder {
        let node = TestServer::builder()
            .set("cluster.driver", "redis")
            .set("cluster.url", url)
            .set("cluster.prefix", PREFIX)
            .set("cluster.node_timeout", NODE_TIMEOUT);
        ClusterBuilder {
            node,
            count: 3,
            journals: None,
        }
    }

    // What there is

    /// The first app.
    pub fn app(&self) -> &App {
        self.nodes().next().expect("a node is left").app()
    }

    /// The nodes that are running.
    pub fn nodes(&self) -> impl Iterator<Item = &TestServer> {
        self.nodes.iter().flatten()
    }

    /// The positions of the nodes that are running.
    pub fn positions(&self) -> Vec<usize> {
        let nodes = self.nodes.iter().enumerate();
        let running = nodes.filter(|(_, node)| node.is_some());
        running.map(|(position, _)| position).collect()
    }

    /// `host:port` of each running node's public listener.
    pub fn authorities(&self) -> Vec<String> {
        self.nodes()
            .map(|node| node.endpoint().authority.clone())
            .collect()
    }

    /// Waits until every node reports that it is ready, and sees as many others as there are.
    pub async fn wait_until_ready(&self) {
        for node in self.nodes() {
            wait_until_ready(node).await;
        }
        let count = self.nodes().count() as f64;
        for node in self.nodes() {
            eventually("the nodes to know each other", || async {
                let metrics = node.metrics().await;
                (metrics.sum("fanfare_cluster_nodes", &[]) == count).then_some(())
            })
            .await;
        }
    }

    // Nodes that come and go

    /// Starts one more node and waits until it is ready. Returns its position.
    pub async fn add(&mut self) -> usize {
        self.nodes.push(None);
        self.urls.push(None);
        let position = self.nodes.len() - 1;
        self.start(position).await;
        position
    }

    /// Starts one more node with another URL of the same Redis, without waiting until it is ready.
    pub async fn add_at(&mut self, url: &str) -> usize {
        self.nodes.push(None);
        self.urls.push(Some(url.to_owned()));
        let position = self.nodes.len() - 1;
        self.launch(position).await;
        position
    }

    /// Starts a node that was stopped or killed, on another port, and waits until it is ready.
    pub async fn start(&mut self, position: usize) {
        self.launch(position).await;
        wait_until_ready(&self[position]).await;
    }

    /// As [`start`](Self::start), without waiting until it is ready.
    pub async fn launch(&mut self, position: usize) {
        assert!(self.nodes[position].is_none(), "the node is running");
        let mut builder = self.builder.node_at(position);
        if let Some(url) = &self.urls[position] {
            builder = builder.set("cluster.url", url.as_str());
        }
        let node = builder.start().await;
        self.nodes[position] = Some(node.expect("the first nodes were not foreign either"));
    }

    /// Stops a node in order (SIGTERM) and expects a clean end.
    pub async fn stop(&mut self, position: usize) -> Exit {
        self[position].signal(Signal::Terminate);
        self.take(position).exited().await.expect_clean()
    }

    /// Kills a node (SIGKILL).
    pub async fn kill(&mut self, position: usize) {
        self[position].signal(Signal::Kill);
        self.take(position).exited().await;
    }

    fn take(&mut self, position: usize) -> TestServer {
        self.nodes[position].take().expect("the node is running")
    }

    /// Ends the test: each node in turn has its clients closed, must have nothing left of them, and must end cleanly; see
    /// [`TestServer::finish`].
    pub async fn finish(self) {
        for node in self.nodes.into_iter().flatten() {
            node.finish().await;
        }
    }

    // Fences

    /// Returns everything that reaches `client` before an event that each running node publishes now, one after the
    /// other, on a channel that the client is subscribed to: all that was published on it before, through whatever node.
    /// Other clients' fences are left out.
    pub async fn fence_on(&self, client: &mut WsClient, channel: &str) -> Vec<Event> {
        let mut seen = Vec::new();
        for node in self.nodes() {
            let mark = unique("");
            node.publish(PublishedEvent::new(channel, FENCE, mark.clone()))
                .await;
            let is_mark = |event: &Event| event.name == FENCE && event.data == mark.as_str();
            seen.extend(client.events_until(is_mark).await);
        }
        seen.retain(|event| event.name != FENCE);
        seen
    }

    /// As [`fence_on`](Self::fence_on), on a channel of this client's own. It covers what was answered with 200 before,
    /// where one Redis server has all channels.
    pub async fn fence(&self, client: &mut WsClient) -> Vec<Event> {
        let channel = unique("fence-");
        client.send_subscribe(&channel, None, None).await;
        let is_mine = |event: &Event| event.channel.as_deref() == Some(channel.as_str());
        let mut seen = client.events_until(is_mine).await;
        seen.extend(self.fence_on(client, &channel).await);
        client.unsubscribe(&channel).await;
        // Its count, where the app has counts sent.
        seen.retain(|event| event.channel.as_deref() != Some(channel.as_str()));
        seen
    }

    /// Asserts by [`fence`](Self::fence) that nothing more has come.
    pub async fn expect_nothing(&self, client: &mut WsClient) {
        let seen = self.fence(client).await;
        let texts: Vec<&str> = seen.iter().map(|event| event.text.as_str()).collect();
        assert!(seen.is_empty(), "expected nothing, got {texts:#?}");
    }
}

const FENCE: &str = "cluster-fence";

impl Index<usize> for Cluster {
    type Output = TestServer;

    /// The node at this position, which must be running.
    fn index(&self, position: usize) -> &TestServer {
        let node = self.nodes[position].as_ref();
        node.unwrap_or_else(|| panic!("node {position} is not running"))
    }
}

/// Waits until a node reports that it is ready.
pub async fn wait_until_ready(node: &TestServer) {
    let ready = Request::new("GET", "/ready");
    eventually("the node to be ready", || async {
        (node.request(&ready).await.status == 200).then_some(())
    })
    .await;
}
