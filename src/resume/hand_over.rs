//! How who comes gets a session.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::door::Busy;
use super::tokens::{Contender, Door};

/// How long the thread of a session may take to let it go, when its client does not answer: it waits
/// for that answer for two seconds, and then may be busy.
const CLAIMED_WITHIN: Duration = Duration::from_secs(30);

/// How often it is looked again whether a session is free that somebody else is about to get.
const TRIES: usize = 16;
const TRY_EVERY: Duration = Duration::from_millis(250);

/// Hands who comes over to the session, which its client may have to let go first. Who cannot have it
/// is given back.
pub async fn hand_over<C: Contender + 'static>(door: &Door, mut contender: C) -> Result<(), C> {
    for _ in 0..TRIES {
        let busy;
        (contender, busy) = match door.take(contender, |it| Box::new(it)) {
            Ok(()) => return Ok(()),
            Err(returned) => returned,
        };
        match busy {
            Busy::Closed => break,
            // Somebody came before, who may be gone by now: clients come again and again.
            Busy::Handed => sleep(TRY_EVERY).await,
            Busy::Carried => match door.claim() {
                None => sleep(TRY_EVERY).await,
                Some(granted) => {
                    if !matches!(timeout(CLAIMED_WITHIN, granted).await, Ok(Ok(()))) {
                        break;
                    }
                }
            },
        }
    }
    Err(contender)
}
