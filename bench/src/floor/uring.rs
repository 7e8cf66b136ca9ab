//! The io_uring variant of sending: one submission for all of an event's subscribers.

use std::io;
use std::os::fd::RawFd;

use anyhow::Context;
use io_uring::{IoUring, opcode, squeue, types};

use crate::sys;

/// The longest batch.
pub(super) const ENTRIES: u32 = 4096;

/// Batched sends. Each is tried at once and never waits, so that when `submit` returns none
/// is under way, the frame may go, and only the failed ones have reported.
pub(super) struct Uring {
    ring: IoUring,
}

impl Uring {
    pub(super) fn new(descriptors: u32) -> anyhow::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_coop_taskrun()
            .build(ENTRIES)
            .context("io_uring")?;
        ring.submitter()
            .register_files_sparse(descriptors)
            .context("io_uring file table")?;
        Ok(Self { ring })
    }

    pub(super) fn register(&mut self, fd: RawFd, present: bool) -> io::Result<()> {
        let entry = [if present { fd } else { -1 }];
        self.ring
            .submitter()
            .register_files_update(fd as u32, &entry)
            .map(drop)
    }

    pub(super) fn push(&mut self, fd: RawFd, frame: &[u8]) {
        // MSG_WAITALL makes a short send a failure, so that its result is not skipped.
        let entry = opcode::Send::new(types::Fixed(fd as u32), frame.as_ptr(), frame.len() as u32)
            .flags(sys::SEND_FLAGS | libc::MSG_WAITALL)
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS)
            .user_data(fd as u64);
        // SAFETY: the frame outlives `submit`, after which no send is under way; the queue
        // has room, as a batch is no longer than it.
        unsafe {
            self.ring
                .submission()
                .push(&entry)
                .expect("room in the queue")
        };
    }

    pub(super) fn submit(&mut self) -> Vec<(RawFd, Result<usize, i32>)> {
        while !self.ring.submission().is_empty() {
            match self.ring.submit() {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => panic!("io_uring submit: {error}"),
            }
        }
        let completions = self.ring.completion();
        completions
            .map(|cqe| match cqe.result() {
                sent if sent >= 0 => (cqe.user_data() as RawFd, Ok(sent as usize)),
                error => (cqe.user_data() as RawFd, Err(-error)),
            })
            .collect()
    }
}
