//! What the log says of a webhook that fails, and of the events that are lost on it.

use std::sync::Arc;
use std::time::Instant;

use super::outlet::Backlog;
use super::post::Outcome;
use crate::throttle::Throttle;

/// Whose events a sender works off.
#[derive(Clone, Debug)]
pub(super) struct Name {
    /// The app's id.
    pub(super) app: Box<str>,
    /// Scheme, host and port of the webhook.
    pub(super) endpoint: String,
    /// The webhook in the journal.
    pub(super) key: Arc<str>,
}

/// Lines of the log about one webhook, at most one a minute of a kind.
#[derive(Debug)]
pub(super) struct Reports {
    name: Name,
    failures: Throttle,
    losses: Throttle,
    /// When losses are reported; None while there are none.
    losses_due: Option<Instant>,
    /// Events given up that have not been reported.
    given_up: usize,
    /// Whether the last line is that the webhook fails.
    is_failing: bool,
}

impl Reports {
    pub(super) fn new(name: Name) -> Self {
        Self {
            name,
            failures: Throttle::default(),
            losses: Throttle::default(),
            losses_due: None,
            given_up: 0,
            is_failing: false,
        }
    }

    /// The webhook has not taken events.
    pub(super) fn failed(&mut self, outcome: &Outcome, backlog: &Backlog) {
        if self.failures.lets_through(Instant::now()) {
            self.is_failing = true;
            tracing::warn!(
                app = &*self.name.app,
                webhook = self.name.endpoint,
                reason = %outcome,
                waiting = backlog.events(),
                "a webhook fails; it is tried again"
            );
        }
    }

    /// The webhook has taken events.
    pub(super) fn succeeded(&mut self, backlog: &Backlog) {
        if std::mem::take(&mut self.is_failing) {
            tracing::info!(
                app = &*self.name.app,
                webhook = self.name.endpoint,
                waiting = backlog.events(),
                "the webhook takes events again"
            );
        }
    }

    /// So many events more were given up.
    pub(super) fn gave_up(&mut self, events: usize) {
        self.given_up += events;
        if self.given_up > 0 {
            self.plan_losses();
        }
    }

    /// Something was lost: that is reported, once a minute.
    pub(super) fn plan_losses(&mut self) {
        if self.losses_due.is_none() {
            self.losses_due = Some(self.losses.next().unwrap_or_else(Instant::now));
        }
    }

    /// When losses are to be reported; None while there are none.
    pub(super) fn losses_due(&self) -> Option<Instant> {
        self.losses_due
    }

    /// Reports what was given up, and what found no room in the backlog.
    pub(super) fn losses(&mut self, backlog: &Backlog) {
        self.losses_due = None;
        let given_up = std::mem::take(&mut self.given_up);
        let dropped = backlog.take_unreported();
        if (given_up, dropped) == (0, 0) {
            return;
        }
        self.losses.lets_through(Instant::now());
        tracing::warn!(
            app = &*self.name.app,
            webhook = self.name.endpoint,
            dropped,
            given_up,
            waiting = backlog.events(),
            "events for a webhook are lost: dropped, as too much waits for it \
             (webhooks.backlog_bytes), or given up, as it kept failing (webhooks.retry_for)"
        );
    }
}
