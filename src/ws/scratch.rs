//! Where the thread's connections read into, one after the other: so an idle connection holds no buffer.

use std::cell::RefCell;
use std::task::{Context, Poll};

use bytes::BytesMut;

use crate::relay::Connected;
use crate::tls::Reader;

/// Bytes that are read at once at most.
const READ_SIZE: usize = 16 << 10;
/// Reads until the thread's other tasks, its shard and its sockets have their turn.
pub(super) const READS_A_TURN: usize = 4;

thread_local! {
    static SCRATCH: RefCell<BytesMut> = RefCell::new(BytesMut::with_capacity(READ_SIZE));
}

/// The thread's buffer, empty at first. Whatever is in it when this is dropped is gone.
pub(super) struct Scratch(BytesMut);

impl Scratch {
    pub(super) fn take() -> Self {
        let mut bytes = SCRATCH.take();
        bytes.reserve(READ_SIZE);
        Self(bytes)
    }

    /// What was read.
    pub(super) fn bytes(&mut self) -> &mut BytesMut {
        &mut self.0
    }

    /// Reads once; false at the end of the stream.
    pub(super) fn poll_fill(
        &mut self,
        reader: &mut Reader,
        registration: &Connected,
        cx: &mut Context<'_>,
    ) -> Poll<bool> {
        reader.poll_fill(cx, &mut self.0, &mut |opener, asks_for_ours| {
            registration.update_keys(opener, asks_for_ours)
        })
    }

    /// Reads what is there without asking the runtime.
    pub(super) fn fill_now(&mut self, reader: &mut Reader, registration: &Connected) {
        reader.fill_now(&mut self.0, &mut |opener, asks_for_ours| {
            registration.update_keys(opener, asks_for_ours)
        });
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.0.clear();
        SCRATCH.replace(std::mem::take(&mut self.0));
    }
}
