//! One connection as its shard knows it.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use socket2::SockRef;
use tokio::net::tcp::OwnedWriteHalf;

use super::carrier::{Carrier, Fallback, SEALED};
use super::outbox::{Outbox, Overflow, State};
use super::resumable::Resumable;
use crate::hub::app::AppHub;
use crate::hub::mailbox::{Mailbox, PeerId};
use crate::hub::moves::PeerHandle;
use crate::protocol::{CloseCode, Frame, SocketId, Window, server};
use crate::session::{CloseReason, Session};

/// One connection: its session, and the only way to send its client anything.
///
/// The fields that a delivery looks at come first, together: a fan-out to connections that are not in the
/// processor's cache costs as much as fetching them.
#[derive(Debug)]
#[repr(C)]
pub struct Peer {
    /// What it takes for the session to outlive its carrier, if it may.
    pub(super) resumable: Option<Box<Resumable>>,
    /// That of the carrier's socket, at hand.
    pub(super) descriptor: Cell<RawFd>,
    /// With which its client inflates, if frames to it may be compressed.
    window: Cell<Option<Window>>,
    pub(super) outbox: RefCell<Outbox>,
    id: PeerId,
    socket_id: SocketId,
    app: Arc<AppHub>,
    mailbox: Arc<Mailbox>,
    pub(super) carrier: RefCell<Carrier>,
    /// The connection's task, which flushes the outbox, watches time and ends the connection.
    task: RefCell<Option<Waker>>,
    time_is_up: Cell<bool>,
    client_closed: Cell<bool>,
    closed_with: Cell<Option<u16>>,
    /// The tick in which the shard looks at the session's deadline.
    scheduled_for: Cell<u64>,
    session: RefCell<Session>,
}

// With the two counts of its `Rc` a block of 512 bytes, beside which the allocator's next has 640.
const _: () = assert!(size_of::<Peer>() <= 496);

/// What became of the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Everything is written, and more may follow.
    Open,
    /// Everything is written, the close frame last.
    Closed,
    /// The socket is broken.
    Dead,
}

impl Flushed {
    /// What has become of it, unless there is more to write.
    pub(super) fn of(outbox: &Outbox) -> Option<Self> {
        match outbox.state() {
            State::Dead | State::Away => Some(Self::Dead),
            State::Open if outbox.is_empty() => Some(Self::Open),
            State::Closing if outbox.is_empty() => Some(Self::Closed),
            State::Open | State::Closing => None,
        }
    }
}

/// What a socket took; one without room takes nothing.
pub(super) fn taken(written: io::Result<usize>) -> io::Result<usize> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        // A socket that takes nothing is not one that has no room.
        Ok(0) => Err(io::ErrorKind::WriteZero.into()),
        other => other,
    }
}

/// Frames that are written in one go at most.
pub(super) const MOST_SLICES: usize = 64;

impl Peer {
    pub(super) fn new(
        id: PeerId,
        app: Arc<AppHub>,
        mailbox: Arc<Mailbox>,
        session: Session,
        carrier: Carrier,
        resumable: Option<Box<Resumable>>,
    ) -> Self {
        let outbox_bytes = app.app.record().limits.outbox_bytes;
        Self {
            id,
            socket_id: session.socket_id(),
            outbox: RefCell::new(Outbox::new(outbox_bytes)),
            resumable,
            app,
            mailbox,
            session: RefCell::new(session),
            descriptor: Cell::new(carrier.descriptor()),
            window: Cell::new(None),
            carrier: RefCell::new(carrier),
            task: RefCell::new(None),
            time_is_up: Cell::new(false),
            scheduled_for: Cell::new(0),
            closed_with: Cell::new(None),
            client_closed: Cell::new(false),
        }
    }

    /// The connection's number in its shard.
    pub fn id(&self) -> PeerId {
        self.id
    }

    pub(super) fn id_ref(&self) -> &PeerId {
        &self.id
    }

    /// The connection's id in the protocol.
    pub fn socket_id(&self) -> SocketId {
        self.socket_id
    }

    /// The app that it belongs to.
    pub fn app(&self) -> &Arc<AppHub> {
        &self.app
    }

    /// The connection as other threads see it.
    pub fn handle(&self) -> PeerHandle {
        PeerHandle {
            mailbox: Arc::clone(&self.mailbox),
            id: self.id,
        }
    }

    /// Uses the protocol state. It is lent for this one call, in which nothing else
    /// may be done to the connection.
    pub fn with_session<T>(&self, call: impl FnOnce(&mut Session) -> T) -> T {
        call(&mut self.session.borrow_mut())
    }

    /// The window with which its client inflates, if it has agreed on compression.
    pub fn window(&self) -> Option<Window> {
        self.window.get()
    }

