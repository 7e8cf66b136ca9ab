//! WebSocket frames (RFC 6455 §5), with every bit open to misuse.

use crate::deflate::deflate;

/// The four bits that name what a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opcode(pub u8);

impl Opcode {
    /// Next part of a fragmented message.
    pub const CONTINUATION: Opcode = Opcode(0x0);
    /// Text message, or its first part.
    pub const TEXT: Opcode = Opcode(0x1);
    /// Binary message, or its first part.
    pub const BINARY: Opcode = Opcode(0x2);
    /// Close.
    pub const CLOSE: Opcode = Opcode(0x8);
    /// Ping.
    pub const PING: Opcode = Opcode(0x9);
    /// Pong.
    pub const PONG: Opcode = Opcode(0xA);
}

/// One frame. As built it is what a client may send; the setters make it wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Last (or only) part of its message.
    pub fin: bool,
    /// The three reserved bits, in the low bits: `0b100` is RSV1.
    pub rsv: u8,
    /// What it is.
    pub opcode: Opcode,
    /// The masking key; `None` is an unmasked frame, which only servers may send.
    pub mask: Option<[u8; 4]>,
    /// The payload, unmasked.
    pub payload: Vec<u8>,
    /// The length to announce instead of the payload's own.
    pub announced_length: Option<u64>,
}

impl Frame {
    /// The reserved bit of a message that is compressed.
    pub const RSV1: u8 = 0b100;

    /// A final, masked frame.
    pub fn new(opcode: Opcode, payload: impl Into<Vec<u8>>) -> Frame {
        Frame {
            fin: true,
            rsv: 0,
            opcode,
            mask: Some([0x12, 0x34, 0x56, 0x78]),
            payload: payload.into(),
            announced_length: None,
        }
    }

    /// A text frame.
    pub fn text(text: &str) -> Frame {
        Frame::new(Opcode::TEXT, text)
    }

    /// A text frame with its message compressed.
    pub fn deflated(text: &str) -> Frame {
        Frame::new(Opcode::TEXT, deflate(text.as_bytes())).with_rsv(Frame::RSV1)
    }

    /// A close frame with code and reason.
    pub fn close(code: u16, reason: &str) -> Frame {
        let mut payload = code.to_be_bytes().to_vec();
        payload.extend_from_slice(reason.as_bytes());
        Frame::new(Opcode::CLOSE, payload)
    }

    /// The same frame, not final.
    pub fn unfinished(mut self) -> Frame {
        self.fin = false;
        self
    }

    /// The same frame without a mask.
    pub fn unmasked(mut self) -> Frame {
        self.mask = None;
        self
    }

    /// The same frame with these reserved bits.
    pub fn with_rsv(mut self, rsv: u8) -> Frame {
        self.rsv = rsv;
        self
    }

    /// The same frame announcing another length than its payload's.
    pub fn announcing(mut self, length: u64) -> Frame {
        self.announced_length = Some(length);
        self
    }

    /// A text message split into frames of at most `size` bytes.
    ///
    /// # Panics
    /// When `size` is 0.
    pub fn fragments(text: &str, size: usize) -> Vec<Frame> {
        let parts: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        let last = parts.len().saturating_sub(1);
        parts
            .iter()
            .enumerate()
            .map(|(position, part)| {
                let opcode = if position == 0 {
                    Opcode::TEXT
                } else {
                    Opcode::CONTINUATION
                };
                let mut frame = Frame::new(opcode, *part);
                frame.fin = position == last;
                frame
            })
            .collect()
    }

