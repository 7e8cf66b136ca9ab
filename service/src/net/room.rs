//! How many HTTP connections a process may have.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;

/// Of the descriptors that WebSockets leave, HTTP connections get one in so many. The rest is for
/// those that are accepted and not yet counted, and for everything else.
const ONE_IN: usize = 2;
/// There may be too many by one in so many of the limit while another thread has more than its
/// part, which is to close some.
pub(super) const LEFT_TO_OTHERS: usize = 4;
/// There may be one whose request is held for so many others.
const HELD: usize = 2;
/// What they get at least, however few descriptors there are.
const FEWEST: usize = 16;
/// What they get at most.
const MOST: usize = 16 << 10;
/// The least time between two lines of the log.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// What a connection waited for that was closed to make room for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClosedWhile {
    /// It was between requests, or being closed anyway.
    Idle,
    /// The head of a request had not arrived.
    Head,
    /// A request was under way, or its answer was not taken.
    Request,
}

/// Where connections are counted.
#[derive(Clone, Debug, Default)]
pub struct Numbers {
    /// Open connections.
    pub open: Gauge,
    /// Those closed between requests.
    pub closed_idle: Counter,
    /// Those closed before a head had arrived.
    pub closed_head: Counter,
    /// Those closed during a request.
    pub closed_request: Counter,
}

impl Numbers {
    fn closed(&self, reason: ClosedWhile) -> &Counter {
        match reason {
            ClosedWhile::Idle => &self.closed_idle,
            ClosedWhile::Head => &self.closed_head,
            ClosedWhile::Request => &self.closed_request,
        }
    }
}

/// How many connections there may be.
#[derive(Clone, Copy, Debug)]
enum Places {
    /// A share of so many open files.
    OfFiles(usize),
    /// So many, of a listener of this name, and those with a request keep theirs.
    Fixed(&'static str, usize),
}

/// The HTTP connections of all threads of a process, and how many there may be.
#[derive(Debug)]
pub struct Room {
    places: Places,
    numbers: Numbers,
    threads: AtomicUsize,
    logged: Mutex<Option<Instant>>,
}

impl Room {
    /// Room in a process that may have so many files open.
    pub fn new(files: u64, numbers: Numbers) -> Self {
        let files = usize::try_from(files).unwrap_or(usize::MAX);
        Self::with(Places::OfFiles(files), numbers)
    }

    /// Room for so many connections to the listener of this name, of which none is closed while it has a request: if all
    /// have, there are more, and whoever accepts has the last word.
    pub fn for_so_many(listener: &'static str, connections: usize, numbers: Numbers) -> Self {
        Self::with(Places::Fixed(listener, connections), numbers)
    }

    fn with(places: Places, numbers: Numbers) -> Self {
        Self {
            places,
            numbers,
            threads: AtomicUsize::new(0),
            logged: Mutex::new(None),
        }
    }

    /// How many connections there may be beside so many WebSockets.
    pub fn limit(&self, web_sockets: usize) -> usize {
        match self.places {
            Places::OfFiles(files) => {
                (files.saturating_sub(web_sockets) / ONE_IN).clamp(FEWEST, MOST)
            }
            Places::Fixed(_, connections) => connections,
        }
    }

    /// Whether a connection with a request is closed, too, if no other is left.
    pub(super) fn takes_requests(&self) -> bool {
        matches!(self.places, Places::OfFiles(_))
    }

    /// How many each of so many threads may hold at one time, with those that wait to be counted:
    /// whoever accepts waits then, and does not take the descriptors that are for the rest.
    pub fn at_once(&self, threads: usize) -> usize {
        let limit = self.limit(0);
        (limit + limit / LEFT_TO_OTHERS + self.held()).div_ceil(threads.max(1))
    }

    /// How many may have a request that is held, beside those.
    pub fn held(&self) -> usize {
        self.limit(0) / HELD
    }

    /// One more thread takes part.
    pub(super) fn add_thread(&self) {
        self.threads.fetch_add(1, Ordering::Relaxed);
    }

    /// How many take part: at least one.
    pub(super) fn threads(&self) -> usize {
        self.threads.load(Ordering::Relaxed).max(1)
    }

    /// Counts one in, and returns how many there are now.
    pub(super) fn enter(&self) -> usize {
        let before = self.numbers.open.inc();
        usize::try_from(before).unwrap_or(0) + 1
    }

    /// How many there are.
    pub(super) fn open(&self) -> usize {
        usize::try_from(self.numbers.open.get()).unwrap_or(0)
    }

    /// Counts one out.
    pub(super) fn leave(&self) {
        self.numbers.open.dec();
    }

    /// Counts one out that is closed for the others' sake.
    pub(super) fn evict(&self, reason: ClosedWhile, limit: usize) {
        self.leave();
        self.numbers.closed(reason).inc();
        let mut logged = self.logged.lock();
        if logged.is_none_or(|last| last.elapsed() >= LOG_INTERVAL) {
            *logged = Some(Instant::now());
            drop(logged);
            match self.places {
                Places::OfFiles(files) => tracing::warn!(
                    open_files = files,
                    http_connections = limit,
                    "HTTP connections have used up their share of the limit on open files: those that \
                     have been idle for longest are closed"
                ),
                Places::Fixed(listener, _) => tracing::warn!(
                    listener,
                    connections = limit,
                    "all places of a listener are taken: connections without a request are closed, those that have \
                     been idle for longest first"
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_what_web_sockets_leave_is_for_http() {
        let room = |files| Room::new(files, Numbers::default());
        assert_eq!(room(700).limit(0), 350);
        assert_eq!(room(700).limit(350), 175);
        assert_eq!(room(20_000).limit(19_488), 256);
        assert_eq!(room(u64::MAX).limit(1_000_000), MOST);
        assert_eq!(room(64).limit(100), FEWEST);
        assert_eq!(room(700).held(), 175);
        assert_eq!(room(700).at_once(2), 306);
    }
}
