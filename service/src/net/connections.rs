//! The HTTP connections of a thread. When the process has too many, those that have been idle for
//! longest are closed, then those whose request has been awaited for longest, and then whatever
//! has not moved for longest. One that was used a moment ago, or came a moment ago, is not yet
//! among the first two: it has more of a right than one that clings to its place. In a room of
//! [so many places](Room::for_so_many) none is closed that has a request.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::entry::{Entry, State};
use super::room::{ClosedWhile, LEFT_TO_OTHERS, Room};

/// How long a connection waits for a request before that is held against it.
const A_MOMENT: Duration = Duration::from_secs(1);
/// How long the order in which connections are to be closed holds.
const ORDER_HOLDS: Duration = Duration::from_millis(100);

/// The HTTP connections of a thread. Clones are the same.
#[derive(Clone, Debug)]
pub struct Connections(Rc<List>);

#[derive(Debug)]
pub(super) struct List {
    room: Arc<Room>,
    open: RefCell<Vec<Rc<State>>>,
    order: RefCell<Vec<Candidate>>,
    ordered: Cell<Option<Instant>>,
}

/// One that may be closed, if it still waits as it did.
#[derive(Debug)]
struct Candidate {
    rank: Rank,
    closed_while: ClosedWhile,
    since: Instant,
    state: Rc<State>,
}

/// Which are closed before which, whatever their age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Idle,
    NoRequest,
    Other,
}

impl Candidate {
    fn new(state: &Rc<State>, now: Instant) -> Self {
        let (closed_while, since) = (state.closed_while(), state.since.get());
        let is_recent = now.duration_since(since) < A_MOMENT;
        Self {
            rank: match closed_while {
                ClosedWhile::Idle if !is_recent || state.is_closing() => Rank::Idle,
                ClosedWhile::Head if !is_recent => Rank::NoRequest,
                _ => Rank::Other,
            },
            closed_while,
            since,
            state: Rc::clone(state),
        }
    }

    fn still_waits(&self) -> bool {
        self.state.index.get().is_some()
            && self.state.since.get() == self.since
            && self.state.closed_while() == self.closed_while
    }
}

impl Connections {
    /// Those of the calling thread: none yet.
    pub fn new(room: Arc<Room>) -> Self {
        room.add_thread();
        Self(Rc::new(List {
            room,
            open: RefCell::default(),
            order: RefCell::default(),
            ordered: Cell::default(),
        }))
    }

    /// Counts in a connection that was accepted beside so many WebSockets, and closes others if
    /// there are too many. A closed one ends when its task has its turn.
    pub fn enter(&self, web_sockets: usize) -> Entry {
        let list = &self.0;
        let open = list.room.enter();
        let limit = list.room.limit(web_sockets);
        match open.checked_sub(limit) {
            None | Some(0) => list.forget_order(),
            Some(excess) => {
                let own = list.beyond_part(1, limit).min(excess);
                list.evict(
                    own.max(excess.saturating_sub(limit / LEFT_TO_OTHERS)),
                    limit,
                );
            }
        }
        let entry = Entry::listed(Rc::clone(list));
        list.add(entry.state());
        entry
    }

    /// Closes some if there are too many beside so many WebSockets and this thread has more than
    /// its part: for a thread that accepts none any more.
    pub fn trim(&self, web_sockets: usize) {
        let list = &self.0;
        let limit = list.room.limit(web_sockets);
        let excess = list.room.open().saturating_sub(limit);
        list.evict(excess.min(list.beyond_part(0, limit)), limit);
    }
}

impl List {
    fn add(&self, state: &Rc<State>) {
        let mut open = self.open.borrow_mut();
        state.index.set(Some(open.len()));
        open.push(Rc::clone(state));
    }

    /// Counts one in again that was taken out.
    pub(super) fn bring_back(&self, state: &Rc<State>) {
        self.room.enter();
        self.add(state);
    }

    /// Takes out one that has ended, unless it was taken out before, to make it end.
    pub(super) fn remove(&self, state: &State) {
        if self.take(state) {
            self.room.leave();
        }
    }

    fn take(&self, state: &State) -> bool {
        let Some(index) = state.index.take() else {
            return false;
        };
        let mut open = self.open.borrow_mut();
        open.swap_remove(index);
        if let Some(moved) = open.get(index) {
            moved.index.set(Some(index));
        }
        true
    }

    /// How many this thread has beyond its part of the limit, with so many that are not listed.
    fn beyond_part(&self, unlisted: usize, limit: usize) -> usize {
        let part = limit / self.room.threads();
        (self.open.borrow().len() + unlisted).saturating_sub(part)
    }

    fn evict(&self, too_many: usize, limit: usize) {
        let now = Instant::now();
        for _ in 0..too_many {
            let Some(candidate) = self.next(now) else {
                return;
            };
            self.take(&candidate.state);
            self.room.evict(candidate.closed_while, limit);
            candidate.state.evict();
        }
    }

