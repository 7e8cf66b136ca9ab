//! Heartbeats, and how others see this node.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use redis::Cmd;

use super::calls::{Job, NoAnswer, Plain, Then};
use super::leaving::Leaving;
use super::{Node, Timer};
use crate::cluster::redis::entry::{NodeId, NodeIds, OLDEST, VERSION};
use crate::cluster::redis::script::{self, Pulse};
use crate::cluster::redis::wire;
use crate::hub::Standing;

/// How soon a heartbeat is made when something shows that Redis has forgotten what it knew.
const AHEAD_OF_HEARTBEAT: Duration = Duration::from_millis(20);

/// What Redis knows of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Membership {
    /// Nothing, under its present id.
    New,
    /// It was among those alive, and may not be any more.
    Uncertain,
    /// It is among those alive.
    Counted,
}

/// The node as one of several.
pub(super) struct Life {
    pub(super) ids: NodeIds,
    membership: Membership,
    /// When Redis last acknowledged that the node is alive.
    pulse_at: Instant,
    /// The version that all nodes read.
    pub(super) version: u8,
    /// Dead nodes, with the channels that are still to be cleaned up.
    pub(super) dead: HashMap<String, usize>,
    /// Whether the next heartbeat is not waited for.
    beats_early: bool,
    pub(super) leaving: Leaving,
}

impl Life {
    pub(super) fn new(id: NodeId, now: Instant) -> Self {
        Self {
            ids: NodeIds::new(id),
            membership: Membership::New,
            pulse_at: now,
            version: VERSION,
            dead: HashMap::new(),
            beats_early: false,
            leaving: Leaving::No,
        }
    }

    /// Whether Redis has this node among those alive since it was last reached.
    pub(super) fn is_counted(&self) -> bool {
        self.membership == Membership::Counted
    }

    pub(super) fn is_not_counted(&mut self) {
        if self.is_counted() {
            self.membership = Membership::Uncertain;
        }
    }

    pub(super) fn is_leaving(&self) -> bool {
        matches!(self.leaving, Leaving::UnderWay(_))
    }
}

impl Node {
    fn beats_every(&self) -> Duration {
        (self.setup.settings.node_timeout / 4).min(Duration::from_secs(1))
    }

    /// Notes in Redis that this node is alive, and learns who is not.
    pub(super) fn beat(&mut self) {
        let every = self.beats_every();
        self.timers
            .retain(|std::cmp::Reverse((_, timer))| *timer != Timer::Heartbeat);
        self.at(self.now + every, Timer::Heartbeat);
        self.ping(every);
        self.life.beats_early = false;
        // A node that is known here may take its leave at any time, and is not to come back then.
        if self.life.is_leaving() && self.life.is_counted() {
            return;
        }
        self.look_at_pulse();
        let node = self.node();
        let (key, command) = self.heartbeat();
        let then: Then = Box::new(move |alive, answer| {
            let pulse = answer.map(Pulse::read);
            if alive.node() != node {
                return;
            }
            match pulse {
                Ok(Ok(pulse)) => alive.on_pulse(pulse),
                Ok(Err(_)) => {
                    alive.setup.metrics.unreadable.inc();
                }
                Err(NoAnswer) => {}
            }
        });
        let beat = Plain::new(key, command, then);
        // Before all else that waits: a node that has much to publish is not dead.
        if self.servers.link_of(beat.slot).is_some() {
            let queue = self.servers.queue(beat.slot, beat.lane);
            queue.push_front(Job::Plain(beat));
        }
    }

    fn heartbeat(&mut self) -> (String, Cmd) {
        let keys = &self.setup.keys;
        let [nodes, versions, dead] = keys.nodes();
        let all = [&nodes, &versions, &dead, &keys.memory(), &keys.logs()];
        let timeout = self.setup.settings.node_timeout;
        let millis = |time: Duration| time.as_millis() as u64;
        let command = script::HEARTBEAT
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
            .command();
        (nodes, command)
    }

    /// The next heartbeat is made at once.
    pub(super) fn beat_early(&mut self) {
        if !std::mem::replace(&mut self.life.beats_early, true) {
            self.at(self.now + AHEAD_OF_HEARTBEAT, Timer::Heartbeat);
        }
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
        let ago = pulse.lost;
        if let Some(left) = ago.and_then(|ago| self.setup.settings.node_timeout.checked_sub(ago)) {
            self.memory.doubts_until = self.now + left;
        }
        let has_forgotten = self.memory.replace(pulse.memory);
        if has_forgotten {
            self.note_forgotten();
        }
        if !pulse.is_known && self.life.membership != Membership::New {
            return self.become_another(has_forgotten);
        }
        self.life.pulse_at = self.now;
        self.note_versions(pulse.lowest_version, pulse.highest_version);
        self.setup.metrics.nodes.set(pulse.nodes as i64);
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
        if std::mem::take(&mut self.memory.must_compare) {
            self.compare_lists();
        }
        for dead in pulse.dead {
            self.clean_up_after(dead);
        }
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
