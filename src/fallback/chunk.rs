//! Frames as they stand in an answer: lines, as pusher-js reads them.
//!
//! Source: pusher-js, `HTTPSocket.onChunk`: `o` opens, `a[…]` holds messages, `h` is a heartbeat and
//! `c[code,reason]` closes.

use bytes::Bytes;

use super::renderings;
use crate::hub::Peer;
use crate::protocol::{Frame, FrameKind};
use crate::session::CloseReason;

/// The line that a session begins with.
pub(super) const OPEN: &[u8] = b"o{}\n";
/// The line that asks whether anybody is there.
pub(super) const HEARTBEAT: &[u8] = b"h\n";
/// A line that pusher-js ignores. (Behind an empty one it would leave what has come with it for later.)
pub(super) const BLANK: &[u8] = b" \n";
/// Heartbeats that a stream begins with, in one line: so much must come before some browsers and
/// proxies pass anything on.
pub(super) const PADDING: usize = 2048;

/// Characters of an answer, as the client counts them (UTF-16), beyond which it asks for the next one.
///
/// Source: pusher-js, `HTTPRequest.isBufferTooLong`.
const FULL: usize = 256 << 10;
/// Bytes of messages that are put together in a line, but for a single larger one.
const LINE: usize = 16 << 10;

/// What is written in one go.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    /// Heartbeats in it.
    pub(super) heartbeats: u32,
    /// It closes the connection.
    pub(super) closes: bool,
}

/// How far the client has come in an answer that does not end.
///
/// A client that has handled all that has come and finds that it is more than [`FULL`] gives the answer
/// up and asks for another one, and what was on its way is lost. So nothing is on its way: once it is more,
/// nothing is written any more. Whoever asks for another answer then has received all of this one.
#[derive(Debug, Default)]
pub(super) struct Length(usize);

impl Length {
    /// Whether the client asks for the next answer now.
    pub(super) fn is_full(&self) -> bool {
        self.0 > FULL
    }

    fn add(&mut self, line: &[u8]) {
        self.0 += renderings::units(line);
    }
}

impl Chunk {
    /// What a stream begins with.
    pub(super) fn padding(length: &mut Length) -> Self {
        let mut bytes = vec![b'h'; PADDING];
        bytes.push(b'\n');
        length.add(&bytes);
        Self {
            bytes,
            ..Self::default()
        }
    }

    /// The line that a session begins with.
    pub(super) fn open(&mut self, length: &mut Length) {
        self.bytes.extend_from_slice(OPEN);
        length.add(OPEN);
    }

    /// A line for nobody.
    pub(super) fn blank(length: &mut Length) -> Self {
        length.add(BLANK);
        Self {
            bytes: BLANK.into(),
            ..Self::default()
        }
    }

    /// A heartbeat.
    pub(super) fn heartbeat(&mut self, length: &mut Length) {
        self.bytes.extend_from_slice(HEARTBEAT);
        self.heartbeats += 1;
        length.add(HEARTBEAT);
    }

    /// Takes lines from what waits for the connection until there are about so many bytes, the answer is
    /// full or the connection closed.
    pub(super) fn fill(&mut self, peer: &Peer, most: usize, length: &mut Length) {
        while self.bytes.len() < most && !length.is_full() && !self.closes && peer.has_frames() {
            self.take_line(peer, length);
        }
    }

    /// One line: messages, or a single frame of another kind.
    fn take_line(&mut self, peer: &Peer, length: &mut Length) {
        let start = self.bytes.len();
        let mut other = None;
        peer.take_frames(|bytes| {
            if other.is_some() || self.bytes.len() >= start + LINE {
                return false;
            }
            let frame = Frame::of_bytes(bytes.clone());
            if frame.kind() != FrameKind::Text {
                // Taken with this line if nothing stands before it.
                let is_first = self.bytes.len() == start;
                if is_first {
                    other = Some(frame);
                }
                return is_first;
            }
            // A second handle would make every frame look as if others had it, too.
            drop(frame);
            let opening = if self.bytes.len() == start { "a[" } else { "," };
            self.bytes.extend_from_slice(opening.as_bytes());
            length.0 += opening.len() + renderings::append(&mut self.bytes, bytes);
            true
        });
        if self.bytes.len() > start {
            self.bytes.extend_from_slice(b"]\n");
            length.0 += 2;
        }
        match other {
            Some(frame) if frame.kind() == FrameKind::Close => {
                let (code, reason) = frame.close_reason();
                let line = close_line(code.unwrap_or(1000), reason);
                self.bytes.extend_from_slice(&line);
                length.add(&line);
                self.closes = true;
            }
            Some(frame) if frame.kind() == FrameKind::Ping => self.heartbeat(length),
            // Nobody sends pings that would have to be answered.
            _ => {}
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn into_bytes(self) -> Bytes {
        self.bytes.into()
    }
}

/// The whole answer to a client that is not admitted. It is opened first, as a WebSocket is: before that,
/// pusher-js looks at no code and tries again for ever.
pub(super) fn refusal(reason: &CloseReason) -> Bytes {
    let close = close_line(reason.code.code(), &reason.text);
    [OPEN, &close].concat().into()
}

fn close_line(code: u16, reason: &str) -> Vec<u8> {
    let mut line = format!("c[{code},").into_bytes();
    renderings::append_text(&mut line, reason.as_bytes());
    line.extend_from_slice(b"]\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::CloseCode;

    #[test]
    fn a_refusal_opens_and_closes() {
        let reason = CloseReason::new(CloseCode::UnknownApp, "say \"no\"\n");
        assert_eq!(
            &refusal(&reason)[..],
            b"o{}\nc[4001,\"say \\\"no\\\"\\n\"]\n"
        );
    }

    #[test]
    fn an_answer_is_full_when_the_client_finds_it_so() {
        let mut length = Length::default();
        length.add(&vec![b'x'; FULL]);
        assert!(!length.is_full());
        length.add(b"x");
        assert!(length.is_full());
    }
}
