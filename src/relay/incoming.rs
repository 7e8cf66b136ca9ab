//! What clients send, and when no more of it is handled: the same whatever carries the connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use super::client_event::ClientPublication;
use super::connected::Connected;
use crate::hub::broadcast::{BacklogFull, Reservation};
use crate::session::{Session, WaitsFor};

/// A client event that waits for room. Nothing behind it is handled until then.
pub struct WaitingEvent(Pin<Box<dyn Future<Output = WaitedFor>>>);

type WaitedFor = (ClientPublication, Result<Reservation, BacklogFull>);

impl WaitingEvent {
    /// Ready when the event is published, or refused, and its connection can go on.
    pub fn poll(&mut self, connected: &Connected, cx: &mut Context<'_>) -> Poll<()> {
        let (publication, reserved) = ready!(self.0.as_mut().poll(cx));
        let relay = connected.relay();
        match reserved {
            Ok(reservation) => relay.publish_client_event(connected, publication, reservation),
            Err(error) => relay.refuse_client_event(connected, &error.into()),
        }
        connected.with_session(|session| session.read_on(Instant::now()));
        Poll::Ready(())
    }
}

impl Connected {
    /// A message of so many bytes was received.
    pub fn count_received(&self, bytes: usize) {
        let metrics = &self.app().metrics;
        metrics.messages_received.inc();
        metrics.received_bytes.inc_by(bytes as u64);
    }

    /// Handles a message. Returns it if it is an event for which there is no room now.
    pub fn on_text(&self, text: &str, now: Instant) -> Option<WaitingEvent> {
        let action = self.with_session(|session| session.on_text(text, now));
        let publication = self.relay().act(self, action)?;
        self.with_session(|session| session.wait(now));
        let app = Arc::clone(self.app());
        Some(WaitingEvent(Box::pin(publication.wait(app))))
    }

    /// A deadline of the session has come.
    pub fn on_time(&self) {
        // Of one that is being closed, all is decided: its deadlines go on coming until it is.
        if !self.is_open() {
            return;
        }
        let now = Instant::now();
        let went_on_at = self.went_on_at(now);
        let action = self.with_session(|session| {
            if let Some(went_on_at) = went_on_at {
                session.on_standstill(went_on_at);
            }
            session.on_time(now)
        });
        // None of what follows from time is a client event.
        let _ = self.relay().act(self, action);
    }

    /// Whether nothing more is to be handled for a while.
    pub fn must_wait(&self, now: Instant) -> bool {
        let waits_for = self.with_session(|session| session.must_wait(now));
        if let Some(WaitsFor::Allowance(kind)) = waits_for {
            self.app().metrics.reads_paused.with(kind).inc();
        }
        if waits_for.is_some() {
            self.reschedule();
        }
        waits_for.is_some()
    }

    /// Whether more may be handled now.
    pub fn may_go_on(&self) -> bool {
        self.with_session(|session| !session.waits() || session.may_read_on(Instant::now()))
    }

    /// Something waits for the client, which has taken so many bytes of it since this was last called.
    pub fn on_write_blocked(&self, taken: usize, now: Instant) {
        let begins = |session: &mut Session| session.on_write_blocked(taken, now);
        if self.with_session(begins) {
            self.reschedule();
        }
    }
}
