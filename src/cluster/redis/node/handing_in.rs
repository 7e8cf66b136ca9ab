//! What Redis has forgotten of logs is handed in by those who wrote it, as far as they know.

use std::time::Duration;

use super::jobs::{Plain, Then};
use super::state::Node;
use crate::cluster::redis::keys;
use crate::cluster::redis::script;

impl Node {
    /// Hands in where the last entries of this node stood, if Redis has forgotten something since it was last done.
    /// Other nodes read it `node_timeout` after they have noticed the loss.
    pub(super) fn hand_in_ends(&mut self) {
        if !self.recent.ends.must_be_handed_in {
            let history = Duration::from_millis(self.setup.history_ms);
            return self.recent.ends.forget_old(history, self.now);
        }
        if !self.may_compare() {
            return;
        }
        self.recent.ends.must_be_handed_in = false;
        let mut calls = Vec::new();
        for (topic, places) in self.recent.ends.all() {
            let key = keys::ends(topic);
            let call = script::HAND_IN.call(&[&key]);
            let mut command = call.arg("kept_for", self.setup.history_ms).command();
            for place in places {
                command.arg(&*place.epoch).arg(place.id.to_string());
            }
            // Publishes do not stand behind it.
            calls.push(Plain::question(key, command, Then::HandedIn));
        }
        for call in calls {
            self.call(call);
        }
    }

    /// Redis was given it, or that is not known.
    pub(super) fn on_handed_in(&mut self, is_done: bool) {
        self.recent.ends.must_be_handed_in |= !is_done;
    }
}
