//! Heartbeats, the death of other nodes, and this one's end.

use std::sync::Arc;
use std::time::Duration;

use redis::Value;

use super::calls::{Job, NoAnswer, Plain, Then};
use super::{KEEPS_FOR, Node, Timer};
use crate::cluster::redis::channel::Channel;
use crate::cluster::redis::entry::{NodeId, OLDEST, VERSION};
use crate::cluster::redis::script::{self, Pulse};
use crate::hub::Standing;

/// How often it is looked whether a node that stops has said everything.
const STOPS_EVERY: Duration = Duration::from_millis(5);

impl Node {
    fn beats_every(&self) -> Duration {
        (self.settings.node_timeout / 4).min(Duration::from_secs(1))
    }

    /// Tells Redis that this node is alive, and hears who is not.
    pub(super) fn beat(&mut self) {
        let every = self.beats_every();
        self.timers
            .retain(|std::cmp::Reverse((_, timer))| *timer != Timer::Heartbeat);
        self.at(self.now + every, Timer::Heartbeat);
        self.ping(every);
        self.beats_early = false;
        // A node that is known here may say goodbye at any time, and is not to come back then.
        if self.stopping.is_some() && self.is_counted {
            return;
        }
        self.look_at_pulse();
        let node = self.node();
        let [nodes, versions, dead] = self.keys.nodes();
        let keys = [
            &nodes,
            &versions,
            &dead,
            &self.keys.memory(),
            &self.keys.logs(),
        ];
        let mut command = script::HEARTBEAT.call(&keys);
        command
            .arg(node.to_string())
            .arg(VERSION)
            .arg(self.settings.node_timeout.as_millis() as u64)
            .arg(i32::from(self.is_new))
            .arg(&*self.memory.name)
            .arg(self.memory.beats)
            .arg(NodeId::random(&mut self.rng).to_string())
            .arg(self.ledger.get_mut().bytes(self.now));
        let then: Then = Box::new(move |alive, answer| {
            let pulse = answer.map(Pulse::read);
            if alive.node() != node {
                return;
            }
            match pulse {
                Ok(Ok(pulse)) => alive.on_pulse(pulse),
                Ok(Err(_)) => {
                    alive.metrics.unreadable.inc();
                }
                Err(NoAnswer) => {}
            }
        });
        let beat = Plain::new(nodes, command, then);
        // Before all else that waits: a node that has much to say is not dead.
        if self.servers.link_of(beat.slot).is_some() {
            let queue = self.servers.queue(beat.slot, beat.lane);
            queue.push_front(Job::Plain(beat));
        }
    }

    /// While Redis refuses heartbeats, or a part of it is away, nobody is to wait for it.
    fn look_at_pulse(&mut self) {
        if self.now.saturating_duration_since(self.pulse_at) > self.settings.node_timeout {
            self.is_counted = false;
            self.show_standing();
        }
        if !self.is_counted || !self.servers.all_reached() {
            for channel in self.channels.values_mut() {
                channel.answer_offline();
            }
        }
    }

    fn on_pulse(&mut self, pulse: Pulse) {
        let before = std::mem::replace(&mut self.memory, pulse.memory);
        if let Some(left) = pulse
            .lost
            .and_then(|ago| self.settings.node_timeout.checked_sub(ago))
        {
            self.doubts_until = self.now + left;
        }
        let has_forgotten = !before.name.is_empty() && before.name != self.memory.name;
        if has_forgotten {
            self.note_forgotten();
        }
        if !pulse.is_known && !self.is_new {
            return self.become_another(has_forgotten);
        }
        self.is_new = false;
        self.pulse_at = self.now;
        self.version = pulse.lowest_version.clamp(OLDEST, VERSION);
        if pulse.highest_version > VERSION + 1 && self.refusals.lets_through(self.now) {
            tracing::error!(
                version = VERSION,
                highest = pulse.highest_version,
                "another node speaks a version that is too far ahead of this one"
            );
        }
        self.metrics.nodes.set(pulse.nodes as i64);
        self.bound_logs(pulse.logged);
        if has_forgotten {
            for channel in self.channels.values_mut() {
                channel.on_forgotten();
            }
        }
        if !std::mem::replace(&mut self.is_counted, true) || has_forgotten {
            for topic in self.topics() {
                self.look_after(&topic);
            }
        }
        self.show_standing();
        if std::mem::take(&mut self.must_compare) {
            self.compare_lists();
        }
        for dead in pulse.dead {
            self.clean_up_after(dead);
        }
    }

