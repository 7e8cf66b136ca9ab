//! The task that runs one connection.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::BytesMut;

use super::closing::{Closed, Closing};
use super::frames::{Extension, Frames, Received, too_large};
use super::inflate;
use super::scratch::{READS_A_TURN, Scratch};
use crate::clients::Permit;
use crate::hub::Flushed;
use crate::metrics::{InflateRefusal, MessageKind};
use crate::net::turn::yield_to_others;
use crate::protocol::{ChannelName, CloseCode};
use crate::relay::{Connected, WaitingEvent};
use crate::resume::{self, Resumable};
use crate::session::{CloseReason, Session};
use crate::tls::Reader;

/// Messages handled until the thread's other tasks, its shard and its sockets have their turn: about as
/// much work as a slice of the shard's.
const MESSAGES_A_TURN: u8 = 16;
/// Bytes that take as long to inflate and to read as it takes to handle a message.
const INFLATED_A_MESSAGE: usize = 4 << 10;

/// One connection: reads, lets the session decide, writes what the socket did not take at
/// once, and ends. Everything is given back when it is dropped, on whatever path.
pub(super) struct Connection {
    registration: Connected,
    /// Its door, if its session may outlive it.
    resumable: Option<Box<Resumable>>,
    reader: Reader,
    frames: Frames,
    /// What was read and is not handled, if anything was: the beginning of a frame that has not come
    /// whole, or what is left for the next turn.
    rest: Option<Box<BytesMut>>,
    /// Whether `rest` may hold whole frames.
    unhandled: bool,
    messages_left: u8,
    mode: Mode,
    /// Given back last: whoever waits for the last connection to go waits for its leaves, too.
    permit: Permit,
}

/// Runs a connection, until its session is over, waits, or is another connection's.
pub(super) struct Running(Option<Connection>);

// With the 104 bytes that the runtime keeps of a task a block of 256, beside which its next has 384.
const _: () = assert!(size_of::<Running>() <= 152);

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With its session.
    Over,
    /// Without it: the socket is gone, without a goodbye of the client.
    Lost,
}

enum Mode {
    /// Reading, unless the session waits.
    Open,
    /// A client event waits for room; nothing behind it is read until then.
    Paused(WaitingEvent),
    /// The close frame is queued or sent; waiting for it to go out and for the client's.
    Closing(Box<Closing>),
}

/// What came of reading.
enum Read {
    /// Everything there was.
    All,
    /// The client is gone.
    End,
    /// Something must be done before more is read.
    Stop,
    /// There may be more, but it is the turn of others.
    TurnOver,
}

impl Connection {
    /// A connection whose first bytes, `received`, came right behind the upgrade request: some that were read with it,
    /// and some behind them.
    pub(super) fn new(
        permit: Permit,
        registration: Connected,
        resumable: Option<Box<Resumable>>,
        reader: Reader,
        received: [&[u8]; 2],
    ) -> Self {
        let max_message = registration.app().app.record().limits.message_bytes;
        let extension = match registration.window() {
            Some(_) => Extension::Deflate,
            None => Extension::None,
        };
        let mut rest = BytesMut::from(received[0]);
        rest.extend_from_slice(received[1]);
        Self {
            registration,
            resumable,
            reader,
            frames: Frames::new(max_message, extension),
            unhandled: !rest.is_empty(),
            rest: not_empty(rest),
            messages_left: MESSAGES_A_TURN,
            mode: Mode::Open,
            permit,
        }
    }

    /// The task that runs it.
    pub(super) fn run(self) -> Running {
        Running(Some(self))
    }

    /// Its client has missed something on these channels, before.
    pub(super) fn has_missed(&self, channels: Vec<ChannelName>) {
        self.registration
            .with_session(|session| session.has_missed(channels));
    }

    /// What becomes of the session when the socket is closed, and all that came with it is given back.
    fn end(self, end: End) {
        let (connected, resumable, permit) = self.give_up_socket();
        match (end, resumable) {
            (End::Lost, Some(resumable)) => {
                // A task of its own: this one has no room for what waits.
                actix_rt::spawn(resume::park(connected, *resumable, permit));
            }
            (_, resumable) => {
                drop(connected);
                if let Some(resumable) = resumable {
                    resumable.close();
                }
                drop(permit);
            }
        }
    }

    fn give_up_socket(self) -> (Connected, Option<Box<Resumable>>, Permit) {
        (self.registration, self.resumable, self.permit)
    }

