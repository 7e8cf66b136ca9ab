//! Ending the connections of users from whom something was taken away.
//!
//! A user who lost a conversation, a role, a department or a session is made to connect again:
//! every channel is authorised anew, and only what was lost is refused. A user who was disabled or
//! deleted is disconnected for good. What is due goes before every event that is read after it, so
//! that nothing that was written later reaches who may not see it.
//!
//! What a user is to know of the change itself would be missed while connecting again: so notices of it
//! go out before the connections end. One that the relay did not take goes out later; it keeps
//! nobody's connection open.
//!
//! Signatures do not end by themselves: who was authorised just before may subscribe a moment
//! later. So each is done once more, after the time that a connection may take to subscribe.

use std::sync::Arc;
use std::time::Duration;

use publisher::{Broadcast, Broadcaster, Client};
use tokio::sync::{Mutex, Notify, watch};
use tokio::time::sleep;

use crate::metrics::Metrics;
use crate::store::evictions::{Eviction, SettleEvictions};
use crate::store::notices::{Notice, SettleNotices};
use crate::store::tokens::PruneTokens;
use crate::store::{Store, StoreError};

/// Ends connections at the relay. Clones share the work.
#[derive(Clone, Debug)]
pub struct Evictions {
    parts: Arc<Parts>,
}

#[derive(Debug)]
struct Parts {
    store: Store,
    /// Without a relay nobody is authorised, and nobody has to go.
    relay: Option<Client>,
    broadcaster: Arc<dyn Broadcaster>,
    again_in: Duration,
    metrics: Metrics,
    /// One at a time: whoever waits finds nothing left to do.
    turn: Mutex<()>,
}

/// Why connections that must end have not.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotEvicted {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the relay did not end connections: {0}")]
    Relay(publisher::Error),
    #[error("notices were not taken: {0}")]
    Notices(publisher::Error),
}

impl Evictions {
    /// By this relay; again after `again_in`. Notices go where all events go.
    pub fn new(
        store: Store,
        relay: Option<Client>,
        broadcaster: Arc<dyn Broadcaster>,
        again_in: Duration,
        metrics: Metrics,
    ) -> Self {
        let turn = Mutex::default();
        Self {
            parts: Arc::new(Parts {
                store,
                relay,
                broadcaster,
                again_in,
                metrics,
                turn,
            }),
        }
    }

    /// Does what is due whenever it is woken and every `poll`, until `stopping` is true, and then
    /// once more.
    pub async fn run(
        self,
        woken: Arc<Notify>,
        poll: Duration,
        mut stopping: watch::Receiver<bool>,
    ) {
        let mut is_failing = false;
        loop {
            let is_last = *stopping.borrow_and_update();
            let result = self.look().await;
            match &result {
                Err(error) if !is_failing => {
                    tracing::warn!(%error, "connections that must end wait for it");
                }
                Ok(()) if is_failing => tracing::info!("connections that had to end have ended"),
                _ => {}
            }
            is_failing = result.is_err();
            if is_last {
                return;
            }
            tokio::select! {
                () = woken.notified(), if !is_failing => {}
                () = sleep(poll) => {}
                _ = stopping.changed() => {}
            }
        }
    }

    /// Ends sessions whose time is over, and does what is due.
    async fn look(&self) -> Result<(), NotEvicted> {
        if self.parts.store.has_ended_tokens().await? {
            self.parts.store.write(PruneTokens).await?;
        }
        self.finish().await?;
        let _turn = self.parts.turn.lock().await;
        self.send_notices().await
    }

    /// Does all that is due.
    pub(super) async fn finish(&self) -> Result<(), NotEvicted> {
        let _turn = self.parts.turn.lock().await;
        loop {
            let due = self.parts.store.evictions().await?;
            if due.is_empty() {
                return Ok(());
            }
            // After the evictions were read: what was written together with them is there.
            if let Err(error) = self.send_notices().await {
                tracing::debug!(%error, "notices go out after connections have ended");
            }
            let mut done = Vec::new();
            let result = self.end_connections(&due, &mut done).await;
            let again_in = self.parts.again_in;
            self.parts.metrics.evicted(done.len());
            self.parts
                .store
                .write(SettleEvictions { done, again_in })
                .await?;
            result.map_err(NotEvicted::Relay)?;
        }
    }

    async fn send_notices(&self) -> Result<(), NotEvicted> {
        loop {
            let notices = self.parts.store.notices().await?;
            if notices.is_empty() {
                return Ok(());
            }
            let mut done = Vec::new();
            let result = self.send_each(&notices, &mut done).await;
            self.parts.store.write(SettleNotices { done }).await?;
            result.map_err(NotEvicted::Notices)?;
        }
    }

    async fn send_each(
        &self,
        notices: &[Notice],
        done: &mut Vec<i64>,
    ) -> Result<(), publisher::Error> {
        for notice in notices {
            match serde_json::from_str::<Broadcast>(&notice.payload) {
                Ok(event) => match self.parts.broadcaster.broadcast(&event).await {
                    Err(error) if error.can_retry() => return Err(error),
                    Err(error) => tracing::error!(%error, "a notice will never be sent"),
                    Ok(()) => {}
                },
                Err(error) => tracing::error!(%error, "a notice cannot be read"),
            }
            done.push(notice.id);
        }
        Ok(())
    }

    /// Ends each user's connections once, however often that is due.
    async fn end_connections(
        &self,
        due: &[Eviction],
        done: &mut Vec<Eviction>,
    ) -> Result<(), publisher::Error> {
        for eviction in due {
            let of_user = |other: &&Eviction| other.user_id == eviction.user_id;
            if done.iter().any(|done| of_user(&done)) {
                continue;
            }
            let for_good = due.iter().filter(of_user).any(|other| other.for_good);
            self.end_connections_of(eviction.user_id, for_good).await?;
            done.extend(due.iter().filter(of_user));
        }
        Ok(())
    }

    async fn end_connections_of(
        &self,
        user_id: i64,
        for_good: bool,
    ) -> Result<(), publisher::Error> {
        let Some(relay) = &self.parts.relay else {
            return Ok(());
        };
        let user = user_id.to_string();
        let mut result = if for_good {
            relay.terminate_connections(&user).await
        } else {
            relay.force_reconnect(&user).await
        };
        let is_unknown = |error: &publisher::Error| !error.can_retry();
        if !for_good && result.as_ref().is_err_and(is_unknown) {
            // Not every server can make clients connect again. What it can do is to end them.
            result = relay.terminate_connections(&user).await;
        }
        match result {
            Err(error) if !error.can_retry() => {
                tracing::error!(user_id, %error, "connections that must end cannot be ended");
                Ok(())
            }
            result => result,
        }
    }
}
