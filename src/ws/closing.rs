//! A connection that is being closed: until the close frame is out, and the client's has come.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::time::Sleep;

use super::discard::{Discard, Discarded};
use super::scratch::{READS_A_TURN, Scratch};
use crate::net::turn::yield_to_others;
use crate::relay::Connected;
use crate::tls::Reader;

pub(super) struct Closing {
    deadline: Pin<Box<Sleep>>,
    discard: Discard,
    /// Whether the client has closed, too.
    answered: bool,
}

/// Whether it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    Yes,
    /// There is more to do at once.
    NotYet,
}

impl Closing {
    /// `rest`: what was read, and is not handled any more.
    pub(super) fn begin(registration: &Connected, rest: Option<&BytesMut>) -> Self {
        let mut discard = Discard::new();
        let answered = rest.is_some_and(|rest| discard.take(rest) == Discarded::Close);
        let timeout = registration.with_session(|session| session.timeouts().close);
        Self {
            deadline: Box::pin(tokio::time::sleep(timeout)),
            discard,
            answered: answered || registration.client_closed(),
        }
    }

    /// One step; `is_sent` says whether the close frame is out.
    pub(super) fn poll(
        &mut self,
        reader: &mut Reader,
        registration: &Connected,
        is_sent: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Closed> {
        if self.deadline.as_mut().poll(cx).is_ready() || (self.answered && is_sent) {
            return Poll::Ready(Closed::Yes);
        }
        if self.answered {
            return Poll::Pending;
        }
        for _ in 0..READS_A_TURN {
            let mut scratch = Scratch::take();
            let filled = scratch.poll_fill(reader, registration, cx);
            let discarded = self.discard.take(scratch.bytes());
            match (ready!(filled), discarded) {
                (false, _) | (_, Discarded::TooMuch) => return Poll::Ready(Closed::Yes),
                (true, Discarded::Nothing) => {}
                (true, Discarded::Close) => {
                    self.answered = true;
                    return Poll::Ready(Closed::NotYet);
                }
            }
        }
        yield_to_others(cx).map(|()| Closed::NotYet)
    }
}