    /// Redis has lost its memory, or has an older one. The other nodes notice as this one does:
    /// what is for them is kept until they have.
    fn note_forgotten(&mut self) {
        tracing::warn!(
            "Redis has lost data, or has returned with older data: telling it all again"
        );
        self.metrics.memory_losses.inc();
        self.keeps_until = self.now + KEEPS_FOR;
        self.must_compare = true;
    }

    /// What Redis has of this node on channels that it does not know, under any id that it had, is
    /// taken out.
    fn compare_lists(&mut self) {
        let current = self.ids.current;
        let earlier: Vec<String> = self.ids.earlier().map(|id| id.to_string()).collect();
        let key = self.keys.topics_of(&current.to_string());
        let mut command = redis::cmd("SMEMBERS");
        command.arg(&key);
        let then: Then = Box::new(move |node, answer| match answer.map(script::texts) {
            Ok(Ok(topics)) if node.node() == current => {
                for topic in topics {
                    if node.ensure(&topic).is_some() {
                        node.with(&topic, |channel, _| channel.on_found());
                    }
                }
            }
            _ => node.must_compare = true,
        });
        self.call(Plain::new(key, command, then));
        for id in earlier {
            self.clean_up_after(id);
        }
    }

    /// Redis does not know this node (any more): it was away for too long, or Redis has lost what
    /// it knew. Its part may be removed at any time: it is told anew, under another id.
    fn become_another(&mut self, is_forgotten: bool) {
        let new = NodeId::random(&mut self.rng);
        let old = self.ids.become_another(new);
        tracing::warn!(%old, %new, "this node was given up: it returns as another");
        // Its channels are told of as soon as the new id counts.
        self.is_counted = false;
        self.must_compare = true;
        self.is_new = true;
        for topic in self.topics() {
            if let Some(channel) = self.channels.get_mut(&topic) {
                match is_forgotten {
                    true => channel.on_new_node(),
                    false => channel.on_given_up(),
                }
                channel.orphans.push(old.to_string());
            }
        }
        self.beat();
    }

    pub(super) fn show_standing(&mut self) {
        let standing = match self.is_counted && self.servers.all_reached() {
            true => Standing::Well,
            false if self.shared.standing() == Standing::NotYet => Standing::NotYet,
            false if self.shared.lack.lock().is_some() => Standing::Refused,
            false => Standing::Away,
        };
        self.metrics
            .connected
            .set(i64::from(standing == Standing::Well));
        self.shared.set_standing(standing);
    }

    /// Removes what a dead node has on any channel, and tells what follows from it.
    fn clean_up_after(&mut self, dead: String) {
        if self.dead.contains_key(&dead) {
            return;
        }
        tracing::info!(node = dead, "a node is gone: cleaning up after it");
        self.dead.insert(dead.clone(), usize::MAX);
        let key = self.keys.topics_of(&dead);
        let mut command = redis::cmd("SMEMBERS");
        command.arg(&key);
        let then: Then = Box::new(move |node, answer| {
            match answer.map(script::texts) {
                Ok(Ok(topics)) => node.clean_up(&dead, topics),
                // Tried again when the next heartbeat names it.
                _ => {
                    node.dead.remove(&dead);
                }
            }
        });
        self.call(Plain::new(key, command, then));
    }