    /// Reads and handles what there is, for one turn.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Read> {
        for _ in 0..READS_A_TURN {
            let mut scratch = Scratch::take();
            let filled = scratch.poll_fill(&mut self.reader, &self.registration, cx);
            let outcome = match filled {
                Poll::Ready(true) => self.handle_input(scratch.bytes()),
                Poll::Ready(false) => Read::End,
                Poll::Pending => {
                    self.registration.with_session(Session::on_all_read);
                    return Poll::Pending;
                }
            };
            match outcome {
                Read::All => {}
                other => return Poll::Ready(other),
            }
        }
        Poll::Ready(Read::TurnOver)
    }

    fn handle_input(&mut self, scratch: &mut BytesMut) -> Read {
        let now = Instant::now();
        self.registration
            .with_session(|session| session.on_received(now));
        if let Some(rest) = &mut self.rest {
            rest.extend_from_slice(scratch);
            self.handle_rest(now)
        } else {
            let outcome = self.handle_frames(scratch, now);
            if !scratch.is_empty() {
                self.rest = not_empty(BytesMut::from(&scratch[..]));
            }
            outcome
        }
    }

    /// Handles what was read and not handled.
    fn handle_rest(&mut self, now: Instant) -> Read {
        let mut buffer = self.rest.take().unwrap_or_default();
        let outcome = self.handle_frames(&mut buffer, now);
        if !buffer.is_empty() {
            self.rest = Some(buffer);
        }
        outcome
    }

    /// Handles every whole frame in the buffer, or as many as the turn, the session and the one
    /// that must be waited for allow.
    fn handle_frames(&mut self, buffer: &mut BytesMut, now: Instant) -> Read {
        self.unhandled = true;
        let max_message = self.max_message();
        self.frames.set_max_message(max_message);
        loop {
            if self.messages_left == 0 {
                return Read::TurnOver;
            }
            match self.frames.next(buffer) {
                Ok(Some(received)) => {
                    self.messages_left -= 1;
                    self.handle(received, now);
                }
                Ok(None) => break,
                Err(reason) => self.registration.close(&reason),
            }
            let is_paused = !matches!(self.mode, Mode::Open);
            if is_paused || !self.registration.is_open() || self.registration.must_wait(now) {
                return Read::Stop;
            }
        }
        self.unhandled = false;
        let incomplete = !buffer.is_empty() || self.frames.in_message();
        if !incomplete {
            self.registration.with_session(Session::on_whole_message);
        } else if self
            .registration
            .with_session(|session| session.on_partial_message(now))
        {
            self.registration.reschedule();
        }
        Read::All
    }

    /// What the app's record has at the moment.
    fn max_message(&self) -> usize {
        self.registration.app().app.record().limits.message_bytes
    }

    fn handle(&mut self, received: Received, now: Instant) {
        let kind = match received {
            Received::Close(code) => return self.handle_close(code, now),
            Received::Text(text) => return self.handle_text(&text, now),
            Received::Deflated(message) => return self.handle_deflated(&message, now),
            Received::Ping(payload) => {
                self.registration.send_pong(&payload);
                MessageKind::Control
            }
            Received::Pong(payload) => {
                self.registration.on_pong_frame(&payload);
                MessageKind::Control
            }
            Received::Fragment => MessageKind::Fragment,
        };
        self.registration
            .with_session(|session| session.on_frame(kind, now));
    }

    /// The client closes. That ends the session, unless it may be another thing than a goodbye.
    fn handle_close(&self, code: Option<u16>, now: Instant) {
        let is_claimed = self.resumable.as_ref().is_some_and(|it| it.is_claimed());
        // A page that goes away says so with 1001; else browsers name no code.
        let is_goodbye = code.is_some() || !self.registration.may_have_given_up(now);
        if (is_claimed || !is_goodbye) && self.registration.lose_carrier() {
            return;
        }
        self.registration.echo_close(code);
    }

    fn handle_deflated(&mut self, message: &[u8], now: Instant) {
        let app = self.registration.app();
        let max_message = self.max_message();
        match inflate::inflate(message, max_message) {
            Ok(text) => {
                app.metrics.messages_inflated.inc();
                // A few bytes may have become much work.
                let work = text.len() / INFLATED_A_MESSAGE;
                let work = u8::try_from(work).unwrap_or(u8::MAX);
                self.messages_left = self.messages_left.saturating_sub(work);
                self.handle_text(&text, now);
            }
            Err(refusal) => {
                app.metrics.inflate_refused.with(refusal).inc();
                self.registration.close(&match refusal {
                    InflateRefusal::TooLarge => too_large(max_message),
                    InflateRefusal::Invalid => CloseReason::new(
                        CloseCode::InvalidText,
                        "the message cannot be inflated: it is not what DEFLATE makes",
                    ),
                });
            }
        }
    }

    fn handle_text(&mut self, text: &[u8], now: Instant) {
        self.registration.count_received(text.len());
        let Ok(text) = std::str::from_utf8(text) else {
            return self.registration.close(&CloseReason::new(
                CloseCode::InvalidText,
                "the message is not valid UTF-8",
            ));
        };
        if let Some(event) = self.registration.on_text(text, now) {
            self.mode = Mode::Paused(event);
        }
    }

    /// A deadline of the session has come. What waits in the socket is read before anything is
    /// decided: the relay may not have run for a while, and what the client did in time may have
    /// waited as long.
    fn on_time(&mut self) {
        let reads = matches!(self.mode, Mode::Open) && self.registration.is_open();
        let waits = self.registration.with_session(|session| session.waits());
        if reads && !self.unhandled && !waits {
            self.read_waiting();
        }
        self.registration.on_time();
    }

    /// Reads what is there without asking the runtime, which may not have looked at the socket
    /// yet. An end or a fault is left to be noticed by [`Connection::poll_read`].
    fn read_waiting(&mut self) {
        for _ in 0..READS_A_TURN {
            let mut scratch = Scratch::take();
            scratch.fill_now(&mut self.reader, &self.registration);
            let outcome = match scratch.bytes() {
                nothing if nothing.is_empty() => Read::Stop,
                received => self.handle_input(received),
            };
            if !matches!(outcome, Read::All) {
                return;
            }
        }
    }

    /// Writes what waits, and lets the session know whether the socket takes it.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Flushed> {
        let flushed = self.registration.poll_flush(cx);
        if flushed.is_ready() {
            self.registration.with_session(Session::on_written);
            return flushed;
        }
        let taken = self.registration.take_progress();
        self.registration.on_write_blocked(taken, Instant::now());
        flushed
    }

    /// The close has been decided on: leaves everything now, while the socket is still being
    /// closed in good order. Of what the client has sent and goes on to send nothing is kept.
    fn begin_closing(&mut self) {
        if let Some(resumable) = &mut self.resumable {
            resumable.leaves(&self.registration);
        }
        self.registration.end();
        self.frames = Frames::new(0, Extension::None);
        let closing = Closing::begin(&self.registration, self.rest.take().as_deref());
        self.mode = Mode::Closing(Box::new(closing));
    }

    /// One step; Ready at the end of the connection, None when there is more to do at once.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Option<End>> {
        let flushed = self.poll_flush(cx);
        if self.registration.has_lost_carrier() {
            return Poll::Ready(Some(End::Lost));
        }
        if flushed == Poll::Ready(Flushed::Dead) {
            return Poll::Ready(Some(End::Over));
        }
        if !self.registration.is_open() && !matches!(self.mode, Mode::Closing(_)) {
            self.begin_closing();
        }
        match &mut self.mode {
            Mode::Paused(waiting) => {
                ready!(waiting.poll(&self.registration, cx));
                self.mode = Mode::Open;
                return Poll::Ready(None);
            }
            Mode::Closing(closing) => {
                let closed = flushed == Poll::Ready(Flushed::Closed);
                let polled = closing.poll(&mut self.reader, &self.registration, closed, cx);
                return polled.map(|closed| match closed {
                    Closed::Yes => Some(End::Over),
                    Closed::NotYet => None,
                });
            }
            Mode::Open => {}
        }
        if !self.registration.may_go_on() {
            return Poll::Pending;
        }
        let read = if self.unhandled {
            self.handle_rest(Instant::now())
        } else {
            ready!(self.poll_read(cx))
        };
        match read {
            Read::All | Read::Stop => Poll::Ready(None),
            Read::TurnOver => yield_to_others(cx).map(|()| None),
            Read::End => Poll::Ready(Some(if self.registration.lose_carrier() {
                End::Lost
            } else {
                End::Over
            })),
        }
    }
}

