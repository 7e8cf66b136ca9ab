//! Socket ids: `\d+\.\d+`, as the server libraries validate them.

use std::fmt;
use std::str::FromStr;

/// The id of one connection, unique across nodes and hard to guess: two random numbers of 62
/// bits. It is the nonce of every signature for that connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SocketId {
    high: u64,
    low: u64,
}

/// The text is not two decimal numbers joined by a dot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a socket id is two decimal numbers joined by a dot, such as 123.456")]
pub struct InvalidSocketId;

impl SocketId {
    /// An id from 128 random bits.
    pub fn from_random(bits: u128) -> Self {
        Self {
            high: (bits >> 66) as u64,
            low: (bits as u64) >> 2,
        }
    }
}

impl FromStr for SocketId {
    type Err = InvalidSocketId;

    /// Any well-formed id is accepted. One with numbers beyond 64 bits or leading zeros was
    /// never given out here; it becomes the id that nobody has.
    fn from_str(text: &str) -> Result<Self, InvalidSocketId> {
        let (high, low) = text.split_once('.').ok_or(InvalidSocketId)?;
        let number = |digits: &str| -> Result<Option<u64>, InvalidSocketId> {
            if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(InvalidSocketId);
            }
            let canonical = digits == "0" || !digits.starts_with('0');
            Ok(digits.parse().ok().filter(|_| canonical))
        };
        Ok(match (number(high)?, number(low)?) {
            (Some(high), Some(low)) => Self { high, low },
            _ => Self {
                high: u64::MAX,
                low: u64::MAX,
            },
        })
    }
}

impl fmt::Display for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut buffer = itoa::Buffer::new();
        f.write_str(buffer.format(self.high))?;
        f.write_str(".")?;
        f.write_str(buffer.format(self.low))
    }
}

impl fmt::Debug for SocketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_their_text() {
        for bits in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef] {
            let id = SocketId::from_random(bits);
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn malformed_ids_are_refused_and_foreign_ones_match_nobody() {
        for bad in [
            "", "1", "1.", ".1", "a.b", "1.2.3", " 1.2", "1.2\n", "-1.2", "１.2",
        ] {
            assert_eq!(bad.parse::<SocketId>(), Err(InvalidSocketId), "{bad:?}");
        }
        let unknown: SocketId = "99999999999999999999999.1".parse().unwrap();
        assert_ne!(unknown, SocketId::from_random(u128::MAX));
        assert_ne!("01.2".parse::<SocketId>(), "1.2".parse::<SocketId>());
    }
}