    /// What the carrier that it has now has agreed on with its client.
    pub fn set_window(&self, window: Option<Window>) {
        self.window.set(window);
        if window.is_some() {
            self.app.metrics.compression_negotiated.inc();
        }
    }

    /// How HTTP requests carry the connection, if they do.
    pub fn fallback(&self) -> Option<Fallback> {
        match *self.carrier.borrow() {
            Carrier::Socket(_) | Carrier::Tls(_) | Carrier::None => None,
            Carrier::Requests(fallback) => Some(fallback),
        }
    }

    /// Sends one frame: at once, or when the carrier takes it.
    pub fn send(&self, frame: &Frame) {
        let bytes = std::slice::from_ref(frame.bytes());
        if self.send_run(bytes, &[IoSlice::new(&bytes[0])]) {
            self.app.metrics.messages_sent.inc();
            self.app.metrics.sent_bytes.inc_by(frame.len() as u64);
        }
    }

    /// Answers a ping. Of several answers that wait for the socket only the newest is sent.
    pub fn send_pong(&self, payload: &[u8]) {
        let pong = Frame::pong(payload);
        let mut outbox = self.outbox.borrow_mut();
        if outbox.is_empty() {
            drop(outbox);
            self.send(&pong);
        } else if outbox.state() == State::Open {
            let pushed = outbox.push_pong(pong.bytes());
            drop(outbox);
            self.check_overflow(pushed);
        }
    }

    /// Sends the answer to the upgrade request and the first frame behind it in one go.
    pub fn send_first(&self, answer: Bytes, frame: &Frame) {
        let bytes = [answer, frame.bytes().clone()];
        self.send_run(&bytes, &[IoSlice::new(&bytes[0]), IoSlice::new(&bytes[1])]);
        self.app.metrics.messages_sent.inc();
        self.app.metrics.sent_bytes.inc_by(frame.len() as u64);
    }