fn not_empty(bytes: BytesMut) -> Option<Box<BytesMut>> {
    (!bytes.is_empty()).then(|| Box::new(bytes))
}

impl Connection {
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.registration.set_task(cx.waker());
        self.messages_left = MESSAGES_A_TURN;
        self.poll_claimed(cx);
        if self.registration.take_time_up() {
            // Written before anything is decided, for the same reason as it is read.
            let _flushed = self.poll_flush(cx);
            self.on_time();
        }
        loop {
            match self.poll_step(cx) {
                Poll::Ready(Some(end)) => return Poll::Ready(end),
                Poll::Ready(None) => {}
                Poll::Pending => break,
            }
        }
        if self.resumable.as_ref().is_some_and(|it| it.awaits_answer()) {
            self.poll_claimed(cx);
        }
        Poll::Pending
    }

    /// Looks after whoever claims the session.
    fn poll_claimed(&mut self, cx: &mut Context<'_>) {
        if let Some(resumable) = &mut self.resumable
            && resumable.poll_lost(&self.registration, cx)
        {
            self.registration.lose_carrier();
        }
    }
}

impl Future for Running {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if let Some(connection) = &mut this.0 {
            let end = ready!(connection.poll_end(cx));
            if let Some(connection) = this.0.take() {
                connection.end(end);
            }
        }
        Poll::Ready(())
    }
}
