//! Sending one lane's rows.

use std::time::{Duration, Instant};

use service::backoff::Backoff;
use tokio::sync::watch;
use tokio::time::timeout;

use super::target::{Later, NotTaken, Target};
use super::timing::Timing;
use crate::message::Failure;
use crate::metrics::Metrics;
use crate::store::outbox::{Lane, Waiting};
use crate::store::settling::{Dead, Settle, Settled, WhatsappId};
use crate::store::statuses::NoteEarly;
use crate::store::{Store, StoreError};

/// Rows that are sent before the lane is settled, which is also how many may be repeated after a
/// crash, where repeats are known.
const ROWS: i64 = 50;

/// The longest that a target may ask to be left alone.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

const BACKOFF: Backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(10));

/// What is needed to send a lane.
#[derive(Clone, Debug)]
pub(super) struct Courier {
    pub(super) store: Store,
    pub(super) target: Target,
    pub(super) metrics: Metrics,
    pub(super) timing: Timing,
}

/// How a lane's turn ended.
#[derive(Clone, Debug)]
pub(super) struct TurnEnd {
    pub(super) conversation_id: i64,
    /// Rows that were taken.
    pub(super) taken: usize,
    /// Why the last attempt shows that the target takes nothing, from anybody, if it does.
    pub(super) is_down: Option<String>,
    /// How long the lane waits because a row was not taken.
    pub(super) retry_in: Option<Duration>,
    /// Whether more is to be sent.
    pub(super) settled: Settled,
}

/// What came of sending a row.
#[derive(Clone, Debug)]
enum Attempt {
    Taken,
    /// Of this one row; others may be taken.
    Refused,
    /// Nobody's rows would have been taken, as far as is known, and why.
    TargetIsDown(String),
}

impl Courier {
    /// Sends what waits in a lane whose lease was asked for at `since`, as long as the lease is
    /// sure to hold. Where repeats are not known, each row is noted before the next is sent, and
    /// none is begun once `stopping` is true.
    pub(super) async fn deliver(
        &self,
        lane: Lane,
        since: Instant,
        stopping: &watch::Receiver<bool>,
    ) -> Result<TurnEnd, StoreError> {
        let knows_repeats = self.target.knows_repeats();
        let most = if knows_repeats { ROWS } else { 1 };
        let rows = self.store.waiting(&lane, most).await?;
        let mut turn = Settle {
            database: self.store.database(),
            lane,
            done_up_to: None,
            dead: Vec::new(),
            whatsapp_ids: Vec::new(),
            retry_in: None,
            asked_for: None,
        };
        let (mut taken, mut is_down) = (0, None);
        // After the rows were read: whatever was committed before them is done before them.
        let prepared = self.target.prepare().await;
        if let (Err(error), Some(row)) = (&prepared, rows.first()) {
            is_down = Some(error.to_string());
            self.postpone(row, &mut turn, &Later::silence(error));
        }
        for row in rows.iter().filter(|_| prepared.is_ok()) {
            let is_too_late = since.elapsed() + self.timing.attempt() > self.timing.lease;
            if is_too_late || (!knows_repeats && *stopping.borrow()) {
                break;
            }
            is_down = None;
            match self.send(row, &mut turn).await {
                Attempt::Taken => taken += 1,
                Attempt::Refused => {}
                Attempt::TargetIsDown(error) => is_down = Some(error),
            }
            if turn.retry_in.is_some() {
                break;
            }
        }
        let (conversation_id, retry_in) = (turn.lane.conversation_id, turn.retry_in);
        let whatsapp_ids: Vec<_> = turn
            .whatsapp_ids
            .iter()
            .map(|named| named.whatsapp_id.clone())
            .collect();
        let settled = self.store.write(turn).await?;
        if !whatsapp_ids.is_empty() {
            self.store.write(NoteEarly { whatsapp_ids }).await?;
        }
        self.target.settled();
        self.metrics.sent(self.target.kind(), taken);
        Ok(TurnEnd {
            conversation_id,
            taken,
            is_down,
            retry_in,
            settled,
        })
    }

    /// Sends a row and notes what came of it.
    async fn send(&self, row: &Waiting, turn: &mut Settle) -> Attempt {
        let attempt = timeout(self.timing.attempt(), self.target.send(row)).await;
        let result =
            attempt.unwrap_or_else(|_| Err(NotTaken::Later(Later::silence("no answer in time"))));
        match result {
            Ok(taken) => {
                turn.done_up_to = Some(row.sequence);
                turn.whatsapp_ids
                    .extend(
                        taken
                            .whatsapp_id
                            .map(|(message_id, whatsapp_id)| WhatsappId {
                                message_id,
                                whatsapp_id,
                            }),
                    );
                Attempt::Taken
            }
            Err(NotTaken::Later(later)) => {
                let came_of_it = if later.is_everybodys {
                    Attempt::TargetIsDown(later.error.clone())
                } else {
                    Attempt::Refused
                };
                self.not_yet(row, turn, later);
                came_of_it
            }
            Err(NotTaken::Never { error, failed }) => {
                self.bury(row, turn, error, failed);
                Attempt::Refused
            }
        }
    }

    /// A row was not taken yet: it waits, or has waited for too long.
    fn not_yet(&self, row: &Waiting, turn: &mut Settle, later: Later) {
        match self.target.give_up(row, &later) {
            None => self.postpone(row, turn, &later),
            Some(failed) => {
                self.metrics.failed(self.target.kind());
                self.bury(row, turn, later.error, Some(failed));
            }
        }
    }

    fn bury(
        &self,
        row: &Waiting,
        turn: &mut Settle,
        error: String,
        failed: Option<(i64, Failure)>,
    ) {
        let kind = self.target.kind().name();
        let event_id = &row.event_id;
        // A message that failed is shown to its agents; anything else, operators alone see.
        if failed.is_some() {
            tracing::warn!(kind, event_id, %error, "a message will not be sent");
        } else {
            tracing::error!(kind, event_id, %error, "this will never be sent");
        }
        self.metrics.given_up(self.target.kind());
        turn.done_up_to = Some(row.sequence);
        turn.dead.push(Dead {
            id: row.id,
            error,
            failed,
        });
    }

    fn postpone(&self, row: &Waiting, turn: &mut Settle, later: &Later) {
        let error = &later.error;
        let kind = self.target.kind();
        self.metrics.failed(kind);
        tracing::debug!(kind = kind.name(), event_id = row.event_id, %error, "to be sent later");
        let failures = match turn.done_up_to {
            Some(_) => 1,
            None => turn.lane.failures.saturating_add(1),
        };
        let delay = BACKOFF.delay(failures);
        turn.asked_for = later.retry_after.map(|asked| asked.min(LONGEST_ASKED));
        turn.retry_in = Some(turn.asked_for.map_or(delay, |asked| delay.max(asked)));
    }
}
