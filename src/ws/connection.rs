//! The task that runs one connection.

use std::cell::RefCell;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::BytesMut;
use tokio::time::Sleep;

use super::discard::{Discard, Discarded};
use super::frames::{Extension, Frames, Received, too_large};
use super::inflate;
use crate::clients::Permit;
use crate::hub::Flushed;
use crate::hub::broadcast::{BacklogFull, Reservation};
use crate::metrics::{InflateRefusal, MessageKind};
use crate::protocol::{ChannelName, CloseCode};
use crate::relay::{ClientPublication, Connected};
use crate::resume::{self, Resumable};
use crate::session::{CloseReason, Session, WaitsFor};
use crate::tls::Reader;

/// Bytes that are read at once at most.
const READ_SIZE: usize = 16 << 10;
/// Reads until the thread's other tasks, its shard and its sockets have their turn.
const READS_A_TURN: usize = 4;
/// Messages handled until they have: about as much work as a slice of the shard's.
const MESSAGES_A_TURN: u8 = 16;
/// Bytes that take as long to inflate and to read as it takes to handle a message.
const INFLATED_A_MESSAGE: usize = 4 << 10;

thread_local! {
    /// Where the thread's connections read into, one after the other: so an idle connection
    /// holds no buffer.
    static SCRATCH: RefCell<BytesMut> = RefCell::new(BytesMut::with_capacity(READ_SIZE));
}

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
    Paused(Pin<Box<dyn Future<Output = WaitedFor>>>),
    /// The close frame is queued or sent; waiting for it to go out and for the client's.
    Closing(Box<Closing>),
}

struct Closing {
    deadline: Pin<Box<Sleep>>,
    discard: Discard,
    /// Whether the client has closed, too.
    answered: bool,
}

type WaitedFor = (ClientPublication, Result<Reservation, BacklogFull>);

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
            let mut scratch = SCRATCH.take();
            let filled = poll_fill(&mut self.reader, &self.registration, cx, &mut scratch);
            let outcome = match filled {
                Poll::Ready(true) => self.handle_input(&mut scratch),
                Poll::Ready(false) => Read::End,
                Poll::Pending => {
                    SCRATCH.replace(scratch);
                    self.registration.with_session(Session::on_all_read);
                    return Poll::Pending;
                }
            };
            scratch.clear();
            SCRATCH.replace(scratch);
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
            if is_paused || !self.registration.is_open() || self.must_wait(now) {
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
        let max_message = app.app.record().limits.message_bytes;
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
        let metrics = &self.registration.app().metrics;
        metrics.messages_received.inc();
        metrics.received_bytes.inc_by(text.len() as u64);
        let Ok(text) = std::str::from_utf8(text) else {
            return self.registration.close(&CloseReason::new(
                CloseCode::InvalidText,
                "the message is not valid UTF-8",
            ));
        };
        let action = self
            .registration
            .with_session(|session| session.on_text(text, now));
        let relay = self.registration.relay();
        if let Some(waiting) = relay.act(&self.registration, action) {
            let app = Arc::clone(self.registration.app());
            self.mode = Mode::Paused(Box::pin(waiting.wait(app)));
            self.registration.with_session(|session| session.wait(now));
        }
    }

    /// Whether nothing more is to be handled for a while.
    fn must_wait(&self, now: Instant) -> bool {
        let waits_for = self
            .registration
            .with_session(|session| session.must_wait(now));
        let Some(waits_for) = waits_for else {
            return false;
        };
        if let WaitsFor::Allowance(kind) = waits_for {
            let metrics = &self.registration.app().metrics;
            metrics.reads_paused.with(kind).inc();
        }
        self.registration.reschedule();
        true
    }

    /// The client event that the connection waited with.
    fn resume(&mut self, (publication, reserved): WaitedFor) {
        match reserved {
            Ok(reservation) => {
                let relay = self.registration.relay();
                relay.publish_client_event(&self.registration, publication, reservation);
            }
            Err(error) => {
                let error = error.into();
                let relay = self.registration.relay();
                relay.refuse_client_event(&self.registration, &error);
            }
        }
        self.mode = Mode::Open;
        self.registration
            .with_session(|session| session.read_on(Instant::now()));
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
        let action = self
            .registration
            .with_session(|session| session.on_time(Instant::now()));
        self.registration.relay().act(&self.registration, action);
    }

    /// Reads what is there without asking the runtime, which may not have looked at the socket
    /// yet. An end or a fault is left to be noticed by [`Connection::poll_read`].
    fn read_waiting(&mut self) {
        for _ in 0..READS_A_TURN {
            let mut scratch = SCRATCH.take();
            scratch.reserve(READ_SIZE);
            let registration = &self.registration;
            self.reader
                .fill_now(&mut scratch, &mut |opener, asks_for_ours| {
                    registration.update_keys(opener, asks_for_ours)
                });
            let outcome = match scratch.len() {
                0 => Read::Stop,
                _ => self.handle_input(&mut scratch),
            };
            scratch.clear();
            SCRATCH.replace(scratch);
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
        let (progress, now) = (self.registration.take_progress(), Instant::now());
        let is_rescheduled = |session: &mut Session| session.on_write_blocked(progress, now);
        if self.registration.with_session(is_rescheduled) {
            self.registration.reschedule();
        }
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
        let mut discard = Discard::new();
        let answered = match self.rest.take() {
            Some(rest) => discard.take(&rest) == Discarded::Close,
            None => false,
        };
        let close_timeout = self
            .registration
            .with_session(|session| session.timeouts().close);
        self.mode = Mode::Closing(Box::new(Closing {
            deadline: Box::pin(tokio::time::sleep(close_timeout)),
            discard,
            answered: answered || self.registration.client_closed(),
        }));
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
                let waited = ready!(waiting.as_mut().poll(cx));
                self.resume(waited);
                return Poll::Ready(None);
            }
            Mode::Closing(closing) => {
                let closed = flushed == Poll::Ready(Flushed::Closed);
                return closing.poll(&mut self.reader, &self.registration, closed, cx);
            }
            Mode::Open => {}
        }
        if !self.may_read() {
            return Poll::Pending;
        }
        let read = if self.unhandled {
            self.handle_rest(Instant::now())
        } else {
            ready!(self.poll_read(cx))
        };
        match read {
            Read::All | Read::Stop => Poll::Ready(None),
            Read::TurnOver => yield_to_others(cx),
            Read::End => Poll::Ready(Some(if self.registration.lose_carrier() {
                End::Lost
            } else {
                End::Over
            })),
        }
    }

    fn may_read(&self) -> bool {
        self.registration
            .with_session(|session| !session.waits() || session.may_read_on(Instant::now()))
    }
}

