//! Which lanes are sent when.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Notify, watch};
use tokio::task::{JoinError, JoinSet};
use tokio::time::sleep_until;

use super::health::Health;
use super::lane::{Courier, TurnEnd};
use super::target::Target;
use super::timing::Timing;
use crate::metrics::Metrics;
use crate::store::outbox::{Claim, Lane, RetryNow};
use crate::store::settling::Settled;
use crate::store::{Store, StoreError};

/// Lanes that are sent at a time.
const LANES: usize = 16;

/// Sends all rows of a kind, until it is asked to stop.
#[derive(Debug)]
pub struct Dispatcher {
    courier: Courier,
    woken: Arc<Notify>,
    health: Health,
    /// Whether lanes may be due that have not been claimed.
    due: bool,
    next_look: Instant,
    at_work: JoinSet<Result<TurnEnd, StoreError>>,
    stopping: watch::Receiver<bool>,
}

impl Dispatcher {
    /// Sends to `target` whatever `store` holds for it, until `stopping` is true.
    pub fn new(
        store: Store,
        target: Target,
        (woken, stopping): (Arc<Notify>, watch::Receiver<bool>),
        metrics: Metrics,
        timing: Timing,
    ) -> Self {
        Self {
            courier: Courier {
                store,
                target,
                metrics,
                timing,
            },
            woken,
            health: Health::default(),
            due: true,
            next_look: Instant::now(),
            at_work: JoinSet::new(),
            stopping,
        }
    }

    /// Works until it is asked to stop, and then until nothing more can be sent. Where a repeat is
    /// not known to be one, that is only until what is under way has been noted.
    pub async fn run(mut self) {
        while !*self.stopping.borrow_and_update() {
            self.claim_what_is_due().await;
            let woken = Arc::clone(&self.woken);
            tokio::select! {
                Some(turn) = self.at_work.join_next() => self.turn_ended(turn).await,
                () = woken.notified() => self.due = true,
                () = sleep_until(self.next_look.into()) => self.look_again(),
                _ = self.stopping.changed() => {}
            }
        }
        self.send_the_rest().await;
    }

    /// One last pass: what is due goes out, if it is taken.
    async fn send_the_rest(&mut self) {
        self.due = true;
        let begins_more = self.courier.target.knows_repeats();
        loop {
            if begins_more && !self.health.is_down() {
                self.claim_what_is_due().await;
            }
            match self.at_work.join_next().await {
                Some(turn) => self.turn_ended(turn).await,
                None => return,
            }
        }
    }

    async fn claim_what_is_due(&mut self) {
        let free = if self.health.is_down() {
            // One is tried, and only after a pause.
            let pause = self.health.pause();
            let may_try = pause.is_none_or(|until| until <= Instant::now());
            usize::from(may_try && self.at_work.is_empty())
        } else {
            LANES - self.at_work.len()
        };
        if !self.due || free == 0 {
            return;
        }
        let since = Instant::now();
        let lanes = match self.claim(free).await {
            Ok(lanes) => lanes,
            Err(error) => {
                error.log("the outbox cannot be read");
                self.due = false;
                return;
            }
        };
        self.due = lanes.len() == free;
        for lane in lanes {
            let (courier, stopping) = (self.courier.clone(), self.stopping.clone());
            self.at_work
                .spawn(async move { courier.deliver(lane, since, &stopping).await });
        }
    }

    async fn claim(&self, most: usize) -> Result<Vec<Lane>, StoreError> {
        let claim = Claim {
            database: self.courier.store.database(),
            kind: self.courier.target.kind(),
            owner: hex::encode(rand::random::<[u8; 16]>()),
            most: i64::try_from(most).unwrap_or(i64::MAX),
            lease: self.courier.timing.lease,
        };
        self.courier.store.write(claim).await
    }

    async fn turn_ended(&mut self, turn: Result<Result<TurnEnd, StoreError>, JoinError>) {
        let turn = match turn {
            Ok(Ok(turn)) => turn,
            Ok(Err(error)) => {
                error.log("the outbox cannot be settled; its events come again");
                return;
            }
            Err(error) => {
                tracing::error!(%error, "sending an event failed; it comes again");
                return;
            }
        };
        if turn.taken > 0 && self.health.succeeded() {
            self.outage_ended().await;
        }
        let now = Instant::now();
        if let Some(error) = &turn.is_down
            && self.health.failed(turn.conversation_id, now)
        {
            let kind = self.courier.target.kind().name();
            tracing::warn!(
                kind,
                error,
                "nothing is being taken; what is to be sent waits"
            );
        }
        if let Some(delay) = turn.retry_in {
            self.next_look = self.next_look.min(now + delay);
        } else if turn.settled == Settled::Due {
            self.due = true;
        }
        if let Some(pause) = self.health.pause() {
            self.next_look = self.next_look.min(pause);
        }
    }

    /// Everything that waited for another attempt is tried at once, but for what was asked to wait.
    async fn outage_ended(&mut self) {
        let kind = self.courier.target.kind();
        tracing::info!(kind = kind.name(), "what waited is being sent again");
        if let Err(error) = self.courier.store.write(RetryNow { kind }).await {
            error.log("lanes could not be made due");
        }
        self.due = true;
    }

    fn look_again(&mut self) {
        self.due = true;
        self.next_look = Instant::now() + self.courier.timing.poll;
    }
}
