//! The sessions of an app whose clients are away, and which of them gives way when there is no room for
//! another one.
//!
//! Who opens sessions and cuts them off needs nothing but the app's key, so that a limit alone would let one
//! stranger keep everybody else's from being kept. So the client gives way whose sessions take up most, and of
//! them the one that has waited longest.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;

use crate::metrics::Gauge;
use crate::net::block::Block;
use crate::net::budget::{Budget, Share};
use crate::net::tally::{Full, Permit, Tally};

/// What a session takes whose client is away: its task, and what is known of it.
const SESSION_BYTES: usize = 1 << 10;
/// What each of its subscriptions takes, with a channel that is there for it alone.
const SUBSCRIPTION_BYTES: usize = 2 << 10;

/// The sessions of an app whose clients are away.
#[derive(Debug, Default)]
pub struct Parked {
    tally: Arc<Tally>,
    kept: Mutex<Kept>,
}

/// Who has a session here; `None` for those who have no address.
type Owner = Option<Block>;

#[derive(Debug, Default)]
struct Kept {
    next: u64,
    clients: HashMap<Owner, Client>,
    /// The last of them gives way: whose sessions take up most, and of several the one that has waited longest.
    order: BTreeSet<Rank>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    bytes: usize,
    waits_since: std::cmp::Reverse<u64>,
    owner: Owner,
}

#[derive(Debug, Default)]
struct Client {
    bytes: usize,
    /// In the order in which they came.
    sessions: BTreeMap<u64, Session>,
}

#[derive(Debug)]
struct Session {
    bytes: usize,
    gives_way: Arc<GivesWay>,
    _kept: Share,
    _counted: Permit,
}

#[derive(Debug, Default)]
struct GivesWay {
    is_to: AtomicBool,
    task: AtomicWaker,
}

/// A session whose client is away, and that counts among its app's until this is dropped, or it is to give way.
#[derive(Debug)]
#[must_use = "it counts until it is dropped"]
pub struct ParkPermit {
    parked: Arc<Parked>,
    owner: Owner,
    number: u64,
    gives_way: Arc<GivesWay>,
    shown: Gauge,
}

impl Parked {
    /// How many there are.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Counts a session in that is on so many channels. At most `sessions` wait, and take no more than
    /// `budget` has. `shown` shows how many there are.
    pub(super) fn enter(
        self: &Arc<Self>,
        client: Option<IpAddr>,
        channels: usize,
        sessions: usize,
        budget: &Arc<Budget>,
        shown: &Gauge,
    ) -> Result<ParkPermit, Full> {
        let owner = client.map(Block::from);
        let bytes = SESSION_BYTES + channels * SUBSCRIPTION_BYTES;
        let mut kept = self.kept.lock();
        let (counted, share) = loop {
            match self.room(bytes, sessions, budget) {
                Ok(room) => break room,
                Err(Full) => kept.make_room(owner, bytes)?,
            }
        };
        let gives_way = Arc::<GivesWay>::default();
        let session = Session {
            bytes,
            gives_way: Arc::clone(&gives_way),
            _kept: share,
            _counted: counted,
        };
        let number = kept.insert(owner, session);
        drop(kept);
        shown.inc();
        Ok(ParkPermit {
            parked: Arc::clone(self),
            owner,
            number,
            gives_way,
            shown: shown.clone(),
        })
    }

    fn room(
        &self,
        bytes: usize,
        sessions: usize,
        budget: &Arc<Budget>,
    ) -> Result<(Permit, Share), Full> {
        let counted = self.tally.try_enter(sessions)?;
        let mut share = Share::of(budget);
        share.grow_to(bytes)?;
        Ok((counted, share))
    }
}

impl Kept {
    fn insert(&mut self, owner: Owner, session: Session) -> u64 {
        let number = self.next;
        self.next += 1;
        self.change(owner, |client| {
            client.bytes += session.bytes;
            client.sessions.insert(number, session);
        });
        number
    }

    fn remove(&mut self, owner: Owner, number: u64) -> Option<Session> {
        self.change(owner, |client| {
            let session = client.sessions.remove(&number)?;
            client.bytes -= session.bytes;
            Some(session)
        })
    }

    /// Has a session give way to one of this owner that takes so many bytes. None does if the owner would take
    /// up more than anybody else, and has none to give.
    fn make_room(&mut self, owner: Owner, bytes: usize) -> Result<(), Full> {
        let own = self.clients.get(&owner).map_or(0, |client| client.bytes);
        let most = self.order.last().filter(|most| own + bytes <= most.bytes);
        let owner = most.map_or(owner, |most| most.owner);
        let client = self.clients.get(&owner).ok_or(Full)?;
        let (&first, _) = client.sessions.first_key_value().ok_or(Full)?;
        if let Some(session) = self.remove(owner, first) {
            session.gives_way.is_to.store(true, Ordering::Release);
            session.gives_way.task.wake();
        }
        Ok(())
    }

