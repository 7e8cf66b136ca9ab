//! Forgetting what was sent.

use std::time::Duration;

use tokio::time::sleep;

use crate::auth::sessions::Sessions;
use crate::clock::Timestamp;
use crate::store::outbox::Prune;
use crate::store::statuses::ForgetEarly;
use crate::store::{Store, StoreError};

/// How often to look.
const EVERY: Duration = Duration::from_secs(60);

/// How long a report waits for its message to be known.
const EARLY: Duration = Duration::from_secs(3600);

/// Forgets rows that were sent longer than `kept` ago, and tokens that have ended. Dead rows
/// stay until somebody has looked at them.
pub async fn prune_for_ever(store: Store, sessions: Sessions, kept: Duration) {
    loop {
        if let Err(error) = prune(&store, &sessions, kept).await {
            error.log("the outbox could not be pruned");
        }
        sleep(EVERY).await;
    }
}

async fn prune(store: &Store, sessions: &Sessions, kept: Duration) -> Result<(), StoreError> {
    sessions.prune().await?;
    let kept_before = Timestamp::now().before(EARLY);
    store.write(ForgetEarly { kept_before }).await?;
    let sent_before = Timestamp::now().before(kept);
    while store.write(Prune { sent_before }).await? > 0 {}
    Ok(())
}
