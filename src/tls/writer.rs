//! Writing to a WebSocket over TLS.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::task::{Context, Poll};

use bytes::Bytes;
use socket2::SockRef;
use tokio::net::tcp::OwnedWriteHalf;

use super::record::{Broken, Opener, Sealer};

/// Seals what a connection is sent, and writes it. It keeps nothing of it: whoever calls keeps what the socket
/// did not take.
#[derive(Debug)]
pub struct Writer {
    sealer: Sealer,
    /// That of the socket, at hand: a delivery need not fetch the runtime's record of it into the cache.
    descriptor: RawFd,
    half: OwnedWriteHalf,
    is_closed: bool,
}

impl Writer {
    pub(super) fn new(half: OwnedWriteHalf, sealer: Sealer) -> Self {
        Self {
            sealer,
            descriptor: half.as_ref().as_raw_fd(),
            half,
            is_closed: false,
        }
    }

    /// Seals and writes. Returns what was sealed and the socket did not take, if anything.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn send(&mut self, parts: &[&[u8]]) -> io::Result<Option<Bytes>> {
        let sealed = self.seal(parts)?;
        // SAFETY: the descriptor is that of the half's socket, which closes it when it is dropped.
        let descriptor = unsafe { BorrowedFd::borrow_raw(self.descriptor) };
        match SockRef::from(&descriptor).send(&sealed) {
            Ok(written) if written == sealed.len() => Ok(None),
            Ok(written) => Ok(Some(Bytes::from(sealed).slice(written..))),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                Ok(Some(Bytes::from(sealed)))
            }
            Err(error) => Err(error),
        }
    }

    /// Seals, for later.
    ///
    /// # Errors
    /// When the connection is broken.
    pub fn seal(&mut self, parts: &[&[u8]]) -> io::Result<Vec<u8>> {
        let sealed = self.sealer.seal(parts);
        sealed.map_err(|broken| io::Error::new(io::ErrorKind::BrokenPipe, broken))
    }

    /// As [`Sealer::is_worn`].
    pub fn is_worn(&self) -> bool {
        self.sealer.is_worn()
    }

    /// Writes what was sealed; unlike [`send`](Self::send), this lets the runtime notice when the socket is full.
    ///
    /// # Errors
    /// When the socket is broken, or has no room.
    pub fn try_write(&self, sealed: &[u8]) -> io::Result<usize> {
        self.half.try_write(sealed)
    }

    /// Ready when the socket may have room.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.half.as_ref().poll_write_ready(cx)
    }

    /// As [`Sealer::update_received`].
    ///
    /// # Errors
    /// When the version of TLS knows no such change.
    pub fn update_received(
        &mut self,
        opener: &mut Opener,
        asks_for_ours: bool,
    ) -> Result<(), Broken> {
        self.sealer.update_received(opener, asks_for_ours)
    }

    /// Says that nothing follows, if there is room for that. For when all was written.
    pub fn close(&mut self) {
        if !std::mem::replace(&mut self.is_closed, true)
            && let Ok(sealed) = self.sealer.seal_close()
        {
            // A client that is sent nothing sees that the socket is closed.
            let _ = self.half.try_write(&sealed);
        }
    }
}
