//! The task that runs one connection.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use socket2::SockRef;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;
use tokio::time::Sleep;

use super::frames::{Frames, Received};
use crate::hub::broadcast::{BacklogFull, Reservation};
use crate::hub::{Flushed, Registration};
use crate::protocol::{CloseCode, Frame};
use crate::relay::{ClientPublication, Relay};
use crate::session::CloseReason;

/// Bytes that are read at once at most.
const READ_SIZE: usize = 16 << 10;
/// Reads in a row until the thread's other tasks have their turn.
const READS_IN_A_ROW: usize = 8;

thread_local! {
    /// Where the thread's connections read into, one after the other: so an idle connection
    /// holds no buffer.
    static SCRATCH: RefCell<BytesMut> = RefCell::new(BytesMut::with_capacity(READ_SIZE));
}

/// One connection: reads, lets the session decide, writes what the socket did not take at
/// once, and ends. Everything is given back when it is dropped, on whatever path.
pub(super) struct Connection {
    registration: Registration,
    relay: Arc<Relay>,
    reader: OwnedReadHalf,
    frames: Frames,
    /// The beginning of a frame that has not come whole.
    partial: BytesMut,
    mode: Mode,
    close_timeout: Duration,
    started: bool,
}

enum Mode {
    /// Reading.
    Open,
    /// A client event waits for room; nothing behind it is read until then.
    Paused(Pin<Box<dyn Future<Output = WaitedFor>>>),
    /// The close frame is queued or sent; waiting for it to go out and for the client's.
    Closing(Pin<Box<Sleep>>),
}

type WaitedFor = (ClientPublication, Result<Reservation, BacklogFull>);

/// What came of reading.
enum Read {
    /// Everything there was.
    All,
    /// The client is gone, or has answered the close.
    End,
    /// Something must be done before more is read.
    Stop,
}

impl Connection {
    /// A connection whose first `received` bytes came right behind the upgrade request.
    pub(super) fn new(
        registration: Registration,
        relay: Arc<Relay>,
        reader: OwnedReadHalf,
        received: &[u8],
        close_timeout: Duration,
    ) -> Self {
        let max_message = registration.app().app.limits.message_bytes;
        Self {
            registration,
            relay,
            reader,
            frames: Frames::new(max_message),
            partial: BytesMut::from(received),
            mode: Mode::Open,
            close_timeout,
            started: false,
        }
    }

