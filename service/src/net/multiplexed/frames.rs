//! The frames of HTTP/2 as they pass by, of which nothing but the heads is looked at.

/// What a client sends before its first frame (RFC 9113 §3.4).
const PREFACE: usize = 24;
const HEAD: usize = 9;
/// What requests are made of.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;

/// Where in a frame the bytes end that have passed.
#[derive(Debug)]
pub(super) struct Frames {
    /// Bytes before the next head.
    skip: usize,
    head: [u8; HEAD],
    /// Bytes of the head that are there.
    have: usize,
}

impl Frames {
    /// Of a connection of which nothing has passed.
    pub(super) fn new() -> Self {
        Self {
            skip: PREFACE,
            head: [0; HEAD],
            have: 0,
        }
    }

    /// Of the frames whose heads end in these bytes, how many are about the connection: they carry nothing of a
    /// request.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) -> u32 {
        let mut count = 0;
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let more = (HEAD - self.have).min(bytes.len());
            self.head[self.have..self.have + more].copy_from_slice(&bytes[..more]);
            self.have += more;
            bytes = &bytes[more..];
            if self.have == HEAD {
                let [high, middle, low, kind, ..] = self.head;
                self.have = 0;
                self.skip = u32::from_be_bytes([0, high, middle, low]) as usize;
                count += u32::from(!matches!(kind, DATA | HEADERS | CONTINUATION));
            }
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, length: u16) -> Vec<u8> {
        let [high, low] = length.to_be_bytes();
        let mut frame = vec![0, high, low, kind, 0, 0, 0, 0, 1];
        frame.resize(HEAD + usize::from(length), b'x');
        frame
    }

    proptest! {
        #[test]
        fn frames_are_counted_however_they_are_cut(
            sent in prop::collection::vec((0_u8..12, 0_u16..400), 0..20),
            cuts in prop::collection::vec(1_usize..200, 1..10),
        ) {
            let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
            let mut expected = 0;
            for (kind, length) in sent {
                bytes.extend(frame(kind, length));
                expected += u32::from(![DATA, HEADERS, CONTINUATION].contains(&kind));
            }
            let mut frames = Frames::new();
            let (mut rest, mut cuts, mut count) = (&*bytes, cuts.iter().cycle(), 0);
            while !rest.is_empty() {
                let cut = cuts.next().map_or(1, |cut| (*cut).min(rest.len()));
                count += frames.pass(&rest[..cut]);
                rest = &rest[cut..];
            }
            prop_assert_eq!(count, expected);
        }
    }

    #[test]
    fn the_preface_is_no_frame() {
        let mut frames = Frames::new();
        assert_eq!(frames.pass(&[0; PREFACE]), 0);
        assert_eq!(frames.pass(&frame(PING, 8)), 1);
    }
}
