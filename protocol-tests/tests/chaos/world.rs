//! Nodes, Redis and everybody who uses them, and a round of what happens to them.

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use protocol_tests::cluster::{NODE_TIMEOUT, PREFIX};
use protocol_tests::names::unique;
use protocol_tests::random::Random;
use protocol_tests::{AppConfig, Cluster, Receiver, RedisServer, Skipped, TcpProxy};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::events::{Disturbance, Ledger, SharedLedger};
use crate::faults::{Fault, Kind};
use crate::history::History;
use crate::publisher::Publisher;
use crate::tab::Tab;
use crate::webhooks;

pub(crate) const NODES: usize = 3;
const USERS: usize = 8;
const FEWEST_TABS: usize = 12;
const MOST_TABS: usize = 28;
/// Milliseconds for which a departure waits until webhooks are sent it.
const LEAVE_DELAY_MS: i64 = 200;
const CHANNELS: [&str; 7] = [
    "public-a-",
    "public-b-",
    "private-",
    "presence-a-",
    "presence-b-",
    "cache-",
    "presence-cache-",
];
/// Figures by which nodes count what was lost.
const LOSSES: [&str; 2] = [
    "fanfare_cluster_events_missed_total",
    "fanfare_cluster_events_lost_total",
];

pub(crate) struct World {
    pub(crate) redis: RedisServer,
    pub(crate) proxies: Vec<TcpProxy>,
    pub(crate) cluster: Cluster,
    pub(crate) receiver: Receiver,
    pub(crate) channels: Vec<String>,
    pub(crate) tabs: Vec<Tab>,
    pub(crate) frozen: [bool; NODES],
    pub(crate) history: Arc<History>,
    kinds: Vec<Kind>,
    random: Random,
    ledger: SharedLedger,
    publish: watch::Sender<bool>,
    /// Each with its name; none of a node that is dead.
    publishers: [Option<(String, Publisher)>; NODES],
    /// Tabs and publishers so far.
    names: usize,
}

impl World {
    pub(crate) async fn start() -> Result<World, Skipped> {
        let receiver = Receiver::start(&[&AppConfig::new("10001").app()]).await;
        receiver.expect_several_senders();
        receiver.expect_repeats();
        let redis = RedisServer::start().await;
        let mut proxies = Vec::new();
        for _ in 0..NODES {
            proxies.push(TcpProxy::start(&[redis.authority()]).await);
        }
        let url = |proxy: &TcpProxy| format!("redis://{}/0", proxy.authority());
        let app = AppConfig::new("10001").webhook(receiver.webhook(&webhooks::EVENTS));
        let builder = Cluster::builder(url(&proxies[0]))
            .app(app)
            .with_journals()
            .set("webhooks.leave_delay_ms", LEAVE_DELAY_MS);
        let mut cluster = builder.nodes(1).start().await?;
        for proxy in &proxies[1..] {
            cluster.add_at(&url(proxy)).await;
        }
        cluster.wait_until_ready().await;
        let mut world = World {
            redis,
            proxies,
            cluster,
            receiver,
            channels: CHANNELS.map(unique).to_vec(),
            tabs: Vec::new(),
            frozen: [false; NODES],
            history: Arc::default(),
            kinds: Kind::chosen(),
            random: Random::from_environment(),
            ledger: SharedLedger::default(),
            publish: watch::Sender::new(false),
            publishers: [const { None }; NODES],
            names: 0,
        };
        (0..NODES).for_each(|node| world.start_publisher(node));
        Ok(world)
    }

    pub(crate) async fn finish(mut self) {
        self.tabs.clear();
        self.publishers = [const { None }; NODES];
        self.cluster.finish().await;
        self.redis.expect_nothing_lasting(PREFIX).await;
    }

    // A round

    /// Lets one or two things fail and be good again. Panics with all that differs from the model then.
    pub(crate) async fn round(&mut self, number: usize) {
        self.ledger().clear();
        self.tabs.iter().for_each(|tab| tab.seen().received.clear());
        self.redis.save().await;
        let counted_before = self.counted_losses().await;
        self.publish.send_replace(true);
        let ready = Instant::now();
        let quiet = 500 + self.random.below(700) as u64;
        self.go_on(quiet).await;
        let faults = self.choose();
        eprintln!("round {number}: {faults:?}");
        let begun = Instant::now();
        self.fail(&faults).await;
        self.go_on(300).await;
        self.publish.send_replace(false);
        self.cluster.wait_until_ready().await;
        let ended = Instant::now();
        if faults.iter().any(|fault| fault.kind == Kind::Kill) {
            // Whoever comes to a node that has just started comes again later.
            self.tabs.retain(|tab| !tab.seen().is_refused);
        }
        let mut differences = self.differences().await;
        differences.extend(self.reported_without_cause(&faults, ready));
        differences.extend(
            self.losses(&faults, counted_before, Disturbance { begun, ended })
                .await,
        );
        let refusals = self.ledger().refusals();
        if !refusals.is_empty() {
            eprintln!("    publishes were refused: {refusals:?}");
        }
        assert!(
            differences.is_empty(),
            "round {number}, after {faults:?} from -{} to -{} ms, with {} tabs: {}",
            begun.elapsed().as_millis(),
            ended.elapsed().as_millis(),
            self.tabs.len(),
            differences.join("\n"),
        );
        if faults.iter().any(|fault| fault.kind.forgets()) {
            // What Redis forgets once more before all nodes have reported it again is nobody's promise.
            sleep_until(ended + Duration::from_secs(u64::from(NODE_TIMEOUT))).await;
        }
    }

