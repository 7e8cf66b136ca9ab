//! What a connection sends, over whichever request carries it at the moment.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::chunk::{Chunk, Length};
use super::pipe::Writer;
use super::sessions::Receiver;
use crate::hub::{Fallback, Peer};

/// Bytes of a stream that are written in one go, but for a single larger message.
const STREAMED: usize = 16 << 10;
/// The same of an answer to a poll.
const POLLED: usize = 64 << 10;

/// How long nothing may be written to a stream. A proxy in front of it may notice only when it has
/// something to pass on, and some of them at the second time, that the page is gone.
const QUIET: Duration = Duration::from_secs(10);

/// How far a connection's frames have come.
#[derive(Debug)]
pub(super) enum Downstream {
    Stream(Stream),
    Poll(Polls),
}

/// What became of what waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sending {
    /// Nothing waits.
    All,
    /// A carrier does not take it now, or there is none.
    Waits,
    /// The close was received, as far as can be known, or the client has gone for good.
    Ended,
}

/// The request that carries a session is not the one that was to be expected, and what it has missed
/// is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missed;

/// An answer that does not end, and those before it.
#[derive(Debug, Default)]
pub(super) struct Stream {
    writer: Option<Writer>,
    length: Length,
    was_opened: bool,
    closes: bool,
    /// Heartbeats that the client has not answered.
    asked: u32,
    taken: usize,
    /// When it is looked at next whether anything was written.
    look_at: Option<Instant>,
    /// When anything last was.
    written_at: Option<Instant>,
}

/// Answers to one request after the other.
#[derive(Debug)]
pub(super) struct Polls {
    /// How long a request waits for anything to be answered.
    patience: Duration,
    waiting: Option<Waiting>,
    /// The last answer, until it is known to have arrived.
    unproven: Option<Unproven>,
    was_opened: bool,
    closes: bool,
    taken: usize,
    /// The last request was given up before it was answered.
    is_given_up: bool,
}

#[derive(Debug)]
struct Waiting {
    number: Option<u64>,
    writer: Writer,
    until: Instant,
    is_answered: bool,
}

#[derive(Debug)]
struct Unproven {
    /// The request that it answered.
    number: Option<u64>,
    bytes: Bytes,
    /// It never left.
    is_lost: bool,
}

impl Downstream {
    pub(super) fn new(fallback: Fallback, patience: Duration) -> Self {
        match fallback {
            Fallback::Streaming => Self::Stream(Stream::default()),
            Fallback::Polling => Self::Poll(Polls {
                patience,
                waiting: None,
                unproven: None,
                was_opened: false,
                closes: false,
                taken: 0,
                is_given_up: false,
            }),
        }
    }

    /// A request is there to carry the connection. It takes the place of another one.
    pub(super) fn attach(&mut self, receiver: Receiver, now: Instant) -> Result<(), Missed> {
        match self {
            Self::Stream(stream) => stream.attach(receiver, now),
            Self::Poll(polls) => {
                polls.attach(receiver, now);
                Ok(())
            }
        }
    }

    /// Writes what waits for the connection, as far as a carrier takes it.
    pub(super) fn poll_send(&mut self, peer: &Peer, cx: &Context<'_>, now: Instant) -> Sending {
        match self {
            Self::Stream(stream) => stream.poll_send(peer, cx, now),
            Self::Poll(polls) => polls.poll_send(peer, cx, now),
        }
    }

    /// The client has sent a heartbeat. Unless it was an answer, it asks for one.
    pub(super) fn on_heartbeat(&mut self) -> bool {
        match self {
            Self::Stream(stream) if stream.asked > 0 => {
                stream.asked -= 1;
                false
            }
            Self::Stream(_) => true,
            // Its request is answered soon enough.
            Self::Poll(_) => false,
        }
    }

    /// Whether any request carries the connection.
    pub(super) fn is_carried(&self) -> bool {
        match self {
            Self::Stream(stream) => stream.writer.is_some(),
            Self::Poll(polls) => polls.waiting.is_some(),
        }
    }

    /// Whether a client that is alone has most likely gone: all that may come is the same request, which
    /// browsers make again at once when the connection breaks.
    pub(super) fn is_given_up(&self) -> bool {
        match self {
            Self::Stream(_) => false,
            Self::Poll(polls) => polls.is_given_up,
        }
    }

    /// When the request that waits must be answered, or something be written to a stream.
    pub(super) fn due(&self) -> Option<Instant> {
        match self {
            Self::Poll(polls) => {
                let waiting = polls.waiting.as_ref();
                waiting.filter(|one| !one.is_answered).map(|one| one.until)
            }
            Self::Stream(stream) => stream.look_at.filter(|_| stream.takes_more()),
        }
    }

    /// Bytes that were taken since this was last asked.
    pub(super) fn take_progress(&mut self) -> usize {
        match self {
            Self::Stream(stream) => std::mem::take(&mut stream.taken),
            Self::Poll(polls) => std::mem::take(&mut polls.taken),
        }
    }
}

