//! When a certificate is ordered. No IO, no clock: the time is an argument, and so is chance.

use std::time::{Duration, SystemTime};

/// The part of a certificate's life that is left when it is renewed.
const LEFT_AT_RENEWAL: u32 = 3;
/// The part of its life by which it may be renewed sooner, so that the certificates of many
/// are not renewed at one moment.
const SPREAD: u32 = 30;
/// After an order at least so long passes until the next, whatever the certificate says of itself.
const LEAST_PAUSE: Duration = Duration::from_secs(5);
/// What a directory may ask for at most: it may be wrong, and a certificate has to be renewed.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// The two ends of a certificate's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
}

/// Why an order failed, as far as the next one depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The directory was not reached, or has trouble of its own.
    Unreachable,
    /// It wants fewer requests.
    RateLimited,
    /// It does not give what was asked for: a challenge failed, say.
    Refused,
    /// It answered what cannot be used: another name, another key, no certificate at all.
    Unusable,
}

impl Failure {
    /// The first pause and the longest. A directory counts failed challenges by the hour, and
    /// refuses everything after a few.
    fn pauses(self) -> (Duration, Duration) {
        let (first, longest) = match self {
            Self::Unreachable => (5, 3_600),
            Self::RateLimited | Self::Refused | Self::Unusable => (180, 21_600),
        };
        (Duration::from_secs(first), Duration::from_secs(longest))
    }
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A certificate is ordered.
    Order,
    /// Nothing, for so long.
    Wait(Duration),
}

/// One certificate's orders.
#[derive(Clone, Debug, Default)]
pub(super) struct Schedule {
    renew_at: Option<SystemTime>,
    pause: Option<Pause>,
    /// In a row.
    failures: u32,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    since: SystemTime,
    until: SystemTime,
}

impl Schedule {
    /// A certificate of an earlier process, or of another node, is there. `chance` is from 0 to 1.
    pub(super) fn found(&mut self, validity: Validity, chance: f64) {
        self.renew_at = Some(renewal(validity, chance));
        self.pause = None;
        self.failures = 0;
    }

    /// A certificate was issued.
    pub(super) fn issued(&mut self, validity: Validity, now: SystemTime, chance: f64) {
        self.found(validity, chance);
        let left = validity.not_after.duration_since(now).unwrap_or_default();
        self.pause_for((left / 2).max(LEAST_PAUSE), now);
    }

    /// An order failed; the directory may have said how long it wants to be left alone.
    pub(super) fn failed(
        &mut self,
        failure: Failure,
        retry_after: Option<Duration>,
        now: SystemTime,
        chance: f64,
    ) {
        let (first, longest) = failure.pauses();
        let doubled = first.saturating_mul(1 << self.failures.min(20));
        let pause = doubled.min(longest).mul_f64(0.75 + chance / 2.0);
        let asked_for = retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
        let asked_for = asked_for.mul_f64(1.0 + chance / 10.0);
        self.failures = self.failures.saturating_add(1);
        self.pause_for(pause.max(asked_for), now);
    }

    /// Somebody else orders: what has come of it is looked at after so long.
    pub(super) fn pause_for(&mut self, pause: Duration, now: SystemTime) {
        self.pause = Some(Pause {
            since: now,
            until: now + pause,
        });
    }

    /// What is to be done at this time.
    pub(super) fn step(&self, now: SystemTime) -> Step {
        let pause = self.pause.map(|pause| {
            // A clock that was set back would prolong it.
            let holds = pause.since <= now;
            let left = pause.until.duration_since(now).unwrap_or_default();
            if holds { left } else { Duration::ZERO }
        });
        let until_renewal = self
            .renew_at
            .and_then(|renew_at| renew_at.duration_since(now).ok());
        let wait = pause
            .unwrap_or_default()
            .max(until_renewal.unwrap_or_default());
        if wait.is_zero() {
            Step::Order
        } else {
            Step::Wait(wait)
        }
    }
}

/// When a certificate is renewed.
fn renewal(validity: Validity, chance: f64) -> SystemTime {
    let life = validity.not_after.duration_since(validity.not_before);
    let life = life.unwrap_or_default();
    let sooner = (life / SPREAD).mul_f64(chance);
    validity
        .not_after
        .checked_sub(life / LEFT_AT_RENEWAL + sooner)
        .unwrap_or(validity.not_before)
}

#[cfg(test)]
mod tests;
