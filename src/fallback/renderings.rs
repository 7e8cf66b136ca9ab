//! Messages as they stand in a line, made once for all connections of a thread that are sent the same frame.

use std::cell::RefCell;
use std::collections::VecDeque;

use bytes::Bytes;

use crate::protocol::Frame;

/// How many are kept: more than a shard delivers together.
const MOST: usize = 64;
/// Bytes that are kept in all.
const MOST_BYTES: usize = 256 << 10;
/// A frame of more bytes is not kept: to escape it is little beside what it takes to send it.
const LARGEST: usize = 16 << 10;

thread_local! {
    static KEPT: RefCell<Kept> = RefCell::default();
}

/// A message as a JSON string, in which no line ends.
#[derive(Debug)]
struct Rendering {
    /// Kept, so that no other frame lies where it does.
    frame: Bytes,
    text: Box<[u8]>,
    units: usize,
}

/// The newest renderings of a thread.
#[derive(Debug, Default)]
struct Kept {
    renderings: VecDeque<Rendering>,
    bytes: usize,
    /// Where the next one is found most likely: connections are sent the same frames in the same order.
    next: usize,
}

/// Appends a frame's message to a line. Returns its characters as the client counts them (UTF-16).
pub(super) fn append(out: &mut Vec<u8>, bytes: &Bytes) -> usize {
    KEPT.with_borrow_mut(|kept| kept.append(out, bytes))
}

/// Appends a text as a JSON string. Returns its characters as the client counts them.
pub(super) fn append_text(out: &mut Vec<u8>, text: &[u8]) -> usize {
    let start = out.len();
    let text = String::from_utf8_lossy(text);
    serde_json::to_writer(&mut *out, &*text).expect("a text can be written to memory");
    units(&out[start..])
}

/// Characters as scripts count them.
pub(super) fn units(text: &[u8]) -> usize {
    // Of each character one byte is none that continues it; one of four bytes counts twice.
    let of = |byte: &u8| usize::from(byte & 0xc0 != 0x80) + usize::from(*byte >= 0xf0);
    text.iter().map(of).sum()
}

impl Kept {
    fn append(&mut self, out: &mut Vec<u8>, bytes: &Bytes) -> usize {
        if let Some(known) = self.find(bytes) {
            out.extend_from_slice(&known.text);
            return known.units;
        }
        let start = out.len();
        let frame = Frame::of_bytes(bytes.clone());
        let units = append_text(out, frame.payload());
        drop(frame);
        // Nobody else is sent a frame that nobody else has.
        if bytes.len() <= LARGEST && !bytes.is_unique() {
            self.keep(Rendering {
                frame: bytes.clone(),
                text: out[start..].into(),
                units,
            });
        }
        units
    }

    fn find(&mut self, bytes: &Bytes) -> Option<&Rendering> {
        let is_it = |kept: &Rendering| {
            kept.frame.as_ptr() == bytes.as_ptr() && kept.frame.len() == bytes.len()
        };
        let at = match self.renderings.get(self.next) {
            Some(next) if is_it(next) => self.next,
            _ => self.renderings.iter().position(is_it)?,
        };
        self.next = (at + 1) % self.renderings.len();
        self.renderings.get(at)
    }

    fn keep(&mut self, rendering: Rendering) {
        self.bytes += rendering.cost();
        self.renderings.push_back(rendering);
        while self.renderings.len() > MOST || self.bytes > MOST_BYTES {
            let Some(oldest) = self.renderings.pop_front() else {
                break;
            };
            self.bytes -= oldest.cost();
        }
    }
}

impl Rendering {
    fn cost(&self) -> usize {
        self.frame.len() + self.text.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(text: &str) -> Bytes {
        let frame = Frame::text(text.len(), |out| out.extend_from_slice(text.as_bytes()));
        frame.bytes().clone()
    }

    fn rendered(kept: &mut Kept, bytes: &Bytes) -> (String, usize) {
        let mut out = b"before".to_vec();
        let units = kept.append(&mut out, bytes);
        (String::from_utf8(out[6..].to_vec()).unwrap(), units)
    }

    #[test]
    fn a_shared_frame_is_rendered_once_and_the_same() {
        let mut kept = Kept::default();
        let frames: Vec<Bytes> = (0..10).map(|n| frame(&format!("\"{n}\" \n𝄞"))).collect();
        let shared = frames.clone();
        for _ in 0..3 {
            for (number, bytes) in shared.iter().enumerate() {
                let (text, units) = rendered(&mut kept, bytes);
                assert_eq!(text, format!(r#""\"{number}\" \n𝄞""#));
                assert_eq!(units, text.encode_utf16().count());
            }
        }
        assert_eq!(kept.renderings.len(), 10);
        rendered(&mut kept, &frame("of one connection"));
        assert_eq!(kept.renderings.len(), 10);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut kept = Kept::default();
        for length in [1, 5_000, LARGEST] {
            for _ in 0..80 {
                let bytes = frame(&"\"".repeat(length));
                let _shared = bytes.clone();
                let (text, _) = rendered(&mut kept, &bytes);
                assert_eq!(text.len(), 2 * length + 2);
                assert!(kept.renderings.len() <= MOST && kept.bytes <= MOST_BYTES);
            }
        }
        let bytes: usize = kept.renderings.iter().map(Rendering::cost).sum();
        assert_eq!(kept.bytes, bytes);
    }

    proptest! {
        #[test]
        fn characters_are_counted_as_scripts_do(text in "\\PC{0,200}") {
            prop_assert_eq!(units(text.as_bytes()), text.encode_utf16().count());
        }
    }
}