    /// Sends frames in one go. `slices` are the same frames, ready to be written. Returns
    /// whether they were taken; the caller counts them.
    pub(super) fn send_run(&self, frames: &[Bytes], slices: &[IoSlice<'_>]) -> bool {
        let mut outbox = self.outbox.borrow_mut();
        if outbox.state() != State::Open {
            return false;
        }
        let mut written = 0;
        if outbox.is_empty() {
            if self.descriptor.get() == SEALED {
                return self.send_sealed(outbox, slices);
            }
            match self.write_directly(slices) {
                Ok(count) => written = count,
                Err(_) => {
                    self.fail(&mut outbox);
                    drop(outbox);
                    self.wake();
                    return false;
                }
            }
            if written == slices.iter().map(|slice| slice.len()).sum::<usize>() {
                return true;
            }
        }
        let was_empty = outbox.is_empty();
        let pushed = outbox.push(frames, written);
        drop(outbox);
        self.check_overflow(pushed);
        if was_empty {
            self.wake();
        }
        true
    }

    pub(super) fn check_overflow(&self, pushed: Result<(), Overflow>) {
        if pushed == Err(Overflow) {
            self.app.metrics.outbox_overflows.inc();
            self.close_unread(&CloseReason::new(
                CloseCode::OverCapacity,
                "the client takes its events too slowly (outbox_bytes)",
            ));
        }
    }

    /// Bytes that the socket takes now; 0 if none. This is where nearly every delivery goes:
    /// straight to the kernel, past the runtime's own record of the socket, which would have to
    /// be fetched into the cache for each of them. (So it does not notice a full socket: that is
    /// left to [`Peer::poll_flush`].) This, and that a descriptor may be [`SEALED`], is all that deliveries know of
    /// the carrier.
    pub(super) fn write_directly(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let descriptor = self.descriptor.get();
        if descriptor < 0 {
            return Ok(0);
        }
        // SAFETY: the descriptor is that of the carrier's socket, which closes it when it is dropped.
        let descriptor = unsafe { BorrowedFd::borrow_raw(descriptor) };
        let socket = SockRef::from(&descriptor);
        taken(match slices {
            [slice] => socket.send(slice),
            _ => socket.send_vectored(slices),
        })
    }

    /// Says why and closes: `pusher:error`, then the close frame. Nothing follows.
    pub fn close(&self, reason: &CloseReason) {
        self.close_now(reason, false);
    }

    /// As [`Peer::close`], for a client that does not read: what waits for it is dropped.
    pub fn close_unread(&self, reason: &CloseReason) {
        self.close_now(reason, true);
    }

    fn close_now(&self, reason: &CloseReason, discard: bool) {
        let code = reason.code.code();
        let close = Frame::close(code, &reason.text);
        let last = match code {
            4000.. => vec![server::error(Some(code), &reason.text), close],
            _ => vec![close],
        };
        // No session that may outlive its carrier ends because its client may not be there.
        let is_lost = match (reason.code, discard) {
            (CloseCode::PongTimeout, _) => self.lose_silent_carrier(&last),
            (_, true) => self.lose_carrier(),
            (_, false) => false,
        };
        if is_lost {
            return;
        }
        self.end(Some(code), &last, discard);
    }

    /// The client closed: its close is echoed.
    pub fn echo_close(&self, code: Option<u16>) {
        let close = match code {
            Some(code) => Frame::close(code, ""),
            None => Frame::close_empty(),
        };
        self.client_closed.set(true);
        self.end(code, &[close], false);
    }

    /// Whether it was the client that closed.
    pub fn client_closed(&self) -> bool {
        self.client_closed.get()
    }

    fn end(&self, code: Option<u16>, last: &[Frame], discard: bool) {
        let mut outbox = self.outbox.borrow_mut();
        match outbox.state() {
            State::Open => outbox.close(last, discard),
            State::Away => outbox.fail(),
            State::Closing | State::Dead => return,
        }
        drop(outbox);
        self.closed_with.set(code);
        self.wake();
    }

    /// The code that the connection was closed with, if any.
    pub fn closed_with(&self) -> Option<u16> {
        self.closed_with.get()
    }

    /// Whether frames are still taken.
    pub fn is_open(&self) -> bool {
        self.outbox.borrow().state() == State::Open
    }

    /// Whether the connection has ended, or is about to.
    pub fn is_over(&self) -> bool {
        match self.outbox.borrow().state() {
            State::Open | State::Away => false,
            State::Closing | State::Dead => true,
        }
    }

    /// Writes what waits, as far as the socket takes it. Called by the connection's task only:
    /// it is the one that is woken.
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Flushed> {
        match &mut *self.carrier.borrow_mut() {
            Carrier::Socket(socket) => self.poll_flush_plainly(socket, cx),
            Carrier::Tls(writer) => self.poll_flush_sealed(writer, cx),
            // There is nothing to write to: the task takes the frames.
            Carrier::Requests(_) | Carrier::None => Poll::Pending,
        }
    }

    fn poll_flush_plainly(&self, socket: &OwnedWriteHalf, cx: &mut Context<'_>) -> Poll<Flushed> {
        loop {
            let mut outbox = self.outbox.borrow_mut();
            if let Some(flushed) = Flushed::of(&outbox) {
                return Poll::Ready(flushed);
            }
            let mut slices = [IoSlice::new(&[]); MOST_SLICES];
            let count = outbox.slices(&mut slices);
            // Unlike [`Peer::write_directly`], this lets the runtime notice when the socket is full.
            match taken(socket.try_write_vectored(&slices[..count])) {
                Ok(0) => {}
                Ok(written) => {
                    outbox.written(written);
                    continue;
                }
                Err(_) => {
                    self.fail(&mut outbox);
                    continue;
                }
            }
            drop(outbox);
            match socket.as_ref().poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => self.fail(&mut self.outbox.borrow_mut()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Takes the frames at the front of what waits, for as long as `wanted`, which is given each in its
    /// turn, says so. For connections that requests carry.
    pub fn take_frames(&self, wanted: impl FnMut(&Bytes) -> bool) {
        self.outbox.borrow_mut().take_while(wanted);
    }

    /// Whether any frames wait.
    pub fn has_frames(&self) -> bool {
        !self.outbox.borrow().is_empty()
    }

    /// Bytes that the socket has taken of what waited since this was last asked.
    pub fn take_progress(&self) -> usize {
        self.outbox.borrow_mut().take_progress()
    }

    /// Who runs the connection from now on.
    pub fn set_task(&self, waker: &Waker) {
        let mut task = self.task.borrow_mut();
        if !task.as_ref().is_some_and(|task| task.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }

    pub(super) fn wake(&self) {
        if let Some(task) = &*self.task.borrow() {
            task.wake_by_ref();
        }
    }

    /// The session's deadline has come: its task looks after it.
    pub(super) fn on_time_up(&self) {
        self.time_is_up.set(true);
        self.wake();
    }

    /// Whether a deadline has come since this was last asked.
    pub fn take_time_up(&self) -> bool {
        self.time_is_up.take()
    }

    pub(super) fn scheduled_for(&self) -> u64 {
        self.scheduled_for.get()
    }

    pub(super) fn set_scheduled_for(&self, tick: u64) {
        self.scheduled_for.set(tick);
    }

    /// When the session next wants to know the time.
    pub(super) fn deadline(&self) -> Instant {
        self.with_session(|session| session.deadline())
    }

    /// Whether this is the connection that an event must not go to.
    pub(super) fn is(&self, except: Option<SocketId>) -> bool {
        except == Some(self.socket_id)
    }
}