    /// The frame as it goes over the wire.
    pub fn encode(&self) -> Vec<u8> {
        let length = self.announced_length.unwrap_or(self.payload.len() as u64);
        let mask_bit = if self.mask.is_some() { 0x80 } else { 0 };
        let mut bytes = Vec::with_capacity(self.payload.len() + 14);
        bytes.push((u8::from(self.fin) << 7) | (self.rsv << 4) | self.opcode.0);
        if length < 126 {
            bytes.push(mask_bit | length as u8);
        } else if length <= u64::from(u16::MAX) {
            bytes.push(mask_bit | 126);
            bytes.extend_from_slice(&(length as u16).to_be_bytes());
        } else {
            bytes.push(mask_bit | 127);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
        match self.mask {
            None => bytes.extend_from_slice(&self.payload),
            Some(mask) => {
                bytes.extend_from_slice(&mask);
                let masked = self.payload.iter().zip(mask.iter().cycle());
                bytes.extend(masked.map(|(byte, key)| byte ^ key));
            }
        }
        bytes
    }

    /// The first frame in `bytes` and how many of them it takes; `None` while it is incomplete.
    pub fn decode(bytes: &[u8]) -> Option<(Frame, usize)> {
        let (&[first, second], mut rest) = bytes.split_first_chunk()?;
        let length = match second & 0x7F {
            126 => {
                let (length, after) = rest.split_first_chunk()?;
                rest = after;
                usize::from(u16::from_be_bytes(*length))
            }
            127 => {
                let (length, after) = rest.split_first_chunk()?;
                rest = after;
                usize::try_from(u64::from_be_bytes(*length)).expect("usize has 64 bits")
            }
            short => usize::from(short),
        };
        let mask = if second & 0x80 == 0 {
            None
        } else {
            let (mask, after) = rest.split_first_chunk()?;
            rest = after;
            Some(*mask)
        };
        let mut payload = rest.get(..length)?.to_vec();
        if let Some(mask) = mask {
            for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
                *byte ^= key;
            }
        }
        let frame = Frame {
            fin: first & 0x80 != 0,
            rsv: (first >> 4) & 0b111,
            opcode: Opcode(first & 0x0F),
            mask,
            payload,
            announced_length: None,
        };
        Some((frame, bytes.len() - rest.len() + length))
    }

    /// The payload of a text frame, which a server must send as UTF-8.
    pub fn as_text(&self) -> &str {
        std::str::from_utf8(&self.payload)
            .unwrap_or_else(|error| panic!("the server sent a text frame with bad UTF-8: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masked_text_of_the_rfc() {
        let mut frame = Frame::text("Hello");
        frame.mask = Some([0x37, 0xfa, 0x21, 0x3d]);
        let bytes = [
            0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58,
        ];
        assert_eq!(frame.encode(), bytes);
        assert_eq!(Frame::decode(&bytes), Some((frame, bytes.len())));
    }

    #[test]
    fn fragmented_unmasked_text_of_the_rfc() {
        let frames: Vec<Vec<u8>> = Frame::fragments("Hello", 3)
            .into_iter()
            .map(|frame| frame.unmasked().encode())
            .collect();
        assert_eq!(frames[0], [0x01, 0x03, 0x48, 0x65, 0x6c]);
        assert_eq!(frames[1], [0x80, 0x02, 0x6c, 0x6f]);
    }

    #[test]
    fn every_length_form_survives_and_no_prefix_is_taken_for_a_frame() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let frame = Frame::new(Opcode::BINARY, vec![7; length]);
            let bytes = frame.encode();
            assert_eq!(
                Frame::decode(&bytes),
                Some((frame, bytes.len())),
                "{length}"
            );
            for cut in (0..bytes.len()).step_by(997).chain([bytes.len() - 1]) {
                assert_eq!(Frame::decode(&bytes[..cut]), None, "{length} cut to {cut}");
            }
        }
    }

    #[test]
    fn bits_are_where_they_belong() {
        let frame = Frame::new(Opcode(0xB), *b"x").with_rsv(0b010).unfinished();
        assert_eq!(frame.encode()[0], 0b0010_1011);
        assert_eq!(Frame::text("x").announcing(1 << 40).encode()[1], 0x80 | 127);
    }
}
