//! Looks at the database, for those who have changed something there.

use std::sync::atomic::AtomicBool;

use tokio::sync::watch;

/// What is asked of the one who looks, and what has been done of it.
#[derive(Debug)]
pub(super) struct Looks {
    /// How often somebody has asked for a look.
    pub(super) asked: watch::Sender<u64>,
    /// Which of these were looks that began afterwards, and have succeeded.
    pub(super) done: watch::Sender<u64>,
    /// Whether the table had more rows than are served, at the last one.
    pub(super) are_more: AtomicBool,
}

impl Looks {
    pub(super) fn new() -> Self {
        Self {
            asked: watch::Sender::new(0),
            done: watch::Sender::new(0),
            are_more: AtomicBool::new(false),
        }
    }
}
