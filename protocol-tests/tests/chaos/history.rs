//! What users did, for those whom webhooks reported wrongly.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::webhooks::Who;

/// What the tabs did, with the channel and the user of each.
#[derive(Default)]
pub(crate) struct History {
    moves: Mutex<Vec<(Instant, String, String, String)>>,
}

impl History {
    pub(crate) fn note(&self, channel: &str, user: &str, what: String) {
        let mut moves = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
        moves.push((Instant::now(), channel.to_owned(), user.to_owned(), what));
    }

    /// The moves on the channel, of the user if it is one.
    pub(crate) fn of(&self, who: &Who) -> Vec<(Instant, String)> {
        let moves = self.moves.lock().unwrap_or_else(PoisonError::into_inner);
        let is_meant = |channel: &str, user: &str| {
            channel == who.0 && who.1.as_deref().is_none_or(|meant| meant == user)
        };
        let meant = moves
            .iter()
            .filter(|(_, channel, user, _)| is_meant(channel, user));
        meant
            .map(|(at, _, user, what)| (*at, format!("{user} {what}")))
            .collect()
    }
}
