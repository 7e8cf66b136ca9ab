//! The parts of RFC 6455 that both ends here need: the key check and frame coding.

use base64::Engine;
use sha1::{Digest, Sha1};

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// A frame at the start of a buffer; `size` is how much of the buffer it takes.
pub(crate) struct Frame {
    pub(crate) fin: bool,
    pub(crate) is_deflated: bool,
    pub(crate) opcode: u8,
    pub(crate) mask: Option<[u8; 4]>,
    pub(crate) payload_at: usize,
    pub(crate) size: usize,
}

/// Set on a message that is compressed.
const RSV1: u8 = 0x40;

/// Reads the frame at the start of `buf`; None while it is incomplete.
pub(crate) fn parse(buf: &[u8]) -> Result<Option<Frame>, &'static str> {
    parse_extended(buf, false)
}

/// The same where messages may be compressed, if they may.
pub(crate) fn parse_extended(buf: &[u8], compressed: bool) -> Result<Option<Frame>, &'static str> {
    let &[first, second, ..] = buf else {
        return Ok(None);
    };
    let allowed = if compressed { RSV1 } else { 0 };
    if first & 0x70 & !allowed != 0 {
        return Err("reserved bits set without a negotiated extension");
    }
    let masked = second & 0x80 != 0;
    let (length, mut at) = match second & 0x7f {
        126 => match buf[2..].first_chunk() {
            Some(bytes) => (u64::from(u16::from_be_bytes(*bytes)), 4),
            None => return Ok(None),
        },
        127 => match buf[2..].first_chunk() {
            Some(bytes) => (u64::from_be_bytes(*bytes), 10),
            None => return Ok(None),
        },
        short => (short as u64, 2),
    };
    if length > 64 << 20 {
        return Err("frame longer than 64 MiB");
    }
    let mask = if masked {
        let Some(bytes) = buf[at..].first_chunk() else {
            return Ok(None);
        };
        at += 4;
        Some(*bytes)
    } else {
        None
    };
    let size = at + length as usize;
    if buf.len() < size {
        return Ok(None);
    }
    Ok(Some(Frame {
        fin: first & 0x80 != 0,
        is_deflated: first & RSV1 != 0,
        opcode: first & 0x0f,
        mask,
        payload_at: at,
        size,
    }))
}

/// Appends a whole (unfragmented) frame, masked as a client must, or bare as a server must.
pub(crate) fn encode(opcode: u8, payload: &[u8], mask: Option<[u8; 4]>, out: &mut Vec<u8>) {
    let mask_bit = if mask.is_some() { 0x80 } else { 0 };
    out.push(0x80 | opcode);
    match payload.len() {
        length @ 0..=125 => out.push(mask_bit | length as u8),
        length @ 126..=65535 => {
            out.push(mask_bit | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(mask_bit | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    if let Some(mask) = mask {
        out.extend_from_slice(&mask);
        let start = out.len();
        out.extend_from_slice(payload);
        apply_mask(&mut out[start..], mask);
    } else {
        out.extend_from_slice(payload);
    }
}

pub(crate) fn apply_mask(bytes: &mut [u8], mask: [u8; 4]) {
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte ^= mask[index & 3];
    }
}

/// The Sec-WebSocket-Accept value that answers `key`.
pub(crate) fn accept_for(key: &str) -> String {
    let mut sha = Sha1::new();
    sha.update(key.as_bytes());
    sha.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64::engine::general_purpose::STANDARD.encode(sha.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_matches_the_rfc_example() {
        assert_eq!(
            accept_for("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn frames_survive_coding_at_every_length_class() {
        for length in [0, 1, 125, 126, 65535, 65536] {
            for mask in [None, Some([1, 2, 3, 4])] {
                let payload: Vec<u8> = (0..length).map(|i| i as u8).collect();
                let mut wire = Vec::new();
                encode(TEXT, &payload, mask, &mut wire);
                assert!(parse(&wire[..wire.len() - 1]).unwrap().is_none());
                wire.extend_from_slice(b"next");
                let frame = parse(&wire).unwrap().unwrap();
                assert_eq!((frame.fin, frame.opcode, frame.mask), (true, TEXT, mask));
                assert_eq!(frame.size, wire.len() - 4);
                let mut got = wire[frame.payload_at..frame.size].to_vec();
                if let Some(mask) = frame.mask {
                    apply_mask(&mut got, mask);
                }
                assert_eq!(got, payload);
            }
        }
    }
}