    /// Changes what is known of a client, and keeps its place in the order.
    fn change<T>(&mut self, owner: Owner, change: impl FnOnce(&mut Client) -> T) -> T {
        let client = self.clients.entry(owner).or_default();
        let before = client.rank(owner);
        let changed = change(client);
        let after = client.rank(owner);
        if let Some(before) = before {
            self.order.remove(&before);
        }
        match after {
            Some(after) => {
                self.order.insert(after);
            }
            None => {
                self.clients.remove(&owner);
                // What a rush has left is given back.
                if self.clients.len() < self.clients.capacity() / 8 {
                    self.clients.shrink_to_fit();
                }
            }
        }
        changed
    }
}

impl Client {
    fn rank(&self, owner: Owner) -> Option<Rank> {
        let (&first, _) = self.sessions.first_key_value()?;
        Some(Rank {
            bytes: self.bytes,
            waits_since: std::cmp::Reverse(first),
            owner,
        })
    }
}

impl ParkPermit {
    /// Ready once the session is to give way to another one. It counts no longer then.
    pub fn poll_gives_way(&self, cx: &Context<'_>) -> Poll<()> {
        self.gives_way.task.register(cx.waker());
        if self.gives_way.is_to.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for ParkPermit {
    fn drop(&mut self) {
        let session = self.parked.kept.lock().remove(self.owner, self.number);
        drop(session);
        self.shown.dec();
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use proptest::prelude::*;

    use super::*;

    const ROOM: usize = 1 << 20;

    struct Fixture {
        parked: Arc<Parked>,
        budget: Arc<Budget>,
        held: Gauge,
        shown: Gauge,
        sessions: usize,
    }

    fn fixture(sessions: usize) -> Fixture {
        let held = Gauge::default();
        Fixture {
            parked: Arc::default(),
            budget: Budget::new(ROOM, held.clone()),
            held,
            shown: Gauge::default(),
            sessions,
        }
    }

    impl Fixture {
        fn enter(&self, client: u8, channels: usize) -> Result<ParkPermit, Full> {
            let client = Some([10, 0, 0, client].into());
            self.parked
                .enter(client, channels, self.sessions, &self.budget, &self.shown)
        }
    }

    fn gives_way(permit: &ParkPermit) -> bool {
        let cx = Context::from_waker(Waker::noop());
        permit.poll_gives_way(&cx).is_ready()
    }

    #[test]
    fn whoever_has_most_gives_way_and_its_oldest_first() {
        let app = fixture(4);
        let honest = app.enter(1, 1).unwrap();
        let flood: Vec<_> = (0..3).map(|_| app.enter(2, 1).unwrap()).collect();
        let another = app.enter(3, 1).unwrap();
        assert_eq!(
            flood.iter().map(gives_way).collect::<Vec<_>>(),
            [true, false, false]
        );
        let own = app.enter(2, 1).unwrap();
        assert!(gives_way(&flood[1]), "it gives way to itself");
        assert!(![&honest, &another, &own].into_iter().any(gives_way));
        assert_eq!(app.parked.tally().get(), 4);
    }

    #[test]
    fn one_session_counts_as_much_as_it_takes() {
        let app = fixture(1000);
        let large = app.enter(1, 400).unwrap();
        let small: Vec<_> = (0..50).map(|_| app.enter(2, 1).unwrap()).collect();
        assert_eq!(app.enter(3, 500).unwrap_err(), Full, "it would have most");
        assert!(!gives_way(&large));
        let other = app.enter(4, 100).unwrap();
        assert!(gives_way(&large), "there was no room for both");
        assert!(!small.iter().any(gives_way) && !gives_way(&other));
    }

    #[test]
    fn of_those_who_have_as_much_the_longest_away_gives_way() {
        let app = fixture(2);
        let first = app.enter(9, 1).unwrap();
        let second = app.enter(1, 1).unwrap();
        let third = app.enter(5, 1).unwrap();
        assert!(gives_way(&first) && !gives_way(&second) && !gives_way(&third));
    }

    proptest! {
        #[test]
        fn no_more_wait_than_may_and_everything_is_given_back(
            steps in prop::collection::vec((0..6_u8, 0..300_usize, any::<bool>()), 1..200),
        ) {
            let app = fixture(8);
            let mut permits = Vec::new();
            for (client, channels, leaves) in steps {
                if leaves && !permits.is_empty() {
                    drop(permits.swap_remove(channels % permits.len()));
                } else if let Ok(permit) = app.enter(client, channels) {
                    permits.push(permit);
                }
                let waiting = permits.iter().filter(|permit| !gives_way(permit)).count();
                prop_assert_eq!(app.parked.tally().get(), waiting);
                prop_assert!(waiting <= 8);
                prop_assert!(app.held.get() <= ROOM as i64);
                prop_assert_eq!(app.shown.get(), permits.len() as i64);
                let kept = app.parked.kept.lock();
                prop_assert_eq!(kept.order.len(), kept.clients.len());
            }
            permits.clear();
            prop_assert_eq!((app.held.get(), app.shown.get()), (0, 0));
            prop_assert!(app.parked.kept.lock().clients.is_empty());
        }
    }
}
