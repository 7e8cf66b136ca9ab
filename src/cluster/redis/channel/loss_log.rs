//! What is missing of logs, in the node's own log.

use std::fmt;
use std::time::Instant;

use crate::metrics::{EventLoss, LossOn};
use crate::throttle::Throttle;

/// Entries that are missing of a channel's log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    pub(super) reason: EventLoss,
    pub(super) kind: LossOn,
    pub(super) lost: u64,
}

/// What is missing of the logs of all channels, of which an outage may concern any number: one is named a minute,
/// and the others are added up.
#[derive(Debug, Default)]
pub(in crate::cluster::redis) struct LossLog {
    throttle: Throttle,
    /// What was not logged yet.
    unlogged: Vec<Sum>,
}

/// Losses of one kind.
#[derive(Debug, PartialEq, Eq)]
struct Sum {
    reason: EventLoss,
    kind: LossOn,
    losses: u64,
    entries: u64,
}

impl LossLog {
    /// Logs what is missing of a channel's log, or adds it up.
    pub(super) fn note(&mut self, channel: &str, loss: Loss, now: Instant) {
        if !self.throttle.lets_through(now) {
            return self.add(loss);
        }
        let Loss { reason, kind, lost } = loss;
        let others = self.take();
        tracing::warn!(
            channel,
            kind = kind.as_str(),
            lost = reason.is_counted().then_some(lost),
            reason = name(reason),
            others = others.map(tracing::field::display),
            "events of other nodes are missing: Redis does not have them any more"
        );
    }

    fn add(&mut self, Loss { reason, kind, lost }: Loss) {
        let mut sums = self.unlogged.iter_mut();
        match sums.find(|sum| (sum.reason, sum.kind) == (reason, kind)) {
            Some(sum) => {
                sum.losses += 1;
                sum.entries += lost;
            }
            None => self.unlogged.push(Sum {
                reason,
                kind,
                losses: 1,
                entries: lost,
            }),
        }
    }

    /// Logs what was not logged yet, if that is due.
    pub(in crate::cluster::redis) fn log_rest(&mut self, now: Instant) {
        if self.unlogged.is_empty() || !self.throttle.lets_through(now) {
            return;
        }
        let others = self.take();
        tracing::warn!(
            others = others.map(tracing::field::display),
            "more events of other nodes are missing: Redis does not have them any more"
        );
    }

    /// What was not logged yet, in words.
    fn take(&mut self) -> Option<String> {
        let sums = std::mem::take(&mut self.unlogged);
        let texts: Vec<String> = sums.iter().map(Sum::to_string).collect();
        (!texts.is_empty()).then(|| texts.join(", "))
    }
}

/// As metrics name it.
fn name(reason: EventLoss) -> &'static str {
    match reason {
        EventLoss::Expired => "expired",
        EventLoss::Uncounted => "uncounted",
        EventLoss::Forgotten => "forgotten",
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, reason) = (self.kind.as_str(), name(self.reason));
        write!(f, "{} of {kind} logs ({reason}", self.losses)?;
        if self.reason.is_counted() {
            write!(f, ", {} entries", self.entries)?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_not_logged_at_once_is_added_up_by_kind_and_logged_later() {
        let (mut losses, start) = (LossLog::default(), Instant::now());
        let loss = |reason, kind, lost| Loss { reason, kind, lost };
        let expired = |lost| loss(EventLoss::Expired, LossOn::Private, lost);
        losses.note("private-a", expired(7), start);
        assert_eq!(losses.take(), None, "it was logged");
        losses.note("private-b", expired(2), start);
        losses.note("private-c", expired(3), start);
        let forgotten = loss(EventLoss::Forgotten, LossOn::Presence, 1);
        losses.note("presence-a", forgotten, start);
        losses.log_rest(start + Duration::from_secs(59));
        let texts: Vec<_> = losses.unlogged.iter().map(Sum::to_string).collect();
        assert_eq!(
            texts,
            [
                "2 of private logs (expired, 5 entries)",
                "1 of presence logs (forgotten, 1 entries)"
            ]
        );
        losses.log_rest(start + Duration::from_secs(60));
        assert_eq!(losses.unlogged, []);
        losses.note("private-d", expired(1), start + Duration::from_secs(61));
        let logged = start + Duration::from_secs(120);
        losses.note("private-e", expired(1), logged);
        assert_eq!(losses.unlogged, []);
    }
}
