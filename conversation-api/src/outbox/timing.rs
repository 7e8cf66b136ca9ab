//! How long sending may take.

use std::time::Duration;

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// How long a lane is held. What a killed process held waits that long.
    pub lease: Duration,
    /// How often to look without being woken.
    pub poll: Duration,
}

impl Timing {
    /// How long one row may take: short enough that the lease outlasts it.
    pub fn attempt(self) -> Duration {
        self.lease / 3
    }
}
