//! What arrives, cut into messages.

use actix_http::ws::{self, Codec, Item, ProtocolError};
use bytes::{Bytes, BytesMut};
use tokio_util::codec::Decoder as _;

use crate::protocol::CloseCode;
use crate::session::CloseReason;

/// One thing that a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Received {
    /// A whole text message, not yet known to be UTF-8.
    Text(Bytes),
    /// A ping, to be answered with the same payload.
    Ping(Bytes),
    /// A pong, with the payload of the ping that it answers, or any.
    Pong(Bytes),
    /// A whole message as it was compressed.
    Deflated(Bytes),
    /// A part of a message, of which more is to come.
    Fragment,
    /// The client closes, with this code.
    Close(Option<u16>),
}

/// Cuts a connection's bytes into messages and joins fragments.
#[derive(Debug)]
pub(super) struct Frames {
    codec: Codec,
    /// (Nobody means more than 4 GiB by a message.)
    max_message: u32,
    extension: Extension,
    /// A message whose last fragment has not come.
    fragments: Option<Box<BytesMut>>,
    /// Whether that, or the last one before, is compressed.
    is_deflated: bool,
}

/// Whether messages may be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extension {
    /// Some may be.
    Deflate,
    /// None may be.
    None,
}

/// Set on the first frame of a message that is compressed (RFC 7692 §6).
const RSV1: u8 = 0x40;

impl Frames {
    /// For messages of at most so many bytes.
    pub(super) fn new(max_message: usize, extension: Extension) -> Self {
        Self {
            // No frame comes to it whose header was not judged.
            codec: Codec::new().max_size(usize::MAX),
            max_message: u32::try_from(max_message).unwrap_or(u32::MAX),
            extension,
            fragments: None,
            is_deflated: false,
        }
    }

    /// Messages may have so many bytes from now on, one that has begun among them. What is whole is not judged again.
    pub(super) fn set_max_message(&mut self, max_message: usize) {
        self.max_message = u32::try_from(max_message).unwrap_or(u32::MAX);
    }

    /// Whether a message has begun and waits for fragments.
    pub(super) fn in_message(&self) -> bool {
        self.fragments.is_some()
    }

    /// The next thing in the buffer; None if it is not complete yet. An error ends the
    /// connection.
    pub(super) fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Received>, CloseReason> {
        if !self.check_header(buffer)? {
            return Ok(None);
        }
        // The codec knows of no extension.
        let is_marked = self.extension == Extension::Deflate && buffer[0] & RSV1 != 0;
        if is_marked {
            buffer[0] &= !RSV1;
        }
        let frame = match self.codec.decode(buffer) {
            Ok(Some(frame)) => frame,
            Ok(None) => {
                // It has taken nothing, and is asked again.
                if is_marked {
                    buffer[0] |= RSV1;
                }
                return Ok(None);
            }
            Err(error) => return Err(protocol_error(fault(&error))),
        };
        Ok(Some(match frame {
            ws::Frame::Text(text) if is_marked => Received::Deflated(text),
            ws::Frame::Text(text) => Received::Text(text),
            ws::Frame::Ping(payload) => Received::Ping(payload),
            ws::Frame::Pong(payload) => Received::Pong(payload),
            ws::Frame::Close(reason) => Received::Close(reason.map(|reason| reason.code.into())),
            ws::Frame::Binary(_) | ws::Frame::Continuation(Item::FirstBinary(_)) => {
                return Err(CloseReason::new(
                    CloseCode::Unsupported,
                    "binary messages are not part of the protocol: send text",
                ));
            }
            ws::Frame::Continuation(item) => {
                if let Item::FirstText(_) = item {
                    self.is_deflated = is_marked;
                }
                match self.join(item)? {
                    Some(message) if self.is_deflated => Received::Deflated(message),
                    Some(message) => Received::Text(message),
                    None => Received::Fragment,
                }
            }
        }))
    }

