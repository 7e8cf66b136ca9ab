//! What a session knows of its client's absence.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use crate::protocol::ChannelName;

/// What a session knows of its client's absence.
#[derive(Debug, Default)]
pub(super) struct Absence {
    pub(super) stage: Stage,
    /// Whether the client has not signed in again.
    pub(super) user_held: bool,
    /// For how long the client may be there in all without having asked again.
    pub(super) claim_left: Duration,
    /// Channels of which the client has missed something that nobody has counted.
    pub(super) lapsed: HashSet<ChannelName, RandomState>,
}

/// How long a client that is back may take to ask again for what it was on. Before each private
/// channel it asks its own backend.
pub(super) const CLAIM_WITHIN: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// The client is away. Nothing is due until then.
    Away(Instant),
    /// It is back, and must have asked again by then.
    Claiming(Instant),
    /// What was not asked for again has been left, or it was never away.
    #[default]
    Over,
}
