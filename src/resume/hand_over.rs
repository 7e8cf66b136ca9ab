//! How who comes gets a session.

use std::time::Duration;

use tokio::time::timeout;

use super::tokens::{Contender, Door};

/// How long the thread of a session may take to let it go, when its client does not answer: it waits
/// for that answer for two seconds, and then may be busy.
const CLAIMED_WITHIN: Duration = Duration::from_secs(30);

/// Hands who comes over to the session, which its client may have to let go first. Who cannot have it
/// is given back.
pub async fn hand_over<C: Contender + 'static>(door: &Door, mut contender: C) -> Result<(), C> {
    for _ in 0..2 {
        contender = match door.take(contender, |it| Box::new(it)) {
            Ok(()) => return Ok(()),
            Err((returned, _)) => returned,
        };
        let Some(granted) = door.claim() else {
            // It has just been let go, or somebody else claims it.
            continue;
        };
        if !matches!(timeout(CLAIMED_WITHIN, granted).await, Ok(Ok(()))) {
            break;
        }
    }
    Err(contender)
}