    /// Judges a frame by its first bytes, before it has arrived: what is not allowed, or will
    /// be too large, is not waited for. Returns whether there is anything to decode.
    fn check_header(&self, buffer: &[u8]) -> Result<bool, CloseReason> {
        let &[first, second, ..] = buffer else {
            return Ok(false);
        };
        let is_control = first & 0x08 != 0;
        let is_final = first & 0x80 != 0;
        let is_marked = first & RSV1 != 0;
        let is_first = first & 0x0f != 0;
        let (length, least) = match second & 0x7f {
            126 => match *buffer {
                [_, _, a, b, ..] => (u64::from(u16::from_be_bytes([a, b])), 126),
                _ => (126, 126),
            },
            127 => match buffer.get(2..10) {
                Some(bytes) => {
                    let length = bytes.try_into().expect("the slice is 8 bytes");
                    (u64::from_be_bytes(length), 0x1_0000)
                }
                None => (0x1_0000, 0x1_0000),
            },
            short => (u64::from(short), 0),
        };
        let at_least = length.max(least);
        if is_control && (at_least > 125 || !is_final) {
            return Err(protocol_error(
                "a control frame must be one frame of at most 125 bytes".into(),
            ));
        }
        if is_marked && (is_control || !is_first || self.extension == Extension::None) {
            return Err(protocol_error(
                "RSV1 may be set on the first frame of a message alone, once compression is agreed on"
                    .into(),
            ));
        }
        let so_far = self.fragments.as_ref().map_or(0, |message| message.len()) as u64;
        let is_deflated = is_marked || (self.is_deflated && !is_first);
        let max_message = self.max_message as usize;
        let most = if is_deflated {
            most_deflated(max_message)
        } else {
            max_message
        };
        if !is_control && so_far.saturating_add(at_least) > most as u64 {
            return Err(too_large(max_message));
        }
        // Judged last, so that a frame is judged alike however much of its header has come.
        if length < least {
            return Err(protocol_error(
                "a frame's length must take as few bytes as it can".into(),
            ));
        }
        Ok(true)
    }

    fn join(&mut self, item: Item) -> Result<Option<Bytes>, CloseReason> {
        match item {
            Item::FirstText(part) => {
                self.fragments = Some(Box::new(BytesMut::from(&part[..])));
                Ok(None)
            }
            Item::Continue(part) => {
                if let Some(message) = &mut self.fragments {
                    message.extend_from_slice(&part);
                }
                Ok(None)
            }
            Item::Last(part) => Ok(self.fragments.take().map(|mut message| {
                message.extend_from_slice(&part);
                message.freeze()
            })),
            Item::FirstBinary(_) => Err(protocol_error("unexpected fragment".into())),
        }
    }
}

/// What a message of so many bytes may have become by compression that has made it no smaller, as small windows and
/// frequent flushes can.
fn most_deflated(message: usize) -> usize {
    message.saturating_add(message / 4).saturating_add(64)
}

/// A message has more bytes than this.
pub(super) fn too_large(max_message: usize) -> CloseReason {
    CloseReason::new(
        CloseCode::TooLarge,
        format!("a message may have at most {max_message} bytes (message_bytes)"),
    )
}

/// What is wrong with a frame that the codec refuses.
fn fault(error: &ProtocolError) -> String {
    match error {
        // So it calls what is in close frames: it has another error for opcodes, and longer control frames do not come here.
        ProtocolError::BadOpCode | ProtocolError::InvalidLength(_) => {
            "a close frame is empty, or has a code of 1000-1003, 1007-1014 or 3000-4999 and a reason in UTF-8"
                .into()
        }
        error => error.to_string(),
    }
}

