//! Which session loses its place when there are as many as there may be.
//!
//! Behind a proxy all clients have one address, so that none can have a share of the places by its address.
//! What distinguishes those who take places for their own sake from pages is that nothing asks for their sessions: a
//! page's is without a request for a round trip at a time, and each request that waits is a connection,
//! whose number is bounded, too. So a session that nothing asks for gives way: first those that never sent
//! anything, and of each kind the one that was asked for least recently.

use std::collections::BinaryHeap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a session that has sent something keeps its place without a request.
const PATIENCE_MS: u64 = 2000;
/// How often sessions are looked through at most when few of them give way: a flood costs no more than that.
const LOOKED_THROUGH: Duration = Duration::from_millis(100);
/// One of so many is not few: what looking through costs is then shared by those who get a place by it.
const FEW: usize = 8;
/// How many are remembered of those that give way.
const MOST: usize = 1024;

/// What a session does, for all threads to see.
#[derive(Debug)]
pub(super) struct Standing {
    /// Since when no request carries it, or [`CARRIED`].
    alone_since: AtomicU64,
    has_sent: AtomicBool,
}

const CARRIED: u64 = u64::MAX;

/// Who gives way first: whether it has sent anything, and since when no request carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank {
    has_sent: bool,
    alone_since: u64,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            alone_since: AtomicU64::new(CARRIED),
            has_sent: AtomicBool::new(false),
        }
    }
}

impl Standing {
    /// Since when no request carries the session; None: one does.
    pub(super) fn set_alone_since(&self, alone: Option<Instant>) {
        let alone = alone.map_or(CARRIED, milliseconds);
        self.alone_since.store(alone, Ordering::Relaxed);
    }

    /// It has sent a message.
    pub(super) fn set_has_sent(&self) {
        self.has_sent.store(true, Ordering::Relaxed);
    }

    /// Whom the session gives way before; None: it does not.
    pub(super) fn rank(&self, now: Instant) -> Option<Rank> {
        let alone_since = self.alone_since.load(Ordering::Relaxed);
        let has_sent = self.has_sent.load(Ordering::Relaxed);
        let alone = milliseconds(now).checked_sub(alone_since)?;
        (!has_sent || alone >= PATIENCE_MS).then_some(Rank {
            has_sent,
            alone_since,
        })
    }
}

/// Milliseconds of the process's life.
fn milliseconds(at: Instant) -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    at.saturating_duration_since(*START).as_millis() as u64
}

/// Sessions that give way, as of when they were looked for.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    /// The next one is the last.
    names: Vec<(Box<str>, Rank)>,
    /// When few were found.
    few_at: Option<Instant>,
}

impl Candidates {
    /// Whether nobody is left of those that were found, and it is worth while to look again.
    pub(super) fn are_to_be_found(&self, now: Instant) -> bool {
        let was_just_now = |at| now.saturating_duration_since(at) < LOOKED_THROUGH;
        self.names.is_empty() && !self.few_at.is_some_and(was_just_now)
    }

    /// Looks through all sessions.
    pub(super) fn find<'s>(
        &mut self,
        sessions: impl Iterator<Item = (&'s Box<str>, &'s Standing)>,
        now: Instant,
    ) {
        let (mut first, mut count) = (BinaryHeap::new(), 0);
        for (name, standing) in sessions {
            count += 1;
            if let Some(rank) = standing.rank(now) {
                first.push((rank, name));
                if first.len() > MOST {
                    first.pop();
                }
            }
        }
        let first = first.into_sorted_vec().into_iter().rev();
        self.names = first.map(|(rank, name)| (name.clone(), rank)).collect();
        self.few_at = (self.names.len() * FEW < count).then_some(now);
    }

    /// The next one, unless it has changed since.
    pub(super) fn take_next(&mut self) -> Option<(Box<str>, Rank)> {
        self.names.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(alone: Option<Instant>, has_sent: bool) -> Standing {
        let standing = Standing::default();
        standing.set_alone_since(alone);
        if has_sent {
            standing.set_has_sent();
        }
        standing
    }

    #[test]
    fn who_never_sent_gives_way_first_and_who_is_carried_never() {
        milliseconds(Instant::now());
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let sessions: Vec<(Box<str>, Standing)> = [
            ("carried", None, false),
            ("quiet", Some(at(5)), true),
            ("longer quiet", Some(at(3)), true),
            ("between two polls", Some(at(9)), true),
            ("new", Some(at(9)), false),
            ("older", Some(at(8)), false),
        ]
        .map(|(name, alone, has_sent)| (name.into(), standing(alone, has_sent)))
        .into();
        let mut candidates = Candidates::default();
        assert!(candidates.are_to_be_found(at(10)));
        candidates.find(sessions.iter().map(|(name, of)| (name, of)), at(10));
        let order: Vec<_> =
            std::iter::from_fn(|| candidates.take_next().map(|(name, _)| name)).collect();
        let expected = ["older", "new", "longer quiet", "quiet"];
        assert_eq!(order, expected.map(Box::<str>::from));
        assert!(candidates.are_to_be_found(at(10)));
    }

    #[test]
    fn when_nobody_gives_way_sessions_are_looked_through_now_and_then() {
        let session: (Box<str>, Standing) = ("carried".into(), standing(None, false));
        let mut candidates = Candidates::default();
        let now = Instant::now();
        candidates.find([(&session.0, &session.1)].into_iter(), now);
        assert!(candidates.take_next().is_none());
        assert!(!candidates.are_to_be_found(now));
        assert!(candidates.are_to_be_found(now + LOOKED_THROUGH));
    }

    #[test]
    fn of_many_the_first_are_found() {
        milliseconds(Instant::now());
        let start = Instant::now();
        let at = |number: usize| start + Duration::from_millis(number as u64);
        let sessions: Vec<(Box<str>, Standing)> = (0..3 * MOST)
            .map(|number| (number.to_string().into(), standing(Some(at(number)), false)))
            .collect();
        let mut candidates = Candidates::default();
        let all = sessions.iter().rev().map(|(name, of)| (name, of));
        candidates.find(all, at(3 * MOST));
        let found: Vec<_> =
            std::iter::from_fn(|| candidates.take_next().map(|(name, _)| name)).collect();
        let expected: Vec<Box<str>> = (0..MOST).map(|number| number.to_string().into()).collect();
        assert_eq!(found, expected);
    }
}
