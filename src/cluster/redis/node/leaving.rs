//! This node's end.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use tokio::sync::oneshot;

use super::jobs::{NoAnswer, Plain, Then};
use super::life::Leaving;
use super::state::Node;
use super::timers::Timer;
use crate::cluster::redis::channel::Channel;
use crate::cluster::redis::script;
use crate::cluster::redis::wire::GONE_FOR;

/// How often it is looked whether a node that stops has nothing pending.
const STOPS_EVERY: Duration = Duration::from_millis(5);

impl Node {
    /// It is to go.
    pub(super) fn stop(&mut self, done: oneshot::Sender<()>) {
        self.life.leaving = Leaving::UnderWay(done);
        self.at(self.now, Timer::Stop);
    }

    /// Whether the node has left the others.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.life.leaving, Leaving::Done)
    }

    /// Publishes what is pending, leaves the rest to the others, and goes.
    pub(super) fn go_on_stopping(&mut self) {
        if !self.life.is_leaving() {
            return;
        }
        let again = self.now + STOPS_EVERY;
        let is_busy = !self.postponed.settlements.is_empty()
            || self.channels.values().any(|channel| channel.is_busy());
        if is_busy || !self.life.dead.is_empty() || !self.life.is_counted() {
            return self.at(again, Timer::Stop);
        }
        // A connection that is still there has its part left to the others, too.
        let leaves = |channel: &Channel| channel.has_pending() || channel.is_wanted();
        let leaves_something = self.channels.values().any(leaves);
        self.leave_cluster(leaves_something);
    }

    /// Nobody else would report them: a node that goes alone reports all departures.
    fn send_everything_again(&mut self) {
        let pending: Vec<_> = self
            .channels
            .values_mut()
            .filter(|channel| channel.has_pending())
            .map(|channel| {
                channel.flush_all();
                Arc::clone(channel.topic())
            })
            .collect();
        for topic in pending {
            self.look_after(&topic);
        }
    }

    fn end(&mut self) {
        if let Leaving::UnderWay(done) = std::mem::replace(&mut self.life.leaving, Leaving::Done) {
            // Whoever waited may have given up.
            let _ = done.send(());
        }
    }

    fn leave_cluster(&mut self, leaves_something: bool) {
        let node = self.node().to_string();
        let remembers_gone = self.servers.are_several();
        if !leaves_something && remembers_gone {
            self.expire_topics_of(&node);
        } else if !leaves_something {
            let key = self.setup.keys.topics_of(&node);
            let mut command = redis::cmd("DEL");
            command.arg(&key);
            self.call(Plain::new(key, command, Then::Nothing));
        }
        let [nodes, versions, dead] = self.setup.keys.nodes();
        let (memory, logs) = (self.setup.keys.memory(), self.setup.keys.logs());
        let (timeouts, gone) = (self.setup.keys.timeouts(), self.setup.keys.gone());
        let keys = [&nodes, &versions, &dead, &memory, &logs, &timeouts, &gone];
        let keys = &keys[..keys.len() - usize::from(!remembers_gone)];
        let half = self.setup.settings.node_timeout.as_millis() as u64 / 2;
        let command = script::GOODBYE
            .call(keys)
            .arg("node", node)
            .arg("leaves", i32::from(leaves_something))
            .arg("alive_within", half)
            .arg("remembered_for", GONE_FOR.as_millis() as u64)
            .command();
        self.call(Plain::new(nodes, command, Then::Goodbye));
    }

    pub(super) fn on_goodbye(&mut self, answer: Result<Value, NoAnswer>) {
        let Some(dead) = stays_for(answer) else {
            // Gone, or away: then the others will notice.
            return self.end();
        };
        let left_to_others = self.left_to_others();
        for dead in dead {
            if !left_to_others.contains(&dead) {
                self.clean_up_after(dead);
            }
        }
        let has_pending = |channel: &Channel| channel.has_pending() || channel.is_busy();
        let has_pending = self.channels.values().any(has_pending);
        if !has_pending && self.life.dead.is_empty() {
            // Only connections are left. Whoever starts next cleans up after this node.
            return self.end();
        }
        self.send_everything_again();
        self.at(self.now + STOPS_EVERY, Timer::Stop);
    }
}

/// The dead nodes that the node is to clean up after before it may go; None: it may.
fn stays_for(answer: Result<Value, NoAnswer>) -> Option<Vec<String>> {
    let mut parts = script::list(answer.ok()?).ok()?.into_iter();
    match parts.next()? {
        Value::Int(0) => Some(parts.filter_map(|dead| script::text(dead).ok()).collect()),
        _ => None,
    }
}