    /// The next to be closed.
    fn next(&self, now: Instant) -> Option<Candidate> {
        let holds = |ordered: Instant| now.duration_since(ordered) < ORDER_HOLDS;
        if self.ordered.get().is_some_and(holds)
            && let Some(next) = self.next_in_order()
        {
            return Some(next);
        }
        self.put_in_order(now);
        self.next_in_order()
    }

    fn next_in_order(&self) -> Option<Candidate> {
        let mut order = self.order.borrow_mut();
        while let Some(last) = order.pop() {
            if last.still_waits() {
                return Some(last);
            }
        }
        None
    }

    fn put_in_order(&self, now: Instant) {
        let mut order = self.order.borrow_mut();
        order.clear();
        let open = self.open.borrow();
        let candidates = open.iter().map(|state| Candidate::new(state, now));
        let takes_requests = self.room.takes_requests();
        order.extend(
            candidates.filter(|one| takes_requests || one.closed_while != ClosedWhile::Request),
        );
        order.sort_unstable_by_key(|one| Reverse((one.rank, one.since)));
        self.ordered.set(Some(now));
    }

    fn forget_order(&self) {
        if self.ordered.take().is_some() {
            self.order.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Waker};

    use super::super::entry::Waiting;
    use super::super::room::Numbers;
    use super::*;

    const FILES: u64 = 80;
    const LIMIT: usize = 40;

    struct Fixture {
        connections: Connections,
        numbers: Numbers,
    }

    impl Fixture {
        fn new() -> Self {
            let numbers = Numbers::default();
            let room = Arc::new(Room::new(FILES, numbers.clone()));
            assert_eq!(room.limit(0), LIMIT);
            Self {
                connections: Connections::new(room),
                numbers,
            }
        }

        /// Connections that came a millisecond after each other.
        async fn enter(&self, count: usize, then: impl Fn(&Entry)) -> Vec<Entry> {
            let mut entries = Vec::new();
            for _ in 0..count {
                tokio::time::advance(Duration::from_millis(1)).await;
                let entry = self.connections.enter(0);
                then(&entry);
                entries.push(entry);
            }
            entries
        }

        fn closed(&self) -> [u64; 3] {
            let numbers = &self.numbers;
            [
                &numbers.closed_idle,
                &numbers.closed_head,
                &numbers.closed_request,
            ]
            .map(|counter| counter.get())
        }
    }

    fn idle(entry: &Entry) {
        entry.on_read();
        entry.on_written();
    }

    fn busy(entry: &Entry) {
        entry.on_read();
        // For as long as the test takes.
        std::mem::forget(entry.request_mark().enter());
    }

    fn ended(entries: &[Entry]) -> Vec<usize> {
        let cx = Context::from_waker(Waker::noop());
        let ended = |(index, entry): (usize, &Entry)| entry.must_end(&cx).then_some(index);
        entries.iter().enumerate().filter_map(ended).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_is_closed_for_each_one_too_many() {
        let fixture = Fixture::new();
        let entries = fixture.enter(LIMIT, idle).await;
        tokio::time::advance(Duration::from_secs(1)).await;
        idle(&entries[0]);
        let more = fixture.enter(3, idle).await;
        assert_eq!(ended(&entries), [1, 2, 3]);
        assert!(ended(&more).is_empty());
        assert_eq!(fixture.numbers.open.get(), LIMIT as i64);
        assert_eq!(fixture.closed(), [3, 0, 0]);
        drop((entries, more));
        assert_eq!(fixture.numbers.open.get(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn one_whose_head_has_not_come_goes_before_one_with_a_request_under_way() {
        let fixture = Fixture::new();
        let busy_ones = fixture.enter(LIMIT - 2, busy).await;
        let silent = fixture.enter(1, |_| ()).await;
        let trickling = fixture.enter(1, Entry::on_read).await;
        tokio::time::advance(A_MOMENT).await;
        let more = fixture.enter(5, busy).await;
        assert_eq!(fixture.closed(), [0, 2, 3]);
        assert_eq!(ended(&silent), [0]);
        assert_eq!(ended(&trickling), [0]);
        assert_eq!(ended(&busy_ones), [0, 1, 2]);
        assert!(ended(&more).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn in_a_room_of_so_many_places_a_request_keeps_its_own() {
        let numbers = Numbers::default();
        let room = Arc::new(Room::for_so_many("tests", LIMIT, numbers.clone()));
        let fixture = Fixture {
            connections: Connections::new(room),
            numbers,
        };
        let busy_ones = fixture.enter(LIMIT - 2, busy).await;
        let silent = fixture.enter(2, |_| ()).await;
        let more = fixture.enter(1, |_| ()).await;
        assert_eq!(ended(&silent), [0]);
        let yet_more = fixture.enter(5, busy).await;
        assert_eq!(ended(&silent), [0, 1]);
        assert_eq!(ended(&more), [0]);
        assert!(ended(&busy_ones).is_empty() && ended(&yet_more).is_empty());
        assert_eq!(fixture.closed(), [0, 3, 0]);
        assert_eq!(fixture.numbers.open.get(), LIMIT as i64 + 3);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_has_ended_by_itself_is_nobodys_place() {
        let fixture = Fixture::new();
        let mut entries = fixture.enter(LIMIT, idle).await;
        tokio::time::advance(A_MOMENT).await;
        let mut more = fixture.enter(1, idle).await;
        assert_eq!(ended(&entries), [0]);
        // They are the next in the order that still holds.
        drop(entries.drain(..3));
        more.extend(fixture.enter(4, idle).await);
        assert_eq!(ended(&entries), [0, 1]);
        assert_eq!(fixture.numbers.open.get(), LIMIT as i64);
        drop((entries, more));
        assert_eq!(fixture.numbers.open.get(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_thread_with_less_than_its_part_leaves_it_to_others() {
        let fixture = Fixture::new();
        let other = Fixture {
            connections: Connections::new(Arc::clone(&fixture.connections.0.room)),
            numbers: fixture.numbers.clone(),
        };
        let few = other.enter(5, idle).await;
        let many = fixture.enter(LIMIT - 5, idle).await;
        tokio::time::advance(A_MOMENT).await;
        let more = other.enter(5, idle).await;
        assert_eq!(fixture.closed(), [0, 0, 0]);
        let _last = fixture.enter(1, idle).await;
        assert_eq!(ended(&many), [0, 1, 2, 3, 4, 5]);
        assert!(ended(&few).is_empty() && ended(&more).is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn one_in_use_outlives_a_flood_of_silent_ones() {
        let fixture = Fixture::new();
        let publisher = fixture.enter(1, idle).await;
        let mut silent = Vec::new();
        for _ in 0..20 * LIMIT {
            silent.extend(fixture.enter(1, |_| ()).await);
            idle(&publisher[0]);
            silent.retain(|entry| ended(std::slice::from_ref(entry)).is_empty());
        }
        assert!(ended(&publisher).is_empty());
        assert_eq!(fixture.numbers.open.get(), LIMIT as i64);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_take_its_answer_is_not_idle() {
        let fixture = Fixture::new();
        let blocked = fixture.enter(1, |entry| {
            idle(entry);
            entry.set_blocked(true);
        });
        let blocked = blocked.await;
        let entries = fixture.enter(LIMIT - 1, idle).await;
        tokio::time::advance(A_MOMENT).await;
        let _last = fixture.enter(1, idle).await;
        assert!(ended(&blocked).is_empty());
        assert_eq!(ended(&entries), [0]);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_held_counts_elsewhere_and_is_not_closed() {
        let fixture = Fixture::new();
        let held = fixture.enter(1, |entry| {
            busy(entry);
            entry.set_held(true);
        });
        let held = held.await;
        assert_eq!(fixture.numbers.open.get(), 0);
        let entries = fixture.enter(LIMIT, idle).await;
        tokio::time::advance(A_MOMENT).await;
        held[0].set_held(false);
        assert_eq!(fixture.numbers.open.get(), LIMIT as i64 + 1);
        held[0].set_held(true);
        let more = fixture.enter(LIMIT, busy).await;
        assert!(ended(&held).is_empty());
        drop((entries, more, held));
        assert_eq!(fixture.numbers.open.get(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_closed_is_woken() {
        let fixture = Fixture::new();
        let mut entries = fixture.enter(LIMIT, idle).await;
        let first = entries.remove(0);
        first.close();
        assert_eq!(first.waiting(), Waiting::Close);
        let (_, _more) = tokio::join!(first.evicted(), fixture.enter(LIMIT, idle));
    }

    #[tokio::test(start_paused = true)]
    async fn a_thread_that_accepts_none_gives_up_what_is_beyond_its_part() {
        let fixture = Fixture::new();
        let other = Connections::new(Arc::clone(&fixture.connections.0.room));
        let entries = fixture.enter(LIMIT - 10, idle).await;
        let _others: Vec<_> = (0..10).map(|_| other.enter(0)).collect();
        fixture.connections.trim(0);
        assert!(ended(&entries).is_empty());
        fixture.connections.trim(40);
        other.trim(40);
        assert_eq!(ended(&entries).len(), LIMIT - 20);
    }

    #[tokio::test(start_paused = true)]
    async fn web_sockets_take_from_the_room() {
        let fixture = Fixture::new();
        let entries = fixture.enter(LIMIT, idle).await;
        let _last = fixture.connections.enter(40);
        assert_eq!(ended(&entries).len(), LIMIT + 1 - 20);
    }
}
