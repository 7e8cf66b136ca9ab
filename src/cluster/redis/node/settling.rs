//! What became of idempotency keys: sent to Redis as soon as it can be.

use std::time::Duration;

use super::jobs::{Plain, Then};
use super::state::Node;
use super::timers::Timer;
use crate::cluster::redis::request::Settlement;

/// How many may wait. More than that many publishes are hardly under way when Redis goes.
const MOST: usize = 10_000;
/// How long until it is tried again.
const PAUSE: Duration = Duration::from_millis(100);

impl Node {
    /// Sends it now, and again for as long as there is no answer.
    pub(super) fn settle(&mut self, settlement: Settlement) {
        if !self.can_ask(&settlement.key) {
            return self.settle_later(settlement);
        }
        let (key, command) = (settlement.key.clone(), settlement.command.clone());
        self.call(Plain::new(key, command, Then::Settle(settlement)));
    }

    /// There was no answer.
    pub(super) fn settle_later(&mut self, settlement: Settlement) {
        let now = self.now;
        if settlement.until <= now {
            return;
        }
        if self.postponed.settlements.len() >= MOST {
            if self.refusals.lets_through(now) {
                tracing::error!("too many idempotency keys wait for Redis: some are forgotten");
            }
            return;
        }
        if self.postponed.settlements.is_empty() {
            self.at(now + PAUSE, Timer::Settle);
        }
        self.postponed.settlements.push(settlement);
    }

    pub(super) fn settle_again(&mut self) {
        for settlement in std::mem::take(&mut self.postponed.settlements) {
            self.settle(settlement);
        }
    }
}
