//! The task that runs one connection which requests carry.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::Sleep;

use super::downstream::{Downstream, Sending};
use super::sessions::{Inputs, Listed};
use super::upstream::Sent;
use crate::clients::Permit;
use crate::metrics::{Gauge, MessageKind};
use crate::net::budget::Share;
use crate::net::turn::yield_to_others;
use crate::protocol::{CloseCode, Frame};
use crate::relay::{Connected, WaitingEvent};
use crate::resume::{self, Resumable};
use crate::session::{CloseReason, Session};

/// Messages handled until the thread's other tasks, its shard and its sockets have their turn, as of a
/// WebSocket.
const MESSAGES_A_TURN: usize = 16;

/// How long a connection stays whose client has given up its request.
const GIVEN_UP: Duration = Duration::from_secs(2);

/// A deadline that is looked at later than this was not missed by the client: the relay itself did not run, or its machine,
/// and what the client has sent may wait to be read, over another connection.
const LATE: Duration = Duration::from_millis(500);

/// How long it takes to read what waits.
const READ: Duration = Duration::from_secs(1);

/// One connection: takes what its client sends, lets the session decide, hands what it is sent to the
/// request that carries it, and ends. Everything is given back when it is dropped, on whatever path.
pub(super) struct Carried {
    registration: Connected,
    /// Its place among those of tokens, if its session may outlive it.
    resumable: Option<Resumable>,
    inputs: Inputs,
    downstream: Downstream,
    /// What was sent and is not all handled.
    unhandled: Option<Unhandled>,
    /// Nothing more is handled until then.
    paused: Option<WaitingEvent>,
    messages_left: usize,
    /// Since when no request carries the connection.
    alone_since: Option<Instant>,
    /// Whether its client has been given the time once more.
    is_excused: bool,
    /// When it is decided what follows from the time.
    decide_at: Option<Instant>,
    closing_since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
    times: Times,
    _counted: CountedIn,
    /// The newest request that was to carry the connection.
    newest: Option<u64>,
    /// Another has the connection's place.
    is_displaced: bool,
    listed: Listed,
    /// Given back last: whoever waits for the last connection to go waits for its leaves, too.
    permit: Permit,
}

/// How long a connection may be without something.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// Without a request that carries it.
    pub(super) alone: Duration,
    /// From its close to the last byte of it.
    pub(super) close: Duration,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With its session.
    Over,
    /// Without it: its client makes no more requests.
    Lost,
}

/// What makes a connection, beside what carries it.
pub(super) struct Parts {
    pub(super) registration: Connected,
    pub(super) resumable: Option<Resumable>,
    pub(super) listed: Listed,
    pub(super) permit: Permit,
}

struct Unhandled {
    messages: std::vec::IntoIter<String>,
    _handled: oneshot::Sender<()>,
    _share: Share,
}

impl Carried {
    pub(super) fn new(parts: Parts, inputs: Inputs, downstream: Downstream, times: Times) -> Self {
        let sessions = parts.registration.app().metrics.fallback_sessions.clone();
        Self {
            registration: parts.registration,
            resumable: parts.resumable,
            inputs,
            downstream,
            unhandled: None,
            paused: None,
            messages_left: MESSAGES_A_TURN,
            alone_since: Some(Instant::now()),
            is_excused: false,
            decide_at: None,
            closing_since: None,
            timer: Box::pin(tokio::time::sleep(times.alone)),
            times,
            _counted: CountedIn::new(sessions),
            newest: None,
            is_displaced: false,
            listed: parts.listed,
            permit: parts.permit,
        }
    }

    /// Runs the connection until it ends. Its session may go on, and wait for its client.
    pub(super) async fn run(mut self) {
        let end = (&mut self).await;
        let (connected, resumable, permit) = self.give_up_requests();
        match (end, resumable) {
            (End::Lost, Some(resumable)) => {
                Box::pin(resume::park(connected, resumable, permit)).await;
            }
            (End::Over, Some(resumable)) => {
                drop(connected);
                resumable.close();
                drop(permit);
            }
            (_, None) => {
                drop(connected);
                drop(permit);
            }
        }
    }

