//! Messages that arrive compressed.
//!
//! Clients compress each message by itself (`client_no_context_takeover`), so that nothing has to be kept of one for
//! the next: each thread has one inflater for all of its connections.

use std::cell::RefCell;

use flate2::{Decompress, FlushDecompress, Status};

use crate::metrics::InflateRefusal;
use crate::protocol::deflate::TAIL;

/// Bytes by which the room for a message grows at least.
const CHUNK: usize = 1 << 10;

/// How often the stream of a message may end and begin anew (RFC 7692 §7.2.3.4): more often than anybody has a use
/// for, and not so often that beginning anew costs more than inflating.
const MOST_STREAMS: usize = 64;

thread_local! {
    /// Made when a client first compresses something.
    static INFLATER: RefCell<Option<Decompress>> = const { RefCell::new(None) };
}

/// Inflates a message, which may become at most so many bytes; one that would become more is given up as soon as it
/// does.
pub(super) fn inflate(message: &[u8], most: usize) -> Result<Vec<u8>, InflateRefusal> {
    INFLATER.with_borrow_mut(|inflater| {
        let inflater = inflater.get_or_insert_with(|| Decompress::new(false));
        inflater.reset(false);
        let room = message.len().saturating_mul(3).max(CHUNK);
        let mut inflating = Inflating {
            inflater,
            text: Vec::with_capacity(room.min(most + 1)),
            most,
            streams: 0,
        };
        inflating.add(message)?;
        inflating.add(&TAIL)?;
        Ok(inflating.text)
    })
}

struct Inflating<'i> {
    inflater: &'i mut Decompress,
    text: Vec<u8>,
    most: usize,
    /// Streams that have ended.
    streams: usize,
}

impl Inflating<'_> {
    fn add(&mut self, mut input: &[u8]) -> Result<(), InflateRefusal> {
        loop {
            if self.text.len() == self.text.capacity() {
                let more = self.text.len().max(CHUNK);
                // One byte more than there may be, which shows that there would be.
                let left = self.most + 1 - self.text.len();
                self.text.reserve_exact(more.min(left));
            }
            let before = self.inflater.total_in();
            let status = self
                .inflater
                .decompress_vec(input, &mut self.text, FlushDecompress::Sync)
                .map_err(|_| InflateRefusal::Invalid)?;
            let taken = self.inflater.total_in() - before;
            input = &input[taken as usize..];
            if self.text.len() > self.most {
                return Err(InflateRefusal::TooLarge);
            }
            match status {
                Status::StreamEnd => {
                    self.streams += 1;
                    if self.streams > MOST_STREAMS {
                        return Err(InflateRefusal::Invalid);
                    }
                    self.inflater.reset(false);
                    if input.is_empty() {
                        return Ok(());
                    }
                }
                // With room left, all of the input has been taken.
                Status::Ok | Status::BufError if self.text.len() < self.text.capacity() => {
                    return Ok(());
                }
                Status::Ok | Status::BufError => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, FlushCompress};
    use proptest::prelude::*;

    use super::*;

    fn deflate(text: &[u8]) -> Vec<u8> {
        let mut compress = Compress::new(flate2::Compression::new(6), false);
        let mut message = Vec::with_capacity(text.len() + 1000);
        compress
            .compress_vec(text, &mut message, FlushCompress::Sync)
            .unwrap();
        message.truncate(message.len() - TAIL.len());
        message
    }

    /// The examples of RFC 7692 §7.2.3.
    #[test]
    fn the_examples_of_the_rfc_are_inflated() {
        let cases: [&[u8]; 4] = [
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
            // Not compressed at all.
            &[
                0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
            ],
            // With a block that is marked as the last one.
            &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00],
            // In two blocks.
            &[
                0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
            ],
        ];
        for message in cases {
            assert_eq!(inflate(message, 5), Ok(b"Hello".to_vec()), "{message:x?}");
            assert_eq!(inflate(message, 4), Err(InflateRefusal::TooLarge));
        }
        assert_eq!(inflate(&[0x00], 5), Ok(Vec::new()));
    }

    #[test]
    fn streams_may_follow_one_another_but_not_without_end() {
        let hello = [0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
        assert_eq!(inflate(&hello.repeat(3), 100), Ok(b"Hello".repeat(3)));
        let empty = [0x03, 0x00];
        assert_eq!(inflate(&empty.repeat(MOST_STREAMS), 100), Ok(Vec::new()));
        let more = empty.repeat(MOST_STREAMS + 1);
        assert_eq!(inflate(&more, 100), Err(InflateRefusal::Invalid));
    }

    #[test]
    fn a_bomb_takes_no_more_memory_than_a_message_may() {
        let bomb = deflate(&vec![b'x'; 100 << 20]);
        assert!(bomb.len() < 200_000);
        let mut inflater = Decompress::new(false);
        let mut inflating = Inflating {
            inflater: &mut inflater,
            text: Vec::new(),
            most: 60_000,
            streams: 0,
        };
        assert_eq!(inflating.add(&bomb), Err(InflateRefusal::TooLarge));
        assert!(inflating.text.capacity() <= 60_001);
        assert!(inflating.inflater.total_in() < 1000);
    }

    #[test]
    fn what_is_no_deflate_is_refused_and_harms_no_other_message() {
        for message in [&[0x07_u8][..], &[0x01, 0x05, 0x00, 0x00, 0x00]] {
            assert_eq!(inflate(message, 100), Err(InflateRefusal::Invalid));
            assert_eq!(inflate(&deflate(b"next"), 100), Ok(b"next".to_vec()));
        }
    }

    proptest! {
        #[test]
        fn any_message_survives(text in prop::collection::vec(0..5_u8, 0..5000)) {
            let message = deflate(&text);
            prop_assert_eq!(inflate(&message, text.len()), Ok(text.clone()));
            if !text.is_empty() {
                prop_assert_eq!(inflate(&message, text.len() - 1), Err(InflateRefusal::TooLarge));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(message in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(text) = inflate(&message, 1000) {
                prop_assert!(text.len() <= 1000);
            }
        }
    }
}
