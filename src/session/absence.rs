//! What a session knows of its client's absence.

use std::collections::HashSet;
use std::time::Instant;

use foldhash::fast::RandomState;

use crate::protocol::ChannelName;

/// What a session knows of its client's absence.
#[derive(Debug)]
pub(super) struct Absence {
    pub(super) stage: Stage,
    /// Whether the client has not signed in again.
    pub(super) user_held: bool,
    /// Channels of which the client has missed something that nobody has counted.
    pub(super) lapsed: HashSet<ChannelName, RandomState>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The client is away. Nothing is due until then.
    Away(Instant),
    /// It is back, and must have asked again by then.
    Claiming(Instant),
    /// What was not asked for again has been left.
    Over,
}
