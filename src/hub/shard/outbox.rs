//! What one connection is still to be sent.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf as _, Bytes};

use crate::protocol::Frame;

/// Frames that a socket did not take yet, in order. Everything that a connection is sent goes
/// through here: broadcasts, answers, pongs and the close.
#[derive(Debug)]
pub(super) struct Outbox {
    /// The front may be the rest of a frame that was written in part, or, over TLS, of what was sealed.
    frames: VecDeque<Bytes>,
    /// Whether the front is such a rest.
    partial: bool,
    /// Where a pong waits, counted from 1 at the front; 0 if none does, or too far behind for that.
    pong: u16,
    /// What the frames cost, as [`cost`] counts it.
    bytes: usize,
    max_bytes: usize,
    /// What may wait beside that, until nothing does.
    extra_bytes: usize,
    /// Bytes that the socket has taken since this was last asked.
    taken: u32,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Takes frames.
    Open,
    /// Takes none: the client is away, and may come back.
    Away,
    /// The close frame is queued or sent; nothing follows it.
    Closing,
    /// The socket is broken.
    Dead,
}

/// The outbox holds more than the app allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overflow;

/// What keeping a frame takes beside its bytes: the handle in the queue, with the room that the
/// queue holds in reserve, and the allocations behind it.
const OVERHEAD: usize = 128;

/// The bytes that a frame takes while it waits. A frame that waits for many connections is
/// counted for each of them.
fn cost(frame: &Bytes) -> usize {
    frame.len() + OVERHEAD
}

