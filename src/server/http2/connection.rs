//! What a connection is beside its requests.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::Reason;
use service::net::entry::Entry;
use service::net::multiplexed::{Allowance, Multiplexed};
use service::net::request_mark::Handled;
use tokio::time::{Instant, Sleep, sleep};

use super::progress::{Ended, Progress};
use super::settings::{MOST_OF_WORKER, MOST_STREAMS, Settings};
use super::stream::Incoming;
use crate::metrics::Http2Refusal;
use crate::tls::Socket;

/// Streams that a client may have reset before they were answered, beyond those that it has let be answered.
const MOST_RESET: usize = 100;
/// Frames that carry nothing of a request and are allowed more for each request: it may be given up, or given another
/// rank.
const FRAMES_OF_REQUEST: u32 = 4;

/// A connection, but for its streams.
pub(super) struct Connection {
    h2: h2::server::Connection<Multiplexed<Socket>, Bytes>,
    entry: Entry,
    allowance: Allowance,
    settings: Rc<Settings>,
    /// Its streams.
    under_way: Vec<Rc<Progress>>,
    /// While there are any.
    handled: Option<Handled>,
    resets: usize,
    /// It sends what it may not.
    is_refused: bool,
    /// It has carried a request.
    is_used: bool,
    /// The relay is stopping.
    is_stopping: bool,
    /// The client was asked to close.
    is_closing: bool,
    idle: Pin<Box<Sleep>>,
}

/// What comes next.
#[expect(
    clippy::large_enum_variant,
    reason = "it is looked at at once, and a box for each request would cost more"
)]
pub(super) enum Next {
    Request(Incoming),
    /// There may be more at once.
    Again,
    /// The connection is being ended, whatever its streams wait for.
    Refused,
    End,
    /// Nothing yet.
    Nothing,
}

impl Connection {
    pub(super) fn new(
        h2: h2::server::Connection<Multiplexed<Socket>, Bytes>,
        entry: Entry,
        allowance: Allowance,
        settings: Rc<Settings>,
    ) -> Self {
        Self {
            idle: Box::pin(sleep(settings.waits.idle)),
            h2,
            entry,
            allowance,
            settings,
            under_way: Vec::new(),
            handled: None,
            resets: 0,
            is_refused: false,
            is_used: false,
            is_stopping: false,
            is_closing: false,
        }
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping
    }

    /// The relay is stopping: the next requests had better go to another node. Who has just come to this one has its first
    /// request answered.
    pub(super) fn stop(&mut self) {
        self.is_stopping = true;
    }

    /// Reads and writes, and takes the next request if there is room for it.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Next {
        if self.entry.must_end(cx) {
            return Next::End;
        }
        self.account();
        if self.is_stopping && self.is_used {
            self.close();
        }
        if self.resets > MOST_RESET && !self.is_refused {
            self.refuse(Http2Refusal::Resets);
            return Next::Refused;
        }
        let next = if self.under_way.len() >= MOST_STREAMS as usize {
            self.h2.poll_closed(cx).map(|ended| ended.err().map(Err))
        } else {
            self.h2.poll_accept(cx)
        };
        match next {
            Poll::Ready(Some(Ok((request, respond)))) => self.take(request, respond),
            Poll::Ready(Some(Err(error))) => {
                self.settings.note_error(&error);
                Next::End
            }
            Poll::Ready(None) => Next::End,
            Poll::Pending if self.allowance.is_spent() && !self.is_refused => {
                self.refuse(Http2Refusal::Frames);
                Next::Refused
            }
            Poll::Pending => self.poll_idle(cx),
        }
    }

    fn take(
        &mut self,
        request: http::Request<h2::RecvStream>,
        mut respond: h2::server::SendResponse<Bytes>,
    ) -> Next {
        self.allowance.earn(FRAMES_OF_REQUEST);
        if self.is_refused {
            return Next::Again;
        }
        if !self.under_way.is_empty() && self.settings.streams.get() >= MOST_OF_WORKER {
            self.settings.refused(Http2Refusal::NoRoom);
            // Nothing was done: it may be tried again (RFC 9113 §8.7).
            respond.send_reset(Reason::REFUSED_STREAM);
            return Next::Again;
        }
        self.settings.numbers.requests.inc();
        self.is_used = true;
        let progress = Rc::new(Progress::new(self.allowance.clone(), &self.settings));
        self.under_way.push(Rc::clone(&progress));
        Next::Request(Incoming {
            request,
            respond,
            progress,
        })
    }

    /// Takes note of what became of a stream.
    pub(super) fn note(&mut self, (progress, ended): (Rc<Progress>, Ended)) {
        let is_same = |other: &Rc<Progress>| Rc::ptr_eq(other, &progress);
        if let Some(at) = self.under_way.iter().position(is_same) {
            self.under_way.swap_remove(at);
        }
        match ended {
            Ended::Answered => {
                self.resets = self.resets.saturating_sub(1);
                self.entry.on_written();
            }
            Ended::Failed | Ended::Left => {}
            Ended::Reset => self.resets += 1,
        }
    }

    /// Tells the client to make its next requests elsewhere, and ends when those under way are answered.
    fn close(&mut self) {
        if !self.is_closing {
            self.h2.graceful_shutdown();
            self.begin_closing();
        }
    }

    fn refuse(&mut self, what: Http2Refusal) {
        self.settings.refused(what);
        self.is_refused = true;
        self.under_way.clear();
        self.h2.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
        self.begin_closing();
    }

    fn begin_closing(&mut self) {
        self.is_closing = true;
        if self.under_way.is_empty() {
            self.entry.close();
        }
        let due = Instant::now() + self.settings.close_timeout;
        self.idle.as_mut().reset(due);
    }

    /// Lets it be known how the connection stands: idle, busy, or held by all that it carries.
    fn account(&mut self) {
        if self.under_way.is_empty() {
            if self.handled.take().is_some() {
                self.entry.set_held(false);
                self.entry.on_written();
                let patience = if self.is_closing {
                    self.entry.close();
                    self.settings.close_timeout
                } else {
                    self.settings.waits.idle
                };
                self.idle.as_mut().reset(Instant::now() + patience);
            }
            return;
        }
        self.entry.on_read();
        if self.handled.is_none() {
            self.handled = Some(self.entry.request_mark().enter());
        }
        let is_held = self.under_way.iter().all(|one| one.is_held());
        self.entry.set_held(is_held);
    }

    /// Closes what has carried nothing for too long.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Next {
        while self.under_way.is_empty() && self.idle.as_mut().poll(cx).is_ready() {
            if self.is_closing {
                return Next::End;
            }
            self.close();
            // What was just decided on is to be written.
            cx.waker().wake_by_ref();
        }
        Next::Nothing
    }
}
