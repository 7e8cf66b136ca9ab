//! Server-to-client WebSocket frames, encoded once and shared.

use bytes::Bytes;

/// The longest header of a server's frame: two bytes and a 64-bit length.
const MAX_HEADER: usize = 10;

const FIN: u8 = 0x80;
/// Of a message that is compressed (RFC 7692 §6).
const RSV1: u8 = 0x40;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xA;

/// The most a control frame may carry (RFC 6455 §5.5).
const MAX_CONTROL_PAYLOAD: usize = 125;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// A message.
    Text,
    /// The end.
    Close,
    /// A question whether anybody is there.
    Ping,
    /// The answer to one.
    Pong,
}

/// One whole, unmasked WebSocket frame. Cloning shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    /// A text frame whose payload `write` appends to the buffer it is given.
    pub fn text(capacity: usize, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        Self::build(TEXT, capacity, write)
    }

    /// A text frame whose message is compressed to this.
    pub(super) fn deflated(payload: &[u8]) -> Self {
        Self::build(RSV1 | TEXT, payload.len(), |out| {
            out.extend_from_slice(payload);
        })
    }

    /// A ping without payload.
    pub fn ping() -> Self {
        Self(Bytes::from_static(&[FIN | PING, 0]))
    }

    /// A ping whose answer carries the same payload.
    pub fn ping_with(payload: &[u8]) -> Self {
        debug_assert!(payload.len() <= MAX_CONTROL_PAYLOAD);
        Self::build(PING, payload.len(), |out| out.extend_from_slice(payload))
    }

    /// A pong with the ping's payload.
    pub fn pong(payload: &[u8]) -> Self {
        debug_assert!(payload.len() <= MAX_CONTROL_PAYLOAD);
        Self::build(PONG, payload.len(), |out| out.extend_from_slice(payload))
    }

    /// A close with code and reason; the reason is cut at the control frame's limit.
    pub fn close(code: u16, reason: &str) -> Self {
        let mut end = reason.len().min(MAX_CONTROL_PAYLOAD - 2);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        Self::build(CLOSE, 2 + end, |out| {
            out.extend_from_slice(&code.to_be_bytes());
            out.extend_from_slice(&reason.as_bytes()[..end]);
        })
    }

    /// A close without a code.
    pub fn close_empty() -> Self {
        Self::build(CLOSE, 0, |_| {})
    }

    /// The payload follows a gap that fits any header, so that the header can be written once
    /// the length is known and nothing is moved.
    fn build(opcode: u8, capacity: usize, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut bytes = Vec::with_capacity(MAX_HEADER + capacity);
        bytes.resize(MAX_HEADER, 0);
        write(&mut bytes);
        let length = bytes.len() - MAX_HEADER;
        let start = match length {
            0..=125 => {
                bytes[MAX_HEADER - 1] = length as u8;
                MAX_HEADER - 2
            }
            126..=0xffff => {
                bytes[MAX_HEADER - 3] = 126;
                bytes[MAX_HEADER - 2..MAX_HEADER].copy_from_slice(&(length as u16).to_be_bytes());
                MAX_HEADER - 4
            }
            _ => {
                bytes[1] = 127;
                bytes[2..MAX_HEADER].copy_from_slice(&(length as u64).to_be_bytes());
                0
            }
        };
        bytes[start] = FIN | opcode;
        Self(Bytes::from(bytes).slice(start..))
    }

    /// A frame again, of the bytes that [`Frame::bytes`] gave.
    pub(crate) fn of_bytes(bytes: Bytes) -> Self {
        debug_assert!(bytes.len() >= 2);
        Self(bytes)
    }

    /// What the frame is.
    pub fn kind(&self) -> FrameKind {
        match self.0[0] & 0x0f {
            CLOSE => FrameKind::Close,
            PING => FrameKind::Ping,
            PONG => FrameKind::Pong,
            _ => FrameKind::Text,
        }
    }

    /// The code and the reason of a close, if it has any.
    pub fn close_reason(&self) -> (Option<u16>, &str) {
        match self.payload() {
            [a, b, reason @ ..] => {
                let code = u16::from_be_bytes([*a, *b]);
                (Some(code), std::str::from_utf8(reason).unwrap_or_default())
            }
            _ => (None, ""),
        }
    }

    /// The frame as it goes onto the wire.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The frame's length on the wire.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The payload alone.
    pub fn payload(&self) -> &[u8] {
        let header = match self.0[1] {
            127 => 10,
            126 => 4,
            _ => 2,
        };
        &self.0[header..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_class_has_its_header() {
        for (length, header) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let payload = vec![b'x'; length];
            let frame = Frame::text(length, |out| out.extend_from_slice(&payload));
            assert_eq!(frame.len(), length + header);
            assert_eq!(frame.bytes()[0], 0x81);
            assert_eq!(frame.payload(), payload);
        }
    }

    #[test]
    fn long_close_reasons_are_cut_at_a_character() {
        let frame = Frame::close(4009, &"ü".repeat(100));
        assert!(frame.payload().len() <= 125);
        assert!(std::str::from_utf8(&frame.payload()[2..]).is_ok());
        assert_eq!(&frame.payload()[..2], 4009u16.to_be_bytes());
    }
}
