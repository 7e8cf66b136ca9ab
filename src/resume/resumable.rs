//! A session that something carries, and that somebody else may claim.

use std::future::Future as _;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::Sleep;

use super::tokens::Place;
use crate::hub::Peer;
use crate::protocol::ChannelName;

/// How long the client that has a session may take to show that it is there, when another one comes with
/// its token.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// A session's place among those of tokens, held by whatever carries it.
#[derive(Debug)]
pub struct Resumable {
    place: Place,
    claim: Option<Box<Claim>>,
    /// The channels that the client was on when it closed.
    left: Box<[ChannelName]>,
}

/// Somebody else has come with the token.
#[derive(Debug)]
struct Claim {
    /// How often the client had answered by then.
    answers: u64,
    deadline: Pin<Box<Sleep>>,
}

impl Resumable {
    /// For what carries a session from now on.
    pub fn new(place: Place) -> Self {
        Self {
            place,
            claim: None,
            left: Box::default(),
        }
    }

    /// The session is about to leave its channels. Should its client come back with its token, as a page
    /// does that connects again, it has missed something of them.
    pub fn leaves(&mut self, peer: &Peer) {
        let left = peer.with_session(|session| session.channels());
        self.left = left.into();
    }

    /// The session is over.
    pub fn close(self) {
        self.place.expire(self.left.into());
    }

    /// Whether somebody else has come with the token.
    pub fn is_claimed(&self) -> bool {
        self.claim.is_some() || self.place.door.is_claimed()
    }

    pub(super) fn into_place(self) -> Place {
        self.place
    }

    /// Whether the client has been asked whether it is there, and what it has sent may be the answer.
    pub fn awaits_answer(&self) -> bool {
        self.claim.is_some()
    }

    /// Looks after whoever claims the session: the client is asked whether it is there. Returns whether
    /// it is not, so that what carries the session is to let it go.
    ///
    /// Nothing wakes the task for an answer but its being read: whoever has read looks again.
    pub fn poll_lost(&mut self, peer: &Peer, cx: &mut Context<'_>) -> bool {
        // The next one may come as soon as the claim of one is refused.
        while self.place.door.poll_claimed(cx) {
            let claim = self
                .claim
                .get_or_insert_with(|| Box::new(Claim::begin(peer)));
            if peer.answers() == claim.answers {
                return claim.deadline.as_mut().poll(cx).is_ready();
            }
            self.claim = None;
            self.place.door.carry_on();
        }
        self.claim = None;
        false
    }
}

impl Claim {
    fn begin(peer: &Peer) -> Self {
        let answers = peer.answers();
        peer.ping(peer.with_session(|session| session.asks_by()));
        Self {
            answers,
            deadline: Box::pin(tokio::time::sleep(ANSWER_WITHIN)),
        }
    }
}