    /// Members of whom webhooks were sent though they did not move, and no node of theirs may have been given up.
    fn reported_without_cause(&self, faults: &[Fault], begun: Instant) -> Option<String> {
        /// Webhooks of a round's end may come in the next one.
        const LATE: Duration = Duration::from_secs(10);
        let may_be_given_up = |node: usize| {
            let mut of_node = faults.iter().filter(|fault| fault.node == node);
            of_node.any(|fault| fault.is_long() && !fault.is_of_redis())
        };
        let tabs = self.tabs.iter().filter(|tab| may_be_given_up(tab.node));
        let excused = tabs.map(|tab| &*tab.user).collect();
        webhooks::reported_without_cause(
            &self.receiver,
            &self.history,
            &self.channels,
            (begun - LATE, begun),
            &excused,
        )
    }

    fn choose(&mut self) -> Vec<Fault> {
        let first = Fault::random(&self.kinds, &mut self.random);
        let second = Fault::random(&self.kinds, &mut self.random);
        match self.random.below(3) {
            0 if !first.excludes(&second) => vec![first, second],
            _ => vec![first],
        }
    }

    async fn fail(&mut self, faults: &[Fault]) {
        for fault in faults {
            fault.begin(self).await;
            self.go_on(fault.milliseconds).await;
        }
        for fault in faults {
            fault.end(self).await;
            self.go_on(200).await;
        }
    }

    /// Lets people come, go and do things for a while.
    async fn go_on(&mut self, milliseconds: u64) {
        let end = Instant::now() + Duration::from_millis(milliseconds);
        while Instant::now() < end {
            self.change();
            sleep(Duration::from_millis(40)).await;
        }
    }

    /// One thing that somebody does. It is not waited for.
    fn change(&mut self) {
        let what = self.random.below(10);
        let count = self.tabs.len();
        if count < FEWEST_TABS || (what < 3 && count < MOST_TABS) {
            return self.come();
        }
        let chosen = self.random.below(count);
        let channel = self.random.below(self.channels.len());
        let channel = self.channels[channel].clone();
        match what {
            0..=3 => drop(self.tabs.swap_remove(chosen)),
            4..=6 => self.tabs[chosen].toggle(&channel),
            _ => self.tabs[chosen].send(&channel),
        }
    }

    fn come(&mut self) {
        let nodes = self.cluster.positions();
        let awake: Vec<usize> = nodes
            .into_iter()
            .filter(|node| !self.frozen[*node])
            .collect();
        let node = awake[self.random.below(awake.len())];
        let user = format!("user-{}", self.random.below(USERS));
        self.names += 1;
        let tab = self.open_tab(&format!("tab-{}", self.names), &user, node);
        for _ in 0..1 + self.random.below(4) {
            let channel = self.random.below(self.channels.len());
            if !tab.seen().stays.contains_key(&self.channels[channel]) {
                tab.subscribe(&self.channels[channel]);
            }
        }
        self.tabs.push(tab);
    }

    pub(crate) fn open_tab(&self, name: &str, user: &str, node: usize) -> Tab {
        let server = &self.cluster[node];
        let place = (node, server.endpoint(), server.app());
        Tab::open(name, user, place, &self.history)
    }

    // Nodes

    pub(crate) async fn kill(&mut self, node: usize) {
        self.publishers[node] = None;
        self.tabs.retain(|tab| tab.node != node);
        self.cluster.kill(node).await;
    }

    pub(crate) async fn launch(&mut self, node: usize) {
        self.cluster.launch(node).await;
        self.start_publisher(node);
    }

    fn start_publisher(&mut self, node: usize) {
        self.names += 1;
        let name = format!("publisher-{}-of-{node}", self.names);
        let server = &self.cluster[node];
        let publisher = Publisher::start(
            &name,
            (server.endpoint(), server.app()),
            &self.channels,
            &self.ledger,
            self.publish.subscribe(),
        );
        self.publishers[node] = Some((name, publisher));
    }

    // Events

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn publisher_names(&self) -> Vec<String> {
        let publishers = self.publishers.iter().flatten();
        publishers.map(|(name, _)| name.clone()).collect()
    }

    async fn counted_losses(&self) -> f64 {
        let mut counted = 0.0;
        for node in self.cluster.nodes() {
            let metrics = node.metrics().await;
            for name in LOSSES {
                counted += metrics.sum(name, &[]);
            }
        }
        counted
    }

    /// Losses that cannot be excused, or that no node has counted.
    async fn losses(
        &self,
        faults: &[Fault],
        counted_before: f64,
        disturbance: Disturbance,
    ) -> Vec<String> {
        let missing = self.ledger().missing(&self.tabs, disturbance);
        if missing.is_empty() {
            return Vec::new();
        }
        let has_killed = faults.iter().any(|fault| fault.kind == Kind::Kill);
        let forgives = |fault: &Fault| fault.kind.forgets() || fault.is_long();
        let counted = self.counted_losses().await - counted_before;
        eprintln!("    {} events missing, {counted} counted", missing.len());
        // A node counts once what several of its tabs lack; one that has died takes its count along.
        let lost: BTreeSet<_> = missing
            .iter()
            .map(|missing| (missing.node, &missing.mark))
            .collect();
        let is_counted = lost.len() as f64 <= counted || has_killed;
        let is_forgiven = (has_killed || faults.iter().any(forgives)) && is_counted;
        let unforgiven = missing
            .iter()
            .filter(|missing| !is_forgiven || !missing.is_excusable);
        let lost: Vec<&str> = unforgiven
            .map(|missing| missing.description.as_str())
            .collect();
        let some = &lost[..lost.len().min(5)];
        let what = format!("{} lost, {counted} counted: {some:#?}", lost.len());
        (!lost.is_empty()).then_some(what).into_iter().collect()
    }
}
