//! All logs together are bounded: each node drops the oldest of what it wrote, by as much as its share in
//! all is too large.

use std::collections::HashSet;

use redis::Value;

use super::jobs::{NoAnswer, Plain, Then};
use super::state::Node;
use crate::cluster::redis::keys;
use crate::cluster::redis::script;

impl Node {
    /// All nodes have written so many bytes that are kept.
    pub(super) fn bound_logs(&mut self, logged: usize) {
        self.setup.metrics.log_bytes.set(logged as i64);
        let most = self.setup.settings.total_log_bytes;
        if logged <= most {
            return;
        }
        let ledger = self.ledger.get_mut();
        let own = ledger.bytes(self.now) as f64;
        let share = own * (most as f64 / logged as f64);
        let Some(oldest) = ledger.take_oldest(share as usize) else {
            return;
        };
        let age = self.now.saturating_duration_since(oldest.until).as_millis() as u64;
        let topics: HashSet<_> = oldest.topics.into_iter().collect();
        for topic in topics {
            let keys = [keys::meta(&topic), keys::log(&topic)];
            let command = script::TRIM.call(&keys).arg("age", age).command();
            // Publishes do not stand behind it.
            self.call(Plain::question(keys::log(&topic), command, Then::Trimmed));
        }
    }

    pub(super) fn on_trimmed(&mut self, answer: Result<Value, NoAnswer>) {
        if let Ok(Ok(dropped)) = answer.map(script::number) {
            self.setup.metrics.log_evictions.inc_by(dropped);
        }
    }
}
