//! Heartbeats, and how others see this node.

use std::time::Duration;

use redis::{Cmd, Value};

use super::jobs::{Job, NoAnswer, Plain, Then};
use super::life::Membership;
use super::state::Node;
use super::timers::Timer;
use crate::cluster::redis::entry::{NodeId, OLDEST, VERSION};
use crate::cluster::redis::script::{self, Pulse};
use crate::cluster::redis::wire;
use crate::hub::Standing;

/// Dead nodes that a heartbeat finds for this one to clean up after at most.
const MOST_DEAD: usize = 4;

impl Node {
    fn beats_every(&self) -> Duration {
        (self.setup.settings.node_timeout / 4).min(Duration::from_secs(1))
    }

    /// Notes in Redis that this node is alive, and learns who is not.
    pub(super) fn beat(&mut self) {
        let every = self.beats_every();
        self.timers.cancel(&Timer::Heartbeat);
        self.at(self.now + every, Timer::Heartbeat);
        self.io.extend(self.servers.ping(self.now, every));
        self.life.on_beat();
        // A node that is known here may take its leave at any time, and is not to come back then.
        if self.life.is_leaving() && self.life.is_counted() {
            return;
        }
        self.look_at_pulse();
        self.unlist_left();
        self.losses.get_mut().log_rest(self.now);
        let (key, command) = self.heartbeat();
        let beat = Plain::new(key, command, Then::Heartbeat(self.node()));
        // Before all else that waits: a node that has much to publish is not dead.
        if self.servers.link_of(beat.slot).is_some() {
            let queue = self.servers.queue(beat.slot, beat.lane);
            queue.push_front(Job::Plain(beat));
        }
    }

    /// Redis has answered what this node has asked under an id.
    pub(super) fn on_heartbeat(&mut self, node: NodeId, answer: Result<Value, NoAnswer>) {
        if self.node() != node {
            return;
        }
        match answer.map(Pulse::read) {
            Ok(Ok(pulse)) => self.on_pulse(pulse),
            Ok(Err(_)) => {
                self.setup.metrics.unreadable.inc();
            }
            Err(NoAnswer) => {}
        }
    }

    fn heartbeat(&mut self) -> (String, Cmd) {
        let left_to_others = self.left_to_others();
        let most_dead = if self.knows_apps() { MOST_DEAD } else { 0 };
        let keys = &self.setup.keys;
        let [nodes, versions, dead] = keys.nodes();
        let (memory, logs, timeouts) = (keys.memory(), keys.logs(), keys.timeouts());
        let all = [&nodes, &versions, &dead, &memory, &logs, &timeouts];
        let timeout = self.setup.settings.node_timeout;
        let millis = |time: Duration| time.as_millis() as u64;
        let mut command = script::HEARTBEAT
            .call(&all)
            .arg("node", self.life.ids.current.to_string())
            .arg("version", VERSION)
            .arg("timeout", millis(timeout))
            .arg("new", i32::from(self.life.membership == Membership::New))
            .arg("known_name", &*self.memory.last.name)
            .arg("known_beats", self.memory.last.beats)
            .arg("new_name", NodeId::random(&mut self.rng).to_string())
            .arg("log_bytes", self.ledger.get_mut().bytes(self.now))
            .arg("remembered_for", millis(wire::REMEMBERED_FOR + timeout))
            .arg("cleanup", millis(timeout.max(wire::LEAST_CLEANUP)))
            .arg("most_dead", most_dead)
            .command();
        command.arg(left_to_others);
        (nodes, command)
    }

    /// While Redis refuses heartbeats, or a part of it is away, nobody is to wait for it.
    fn look_at_pulse(&mut self) {
        if self.now.saturating_duration_since(self.life.pulse_at) > self.setup.settings.node_timeout
        {
            self.life.is_not_counted();
            self.show_standing();
        }
        // One that was given up just now counts again as soon as Redis answers.
        let is_coming_back = self.life.membership == Membership::New
            && self.setup.shared.standing() == Standing::Well;
        let can_ask = self.life.is_counted() || is_coming_back;
        if !can_ask || !self.servers.all_reached() {
            for channel in self.channels.values_mut() {
                channel.answer_offline();
            }
        }
    }

