//! Frames that are compressed as permessage-deflate says (RFC 7692).
//!
//! Each message is compressed by itself (`server_no_context_takeover`), so that what it becomes depends on nothing
//! that a connection was sent before: it is compressed once, and goes to every subscriber that can read it.

use std::num::NonZeroU8;

use flate2::{Compress, FlushCompress, Status};

use super::{Frame, FrameKind};

/// What every message compressed ends with, which is not sent (RFC 7692 §7.2.1).
pub const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// How messages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// Bytes of a message from which on it is compressed. 512.
    pub min_bytes: usize,
    /// From 1, the fastest, to 9, the smallest. 6.
    pub level: u8,
}

impl Default for Compression {
    fn default() -> Self {
        Self {
            min_bytes: 512,
            level: 6,
        }
    }
}

/// How far back a receiver can look in what it has inflated of a message: 2 to the power of 8 to 15 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window(NonZeroU8);

impl Window {
    /// The largest there is.
    pub const LARGEST: Self = Self(NonZeroU8::new(15).expect("it is not 0"));

    /// The window of so many bits, if there is one.
    pub fn of_bits(bits: u8) -> Option<Self> {
        let bits = NonZeroU8::new(bits)?;
        (8..=15).contains(&bits.get()).then_some(Self(bits))
    }

    /// Its bits.
    pub fn bits(self) -> u8 {
        self.0.get()
    }

    /// Whether no reference in a message of so many bytes can reach beyond it, however that was compressed.
    pub fn holds(self, message: usize) -> bool {
        self == Self::LARGEST || message <= 1 << self.0.get()
    }
}

/// Compresses messages, one after the other. It takes its memory, some 300 KB, when it is first used.
pub struct Deflater {
    settings: Compression,
    compress: Option<Compress>,
    scratch: Vec<u8>,
}

impl Deflater {
    /// Memory that is kept from one message to the next.
    const KEPT: usize = 64 << 10;

    /// Compresses so.
    pub fn new(settings: Compression) -> Self {
        Self {
            settings,
            compress: None,
            scratch: Vec::new(),
        }
    }

    /// Whether this frame is long enough for being compressed.
    pub fn wants(&self, frame: &Frame) -> bool {
        frame.kind() == FrameKind::Text && frame.payload().len() >= self.settings.min_bytes
    }

    /// The frame with its message compressed; None if that makes it no smaller.
    pub fn deflate(&mut self, frame: &Frame) -> Option<Frame> {
        let message = frame.payload();
        let level = flate2::Compression::new(self.settings.level.into());
        let compress = self
            .compress
            .get_or_insert_with(|| Compress::new(level, false));
        compress.reset();
        self.scratch.clear();
        // With less room than that, it has not become smaller.
        self.scratch.reserve_exact(message.len() + TAIL.len());
        let status = compress.compress_vec(message, &mut self.scratch, FlushCompress::Sync);
        let is_whole = matches!(status, Ok(Status::Ok))
            && compress.total_in() == message.len() as u64
            && self.scratch.len() < self.scratch.capacity();
        let deflated = self.scratch.strip_suffix(&TAIL);
        let smaller = deflated.filter(|deflated| is_whole && deflated.len() < message.len());
        let frame = smaller.map(Frame::deflated);
        if self.scratch.capacity() > Self::KEPT {
            self.scratch = Vec::new();
        }
        frame
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Decompress, FlushDecompress};
    use proptest::prelude::*;

    use super::*;

    fn frame(message: &[u8]) -> Frame {
        Frame::text(message.len(), |out| out.extend_from_slice(message))
    }

    /// Inflates a message with a window of so many bits.
    fn inflate(frame: &Frame, bits: u8) -> Vec<u8> {
        let mut decompress = Decompress::new_with_window_bits(false, bits);
        let mut message = Vec::with_capacity(1 << 20);
        for input in [frame.payload(), &TAIL] {
            decompress
                .decompress_vec(input, &mut message, FlushDecompress::Sync)
                .unwrap();
        }
        message
    }

    fn deflater(level: u8) -> Deflater {
        Deflater::new(Compression {
            level,
            ..Compression::default()
        })
    }

    fn words(bytes: usize) -> Vec<u8> {
        let words =
            (0..).flat_map(|number: u64| format!("{}-", number * number % 9973).into_bytes());
        words.take(bytes).collect()
    }

    #[test]
    fn messages_survive_and_none_depends_on_another() {
        for level in 1..=9 {
            let mut deflater = deflater(level);
            for length in [0, 1, 300, 2000, 100_000, 300, 200_000] {
                let message = words(length);
                let Some(deflated) = deflater.deflate(&frame(&message)) else {
                    assert!(length <= 1);
                    continue;
                };
                assert_eq!(deflated.bytes()[0], 0xc1);
                assert!(deflated.payload().len() < length);
                assert_eq!(inflate(&deflated, 15), message);
                assert!(deflater.scratch.capacity() <= Deflater::KEPT);
            }
        }
    }

    #[test]
    fn a_message_can_be_inflated_with_any_window_that_holds_it() {
        let mut deflater = deflater(9);
        for bits in 9..=15 {
            let window = Window::of_bits(bits).unwrap();
            let most = 1 << bits;
            assert!(window.holds(most) && (window.holds(most + 1) == (bits == 15)));
            // What is at its beginning is again at its end.
            let mut message = words(200);
            message.extend((0..most - 400).map(|i| (i * 7919 % 251) as u8 | 0x80));
            message.extend(words(200));
            let deflated = deflater.deflate(&frame(&message));
            if let Some(deflated) = deflated {
                assert_eq!(inflate(&deflated, bits), message);
            }
        }
    }

    #[test]
    fn what_does_not_become_smaller_stays_as_it_is() {
        let mut state = 1_u64;
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 33) as u8
        })
        .take(5000)
        .collect();
        assert_eq!(deflater(6).deflate(&frame(&noise)), None);
    }

    #[test]
    fn short_messages_and_control_frames_are_not_compressed() {
        let deflater = deflater(1);
        assert!(!deflater.wants(&frame(&words(511))) && deflater.wants(&frame(&words(512))));
        assert!(!deflater.wants(&Frame::ping()));
    }

    #[test]
    fn there_are_eight_windows() {
        let windows = (0..=u8::MAX).filter_map(Window::of_bits);
        assert_eq!(
            windows.map(Window::bits).collect::<Vec<_>>(),
            [8, 9, 10, 11, 12, 13, 14, 15]
        );
    }

    proptest! {
        #[test]
        fn any_message_survives(message in prop::collection::vec(0..4_u8, 0..3000), level in 1..=9_u8) {
            let deflated = deflater(level).deflate(&frame(&message));
            if let Some(deflated) = deflated {
                prop_assert_eq!(inflate(&deflated, 15), message);
            }
        }
    }
}
