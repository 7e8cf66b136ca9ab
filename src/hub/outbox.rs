//! What one connection is still to be sent.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf as _, Bytes};

use crate::protocol::Frame;

/// Frames that a socket did not take yet, in order. Everything that a connection is sent goes
/// through here: broadcasts, answers, pongs and the close.
#[derive(Debug)]
pub(super) struct Outbox {
    /// The front may be the rest of a frame that was written in part.
    frames: VecDeque<Bytes>,
    /// Whether the front is such a rest.
    partial: bool,
    bytes: usize,
    max_bytes: usize,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Takes frames.
    Open,
    /// The close frame is queued or sent; nothing follows it.
    Closing,
    /// The socket is broken.
    Dead,
}

/// The outbox holds more than the app allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overflow;

impl Outbox {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            frames: VecDeque::new(),
            partial: false,
            bytes: 0,
            max_bytes,
            state: State::Open,
        }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Queues frames of which the socket has taken the first `written` bytes already.
    pub(super) fn push(&mut self, frames: &[Bytes], mut written: usize) -> Result<(), Overflow> {
        for frame in frames {
            if written >= frame.len() {
                written -= frame.len();
                continue;
            }
            self.partial |= written > 0;
            self.bytes += frame.len() - written;
            self.frames.push_back(frame.slice(written..));
            written = 0;
        }
        if self.bytes > self.max_bytes && self.state == State::Open {
            return Err(Overflow);
        }
        Ok(())
    }

    /// Queues what is sent last. With `discard`, nothing else is sent but the rest of a frame
    /// that was begun.
    pub(super) fn close(&mut self, last: &[Frame], discard: bool) {
        if discard {
            self.frames.truncate(usize::from(self.partial));
            self.bytes = self.frames.iter().map(Bytes::len).sum();
        }
        for frame in last {
            self.bytes += frame.len();
            self.frames.push_back(frame.bytes().clone());
        }
        self.state = State::Closing;
    }

    /// The socket is broken: nothing more can be sent.
    pub(super) fn fail(&mut self) {
        self.frames = VecDeque::new();
        self.bytes = 0;
        self.state = State::Dead;
    }

    /// The next frames to be written together.
    pub(super) fn slices<'a, const N: usize>(&'a self, slices: &mut [IoSlice<'a>; N]) -> usize {
        const MOST_BYTES: usize = 64 << 10;
        let (mut count, mut bytes) = (0, 0);
        for frame in self.frames.iter().take(N) {
            slices[count] = IoSlice::new(frame);
            count += 1;
            bytes += frame.len();
            if bytes >= MOST_BYTES {
                break;
            }
        }
        count
    }

    /// The socket has taken so many bytes.
    pub(super) fn written(&mut self, mut count: usize) {
        self.bytes -= count;
        while count > 0 {
            let Some(front) = self.frames.front_mut() else {
                break;
            };
            if count < front.len() {
                front.advance(count);
                self.partial = true;
                return;
            }
            count -= front.len();
            self.frames.pop_front();
            self.partial = false;
        }
        if self.frames.is_empty() {
            // Idle connections hold no memory for what they once had to wait for.
            self.frames = VecDeque::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(text: &str) -> Frame {
        Frame::text(text.len(), |out| out.extend_from_slice(text.as_bytes()))
    }

    fn content(outbox: &Outbox) -> Vec<u8> {
        outbox.frames.iter().flatten().copied().collect()
    }

    #[test]
    fn frames_written_in_part_go_on_where_they_stopped() {
        let mut outbox = Outbox::new(1000);
        let frames = ["one", "two", "three"].map(|text| frame(text).bytes().clone());
        let whole: Vec<u8> = frames.iter().flatten().copied().collect();
        for written in 0..=whole.len() {
            outbox.push(&frames, written).unwrap();
            assert_eq!(content(&outbox), whole[written..]);
            assert_eq!(outbox.bytes, whole.len() - written);
            let rest = outbox.bytes;
            outbox.written(rest / 2);
            assert_eq!(content(&outbox), whole[written + rest / 2..]);
            outbox.written(rest - rest / 2);
            assert!(outbox.is_empty() && outbox.bytes == 0);
        }
    }

    #[test]
    fn only_what_the_socket_refused_counts() {
        let mut outbox = Outbox::new(10);
        let large = frame(&"x".repeat(100));
        assert_eq!(outbox.push(&[large.bytes().clone()], 95), Ok(()));
        assert_eq!(outbox.push(&[large.bytes().clone()], 0), Err(Overflow));
    }

    #[test]
    fn an_overflown_outbox_keeps_the_frame_that_was_begun() {
        let mut outbox = Outbox::new(10);
        let begun = frame("begun");
        outbox.push(&[begun.bytes().clone()], 3).unwrap();
        let _ = outbox.push(&[frame(&"x".repeat(50)).bytes().clone()], 0);
        let last = frame("last");
        outbox.close(std::slice::from_ref(&last), true);
        assert_eq!(
            content(&outbox),
            [&begun.bytes()[3..], last.bytes()].concat()
        );
        assert_eq!(outbox.state(), State::Closing);
    }
}
