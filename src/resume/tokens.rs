//! The sessions that may be taken, and those that waited in vain.

use std::array;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::door;
use super::expired::Expired;
use super::name::Name;
use crate::admission::ComesBack;
use crate::hub::AppHub;
use crate::memory::{Dense, Keyed};
use crate::metrics::Gauge;
use crate::protocol::ChannelName;
use crate::relay::Connected;

/// Lists of sessions. One list of all would have to be moved while nobody can enter whenever it has
/// grown, and leave as much memory behind as it had taken up: of large blocks the allocator holds several.
const PARTS: usize = 64;

/// The sessions of all threads whose clients have a token. It knows tokens, and shows none.
pub struct Tokens {
    doors: [Mutex<Doors>; PARTS],
    expired: Mutex<Expired>,
    /// How many of the latter there are.
    remembered: Gauge,
    /// How many doors there are.
    known: Gauge,
}

/// Where a session of a token is to be met.
pub type Door = door::Door<Box<dyn Contender>>;

type Doors = Dense<Arc<Door>, RandomState>;

impl Keyed for Arc<Door> {
    type Key = Name;

    fn key(&self) -> &Name {
        self.name()
    }
}

/// Somebody who comes for a session.
pub trait Contender: Send {
    /// Returns itself, unless it may not have this session, which goes on waiting then: the contender is refused. Called on
    /// the thread where the session lives.
    fn unless_refused(self: Box<Self>, connected: &Connected) -> Option<Box<dyn Contender>>;

    /// Takes the session, on the thread where it lives.
    fn take(self: Box<Self>, connected: Connected, place: Place);
}

/// A session's place among those of tokens. The token is free when this is dropped.
pub struct Place {
    pub(super) door: Arc<Door>,
    tokens: Arc<Tokens>,
}

/// What is known of a token.
#[derive(Debug)]
pub enum Entered {
    /// It names a new session.
    New {
        /// The new session's place.
        place: Place,
        /// The channels of an earlier session of the token, which has ended while its client was away.
        missed: Vec<ChannelName>,
    },
    /// It names a session that may be taken.
    Known(Arc<Door>),
}

impl Tokens {
    /// None yet. `remembered` counts the sessions that are over, `known` those that are not.
    pub fn new(remembered: Gauge, known: Gauge) -> Self {
        Self {
            doors: array::from_fn(|_| Mutex::default()),
            expired: Mutex::default(),
            remembered,
            known,
        }
    }

    /// Whether who comes with this token would take the place of what carries the app's session of it.
    pub fn comes_back(&self, app: &AppHub, token: &str) -> ComesBack {
        let name = Name::of(&app.app.id, token);
        let doors = self.part(&name).lock();
        match doors.get(&name) {
            Some(door) if door.is_claimed() => ComesBack::BehindAnother,
            Some(door) if door.is_carried() => ComesBack::Yes,
            _ => ComesBack::No,
        }
    }

    /// Looks for the app's session of this token, and makes a door for a new one if there is none.
    pub fn enter(self: &Arc<Self>, app: &AppHub, token: &str) -> Entered {
        let name = Name::of(&app.app.id, token);
        let mut doors = self.part(&name).lock();
        if let Some(door) = doors.get(&name) {
            return Entered::Known(Arc::clone(door));
        }
        let door = Arc::new(Door::new(name));
        doors.insert(Arc::clone(&door));
        drop(doors);
        self.known.inc();
        let mut expired = self.expired.lock();
        let missed = expired.take(&name, Instant::now());
        self.remembered.set(expired.len() as i64);
        drop(expired);
        Entered::New {
            place: Place {
                door,
                tokens: Arc::clone(self),
            },
            missed,
        }
    }

    fn part(&self, name: &Name) -> &Mutex<Doors> {
        &self.doors[name.part() % PARTS]
    }
}

impl Place {
    /// The session has ended while its client was away, who is notified of that should it come back.
    pub(super) fn expire(self, channels: Vec<ChannelName>) {
        if channels.is_empty() {
            return;
        }
        // Before the token is free: whoever comes then finds it.
        let mut expired = self.tokens.expired.lock();
        expired.insert(*self.door.name(), channels, Instant::now());
        self.tokens.remembered.set(expired.len() as i64);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let handed = self.door.close();
        let name = self.door.name();
        let door = self.tokens.part(name).lock().remove(name);
        self.tokens.known.dec();
        // Whoever has just come is closed; its client comes again. Both go when nothing is locked.
        drop((handed, door));
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}
