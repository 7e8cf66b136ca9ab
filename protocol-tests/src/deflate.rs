//! Compression of WebSocket messages (permessage-deflate, RFC 7692), each by itself.

use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, compress, create_comp_flags_from_zip_params,
};
use miniz_oxide::inflate::stream::{InflateState, inflate as inflate_some};
use miniz_oxide::{DataFormat, MZFlush};

/// What every message ends with, which is not sent.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// The longest message that a test inflates.
const MOST: usize = 4 << 20;

/// What a client offers in `Sec-WebSocket-Extensions`, as browsers do.
pub const OFFER: &str = "permessage-deflate; client_max_window_bits";

/// Compresses a message.
pub fn deflate(message: &[u8]) -> Vec<u8> {
    // Raw, at level 6.
    let flags = create_comp_flags_from_zip_params(6, -15, 0);
    let mut compressor = CompressorOxide::new(flags);
    let mut deflated = vec![0; message.len() + message.len() / 8 + 128];
    let (_, taken, length) = compress(&mut compressor, message, &mut deflated, TDEFLFlush::Sync);
    assert_eq!(taken, message.len(), "there is room for all of it");
    deflated.truncate(length);
    assert!(deflated.ends_with(&TAIL), "{deflated:x?}");
    deflated.truncate(length - TAIL.len());
    deflated
}

/// Inflates a message.
///
/// # Panics
/// When it is none, or one that refers to what came before it.
pub fn inflate(message: &[u8]) -> Vec<u8> {
    let mut state = InflateState::new_boxed(DataFormat::Raw);
    let mut inflated = Vec::new();
    let whole = [message, &TAIL].concat();
    let mut rest = &whole[..];
    let mut room = vec![0; 64 << 10];
    loop {
        let done = inflate_some(&mut state, rest, &mut room, MZFlush::Sync);
        rest = &rest[done.bytes_consumed..];
        inflated.extend_from_slice(&room[..done.bytes_written]);
        assert!(
            inflated.len() <= MOST,
            "a message of more than {MOST} bytes"
        );
        if rest.is_empty() && done.bytes_written < room.len() {
            return inflated;
        }
        if let Err(error) = done.status {
            panic!("the server sent what cannot be inflated: {error:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_of_the_rfc() {
        let cases: [&[u8]; 3] = [
            &[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00],
            &[
                0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00,
            ],
            &[
                0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00,
            ],
        ];
        for message in cases {
            assert_eq!(inflate(message), b"Hello");
        }
    }

    #[test]
    fn messages_survive() {
        for length in [0, 1, 1000, 100_000] {
            let message: Vec<u8> = (0..length).map(|i: u64| (i * i % 91) as u8).collect();
            assert_eq!(inflate(&deflate(&message)), message);
        }
    }
}
