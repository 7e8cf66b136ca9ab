//! Where a session is to be found, on whatever thread its requests arrive.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::pipe::Writer;
use super::upstream::Sent;
use crate::hub::Fallback;
use crate::net::tally::Full;

/// Requests of one session that may wait to be looked at; a client makes one at a time.
const RECEIVERS: usize = 4;
/// Requests with messages that may wait to be handled. Browsers send six at a time, or as many as they
/// like over HTTP/2.
const SENT: usize = 8;

/// The sessions of the process.
#[derive(Debug)]
pub struct Sessions {
    open: Mutex<HashMap<Box<str>, Arc<Entry>>>,
    most: usize,
}

/// A session as its requests know it.
#[derive(Debug)]
pub(super) struct Entry {
    /// What the session was opened as, and goes on as.
    pub(super) fallback: Fallback,
    /// Where the page is from that opened it. No other page has any business with it.
    pub(super) origin: Option<Box<[u8]>>,
    pub(super) receivers: mpsc::Sender<Receiver>,
    pub(super) sent: mpsc::Sender<Sent>,
}

/// A request that is to carry a session.
#[derive(Debug)]
pub(super) struct Receiver {
    /// What tells the request from others, but not from itself when it is made again on the way.
    pub(super) number: Option<Box<str>>,
    pub(super) writer: Writer,
}

/// A session's own ends.
#[derive(Debug)]
pub(super) struct Inputs {
    pub(super) receivers: mpsc::Receiver<Receiver>,
    pub(super) sent: mpsc::Receiver<Sent>,
}

/// A session that is to be found until this is dropped.
#[derive(Debug)]
pub(super) struct Listed {
    sessions: Arc<Sessions>,
    name: Box<str>,
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
        };
        let inputs = Inputs {
            receivers: receivers_of_session,
            sent: sent_to_session,
        };
        (Arc::new(entry), inputs)
    }
}

impl Sessions {
    /// None yet, and so many at most.
    pub fn new(most: usize) -> Self {
        Self {
            open: Mutex::default(),
            most,
        }
    }

    /// The session of this name.
    pub(super) fn find(&self, name: &str) -> Option<Arc<Entry>> {
        self.open.lock().get(name).cloned()
    }

    /// Lists a session, unless there is one of this name, or too many.
    pub(super) fn open(self: &Arc<Self>, name: &str, entry: Arc<Entry>) -> Result<Opened, Full> {
        let mut open = self.open.lock();
        if let Some(known) = open.get(name) {
            return Ok(Opened::Known(Arc::clone(known)));
        }
        if open.len() >= self.most {
            return Err(Full);
        }
        open.insert(name.into(), entry);
        Ok(Opened::New(Listed {
            sessions: Arc::clone(self),
            name: name.into(),
        }))
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        let entry = self.sessions.open.lock().remove(&self.name);
        // What waits in it goes when nothing is locked.
        drop(entry);
    }
}