impl Outbox {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            frames: VecDeque::new(),
            partial: false,
            pong: 0,
            bytes: 0,
            max_bytes,
            extra_bytes: 0,
            taken: 0,
            state: State::Open,
        }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    /// What waits, as it is counted towards the limit.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
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
            self.push_one(frame.slice(written..));
            written = 0;
        }
        self.check_size()
    }

    /// Queues what was sealed and the socket did not take, where nothing else waits.
    pub(super) fn push_sealed(&mut self, rest: Bytes) -> Result<(), Overflow> {
        debug_assert!(self.is_empty());
        self.partial = true;
        self.push_one(rest);
        self.check_size()
    }

    /// What was sealed and must go out as it is, if there is any. Over TLS nothing else is ever written in
    /// part.
    pub(super) fn sealed(&self) -> Option<&[u8]> {
        self.frames
            .front()
            .filter(|_| self.partial)
            .map(|front| &**front)
    }

    /// So many frames at the front were sealed, which must go out as it is from now on.
    pub(super) fn replace_front(&mut self, count: usize, sealed: Bytes) {
        for frame in self.frames.drain(..count) {
            self.bytes -= cost(&frame);
        }
        self.pong = match (self.pong as usize).checked_sub(count) {
            None | Some(0) => 0,
            Some(behind) => u16::try_from(behind + 1).unwrap_or(0),
        };
        self.bytes += cost(&sealed);
        self.frames.push_front(sealed);
        self.partial = true;
    }

    /// Queues a pong. It takes the place of one that waits, as RFC 6455 §5.5.3 allows: so pings
    /// that are sent without end by a client that does not read cost nothing.
    pub(super) fn push_pong(&mut self, pong: &Bytes) -> Result<(), Overflow> {
        if self.pong > u16::from(self.partial) {
            let waiting = &mut self.frames[self.pong as usize - 1];
            self.bytes = self.bytes - waiting.len() + pong.len();
            *waiting = pong.clone();
        } else {
            self.push_one(pong.clone());
            self.pong = u16::try_from(self.frames.len()).unwrap_or(0);
        }
        self.check_size()
    }

    fn push_one(&mut self, frame: Bytes) {
        self.bytes += cost(&frame);
        self.frames.push_back(frame);
    }

    /// So much more is queued now, at the client's own wish.
    pub(super) fn make_room(&mut self, frames: &[Bytes]) {
        self.extra_bytes += frames.iter().map(cost).sum::<usize>();
    }

    fn check_size(&self) -> Result<(), Overflow> {
        if self.bytes > self.max_bytes + self.extra_bytes && self.state == State::Open {
            return Err(Overflow);
        }
        Ok(())
    }

    /// Queues what is sent last. With `discard`, nothing else is sent but the rest of a frame
    /// that was begun.
    pub(super) fn close(&mut self, last: &[Frame], discard: bool) {
        if discard {
            self.frames.truncate(usize::from(self.partial));
            self.frames.shrink_to_fit();
            self.bytes = self.frames.iter().map(cost).sum();
            self.pong = 0;
        }
        for frame in last {
            self.push_one(frame.bytes().clone());
        }
        self.state = State::Closing;
    }

    /// The socket is broken: nothing more can be sent.
    pub(super) fn fail(&mut self) {
        self.drop_all();
        self.state = State::Dead;
    }

    /// The client is away: nothing can be sent for now.
    pub(super) fn set_away(&mut self) {
        self.drop_all();
        self.state = State::Away;
    }

    fn drop_all(&mut self) {
        self.frames = VecDeque::new();
        self.bytes = 0;
        self.pong = 0;
        self.partial = false;
    }

    /// Bytes that the socket has taken of what waited since this was last asked.
    pub(super) fn take_progress(&mut self) -> usize {
        std::mem::take(&mut self.taken) as usize
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

    /// Takes whole frames from the front, each of which is shown to `wanted` first.
    pub(super) fn take_while(&mut self, mut wanted: impl FnMut(&Bytes) -> bool) {
        while let Some(front) = self.frames.front()
            && wanted(front)
        {
            self.bytes -= cost(front);
            self.frames.pop_front();
            self.pong = self.pong.saturating_sub(1);
        }
        self.let_go();
    }

    /// Idle connections hold no memory for what they once had to wait for.
    fn let_go(&mut self) {
        if self.frames.is_empty() {
            self.extra_bytes = 0;
            self.frames = VecDeque::new();
        }
    }

    /// The socket has taken so many bytes.
    pub(super) fn written(&mut self, mut count: usize) {
        self.bytes -= count;
        self.taken = self
            .taken
            .saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
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
            self.bytes -= OVERHEAD;
            self.pong = self.pong.saturating_sub(1);
            self.partial = false;
        }
        self.let_go();
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
            let rest = whole.len() - written;
            assert_eq!(outbox.bytes, rest + outbox.frames.len() * OVERHEAD);
            outbox.written(rest / 2);
            assert_eq!(content(&outbox), whole[written + rest / 2..]);
            outbox.written(rest - rest / 2);
            assert!(outbox.is_empty() && outbox.bytes == 0);
        }
    }

    #[test]
    fn only_what_the_socket_refused_counts() {
        let mut outbox = Outbox::new(10 + OVERHEAD);
        let large = frame(&"x".repeat(100));
        assert_eq!(outbox.push(&[large.bytes().clone()], 95), Ok(()));
        assert_eq!(outbox.push(&[large.bytes().clone()], 0), Err(Overflow));
    }

    #[test]
    fn small_frames_count_for_what_it_takes_to_keep_them() {
        let mut outbox = Outbox::new(10 * OVERHEAD);
        let empty = frame("");
        let kept = (0..20)
            .take_while(|_| outbox.push(&[empty.bytes().clone()], 0).is_ok())
            .count();
        assert_eq!(kept, 9);
        outbox.written(9 * empty.len());
        assert_eq!(outbox.bytes, cost(empty.bytes()));
    }

    #[test]
    fn frames_are_taken_whole_and_no_longer_count() {
        let mut outbox = Outbox::new(1000);
        let frames = ["one", "two", "three"].map(|text| frame(text).bytes().clone());
        outbox.push(&frames, 0).unwrap();
        let mut taken = Vec::new();
        outbox.take_while(|frame| {
            let wanted = taken.len() < 2;
            if wanted {
                taken.push(frame.clone());
            }
            wanted
        });
        assert_eq!(taken, frames[..2]);
        assert_eq!(content(&outbox), frames[2]);
        assert_eq!(outbox.bytes, cost(&frames[2]));
        outbox.take_while(|_| true);
        assert!(outbox.is_empty() && outbox.bytes == 0);
    }

    fn pong(payload: &str) -> Bytes {
        Frame::pong(payload.as_bytes()).bytes().clone()
    }

    #[test]
    fn only_the_newest_pong_waits() {
        let mut outbox = Outbox::new(1000);
        let first = frame("first").bytes().clone();
        outbox.push(std::slice::from_ref(&first), 0).unwrap();
        for payload in ["a", "longer", "b"] {
            outbox.push_pong(&pong(payload)).unwrap();
        }
        let last = frame("last").bytes().clone();
        outbox.push(std::slice::from_ref(&last), 0).unwrap();
        outbox.push_pong(&pong("c")).unwrap();
        let expected = [&first[..], &pong("c"), &last].concat();
        assert_eq!(content(&outbox), expected);
        assert_eq!(outbox.bytes, expected.len() + 3 * OVERHEAD);
        outbox.written(first.len() + pong("c").len());
        outbox.push_pong(&pong("d")).unwrap();
        assert_eq!(content(&outbox), [&last[..], &pong("d")].concat());
    }

    #[test]
    fn what_was_sealed_stands_for_the_frames_that_it_holds() {
        let mut outbox = Outbox::new(4000);
        let frames = ["one", "two"].map(|text| frame(text).bytes().clone());
        outbox.push(&frames, 0).unwrap();
        outbox.push_pong(&pong("a")).unwrap();
        assert_eq!(outbox.sealed(), None);
        outbox.replace_front(2, Bytes::from_static(b"sealed"));
        assert_eq!(outbox.sealed(), Some(&b"sealed"[..]));
        outbox.push_pong(&pong("b")).unwrap();
        assert_eq!(content(&outbox), [&b"sealed"[..], &pong("b")].concat());
        outbox.written(3);
        assert_eq!(outbox.sealed(), Some(&b"led"[..]));
        assert_eq!(outbox.bytes, 3 + pong("b").len() + 2 * OVERHEAD);
        outbox.written(3);
        assert_eq!(outbox.sealed(), None);
        outbox.replace_front(1, Bytes::from_static(b"pong"));
        outbox.push_pong(&pong("c")).unwrap();
        assert_eq!(content(&outbox), [&b"pong"[..], &pong("c")].concat());
        outbox.close(&[], true);
        assert_eq!(content(&outbox), b"pong");
    }

    #[test]
    fn a_pong_that_was_begun_is_finished() {
        let mut outbox = Outbox::new(1000);
        outbox.push(&[pong("begun")], 3).unwrap();
        outbox.push_pong(&pong("next")).unwrap();
        outbox.push_pong(&pong("newest")).unwrap();
        let expected = [&pong("begun")[3..], &pong("newest")].concat();
        assert_eq!(content(&outbox), expected);
        outbox.written(1);
        outbox.push_pong(&pong("x")).unwrap();
        assert_eq!(content(&outbox), [&pong("begun")[4..], &pong("x")].concat());
    }

    #[test]
    fn an_overflown_outbox_keeps_the_frame_that_was_begun() {
        let mut outbox = Outbox::new(2 * OVERHEAD);
        let begun = frame("begun");
        outbox.push(&[begun.bytes().clone()], 3).unwrap();
        let large = frame(&"x".repeat(OVERHEAD)).bytes().clone();
        assert_eq!(outbox.push(&[large], 0), Err(Overflow));
        let last = frame("last");
        outbox.close(std::slice::from_ref(&last), true);
        assert_eq!(
            content(&outbox),
            [&begun.bytes()[3..], last.bytes()].concat()
        );
        assert_eq!(outbox.state(), State::Closing);
    }
}
