//! What arrives after the close: nothing is kept of it, and only the client's own close matters.

/// Bytes that a connection may send while it is being closed: more than a client can have under
/// way that stops once it sees the close.
const MOST: usize = 8 << 20;
/// The longest header of a frame.
const HEADER: usize = 14;
const CLOSE: u8 = 0x8;

/// Skips frames by their headers.
#[derive(Debug)]
pub(super) struct Discard {
    header: [u8; HEADER],
    /// How much of the header has come.
    filled: usize,
    /// Bytes of the payload that are still to be skipped.
    skip: u64,
    /// Bytes that may still come.
    left: usize,
}

/// What has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Discarded {
    /// Nothing that matters.
    Nothing,
    /// The client's close.
    Close,
    /// More than is taken.
    TooMuch,
}

impl Discard {
    pub(super) fn new() -> Self {
        Self {
            header: [0; HEADER],
            filled: 0,
            skip: 0,
            left: MOST,
        }
    }

    /// Skips what has arrived. It begins where a frame does, and goes on where the last ended.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Discarded {
        let Some(left) = self.left.checked_sub(bytes.len()) else {
            return Discarded::TooMuch;
        };
        self.left = left;
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len() as u64);
                self.skip -= skipped;
                bytes = &bytes[skipped as usize..];
                continue;
            }
            self.header[self.filled] = bytes[0];
            self.filled += 1;
            bytes = &bytes[1..];
            if self.filled == self.header_length() {
                self.filled = 0;
                self.skip = self.payload_length();
                if self.header[0] & 0x0f == CLOSE {
                    return Discarded::Close;
                }
            }
        }
        Discarded::Nothing
    }

    /// How long the header is, as far as is known.
    fn header_length(&self) -> usize {
        if self.filled < 2 {
            return HEADER;
        }
        let extended = match self.header[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if self.header[1] & 0x80 == 0 { 0 } else { 4 };
        2 + extended + mask
    }

    fn payload_length(&self) -> u64 {
        let extended = &self.header[2..];
        match self.header[1] & 0x7f {
            126 => u64::from(u16::from_be_bytes([extended[0], extended[1]])),
            127 => extended[..8]
                .iter()
                .fold(0, |length, byte| length << 8 | u64::from(*byte)),
            short => u64::from(short),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, length: usize) -> Vec<u8> {
        let mut bytes = vec![first];
        match length {
            0..=125 => bytes.push(0x80 | length as u8),
            126..=0xffff => {
                bytes.push(0x80 | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 127);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend([1, 2, 3, 4]);
        bytes.resize(bytes.len() + length, 0x88);
        bytes
    }

    #[test]
    fn the_close_is_found_behind_other_frames_however_they_are_cut() {
        let before: Vec<u8> = [0, 3, 125, 126, 5000, 70_000]
            .into_iter()
            .flat_map(|length| frame(0x81, length))
            .chain(frame(0x89, 5))
            .collect();
        let close = frame(0x88, 2);
        for size in [1, 2, 7, 1000, usize::MAX] {
            let mut discard = Discard::new();
            for part in before.chunks(size.min(before.len())) {
                assert_eq!(discard.take(part), Discarded::Nothing);
            }
            assert_eq!(discard.take(&close[..5]), Discarded::Nothing);
            assert_eq!(discard.take(&close[5..]), Discarded::Close);
        }
    }

    #[test]
    fn what_is_taken_is_bounded() {
        let mut discard = Discard::new();
        let endless = [&[0x81, 0xff][..], &[0x7f; 8], &[0; 4]].concat();
        assert_eq!(discard.take(&endless), Discarded::Nothing);
        let mut taken = endless.len();
        let part = [0; 64 << 10];
        while discard.take(&part) == Discarded::Nothing {
            taken += part.len();
        }
        assert!((MOST - part.len()..=MOST).contains(&taken));
    }
}
