//! What a connection receives, whole and in pieces.

use bytes::BytesMut;

use super::discard::{Discard, Discarded};
use super::frames::{Extension, Frames, Received};
use super::{extensions, inflate};
use crate::protocol::{Compression, Deflater, Frame};

const LARGEST: usize = 300;
/// The longest payload of a control frame.
const CONTROL: usize = 125;

/// Decodes the input, but for its first byte, whole and in pieces of as many bytes as that says.
///
/// # Panics
/// When the two differ, or what was decoded is larger than it may be: that is a finding.
pub fn frames(input: &[u8]) {
    let Some((&size, bytes)) = input.split_first() else {
        return;
    };
    let size = usize::from(size).max(1);
    let whole = bytes.len().max(1);
    for extension in [Extension::None, Extension::Deflate] {
        let in_pieces = decoded(bytes, size, extension);
        assert_eq!(in_pieces, decoded(bytes, whole, extension));
    }
    assert_eq!(discarded(bytes, size), discarded(bytes, bytes.len().max(1)));
}

/// What was received, and whether an error ended it. Which one may differ where a frame is wrong in
/// several ways.
fn decoded(bytes: &[u8], size: usize, extension: Extension) -> (Vec<Received>, bool) {
    let mut frames = Frames::new(LARGEST, extension);
    let (mut buffer, mut received) = (BytesMut::new(), Vec::new());
    for piece in bytes.chunks(size) {
        buffer.extend_from_slice(piece);
        loop {
            match frames.next(&mut buffer) {
                Ok(Some(item)) => {
                    check(&item);
                    received.push(item);
                }
                Ok(None) => break,
                Err(_) => return (received, true),
            }
        }
    }
    (received, false)
}

fn check(received: &Received) {
    match received {
        Received::Text(text) => assert!(text.len() <= LARGEST),
        Received::Ping(payload) | Received::Pong(payload) => assert!(payload.len() <= CONTROL),
        Received::Deflated(message) => {
            assert!(message.len() <= LARGEST * 2);
            inflated(message);
        }
        Received::Fragment | Received::Close(_) => {}
    }
}

/// Inflates the input as a message.
///
/// # Panics
/// When what it is inflated to is larger than it may be, or does not become the same when it is compressed and inflated again:
/// that is a finding.
pub fn inflated(message: &[u8]) {
    let Ok(text) = inflate::inflate(message, LARGEST) else {
        return;
    };
    assert!(text.len() <= LARGEST);
    let frame = Frame::text(text.len(), |out| out.extend_from_slice(&text));
    let mut deflater = Deflater::new(Compression::default());
    if let Some(deflated) = deflater.deflate(&frame) {
        assert_eq!(inflate::inflate(deflated.payload(), LARGEST), Ok(text));
    }
}

/// Negotiates what the input offers, each of its lines a header.
///
/// # Panics
/// When the answer is no offer that could be accepted: that is a finding.
pub fn extensions(input: &[u8]) {
    let lines = input.split(|byte| *byte == b'\n');
    if let Ok(Some(deflate)) = extensions::negotiate(lines) {
        let answer = deflate.answer();
        assert!(answer.is_ascii());
        assert!(
            extensions::negotiate([answer.as_bytes()].into_iter()).is_ok_and(|it| it.is_some())
        );
    }
}

fn discarded(bytes: &[u8], size: usize) -> Discarded {
    let mut discard = Discard::new();
    let taken = bytes.chunks(size).map(|piece| discard.take(piece));
    let mut last = taken.skip_while(|discarded| *discarded == Discarded::Nothing);
    last.next().unwrap_or(Discarded::Nothing)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    /// The beginning of a frame that is nearly right, with any length and payload.
    fn frame() -> impl Strategy<Value = Vec<u8>> {
        let first = prop::sample::select(vec![
            0xc1_u8, 0x41, 0x81, 0x01, 0x00, 0x80, 0x89, 0x8a, 0x88, 0x82,
        ]);
        let payload = prop::collection::vec(any::<u8>(), 0..200);
        (first, 0..4_u8, payload).prop_map(|(first, form, payload)| {
            let length = payload.len();
            let mut bytes = vec![first];
            match form {
                0 => bytes.push(0x80 | (length as u8 & 0x7f)),
                1 => {
                    bytes.push(0x80 | 126);
                    bytes.extend((length as u16).to_be_bytes());
                }
                2 => {
                    bytes.push(0x80 | 127);
                    bytes.extend((length as u64).to_be_bytes());
                }
                _ => bytes.push(length as u8 & 0x7f),
            }
            bytes.extend([1, 2, 3, 4]);
            bytes.extend(payload);
            bytes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn pieces_and_the_whole_are_decoded_alike(
            size in 1..60_u8,
            parts in prop::collection::vec(frame(), 1..6),
        ) {
            super::frames(&[vec![size], parts.concat()].concat());
        }

        #[test]
        fn no_bytes_are_decoded_otherwise_in_pieces(
            input in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            super::frames(&input);
        }
    }
}