    /// What is left when all that carried the connection is given back.
    fn give_up_requests(self) -> (Connected, Option<Resumable>, Permit) {
        (self.registration, self.resumable, self.permit)
    }

    /// Takes the requests that are to carry the connection.
    fn attach(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(receiver) = self.inputs.receivers.poll_recv(cx) {
            let Some(receiver) = receiver else {
                self.is_displaced = true;
                return;
            };
            if receiver.number.is_some() && receiver.number < self.newest {
                // It was made again on the way, and nobody reads its answer.
                continue;
            }
            self.newest = receiver.number;
            let now = Instant::now();
            let registration = &self.registration;
            registration.with_session(|session| session.on_received(now));
            if self.downstream.attach(receiver, now).is_err() {
                // Better a new connection than one with a gap that nobody knows of.
                registration.close_unread(&CloseReason::new(
                    CloseCode::Reconnect,
                    "what the last request missed is not known: connect again",
                ));
            }
        }
    }

    /// Handles what was sent, as far as the turn, the session and a client event that waits allow.
    /// Returns whether there may be more to do.
    fn handle(&mut self, cx: &mut Context<'_>) -> bool {
        while self.registration.is_open() && self.paused.is_none() && self.registration.may_go_on()
        {
            if self.messages_left == 0 {
                return true;
            }
            let now = Instant::now();
            if let Some(message) = self.next_message() {
                self.messages_left -= 1;
                self.registration.count_received(message.len());
                self.paused = self.registration.on_text(&message, now);
                self.registration.must_wait(now);
                continue;
            }
            match self.inputs.sent.poll_recv(cx) {
                Poll::Ready(Some(sent)) => self.take(sent, now),
                Poll::Ready(None) => return false,
                Poll::Pending => {
                    self.registration.with_session(Session::on_all_read);
                    return false;
                }
            }
        }
        false
    }

    fn next_message(&mut self) -> Option<String> {
        let unhandled = self.unhandled.as_mut()?;
        let next = unhandled.messages.next();
        if next.is_none() {
            // Whoever waits for that is notified by its being dropped.
            self.unhandled = None;
        }
        next
    }

    fn take(&mut self, sent: Sent, now: Instant) {
        self.registration
            .with_session(|session| session.on_received(now));
        match sent.messages {
            Err(reason) => self.registration.close(&reason),
            Ok(messages) => {
                if messages.is_empty() {
                    self.messages_left -= 1;
                    self.handle_heartbeat(now);
                } else {
                    self.listed.standing.set_has_sent();
                }
                self.unhandled = Some(Unhandled {
                    messages: messages.into_iter(),
                    _handled: sent.handled,
                    _share: sent.share,
                });
            }
        }
    }

    fn handle_heartbeat(&mut self, now: Instant) {
        if self.downstream.on_heartbeat() {
            self.registration.send(&Frame::ping());
        }
        self.registration
            .with_session(|session| session.on_frame(MessageKind::Control, now));
        self.registration.must_wait(now);
    }

    fn poll_paused(&mut self, cx: &mut Context<'_>) {
        if let Some(event) = &mut self.paused
            && event.poll(&self.registration, cx).is_ready()
        {
            self.paused = None;
        }
    }

    /// Hands over what waits, and lets the session know whether it is taken. Returns whether the
    /// connection has ended.
    fn send(&mut self, cx: &mut Context<'_>) -> bool {
        let now = Instant::now();
        let sending = self.downstream.poll_send(&self.registration, cx, now);
        match sending {
            Sending::Ended => return true,
            Sending::All => self.registration.with_session(Session::on_written),
            Sending::Waits => {
                let taken = self.downstream.take_progress();
                self.registration.on_write_blocked(taken, now);
            }
        }
        if self.downstream.is_carried() {
            self.alone_since = None;
            self.is_excused = false;
        } else {
            self.alone_since.get_or_insert(now);
        }
        let is_over = self
            .due()
            .is_some_and(|due| due <= now && !self.excuses(due, now));
        self.listed.standing.set_alone_since(self.alone_since);
        is_over
    }

