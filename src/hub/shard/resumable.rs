//! What a connection has beside all others whose session may outlive its carrier.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;

use super::unproven::{Kept, Tail, Unproven};
use super::wheel::TICK;
use crate::hub::mailbox::{ChannelId, PeerId};

/// How often a client that is sent events is asked at most whether it has received them, on average: its
/// answer costs about as much as an event.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// The same where there are many of them.
const ASK_EVERY_OF_MANY: Duration = Duration::from_secs(1);

/// How long an answer may take that is on its way.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The connections of a shard that have been sent something which they have not proved to have.
pub(super) type Unacknowledged = Rc<RefCell<Vec<PeerId>>>;

/// What makes a connection the subscriber of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// Its subscription to a channel.
    Channel,
    /// Its being signed in: the user, and those that the user watches.
    User,
}

/// What a connection is a subscriber of. A single channel takes nothing beside this.
type Channels = SmallVec<[(ChannelId, Of); 1]>;

/// The record of a connection whose session may outlive its carrier.
#[derive(Debug)]
pub(super) struct Resumable {
    unproven: RefCell<Unproven>,
    /// The channels, users and watched users whose subscriber it is, in order.
    channels: RefCell<Channels>,
    unacknowledged: Unacknowledged,
    is_listed: Cell<bool>,
    asked_at: Cell<Option<Instant>>,
    /// A ping is to go out with the next event.
    asks_along: Cell<bool>,
    /// Pongs that have come so far.
    answers: Cell<u64>,
    /// The carrier has failed, and its task is to let it go.
    lost: Cell<bool>,
    /// It has, because its client was silent.
    silent: Cell<bool>,
    /// The connection is still on its channels' lists as one that is there: what comes for it is kept,
    /// and not sent, even if its client is back.
    parking: Cell<bool>,
    /// Bytes that may be sent again since the client came back.
    resend_left: Cell<usize>,
    max_bytes: usize,
}

impl Resumable {
    /// For a connection that may be sent so many bytes again.
    pub(super) fn new(max_bytes: usize, unacknowledged: &Unacknowledged) -> Self {
        Self {
            unproven: RefCell::new(Unproven::default()),
            channels: RefCell::new(Channels::new()),
            unacknowledged: Rc::clone(unacknowledged),
            is_listed: Cell::new(false),
            asked_at: Cell::new(None),
            asks_along: Cell::new(false),
            answers: Cell::new(0),
            lost: Cell::new(false),
            silent: Cell::new(false),
            parking: Cell::new(false),
            resend_left: Cell::new(max_bytes),
            max_bytes,
        }
    }

    /// A frame of a channel is sent to the connection.
    pub(super) fn keep(&self, peer: PeerId, kept: Kept) {
        self.unproven.borrow_mut().keep(kept, self.max_bytes);
        if !self.is_listed.replace(true) {
            self.unacknowledged.borrow_mut().push(peer);
        }
    }

    /// Whether the connection is to be asked now whether it has received what it was sent. None: there
    /// is nothing that it has not.
    ///
    /// When its turn has come, an event may take the ping along, which then costs no system call; when none
    /// has come before the next turn, the ping goes alone.
    pub(super) fn is_to_be_asked(&self, now: Instant, is_its_turn: bool) -> Option<bool> {
        let mut unproven = self.unproven.borrow_mut();
        if unproven.let_go() {
            self.is_listed.set(false);
            self.asks_along.set(false);
            return None;
        }
        let asked_at = self.asked_at.get();
        let every = if unproven.is_much() {
            ASK_EVERY_OF_MANY
        } else {
            ASK_EVERY
        };
        let is_due = asked_at.is_none_or(|asked_at| now >= asked_at + every - TICK);
        let may_ask =
            is_due && !unproven.is_empty() && !unproven.is_asking() && !self.parking.get();
        let had_its_turn = self.asks_along.replace(may_ask && is_its_turn);
        Some(had_its_turn && may_ask)
    }