impl Closing {
    /// One step, as [`Connection::poll_step`]; `closed` says whether the close frame is sent.
    fn poll(
        &mut self,
        reader: &mut Reader,
        registration: &Connected,
        closed: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Option<End>> {
        if self.deadline.as_mut().poll(cx).is_ready() || (self.answered && closed) {
            return Poll::Ready(Some(End::Over));
        }
        if self.answered {
            return Poll::Pending;
        }
        for _ in 0..READS_A_TURN {
            let mut scratch = SCRATCH.take();
            let filled = poll_fill(reader, registration, cx, &mut scratch);
            let discarded = self.discard.take(&scratch);
            scratch.clear();
            SCRATCH.replace(scratch);
            match (ready!(filled), discarded) {
                (false, _) | (_, Discarded::TooMuch) => return Poll::Ready(Some(End::Over)),
                (true, Discarded::Nothing) => {}
                (true, Discarded::Close) => {
                    self.answered = true;
                    return Poll::Ready(None);
                }
            }
        }
        yield_to_others(cx)
    }
}

fn not_empty(bytes: BytesMut) -> Option<Box<BytesMut>> {
    (!bytes.is_empty()).then(|| Box::new(bytes))
}

/// Reads once; false at the end of the stream.
fn poll_fill(
    reader: &mut Reader,
    registration: &Connected,
    cx: &mut Context<'_>,
    scratch: &mut BytesMut,
) -> Poll<bool> {
    scratch.reserve(READ_SIZE);
    reader.poll_fill(cx, scratch, &mut |opener, asks_for_ours| {
        registration.update_keys(opener, asks_for_ours)
    })
}

/// Goes on after the thread's other tasks and its sockets have had their turn. (To wake itself
/// would not do: the runtime polls such a task dozens of times before it looks at the sockets,
/// and before the shard is polled again, which yields in this way.)
fn yield_to_others(cx: &mut Context<'_>) -> Poll<Option<End>> {
    let turn = pin!(tokio::task::yield_now());
    turn.poll(cx).map(|()| None)
}

impl Connection {
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.registration.set_task(cx.waker());
        self.messages_left = MESSAGES_A_TURN;
        if let Some(resumable) = &mut self.resumable
            && resumable.poll_lost(&self.registration, cx)
        {
            self.registration.lose_carrier();
        }
        if self.registration.take_time_up() {
            // Written before anything is decided, for the same reason as it is read.
            let _flushed = self.poll_flush(cx);
            self.on_time();
        }
        loop {
            if let Some(end) = ready!(self.poll_step(cx)) {
                return Poll::Ready(end);
            }
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
