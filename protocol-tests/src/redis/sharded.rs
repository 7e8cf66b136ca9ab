//! A Redis Cluster: masters that share the slots, and slots that move from one to another.

use redis::cmd;

use super::RedisServer;
use crate::wait::eventually;

const SLOTS: u16 = 16_384;
/// Keys that a step of a move takes, few enough for a move to take several steps.
const STEP: u32 = 10;

/// A Redis Cluster without replicas.
#[derive(Debug)]
pub struct RedisCluster {
    masters: Vec<RedisServer>,
}

impl RedisCluster {
    /// A cluster of three masters, each with a third of the slots.
    pub async fn start() -> RedisCluster {
        let mut masters = Vec::new();
        for _ in 0..3 {
            let arguments = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"];
            masters.push(RedisServer::start_with(&arguments).await);
        }
        let cluster = RedisCluster { masters };
        cluster.assign_slots().await;
        cluster.introduce().await;
        cluster.wait_until_well().await;
        cluster
    }

    /// The masters.
    pub fn masters(&self) -> &[RedisServer] {
        &self.masters
    }

    /// The URLs of all masters.
    pub fn urls(&self) -> Vec<String> {
        self.masters.iter().map(RedisServer::url).collect()
    }

    /// The keys that begin with `prefix`, sorted.
    pub async fn keys(&self, prefix: &str) -> Vec<String> {
        let mut keys = Vec::new();
        for master in &self.masters {
            keys.extend(master.keys(prefix).await);
        }
        keys.sort();
        keys
    }

    /// The slots of all keys and topics that begin with `prefix` and contain `text`.
    pub async fn slots_of(&self, prefix: &str, text: &str) -> Vec<u16> {
        let mut names = self.keys(prefix).await;
        for master in &self.masters {
            names.extend(master.topics(prefix).await);
        }
        let mut slots = Vec::new();
        for name in names.iter().filter(|name| name.contains(text)) {
            let ask = cmd("CLUSTER").arg("KEYSLOT").arg(name).clone();
            slots.push(self.masters[0].command(&ask).await);
        }
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// Which master has a slot, by its position.
    pub async fn owner(&self, slot: u16) -> usize {
        for (position, master) in self.masters.iter().enumerate() {
            let ask = cmd("CLUSTER").arg("COUNTKEYSINSLOT").arg(slot).clone();
            let keys: i64 = master.command(&ask).await;
            let mine: String = master.command(cmd("CLUSTER").arg("NODES")).await;
            let own = mine.lines().find(|line| line.contains("myself"));
            let ranges = own.into_iter().flat_map(|line| line.split(' ').skip(8));
            if ranges
                .filter_map(parse_range)
                .any(|(first, last)| (first..=last).contains(&slot))
            {
                return position;
            }
            assert_eq!(keys, 0, "a master has keys of a slot that is not its own");
        }
        panic!("nobody has slot {slot}");
    }

    /// Moves a slot with all its keys to the next master, while it is in use.
    pub async fn move_slot(&self, slot: u16) {
        let from = self.owner(slot).await;
        let to = (from + 1) % self.masters.len();
        let (source, target) = (&self.masters[from], &self.masters[to]);
        let (source_id, target_id) = (id(source).await, id(target).await);
        set_slot(target, slot, "IMPORTING", &source_id).await;
        set_slot(source, slot, "MIGRATING", &target_id).await;
        while move_some(source, target, slot).await {}
        // The target first, as Redis demands it: else the slot would for a moment be nobody's.
        set_slot(target, slot, "NODE", &target_id).await;
        set_slot(source, slot, "NODE", &target_id).await;
        for master in &self.masters {
            set_slot(master, slot, "NODE", &target_id).await;
        }
    }

    async fn assign_slots(&self) {
        let count = u16::try_from(self.masters.len()).expect("there are three");
        for (position, master) in (0..count).zip(&self.masters) {
            let first = SLOTS / count * position;
            let last = if position + 1 == count {
                SLOTS - 1
            } else {
                SLOTS / count * (position + 1) - 1
            };
            let assign = cmd("CLUSTER")
                .arg("ADDSLOTSRANGE")
                .arg(first)
                .arg(last)
                .clone();
            let () = master.command(&assign).await;
        }
    }

    async fn introduce(&self) {
        for (position, master) in self.masters.iter().enumerate() {
            // Two masters of one epoch would have to agree on a new one first.
            let epoch = cmd("CLUSTER")
                .arg("SET-CONFIG-EPOCH")
                .arg(position + 1)
                .clone();
            let () = master.command(&epoch).await;
            let port = self.masters[0].port();
            let meet = cmd("CLUSTER")
                .arg("MEET")
                .arg("127.0.0.1")
                .arg(port)
                .clone();
            let () = master.command(&meet).await;
        }
    }

    async fn wait_until_well(&self) {
        let known = format!("cluster_known_nodes:{}", self.masters.len());
        for master in &self.masters {
            eventually("the Redis Cluster to be well", || async {
                let info: String = master.command(cmd("CLUSTER").arg("INFO")).await;
                let is_well = info.contains("cluster_state:ok") && info.contains(&known);
                (is_well && info.contains("cluster_slots_ok:16384")).then_some(())
            })
            .await;
        }
    }
}

async fn id(server: &RedisServer) -> String {
    server.command(cmd("CLUSTER").arg("MYID")).await
}

async fn set_slot(server: &RedisServer, slot: u16, what: &str, id: &str) {
    let mut command = cmd("CLUSTER");
    command.arg("SETSLOT").arg(slot).arg(what).arg(id);
    let () = server.command(&command).await;
}

/// Moves some keys of a slot; `false` when there were none left.
async fn move_some(source: &RedisServer, target: &RedisServer, slot: u16) -> bool {
    let mut ask = cmd("CLUSTER");
    ask.arg("GETKEYSINSLOT").arg(slot).arg(STEP);
    let keys: Vec<String> = source.command(&ask).await;
    if keys.is_empty() {
        return false;
    }
    let mut migrate = cmd("MIGRATE");
    migrate
        .arg("127.0.0.1")
        .arg(target.port())
        .arg("")
        .arg(0)
        .arg(5000);
    migrate.arg("KEYS").arg(&keys);
    // NOKEY, when they have gone meanwhile, is good too.
    let _answer: String = source.command(&migrate).await;
    true
}

/// `12` or `12-34`; not the slots that are on their way, `[12->-…]`.
fn parse_range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some((first.parse().ok()?, last.parse().ok()?))
}