impl Stream {
    fn attach(&mut self, receiver: Receiver, now: Instant) -> Result<(), Missed> {
        let is_expected = !self.was_opened || self.length.is_full();
        self.length = Length::default();
        let mut chunk = Chunk::padding(&mut self.length);
        // To a client that is connected, the padding is a heartbeat.
        self.asked += u32::from(self.was_opened);
        if !self.was_opened {
            chunk.open(&mut self.length);
            self.was_opened = true;
        }
        receiver.writer.put(chunk.into_bytes());
        self.writer = Some(receiver.writer);
        self.look_at = Some(now + QUIET);
        self.written_at = Some(now);
        if is_expected { Ok(()) } else { Err(Missed) }
    }

    /// Whether anything is to be written to the answer that there is now.
    fn takes_more(&self) -> bool {
        self.writer.is_some() && !self.closes && !self.length.is_full()
    }

    /// Whether nothing was written for a while. Looked at now and then, lest a timer be set for each write.
    fn is_quiet(&mut self, now: Instant) -> bool {
        if self.look_at.is_none_or(|at| now < at) {
            return false;
        }
        let quiet_at = self.written_at.map_or(now, |at| at + QUIET);
        let is_quiet = quiet_at <= now;
        self.look_at = Some(if is_quiet { now + QUIET } else { quiet_at });
        is_quiet
    }

    fn poll_send(&mut self, peer: &Peer, cx: &Context<'_>, now: Instant) -> Sending {
        let is_quiet = self.is_quiet(now);
        loop {
            let Some(writer) = &self.writer else {
                return waits(peer, self.closes);
            };
            match writer.poll_ready(cx) {
                Poll::Pending => return waits(peer, self.closes),
                Poll::Ready(Err(_)) if self.closes || !self.length.is_full() => {
                    // pusher-js goes on with a session only from a stream that is full.
                    return Sending::Ended;
                }
                Poll::Ready(Err(_)) => {
                    self.writer = None;
                    continue;
                }
                Poll::Ready(Ok(())) => {}
            }
            if self.closes || self.length.is_full() || !peer.has_frames() {
                if is_quiet && self.takes_more() {
                    writer.put(Chunk::blank(&mut self.length).into_bytes());
                }
                return waits(peer, self.closes);
            }
            let mut chunk = Chunk::default();
            chunk.fill(peer, STREAMED, &mut self.length);
            self.written_at = Some(now);
            self.asked += chunk.heartbeats;
            if chunk.closes {
                self.closes = true;
            }
            if !chunk.is_empty() {
                let bytes = chunk.into_bytes();
                self.taken += bytes.len();
                writer.put(bytes);
            }
            if self.closes {
                writer.end();
            } else if !peer.has_frames() {
                // It need not be known when this is taken; that the client goes is.
                return Sending::All;
            }
        }
    }
}

impl Polls {
    fn attach(&mut self, receiver: Receiver, now: Instant) {
        let Receiver { number, writer } = receiver;
        let is_repeated = |unproven: &Unproven| {
            unproven.is_lost || (unproven.number.is_some() && unproven.number == number)
        };
        let again = self.unproven.take().filter(is_repeated);
        if let Some(again) = &again {
            writer.put(again.bytes.clone());
            writer.end();
        }
        let is_answered = again.is_some();
        self.unproven = again.map(|again| Unproven {
            number,
            is_lost: false,
            ..again
        });
        self.waiting = Some(Waiting {
            number,
            writer,
            until: now + self.patience,
            is_answered,
        });
    }

    fn poll_send(&mut self, peer: &Peer, cx: &Context<'_>, now: Instant) -> Sending {
        loop {
            let Some(waiting) = &mut self.waiting else {
                return waits(peer, self.closes);
            };
            match waiting.writer.poll_ready(cx) {
                Poll::Pending => return waits(peer, self.closes),
                Poll::Ready(Err(gone)) => {
                    self.is_given_up = !waiting.is_answered || gone.untaken;
                    self.waiting = None;
                    match &mut self.unproven {
                        Some(unproven) if gone.untaken => unproven.is_lost = true,
                        _ if self.closes => return Sending::Ended,
                        _ => {}
                    }
                    continue;
                }
                Poll::Ready(Ok(())) if waiting.is_answered => return waits(peer, self.closes),
                Poll::Ready(Ok(())) => {}
            }
            let (mut chunk, mut length) = (Chunk::default(), Length::default());
            if !self.was_opened {
                chunk.open(&mut length);
                self.was_opened = true;
            }
            chunk.fill(peer, POLLED, &mut length);
            if chunk.is_empty() {
                if now < waiting.until {
                    return Sending::All;
                }
                chunk.heartbeat(&mut length);
            }
            self.closes |= chunk.closes;
            let bytes = chunk.into_bytes();
            self.taken += bytes.len();
            self.unproven = Some(Unproven {
                number: waiting.number,
                bytes: bytes.clone(),
                is_lost: false,
            });
            waiting.writer.put(bytes);
            waiting.writer.end();
            waiting.is_answered = true;
        }
    }
}

fn waits(peer: &Peer, closes: bool) -> Sending {
    if closes || peer.has_frames() {
        Sending::Waits
    } else {
        Sending::All
    }
}