    /// Reads and handles what there is.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Read> {
        for _ in 0..READS_IN_A_ROW {
            let mut scratch = SCRATCH.take();
            let filled = self.poll_fill(cx, &mut scratch);
            let outcome = match filled {
                Poll::Ready(true) => self.handle_input(&mut scratch),
                Poll::Ready(false) => Read::End,
                Poll::Pending => {
                    SCRATCH.replace(scratch);
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
        Poll::Ready(Read::All)
    }

    /// Reads once; false at the end of the stream.
    fn poll_fill(&mut self, cx: &mut Context<'_>, scratch: &mut BytesMut) -> Poll<bool> {
        scratch.reserve(READ_SIZE);
        let mut buffer = ReadBuf::uninit(scratch.spare_capacity_mut());
        let outcome = ready!(Pin::new(&mut self.reader).poll_read(cx, &mut buffer));
        let count = buffer.filled().len();
        // SAFETY: the reader has initialised as many bytes as it says are filled.
        unsafe { scratch.set_len(scratch.len() + count) };
        Poll::Ready(outcome.is_ok() && count > 0)
    }

    fn handle_input(&mut self, scratch: &mut BytesMut) -> Read {
        let now = Instant::now();
        self.registration.session.borrow_mut().on_received(now);
        if self.partial.is_empty() {
            let outcome = self.handle_frames(scratch, now);
            self.partial.extend_from_slice(scratch);
            outcome
        } else {
            let mut buffer = std::mem::take(&mut self.partial);
            buffer.extend_from_slice(scratch);
            let outcome = self.handle_frames(&mut buffer, now);
            if !buffer.is_empty() {
                self.partial = buffer;
            }
            outcome
        }
    }

    /// Handles every whole frame in the buffer, or up to the one that must be waited for.
    fn handle_frames(&mut self, buffer: &mut BytesMut, now: Instant) -> Read {
        loop {
            match self.frames.next(buffer) {
                Ok(Some(received)) => match self.handle(received, now) {
                    Read::All => {}
                    other => return other,
                },
                Ok(None) => break,
                Err(reason) => {
                    buffer.clear();
                    self.registration.close(&reason);
                    return Read::Stop;
                }
            }
        }
        let incomplete = !buffer.is_empty() || self.frames.in_message();
        let mut session = self.registration.session.borrow_mut();
        if !incomplete {
            session.on_whole_message();
        } else if session.on_partial_message(now) {
            drop(session);
            self.registration.reschedule();
        }
        Read::All
    }

    fn handle(&mut self, received: Received, now: Instant) -> Read {
        match received {
            Received::Close(code) => {
                if !self.registration.is_open() {
                    return Read::End;
                }
                self.registration.echo_close(code);
                Read::Stop
            }
            // Whatever else the client says after the close is not heard.
            _ if !self.registration.is_open() => Read::All,
            Received::Pong => Read::All,
            Received::Ping(payload) => {
                self.registration.send(&Frame::pong(&payload));
                Read::All
            }
            Received::Text(text) => self.handle_text(&text, now),
        }
    }

    fn handle_text(&mut self, text: &[u8], now: Instant) -> Read {
        let metrics = &self.registration.app().metrics;
        metrics.messages_received.inc();
        metrics.received_bytes.inc_by(text.len() as u64);
        let Ok(text) = std::str::from_utf8(text) else {
            self.registration.close(&CloseReason::new(
                CloseCode::InvalidText,
                "the message is not valid UTF-8",
            ));
            return Read::Stop;
        };
        let action = self.registration.session.borrow_mut().on_text(text, now);
        if let Some(waiting) = self.relay.act(&self.registration, action) {
            let app = Arc::clone(self.registration.app());
            self.mode = Mode::Paused(Box::pin(waiting.wait(app)));
            return Read::Stop;
        }
        if self.registration.is_open() {
            Read::All
        } else {
            Read::Stop
        }
    }

    /// The client event that the connection waited with.
    fn resume(&mut self, (publication, reserved): WaitedFor) {
        match reserved {
            Ok(reservation) => {
                self.relay
                    .publish_client_event(&self.registration, publication, reservation);
            }
            Err(error) => {
                let error = error.into();
                self.relay.refuse_client_event(&self.registration, &error);
            }
        }
        self.mode = Mode::Open;
        let now = Instant::now();
        self.registration.session.borrow_mut().on_unread(now);
        let mut buffer = std::mem::take(&mut self.partial);
        self.handle_frames(&mut buffer, now);
        self.partial = buffer;
    }

    /// A deadline of the session has come. What waits in the socket is read before anything is
    /// decided: the relay may not have run for a while, and what the client did in time may have
    /// waited as long.
    fn on_time(&mut self) {
        if matches!(self.mode, Mode::Open) && self.registration.is_open() {
            self.read_waiting();
        }
        let now = Instant::now();
        let mut session = self.registration.session.borrow_mut();
        if matches!(self.mode, Mode::Paused(_)) {
            return session.on_unread(now);
        }
        let action = session.on_time(now);
        drop(session);
        self.relay.act(&self.registration, action);
    }

    /// Reads what is there without asking the runtime, which may not have looked at the socket
    /// yet. An end or a fault is left to be noticed by [`Connection::poll_read`].
    fn read_waiting(&mut self) {
        for _ in 0..READS_IN_A_ROW {
            let mut scratch = SCRATCH.take();
            scratch.reserve(READ_SIZE);
            let socket: &TcpStream = self.reader.as_ref();
            let received = SockRef::from(socket).recv(scratch.spare_capacity_mut());
            let count = received.unwrap_or(0);
            // SAFETY: the socket has initialised as many bytes as it says were received.
            unsafe { scratch.set_len(scratch.len() + count) };
            let outcome = match count {
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

    /// The close has been decided on: leaves everything now, while the socket is still being
    /// closed in good order.
    fn begin_closing(&mut self) {
        self.registration.end();
        self.mode = Mode::Closing(Box::pin(tokio::time::sleep(self.close_timeout)));
    }

    /// One step; Ready at the end of the connection, None when there is more to do at once.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let flushed = self.registration.poll_flush(cx);
        if flushed == Poll::Ready(Flushed::Dead) {
            return Poll::Ready(Some(()));
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
            Mode::Closing(deadline) => {
                if deadline.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(Some(()));
                }
                // The client closed first, and has our answer.
                if flushed == Poll::Ready(Flushed::Closed) && self.registration.client_closed() {
                    return Poll::Ready(Some(()));
                }
            }
            Mode::Open => {}
        }
        match ready!(self.poll_read(cx)) {
            Read::All => {
                // More may be there: the others first.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Read::Stop => Poll::Ready(None),
            Read::End => Poll::Ready(Some(())),
        }
    }
}

impl Future for Connection {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.registration.set_task(cx.waker());
        if !std::mem::replace(&mut this.started, true) && !this.partial.is_empty() {
            // What came right behind the upgrade request.
            this.handle_input(&mut BytesMut::new());
        }
        if this.registration.take_time_up() {
            this.on_time();
        }
        loop {
            if ready!(this.poll_step(cx)).is_some() {
                return Poll::Ready(());
            }
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.relay.on_disconnect(&self.registration);
        self.relay.hub.connections().remove();
    }
}
