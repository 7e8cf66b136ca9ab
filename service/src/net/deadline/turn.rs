//! How much is read of one connection before others have their turn.

use super::pipeline;
use crate::net::request_mark::Handling;

/// Bytes of heads that are read in a turn: the dispatcher takes apart all that it gets, and a
/// request of twenty bytes costs it more than a thousand.
const HEADS: usize = 8 << 10;

/// The same for a peer whose last turn was used up by requests.
const HEADS_OF_MANY: usize = 2 << 10;

/// Bytes of a body that are read in a turn.
const BODY: usize = 32 << 10;

/// What is read of a connection in a turn.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    bytes: usize,
    /// Bytes that may be read, but for those of a body that is waited for.
    most: usize,
    /// It ends with what has been read, but for what the last request lacks.
    is_cut: bool,
}

impl Default for Turn {
    fn default() -> Self {
        Self {
            bytes: 0,
            most: HEADS,
            is_cut: false,
        }
    }
}

impl Turn {
    /// Bytes that may still be read.
    pub(super) fn left(&self, handling: Handling) -> usize {
        match handling {
            Handling::WaitsForBody(missing) => BODY.saturating_sub(self.bytes).min(missing),
            Handling::Nothing | Handling::Request | Handling::Held => {
                self.most.saturating_sub(self.bytes)
            }
        }
    }

    /// Bytes were read: as many as there was room for, if `is_full`, so that there may be more. Then
    /// the turn ends, as only what was read at once can be looked at as a whole.
    pub(super) fn read(&mut self, bytes: &[u8], is_full: bool, handling: Handling) {
        let is_alone = self.bytes == 0 && handling == Handling::Nothing;
        self.bytes += bytes.len();
        let is_body = matches!(handling, Handling::WaitsForBody(_));
        if is_full && !is_body && !self.is_cut {
            self.is_cut = true;
            let missing = pipeline::missing(bytes, is_alone);
            self.most = self.bytes + if missing <= HEADS { missing } else { 0 };
        }
    }

    /// The next turn begins.
    pub(super) fn end(&mut self, handling: Handling) {
        if self.bytes > 0 {
            let is_body = matches!(handling, Handling::WaitsForBody(_));
            let is_used_up = !is_body && self.left(handling) == 0;
            *self = Self {
                most: if is_used_up { HEADS_OF_MANY } else { HEADS },
                ..Self::default()
            };
        }
    }
}