    /// Gives a client its time once more that may have used it. Once only: a relay that is always late must end what is
    /// dead all the same.
    fn excuses(&mut self, due: Instant, now: Instant) -> bool {
        let excuses = !self.is_excused && self.closing_since.is_none() && now >= due + LATE;
        if excuses {
            self.is_excused = true;
            self.alone_since = Some(now);
        }
        excuses
    }

    /// Notes that a deadline of the session has come.
    fn look_at_time(&mut self) {
        if self.registration.take_time_up() && self.decide_at.is_none() {
            let now = Instant::now();
            let deadline = self.registration.with_session(|session| session.deadline());
            let is_late = now >= deadline + LATE;
            self.decide_at = Some(if is_late { now + READ } else { now });
        }
    }

    /// Lets the session decide what follows from the time, once it may.
    fn decide(&mut self) {
        if self.decide_at.take_if(|at| *at <= Instant::now()).is_some() {
            self.registration.on_time();
        }
    }

    /// When the connection ends by itself.
    fn due(&self) -> Option<Instant> {
        let closed = self.closing_since.map(|since| since + self.times.close);
        let alone = if self.downstream.is_given_up() {
            self.times.alone.min(GIVEN_UP)
        } else {
            self.times.alone
        };
        let left = self.alone_since.map(|since| since + alone);
        [closed, left].into_iter().flatten().min()
    }

    /// What the end of the requests means. No client of this kind says goodbye.
    fn end(&self) -> End {
        if self.registration.lose_carrier() {
            End::Lost
        } else {
            End::Over
        }
    }

    /// The close has been decided on: leaves everything now, while the client is still being notified.
    fn begin_closing(&mut self) {
        if let Some(resumable) = &mut self.resumable {
            resumable.leaves(&self.registration);
        }
        self.registration.end();
        self.closing_since = Some(Instant::now());
        self.unhandled = None;
        self.paused = None;
        self.inputs.sent.close();
        while self.inputs.sent.try_recv().is_ok() {}
    }

    /// Looks after whoever claims the session.
    fn poll_claimed(&mut self, cx: &mut Context<'_>) {
        if let Some(resumable) = &mut self.resumable
            && resumable.poll_lost(&self.registration, cx)
        {
            self.registration.lose_carrier();
        }
    }

    /// Sets the timer to what is due next. Returns whether that is now.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let due = [self.due(), self.downstream.due(), self.decide_at];
        let Some(due) = due.into_iter().flatten().min() else {
            return false;
        };
        let due = tokio::time::Instant::from_std(due);
        if self.timer.deadline() != due {
            self.timer.as_mut().reset(due);
        }
        self.timer.as_mut().poll(cx).is_ready()
    }
}

impl Future for Carried {
    type Output = End;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        let this = self.get_mut();
        this.registration.set_task(cx.waker());
        this.messages_left = MESSAGES_A_TURN;
        this.attach(cx);
        this.poll_claimed(cx);
        if this.is_displaced {
            return Poll::Ready(this.end());
        }
        this.look_at_time();
        loop {
            this.poll_paused(cx);
            let more = this.handle(cx);
            // What was sent in time was handled before anything is decided.
            this.decide();
            if this.registration.has_lost_carrier() {
                return Poll::Ready(End::Lost);
            }
            if !this.registration.is_open() && this.closing_since.is_none() {
                this.begin_closing();
            }
            if this.send(cx) {
                return Poll::Ready(this.end());
            }
            if more {
                ready!(yield_to_others(cx));
                continue;
            }
            if !this.poll_timer(cx) {
                if this
                    .resumable
                    .as_ref()
                    .is_some_and(Resumable::awaits_answer)
                {
                    this.poll_claimed(cx);
                }
                return Poll::Pending;
            }
        }
    }
}

/// A connection that counts among those that requests carry until this is dropped.
struct CountedIn(Gauge);

impl CountedIn {
    fn new(sessions: Gauge) -> Self {
        sessions.inc();
        Self(sessions)
    }
}

impl Drop for CountedIn {
    fn drop(&mut self) {
        self.0.dec();
    }
}
