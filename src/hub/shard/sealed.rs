//! Sending over TLS.
//!
//! What the socket did not take of what was sealed waits in front of the outbox, and must go out as it is: behind
//! it wait frames, shared with other connections' outboxes, that are sealed when their turn has come.

use std::cell::RefMut;
use std::io::{self, IoSlice};
use std::task::{Context, Poll};

use bytes::Bytes;
use smallvec::SmallVec;

use super::carrier::Carrier;
use super::outbox::Outbox;
use super::peer::{Flushed, MOST_SLICES, Peer, taken};
use crate::protocol::CloseCode;
use crate::session::CloseReason;
use crate::tls::{Broken, Opener, Writer};

/// Why a connection of TLS 1.2 is closed that has sent a great deal.
const WORN: &str = "the keys of the connection are used up; TLS 1.3 knows new ones";

impl Peer {
    /// As [`Peer::send_run`], where nothing waits: the run becomes as few records as it fits into.
    #[inline(never)]
    pub(super) fn send_sealed(
        &self,
        mut outbox: RefMut<'_, Outbox>,
        slices: &[IoSlice<'_>],
    ) -> bool {
        match self.write_sealed(slices) {
            Ok(None) => {
                if self.is_worn() {
                    drop(outbox);
                    self.wake();
                }
                true
            }
            Ok(Some(rest)) => {
                let pushed = outbox.push_sealed(rest);
                drop(outbox);
                self.check_overflow(pushed);
                self.wake();
                true
            }
            Err(_) => {
                self.fail(&mut outbox);
                drop(outbox);
                self.wake();
                false
            }
        }
    }

    /// Writes now; returns what was sealed and not taken.
    pub(super) fn write_sealed(&self, slices: &[IoSlice<'_>]) -> io::Result<Option<Bytes>> {
        match &mut *self.carrier.borrow_mut() {
            Carrier::Tls(writer) => writer.send(&parts(slices)),
            Carrier::Socket(_) | Carrier::Requests(_) | Carrier::None => {
                Err(io::ErrorKind::NotConnected.into())
            }
        }
    }

    /// Whether the client is to come back with other keys: the connection's task closes.
    fn is_worn(&self) -> bool {
        match &*self.carrier.borrow() {
            Carrier::Tls(writer) => writer.is_worn(),
            Carrier::Socket(_) | Carrier::Requests(_) | Carrier::None => false,
        }
    }

    pub(super) fn poll_flush_sealed(
        &self,
        writer: &mut Writer,
        cx: &mut Context<'_>,
    ) -> Poll<Flushed> {
        loop {
            if writer.is_worn() {
                // Once is enough, and is seen to there.
                self.close(&CloseReason::new(CloseCode::Reconnect, WORN));
            }
            let mut outbox = self.outbox.borrow_mut();
            if let Some(flushed) = Flushed::of(&outbox) {
                if flushed == Flushed::Closed {
                    writer.close();
                }
                return Poll::Ready(flushed);
            }
            if outbox.sealed().is_none() && seal_front(&mut outbox, writer).is_err() {
                self.fail(&mut outbox);
                continue;
            }
            let sealed = outbox.sealed().unwrap_or_default();
            match taken(writer.try_write(sealed)) {
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
            match writer.poll_write_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => self.fail(&mut self.outbox.borrow_mut()),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The client seals with other keys from now on: gives them to the opener of what it sends.
    ///
    /// # Errors
    /// When the connection cannot go on.
    pub fn update_keys(&self, opener: &mut Opener, asks_for_ours: bool) -> Result<(), Broken> {
        match &mut *self.carrier.borrow_mut() {
            Carrier::Tls(writer) => writer.update_received(opener, asks_for_ours),
            Carrier::Socket(_) | Carrier::Requests(_) | Carrier::None => Err(Broken),
        }
    }
}

/// Seals the frames that are to be written next, in their place.
fn seal_front(outbox: &mut Outbox, writer: &mut Writer) -> io::Result<()> {
    let mut slices = [IoSlice::new(&[]); MOST_SLICES];
    let count = outbox.slices(&mut slices);
    let sealed = writer.seal(&parts(&slices[..count]))?;
    outbox.replace_front(count, sealed.into());
    Ok(())
}

fn parts<'a>(slices: &'a [IoSlice<'a>]) -> SmallVec<[&'a [u8]; 8]> {
    slices.iter().map(|slice| &**slice).collect()
}