fn protocol_error(text: String) -> CloseReason {
    CloseReason::new(CloseCode::ProtocolError, text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MASK: [u8; 4] = [1, 2, 3, 4];

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            length @ 0..=125 => bytes.push(0x80 | length as u8),
            length => {
                bytes.push(0x80 | 126);
                bytes.extend_from_slice(&(length as u16).to_be_bytes());
            }
        }
        bytes.extend_from_slice(&MASK);
        bytes.extend(
            payload
                .iter()
                .enumerate()
                .map(|(i, byte)| byte ^ MASK[i % 4]),
        );
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<Received>, CloseReason> {
        read_with(Extension::None, bytes)
    }

    fn read_with(extension: Extension, bytes: &[u8]) -> Result<Vec<Received>, CloseReason> {
        let mut frames = Frames::new(200, extension);
        let mut buffer = BytesMut::from(bytes);
        let mut received = Vec::new();
        while let Some(item) = frames.next(&mut buffer)? {
            if item != Received::Fragment {
                received.push(item);
            }
        }
        Ok(received)
    }

    fn code(bytes: &[u8]) -> Option<CloseCode> {
        read(bytes).err().map(|reason| reason.code)
    }

    #[test]
    fn fragments_become_one_message_with_control_frames_between() {
        let bytes = [
            frame(0x01, b"one "),
            frame(0x89, b"ping"),
            frame(0x00, b"two "),
            frame(0x80, b"three"),
            frame(0x81, b"next"),
        ]
        .concat();
        assert_eq!(
            read(&bytes).unwrap(),
            [
                Received::Ping(Bytes::from_static(b"ping")),
                Received::Text(Bytes::from_static(b"one two three")),
                Received::Text(Bytes::from_static(b"next")),
            ]
        );
    }

    #[test]
    fn close_frames_that_are_not_allowed_are_named_as_such_and_opcodes_are_not() {
        let text = |bytes: &[u8]| read(bytes).unwrap_err().text;
        for payload in [
            &[3_u8][..],
            &[0, 0],
            &1005_u16.to_be_bytes(),
            b"\x03\xe8\xff\xfe",
        ] {
            let text = text(&frame(0x88, payload));
            assert!(text.starts_with("a close frame is"), "{text}");
        }
        for code in (1000..=1003).chain(1007..=1014).chain([3000, 4999]) {
            let close = frame(0x88, &u16::to_be_bytes(code));
            assert_eq!(read(&close).unwrap(), [Received::Close(Some(code))]);
        }
        let text = text(&frame(0x83, b"x"));
        assert!(!text.contains("close"), "{text}");
    }

    #[test]
    fn frames_that_are_not_allowed_end_with_their_code() {
        let cases = [
            ("unmasked", vec![0x81, 0x01, b'x'], CloseCode::ProtocolError),
            ("reserved bit", frame(0xc1, b"x"), CloseCode::ProtocolError),
            ("bad opcode", frame(0x83, b"x"), CloseCode::ProtocolError),
            (
                "bad control opcode",
                frame(0x8b, b"x"),
                CloseCode::ProtocolError,
            ),
            (
                "fragmented ping",
                frame(0x09, b"x"),
                CloseCode::ProtocolError,
            ),
            (
                "large ping",
                frame(0x89, &[0; 126]),
                CloseCode::ProtocolError,
            ),
            (
                "continuation of nothing",
                frame(0x80, b"x"),
                CloseCode::ProtocolError,
            ),
            (
                "message within a message",
                [frame(0x01, b"x"), frame(0x81, b"y")].concat(),
                CloseCode::ProtocolError,
            ),
            (
                "close with one byte",
                frame(0x88, b"x"),
                CloseCode::ProtocolError,
            ),
            (
                "length in more bytes than it takes",
                vec![0x81, 0x80 | 126, 0, 1, 0, 0, 0, 0, b'x'],
                CloseCode::ProtocolError,
            ),
            ("binary", frame(0x82, b"x"), CloseCode::Unsupported),
            (
                "fragmented binary",
                frame(0x02, b"x"),
                CloseCode::Unsupported,
            ),
            ("too large", frame(0x81, &[b'x'; 201]), CloseCode::TooLarge),
            (
                "too large in parts",
                [frame(0x01, &[b'x'; 150]), frame(0x80, &[b'x'; 51])].concat(),
                CloseCode::TooLarge,
            ),
        ];
        for (what, bytes, expected) in cases {
            assert_eq!(code(&bytes), Some(expected), "{what}");
        }
    }

    #[test]
    fn messages_that_are_marked_are_compressed() {
        let bytes = [
            frame(0xc1, b"one"),
            frame(0x41, b"two "),
            frame(0x89, b"ping"),
            frame(0x00, b"three "),
            frame(0x80, b"four"),
            frame(0x81, b"plain"),
            frame(0x01, b"plain "),
            frame(0x80, b"too"),
        ]
        .concat();
        assert_eq!(
            read_with(Extension::Deflate, &bytes).unwrap(),
            [
                Received::Deflated(Bytes::from_static(b"one")),
                Received::Ping(Bytes::from_static(b"ping")),
                Received::Deflated(Bytes::from_static(b"two three four")),
                Received::Text(Bytes::from_static(b"plain")),
                Received::Text(Bytes::from_static(b"plain too")),
            ]
        );
    }

    #[test]
    fn marks_where_none_may_be_end_with_their_code() {
        let cases = [
            ("a ping", frame(0xc9, b"x")),
            ("a close", frame(0xc8, &1000_u16.to_be_bytes())),
            (
                "a continuation",
                [frame(0x41, b"x"), frame(0xc0, b"y")].concat(),
            ),
            ("another bit", frame(0xa1, b"x")),
            ("both bits", frame(0xe1, b"x")),
        ];
        for (what, bytes) in cases {
            let code = read_with(Extension::Deflate, &bytes)
                .err()
                .map(|it| it.code);
            assert_eq!(code, Some(CloseCode::ProtocolError), "{what}");
        }
        let binary = read_with(Extension::Deflate, &frame(0xc2, b"x"));
        assert_eq!(binary.err().map(|it| it.code), Some(CloseCode::Unsupported));
    }

    #[test]
    fn what_is_compressed_may_be_a_little_larger() {
        let read = |bytes: &[u8]| read_with(Extension::Deflate, bytes).err().map(|it| it.code);
        assert_eq!(read(&frame(0xc1, &[0; 314])), None);
        assert_eq!(read(&frame(0xc1, &[0; 315])), Some(CloseCode::TooLarge));
        assert_eq!(read(&frame(0x81, &[0; 201])), Some(CloseCode::TooLarge));
        let parts = |last| [frame(0x41, &[0; 250]), frame(0x80, &vec![0; last])].concat();
        assert_eq!(read(&parts(64)), None);
        assert_eq!(read(&parts(65)), Some(CloseCode::TooLarge));
    }

    #[test]
    fn a_changed_limit_holds_for_what_has_begun_and_what_comes() {
        let mut frames = Frames::new(200, Extension::None);
        let mut next = |most: usize, first, size| {
            frames.set_max_message(most);
            let next = frames.next(&mut BytesMut::from(&frame(first, &vec![b'x'; size])[..]));
            next.map(|it| it.is_some()).map_err(|it| it.code)
        };
        assert_eq!(next(200, 0x81, 201), Err(CloseCode::TooLarge));
        assert_eq!(next(300, 0x81, 201), Ok(true));
        assert_eq!(next(300, 0x01, 150), Ok(true));
        assert_eq!(next(310, 0x00, 155), Ok(true));
        assert_eq!(next(300, 0x89, 120), Ok(true));
        assert_eq!(next(300, 0x80, 1), Err(CloseCode::TooLarge));
    }

    #[test]
    fn what_will_be_too_large_is_not_waited_for() {
        let mut header = vec![0x81, 0xff];
        header.extend_from_slice(&u64::MAX.to_be_bytes());
        assert_eq!(code(&header), Some(CloseCode::TooLarge));
        assert_eq!(code(&header[..2]), Some(CloseCode::TooLarge));
        assert_eq!(code(&[0x89, 0xfe]), Some(CloseCode::ProtocolError));
    }

    proptest! {
        #[test]
        fn input_may_arrive_in_any_pieces(
            texts in prop::collection::vec("[a-z]{0,190}", 1..5),
            cuts in prop::collection::vec(1usize..40, 1..200),
        ) {
            let wire: Vec<u8> = texts.iter().flat_map(|text| frame(0x81, text.as_bytes())).collect();
            let mut frames = Frames::new(200, Extension::None);
            let (mut buffer, mut received, mut rest) = (BytesMut::new(), Vec::new(), &wire[..]);
            let mut cuts = cuts.into_iter().cycle();
            while !rest.is_empty() {
                let (piece, later) = rest.split_at(cuts.next().unwrap_or(1).min(rest.len()));
                buffer.extend_from_slice(piece);
                rest = later;
                while let Some(item) = frames.next(&mut buffer).unwrap() {
                    received.push(item);
                }
            }
            let expected: Vec<_> = texts.into_iter().map(|text| Received::Text(text.into())).collect();
            prop_assert_eq!(received, expected);
        }

        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = read(&bytes);
        }
    }
}