    /// Whether a ping is to go out with what is sent now.
    pub(super) fn asks_along(&self) -> bool {
        self.asks_along.get()
    }

    /// Bytes that are kept of what the client has not proved to have received.
    pub(super) fn unproven_bytes(&self) -> usize {
        self.unproven.borrow().bytes()
    }

    /// A ping is sent now; returns what distinguishes its answer from others, if there is to be one.
    pub(super) fn ask(&self, now: Instant) -> Option<u64> {
        self.asked_at.set(Some(now));
        self.asks_along.set(false);
        self.unproven.borrow_mut().ask()
    }

    /// The client has answered the ping of this number, or the oldest.
    pub(super) fn answered(&self, number: Option<u64>) {
        self.answers.set(self.answers.get() + 1);
        self.unproven.borrow_mut().answered(number);
    }

    /// Whether a ping has not been answered for longer than that should take.
    pub(super) fn waits_in_vain(&self, now: Instant) -> bool {
        let is_late = |asked_at: Instant| now >= asked_at + ANSWER_WITHIN;
        self.unproven.borrow().is_asking() && self.asked_at.get().is_some_and(is_late)
    }

    /// Pongs that have come so far.
    pub(super) fn answers(&self) -> u64 {
        self.answers.get()
    }

    /// The carrier has failed. False if that is known.
    pub(super) fn lose(&self) -> bool {
        !self.lost.replace(true)
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.get()
    }

    pub(super) fn set_silent(&self, silent: bool) {
        self.silent.set(silent);
    }

    pub(super) fn is_silent(&self) -> bool {
        self.silent.get()
    }

    /// The carrier is gone; the shard is about to be notified.
    pub(super) fn begin_parking(&self) {
        self.parking.set(true);
    }

    /// Whether the shard has not put the connection among those who are away yet.
    pub(super) fn is_parking(&self) -> bool {
        self.parking.get()
    }

    /// There is a new carrier.
    pub(super) fn begin_again(&self) {
        self.lost.set(false);
        self.silent.set(false);
        self.asked_at.set(None);
        self.resend_left.set(self.max_bytes);
    }

    /// The connection is now among those who are away: what may have been missed of what was sent, by
    /// channel.
    pub(super) fn park(&self) -> HashMap<ChannelId, Tail, FxBuildHasher> {
        self.parking.set(false);
        self.unproven.borrow_mut().take()
    }

    /// Bytes that may be sent again.
    pub(super) fn resend_left(&self) -> usize {
        self.resend_left.get()
    }

    pub(super) fn resends(&self, bytes: usize) {
        let left = self.resend_left.get().saturating_sub(bytes);
        self.resend_left.set(left);
    }

    /// The connection is a subscriber of this from now on.
    pub(super) fn joined(&self, channel: ChannelId, of: Of) {
        let mut channels = self.channels.borrow_mut();
        match channels.binary_search_by_key(&channel, |(known, _)| *known) {
            Ok(place) => channels[place].1 = of,
            Err(place) => channels.insert(place, (channel, of)),
        }
    }

    /// It no longer is.
    pub(super) fn left(&self, channel: ChannelId) {
        let mut channels = self.channels.borrow_mut();
        if let Ok(place) = channels.binary_search_by_key(&channel, |(known, _)| *known) {
            channels.remove(place);
        }
        if channels.is_empty() {
            *channels = Channels::new();
        }
    }

    /// All that it is a subscriber of.
    pub(super) fn channels(&self) -> Vec<ChannelId> {
        let channels = self.channels.borrow();
        channels.iter().map(|(channel, _)| *channel).collect()
    }

    /// What of that comes with its user.
    pub(super) fn channels_of_user(&self) -> Vec<ChannelId> {
        let channels = self.channels.borrow();
        let of_user = channels.iter().filter(|(_, of)| *of == Of::User);
        of_user.map(|(channel, _)| *channel).collect()
    }
}