    fn clean_up(&mut self, dead: &str, topics: Vec<String>) {
        let mut left = 0;
        for topic in topics {
            if self.ensure(&topic).is_none() {
                continue;
            }
            if let Some(channel) = self.channels.get_mut(&*topic) {
                if !channel.orphans.iter().any(|orphan| orphan == dead) {
                    channel.orphans.push(dead.to_owned());
                }
                left += 1;
            }
            self.look_after(&topic);
        }
        self.dead.insert(dead.to_owned(), left);
        if left == 0 {
            self.all_cleaned_up(dead);
        }
    }

    /// One channel of a dead node is done.
    pub(super) fn one_cleaned_up(&mut self, dead: &str) {
        let Some(left) = self.dead.get_mut(dead) else {
            return;
        };
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.all_cleaned_up(dead);
        }
    }

    fn all_cleaned_up(&mut self, dead: &str) {
        self.dead.remove(dead);
        let key = self.keys.topics_of(dead);
        let mut command = redis::cmd("DEL");
        command.arg(&key);
        self.call(Plain::new(key, command, Box::new(|_, _| {})));
        let [_, _, list] = self.keys.nodes();
        let mut command = redis::cmd("ZREM");
        command.arg(&list).arg(dead);
        self.call(Plain::new(list, command, Box::new(|_, _| {})));
    }

    // The end.

    /// Says what is left to say, leaves the rest to the others, and goes.
    pub(super) fn go_on_stopping(&mut self) {
        if self.stopping.is_none() {
            return;
        }
        let again = self.now + STOPS_EVERY;
        let is_busy =
            !self.unsettled.is_empty() || self.channels.values().any(|channel| channel.is_busy());
        if is_busy || !self.dead.is_empty() || !self.is_counted {
            return self.at(again, Timer::Stop);
        }
        // A connection that is still there has its part left to the others, too.
        let leaves = |channel: &Channel| channel.has_pending() || channel.is_wanted();
        let leaves_something = self.channels.values().any(leaves);
        self.leave_cluster(leaves_something);
    }

    /// Nobody else would tell: a node that goes alone tells all departures.
    fn send_everything_again(&mut self) {
        let owing: Vec<_> = self
            .channels
            .values_mut()
            .filter(|channel| channel.has_pending())
            .map(|channel| {
                channel.flush_due(true);
                Arc::clone(&channel.topic)
            })
            .collect();
        for topic in owing {
            self.look_after(&topic);
        }
    }

    fn end(&mut self) {
        self.ended = true;
        if let Some(done) = self.stopping.take() {
            // Whoever waited may have given up.
            let _ = done.send(());
        }
    }

    fn leave_cluster(&mut self, leaves_something: bool) {
        let node = self.node().to_string();
        if !leaves_something {
            let key = self.keys.topics_of(&node);
            let mut command = redis::cmd("DEL");
            command.arg(&key);
            self.call(Plain::new(key, command, Box::new(|_, _| {})));
        }
        let [nodes, versions, dead] = self.keys.nodes();
        let (memory, logs) = (self.keys.memory(), self.keys.logs());
        let keys = [&nodes, &versions, &dead, &memory, &logs];
        let mut command = script::GOODBYE.call(&keys);
        command.arg(node).arg(i32::from(leaves_something));
        command.arg(self.settings.node_timeout.as_millis() as u64 / 2);
        let then: Then = Box::new(|node, answer| match stays_for(answer) {
            Some(dead) => {
                for dead in dead {
                    node.clean_up_after(dead);
                }
                let owes = |channel: &Channel| channel.has_pending() || channel.is_busy();
                let owes = node.channels.values().any(owes);
                if !owes && node.dead.is_empty() {
                    // Only connections are left. Whoever starts next cleans up after this node.
                    return node.end();
                }
                node.send_everything_again();
                node.at(node.now + STOPS_EVERY, Timer::Stop);
            }
            // Gone, or away: then the others will notice.
            None => node.end(),
        });
        self.call(Plain::new(nodes, command, then));
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