    fn on_pulse(&mut self, pulse: Pulse) {
        let has_forgotten = self.memory.replace(pulse.memory);
        self.note_timeout(pulse.longest_timeout, has_forgotten);
        let ago = pulse.lost;
        if let Some(left) = ago.and_then(|ago| self.life.longest_timeout.checked_sub(ago)) {
            self.memory.doubts_until = self.now + left;
        }
        if has_forgotten {
            self.note_forgotten();
        }
        if !pulse.is_known && self.life.membership != Membership::New {
            return self.become_another(has_forgotten);
        }
        self.life.pulse_at = self.now;
        self.note_versions(pulse.lowest_version, pulse.highest_version);
        self.setup.metrics.nodes.set(pulse.nodes as i64);
        self.setup.shared.set_nodes(pulse.nodes);
        self.bound_logs(pulse.logged);
        if has_forgotten {
            for channel in self.channels.values_mut() {
                channel.on_forgotten();
            }
        }
        let was_counted = self.life.is_counted();
        self.life.membership = Membership::Counted;
        if !was_counted || has_forgotten {
            for topic in self.topics() {
                self.look_after(&topic);
            }
        }
        self.show_standing();
        if self.may_compare() && std::mem::take(&mut self.memory.must_compare) {
            self.compare_lists();
        }
        self.hand_in_ends();
        for dead in pulse.dead {
            self.clean_up_after(dead);
        }
    }

    /// Others may have more time than this node. Until they have announced again what Redis has forgotten, it does not
    /// know of all of them.
    fn note_timeout(&mut self, longest: Duration, has_forgotten: bool) {
        let is_doubtful = has_forgotten || self.now < self.memory.doubts_until;
        let least = if is_doubtful {
            self.life.longest_timeout
        } else {
            self.setup.settings.node_timeout
        };
        self.life.longest_timeout = longest.max(least);
    }

    fn note_versions(&mut self, lowest: u8, highest: u8) {
        self.life.version = lowest.clamp(OLDEST, VERSION);
        if highest > VERSION + 1 && self.refusals.lets_through(self.now) {
            tracing::error!(
                version = VERSION,
                highest,
                "another node speaks a version that is too far ahead of this one"
            );
        }
    }

    /// Redis does not know this node (any more): it was away for too long, or Redis has lost what
    /// it knew. Its part may be removed at any time: it is announced anew, under another id.
    fn become_another(&mut self, is_forgotten: bool) {
        let new = NodeId::random(&mut self.rng);
        let old = self.life.ids.become_another(new);
        tracing::warn!(%old, %new, "this node was given up: it returns as another");
        // Its channels are announced as soon as the new id counts.
        self.life.membership = Membership::New;
        self.postponed.left.clear();
        self.memory.must_compare = true;
        for topic in self.topics() {
            if let Some(channel) = self.channels.get_mut(&topic) {
                if is_forgotten {
                    channel.on_new_node()
                } else {
                    channel.on_given_up()
                }
                channel.add_orphan(&old.to_string());
            }
        }
        self.beat();
    }

    pub(super) fn show_standing(&mut self) {
        let standing = if self.life.is_counted() && self.servers.all_reached() {
            Standing::Well
        } else if self.setup.shared.standing() == Standing::NotYet {
            Standing::NotYet
        } else if self.setup.shared.lack.lock().is_some() {
            Standing::Refused
        } else {
            Standing::Away
        };
        self.setup
            .metrics
            .connected
            .set(i64::from(standing == Standing::Well));
        self.setup.shared.set_standing(standing);
    }
}
