//! Where a session is to be found, on whatever thread its requests arrive.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::numbers::Seen;
use super::pipe::Writer;
use super::places::{Candidates, Standing};
use super::upstream::Sent;
use crate::hub::Fallback;
use crate::metrics::{Counter, Gauge};
use crate::net::tally::Full;

/// Requests of one session that may wait to be looked at; a client makes one at a time.
const RECEIVERS: usize = 4;
/// Requests with messages that may wait to be handled. Browsers send six at a time, or as many as they
/// like over HTTP/2.
const SENT: usize = 8;

/// The sessions of the process.
#[derive(Debug)]
pub struct Sessions {
    open: Mutex<Open>,
    most: usize,
    displaced: Counter,
    /// How many there are.
    listed: Gauge,
}

#[derive(Debug, Default)]
struct Open {
    entries: HashMap<Box<str>, Arc<Entry>>,
    candidates: Candidates,
}

/// A session as its requests know it.
#[derive(Debug)]
pub(super) struct Entry {
    /// What the session was opened as, and goes on as.
    pub(super) fallback: Fallback,
    /// Where the page is from that opened it. No other page has any business with it.
    pub(super) origin: Option<Box<[u8]>>,
    /// The session ends when these are dropped.
    pub(super) receivers: mpsc::Sender<Receiver>,
    pub(super) sent: mpsc::Sender<Sent>,
    /// The requests with messages that were taken.
    seen: Mutex<Seen>,
    standing: Arc<Standing>,
}

/// A request that is to carry a session.
#[derive(Debug)]
pub(super) struct Receiver {
    /// What distinguishes the request from others, but not from itself when it is made again on the way.
    pub(super) number: Option<u64>,
    pub(super) writer: Writer,
}

/// A session's own ends.
#[derive(Debug)]
pub(super) struct Inputs {
    /// They end when the session's place was given to another.
    pub(super) receivers: mpsc::Receiver<Receiver>,
    pub(super) sent: mpsc::Receiver<Sent>,
}

/// A session that is to be found until this is dropped.
#[derive(Debug)]
pub(super) struct Listed {
    sessions: Arc<Sessions>,
    name: Box<str>,
    /// Whether the session may lose its place is for its task to decide.
    pub(super) standing: Arc<Standing>,
}

/// What became of an attempt to open a session.
#[derive(Debug)]
pub(super) enum Opened {
    /// It is new.
    New(Listed),
    /// Another request has opened it.
    Known(Arc<Entry>),
}

impl Entry {
    pub(super) fn new(fallback: Fallback, origin: Option<Box<[u8]>>) -> (Arc<Self>, Inputs) {
        let (receivers, receivers_of_session) = mpsc::channel(RECEIVERS);
        let (sent, sent_to_session) = mpsc::channel(SENT);
        let entry = Self {
            fallback,
            origin,
            receivers,
            sent,
            seen: Mutex::default(),
            standing: Arc::default(),
        };
        let inputs = Inputs {
            receivers: receivers_of_session,
            sent: sent_to_session,
        };
        (Arc::new(entry), inputs)
    }

    /// Whether no request of this number was taken before.
    pub(super) fn is_new(&self, number: u64) -> bool {
        self.seen.lock().insert(number)
    }
}

impl Sessions {
    /// None yet, and so many at most. `displaced` counts those that lost their places to others, and `listed` shows
    /// how many there are.
    pub fn new(most: usize, displaced: Counter, listed: Gauge) -> Self {
        Self {
            open: Mutex::default(),
            most,
            displaced,
            listed,
        }
    }

    /// The session of this name.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Entry>> {
        self.open.lock().entries.get(name).cloned()
    }

    /// Lists a session, unless there is one of this name, or there are too many that are all in use.
    pub(super) fn open(self: &Arc<Self>, name: &str, entry: Arc<Entry>) -> Result<Opened, Full> {
        let mut open = self.open.lock();
        if let Some(known) = open.entries.get(name) {
            return Ok(Opened::Known(Arc::clone(known)));
        }
        let mut displaced = None;
        if open.entries.len() >= self.most {
            displaced = Some(open.displace().ok_or(Full)?);
            self.displaced.inc();
        }
        let standing = Arc::clone(&entry.standing);
        open.entries.insert(name.into(), entry);
        self.listed.set(open.entries.len() as i64);
        drop(open);
        // Its task is woken by that.
        drop(displaced);
        Ok(Opened::New(Listed {
            sessions: Arc::clone(self),
            name: name.into(),
            standing,
        }))
    }
}

impl Open {
    /// Takes out the session that is missed least, if any is.
    fn displace(&mut self) -> Option<Arc<Entry>> {
        let now = Instant::now();
        if self.candidates.are_to_be_found(now) {
            let entries = self.entries.iter();
            let all = entries.map(|(name, entry)| (name, &*entry.standing));
            self.candidates.find(all, now);
        }
        while let Some((name, rank)) = self.candidates.take_next() {
            let entry = self.entries.get(&name);
            if entry.is_some_and(|entry| entry.standing.rank(now) == Some(rank)) {
                return self.entries.remove(&name);
            }
        }
        None
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut open = self.sessions.open.lock();
        let is_own = |entry: &Arc<Entry>| Arc::ptr_eq(&entry.standing, &self.standing);
        // A place that was lost may have another session of this name by now.
        if open.entries.get(&self.name).is_some_and(is_own) {
            let entry = open.entries.remove(&self.name);
            self.sessions.listed.set(open.entries.len() as i64);
            drop(open);
            // What waits in it goes when nothing is locked.
            drop(entry);
        }
    }
}
