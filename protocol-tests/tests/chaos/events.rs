//! What was published, and who must have got it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use crate::tab::{Mark, Tab};

/// How long an event may be on its way to everybody when nothing fails.
const ON_ITS_WAY: Duration = Duration::from_secs(1);

pub(crate) type SharedLedger = Arc<Mutex<Ledger>>;

/// All that was published in a round.
#[derive(Default)]
pub(crate) struct Ledger {
    published: Vec<Published>,
    /// Rounds before this one had so many.
    before: usize,
}

pub(crate) struct Published {
    pub(crate) mark: Mark,
    pub(crate) begun: Instant,
    /// When it was answered, and with what.
    pub(crate) answer: Option<(Instant, u16)>,
}

/// The time in which something failed.
#[derive(Clone, Copy)]
pub(crate) struct Disturbance {
    pub(crate) begun: Instant,
    pub(crate) ended: Instant,
}

/// What some tab should have got and did not.
pub(crate) struct Missing {
    pub(crate) description: String,
    pub(crate) node: usize,
    pub(crate) mark: Mark,
    /// Whether it was published while something failed or shortly before.
    pub(crate) is_excusable: bool,
}

impl Ledger {
    pub(crate) fn add(&mut self, published: Published) -> usize {
        self.published.push(published);
        self.before + self.published.len() - 1
    }

    pub(crate) fn answer(&mut self, position: usize, at: Instant, status: u16) {
        // A round may end without the answer, if its node has died.
        if let Some(position) = position.checked_sub(self.before) {
            self.published[position].answer = Some((at, status));
        }
    }

    /// Publishers whose last event was not answered.
    pub(crate) fn unanswered(&self) -> Vec<String> {
        let waiting = self.published.iter().filter(|event| event.answer.is_none());
        waiting.map(|event| event.mark.1.clone()).collect()
    }

    /// Begins a round.
    pub(crate) fn clear(&mut self) {
        self.before += self.published.len();
        self.published.clear();
    }

    /// What was answered with anything but 200, by status.
    pub(crate) fn refusals(&self) -> BTreeMap<u16, usize> {
        let mut refusals = BTreeMap::new();
        let statuses = self.published.iter().filter_map(|event| event.answer);
        for (_, status) in statuses.filter(|(_, status)| *status != 200) {
            *refusals.entry(status).or_default() += 1;
        }
        refusals
    }

    /// What was answered with 200 and did not reach tabs that were on the channel all the time. Who has joined while
    /// something failed was answered from what its node knew, and has no claim until all is good again.
    pub(crate) fn missing(&self, tabs: &[Tab], disturbance: Disturbance) -> Vec<Missing> {
        let mut missing = Vec::new();
        for event in &self.published {
            let Some((answered, 200)) = event.answer else {
                continue;
            };
            for tab in tabs {
                let was_there = tab.joined(&event.mark.0).is_some_and(|at| {
                    at < event.begun && (at < disturbance.begun || event.begun > disturbance.ended)
                });
                if !was_there || tab.seen().received.contains(&event.mark) {
                    continue;
                }
                missing.push(Missing {
                    description: format!("{} of node {}: {:?}", tab.name, tab.node, event.mark),
                    node: tab.node,
                    mark: event.mark.clone(),
                    is_excusable: answered + ON_ITS_WAY > disturbance.begun
                        && event.begun < disturbance.ended,
                });
            }
        }
        missing
    }
}
