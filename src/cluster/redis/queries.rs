//! Questions that only Redis can answer, asked from any thread.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::try_join_all;
use parking_lot::Mutex;
use redis::{Cmd, Value};
use tokio::sync::oneshot;

use super::entry::{NodeId, Unreadable};
use super::keys::{self, Keys, Subject};
use super::request::{Question, Request, Settlement};
use super::script::{self, Report};
use super::shared::Shared;
use crate::hub::idempotency::{SharedClaim, SharedTurn};
use crate::hub::{AppHub, CachedEvent, ChannelReport, ChannelState, Standing, Unavailable};
use crate::metrics::ClusterMetrics;
use crate::protocol::{ChannelName, Frame};
use crate::throttle::Throttle;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long another's publish is waited for, beyond the time that a publish may wait.
const WAITS_FOR: Duration = Duration::from_secs(5);
/// How long an answer is remembered, as on a single node; and a claim whose holder is never seen
/// of again: it may have published.
const ANSWER: Duration = Duration::from_secs(120);
/// Nobody leases anything for longer, as no directory is given more than a day (`acme::schedule`).
const LONGEST_LEASE: Duration = Duration::from_secs(2 * 86_400);
/// Larger than any answer to a publish.
const LONGEST_ANSWER: usize = 16 << 20;
/// How long and how often it is tried to ask for a key while the connection to Redis is broken.
const TRIES_FOR: Duration = Duration::from_secs(1);
const TRIES_EVERY: Duration = Duration::from_millis(50);
/// Channels that are asked about together, and topics that are listed together.
const CHANNELS_AT_ONCE: usize = 128;
const TOPICS_AT_ONCE: usize = 512;
/// How often one who waits for another's publish asks again.
const ASKS_EVERY: Duration = Duration::from_millis(15);

/// Asks questions.
#[derive(Clone)]
pub(super) struct Asker {
    shared: Arc<Shared>,
    keys: Keys,
    metrics: ClusterMetrics,
    /// How often it is logged that an answer cannot be read.
    unreadable: Arc<Mutex<Throttle>>,
}

impl Asker {
    pub(super) fn new(shared: Arc<Shared>, keys: Keys, metrics: ClusterMetrics) -> Self {
        Self {
            shared,
            keys,
            metrics,
            unreadable: Arc::default(),
        }
    }

    /// An answer as it was read. One that cannot be read is counted, and logged once a minute.
    pub(super) fn readable<T>(&self, read: Result<T, Unreadable>) -> Result<T, Unavailable> {
        read.map_err(|Unreadable| {
            self.metrics.unreadable.inc();
            if self.unreadable.lock().lets_through(Instant::now()) {
                tracing::error!("Redis gives an answer to a question that this node cannot read");
            }
            Unavailable::Unreadable
        })
    }

    /// Asks the server that has the key.
    pub(super) async fn ask(&self, key: &str, command: Cmd) -> Result<Value, Unavailable> {
        self.put(key, command, false).await
    }

    async fn texts(&self, key: &str, command: Cmd) -> Result<Vec<String>, Unavailable> {
        let answer = self.ask(key, command).await?;
        self.readable(script::texts(answer))
    }

    async fn put(&self, key: &str, command: Cmd, is_urgent: bool) -> Result<Value, Unavailable> {
        let (answer, answered) = oneshot::channel();
        self.shared.requests.push(Request::Ask(Question {
            key: key.to_owned(),
            command,
            is_urgent,
            answer,
        }));
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(Unavailable::Away),
        }
    }

    pub(super) async fn channel(
        &self,
        app: &AppHub,
        channel: &str,
        cached: bool,
    ) -> Result<ChannelReport, Unavailable> {
        self.report(&self.keys.topic(&app.app.id, channel), cached)
            .await
    }

    async fn report(&self, topic: &str, cached: bool) -> Result<ChannelReport, Unavailable> {
        let keys = [keys::meta(topic), keys::users(topic), keys::cache(topic)];
        let call = script::REPORT.call(&keys);
        let command = call.arg("with_cached", i32::from(cached)).command();
        let report = self.readable(Report::read(self.ask(topic, command).await?))?;
        Ok(ChannelReport {
            state: ChannelState {
                subscribers: report.subscribers,
                users: report.users,
            },
            cached: report.cached.map(|(payload, ms)| CachedEvent {
                frame: Frame::text(payload.len(), |out| out.extend_from_slice(&payload)),
                left: Duration::from_millis(ms),
            }),
        })
    }

    pub(super) async fn channels(
        &self,
        app: &AppHub,
        prefix: &str,
        cached: bool,
    ) -> Result<Vec<(ChannelName, ChannelReport)>, Unavailable> {
        let topics: Vec<_> = self.topics(app, prefix).await?.into_iter().collect();
        let mut all = Vec::with_capacity(topics.len());
        // Not all at once: others have something to ask, too.
        for some in topics.chunks(CHANNELS_AT_ONCE) {
            let reports = some.iter().map(async |(topic, name)| {
                let cached = cached && name.kind().cache;
                let report = self.report(topic, cached).await?;
                Ok::<_, Unavailable>((name.clone(), report))
            });
            let reports = try_join_all(reports).await?;
            let occupied = |(_, report): &(_, ChannelReport)| report.state.subscribers > 0;
            all.extend(reports.into_iter().filter(occupied));
        }
        Ok(all)
    }

    /// The ids of the nodes that are alive, in order.
    pub(super) async fn nodes(&self) -> Result<Vec<String>, Unavailable> {
        let [alive, ..] = self.keys.nodes();
        let mut nodes = self.texts(&alive, every(&alive)).await?;
        nodes.sort_unstable();
        Ok(nodes)
    }

    /// The topics of channels whose name begins so that any node has to do with.
    async fn topics(
        &self,
        app: &AppHub,
        prefix: &str,
    ) -> Result<HashSet<(String, ChannelName)>, Unavailable> {
        let [alive, _, dead] = self.keys.nodes();
        let mut nodes = self.texts(&alive, every(&alive)).await?;
        // Until it is cleaned up, what a dead node had counts.
        nodes.extend(self.texts(&dead, every(&dead)).await?);
        let lists = nodes
            .iter()
            .map(|node| self.list(self.keys.topics_of(node)));
        let mut topics = HashSet::new();
        for topic in try_join_all(lists).await?.into_iter().flatten() {
            let Some((id, Subject::Channel(name))) = self.keys.parse(&topic) else {
                continue;
            };
            if *app.app.id == *id
                && name.starts_with(prefix)
                && let Ok(name) = ChannelName::parse(name, usize::MAX)
            {
                topics.insert((topic, name));
                if topics.len() % TOPICS_AT_ONCE == 0 {
                    // Others on this thread have something to do, too.
                    tokio::task::yield_now().await;
                }
            }
        }
        Ok(topics)
    }

    /// All members of a set, some of them perhaps more than once.
    async fn list(&self, key: String) -> Result<Vec<String>, Unavailable> {
        let (mut all, mut cursor) = (Vec::new(), "0".to_owned());
        loop {
            let mut command = redis::cmd("SSCAN");
            command.arg(&key).arg(cursor);
            command.arg("COUNT").arg(TOPICS_AT_ONCE);
            let page = page_of(self.ask(&key, command).await?);
            let (next, topics) = self.readable(page)?;
            all.extend(topics);
            cursor = next;
            if cursor == "0" {
                return Ok(all);
            }
        }
    }

    pub(super) async fn members(
        &self,
        app: &AppHub,
        channel: &str,
    ) -> Result<Vec<Arc<str>>, Unavailable> {
        let topic = self.keys.topic(&app.app.id, channel);
        let key = keys::users(&topic);
        let mut command = redis::cmd("HKEYS");
        command.arg(&key);
        let ids = self.texts(&key, command).await?;
        Ok(ids.into_iter().map(Arc::from).collect())
    }

    pub(super) async fn claim(&self, app: &AppHub, key: &str) -> Result<SharedClaim, Unavailable> {
        let key = self.keys.idempotency(&app.app.id, key);
        let claimant = NodeId::random(&mut rand::rng()).to_string();
        // Dropped, it gives the key back: also if it is not known whether the claim was made.
        let mut turn = None;
        let start = Instant::now();
        loop {
            let standing = self.shared.standing();
            let claimed = match standing {
                Standing::Well => {
                    turn.get_or_insert_with(|| self.turn(key.clone(), claimant.clone()));
                    self.try_to_claim(&key, &claimant).await
                }
                Standing::Away | Standing::Refused | Standing::NotYet => Err(Unavailable::Away),
            };
            let pause = match claimed {
                Ok(Claimed::Granted) => {
                    let turn = turn.unwrap_or_else(|| self.turn(key, claimant));
                    return Ok(SharedClaim::Granted(turn));
                }
                Ok(Claimed::Answered(answer)) => {
                    turn.into_iter().for_each(SharedTurn::disarm);
                    return Ok(SharedClaim::Answered(answer));
                }
                Ok(Claimed::Taken)
                    if start.elapsed() < app.app.record().limits.publish_wait + WAITS_FOR =>
                {
                    ASKS_EVERY
                }
                Ok(Claimed::Taken) => return Err(Unavailable::KeyTaken),
                Err(_) if start.elapsed() < TRIES_FOR => TRIES_EVERY,
                Err(error) => return Err(error),
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn try_to_claim(&self, key: &str, claimant: &str) -> Result<Claimed, Unavailable> {
        self.claim_for(key, claimant, [ANSWER; 2], LONGEST_ANSWER)
            .await
    }

    /// Asks for a key for so long; nobody's claim on it lasts for longer than `most`.
    async fn claim_for(
        &self,
        key: &str,
        claimant: &str,
        [lasts, most]: [Duration; 2],
        longest: usize,
    ) -> Result<Claimed, Unavailable> {
        let call = script::CLAIM.call(&[key]).arg("claimant", claimant);
        let call = call.arg("lasts", lasts.as_millis() as u64);
        let call = call.arg("longest", longest);
        let command = call.arg("most", most.as_millis() as u64).command();
        let answer = self.put(key, command, true).await?;
        self.readable(Claimed::read(answer))
    }

    /// Whether the key is the holder's for so long: it was nobody's, or the same holder's.
    pub(super) async fn lease(
        &self,
        key: &str,
        holder: &str,
        lasts: Duration,
    ) -> Result<bool, Unavailable> {
        let lasts = [lasts.min(LONGEST_LEASE), LONGEST_LEASE];
        // Nobody answers.
        let claimed = self.claim_for(key, holder, lasts, 0).await?;
        Ok(matches!(claimed, Claimed::Granted))
    }

    fn turn(&self, key: String, claimant: String) -> SharedTurn {
        let shared = Arc::clone(&self.shared);
        SharedTurn::new(move |answer| {
            let command = script::SETTLE
                .call(&[&key])
                .arg("claimant", claimant)
                .arg("answer", &answer.unwrap_or_default()[..])
                .arg("lasts", ANSWER.as_millis() as u64)
                .command();
            shared.requests.push(Request::Settle(Settlement {
                key,
                command,
                until: Instant::now() + ANSWER,
            }));
        })
    }
}

/// Where a scan goes on, and what it has found.
fn page_of(answer: Value) -> Result<(String, Vec<String>), Unreadable> {
    let page: [Value; 2] = script::list(answer)?.try_into().map_err(|_| Unreadable)?;
    let [next, found] = page;
    Ok((script::text(next)?, script::texts(found)?))
}

/// What the claim script returns.
enum Claimed {
    Granted,
    /// Somebody else publishes under the key.
    Taken,
    Answered(Bytes),
}

impl Claimed {
    fn read(answer: Value) -> Result<Self, Unreadable> {
        let mut answer = script::list(answer)?.into_iter();
        Ok(match script::number(answer.next().unwrap_or_default())? {
            1 => Self::Granted,
            2 => Self::Taken,
            _ => Self::Answered(script::bytes(answer.next().unwrap_or_default())?.into()),
        })
    }
}

/// Asks for all members of a sorted set.
fn every(key: &str) -> Cmd {
    let mut command = redis::cmd("ZRANGE");
    command.arg(key).arg(0).arg(-1);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn answers_that_cannot_be_read_are_counted_and_not_taken_for_an_outage() {
        let metrics = Metrics::new().cluster();
        let asker = Asker::new(Arc::default(), Keys::new("fanfare:"), metrics.clone());
        let answer = Value::SimpleString("no list".to_owned());
        let read = asker.readable(Report::read(answer));
        assert_eq!(read.err(), Some(Unavailable::Unreadable));
        assert_eq!(metrics.unreadable.get(), 1);
        let page = Value::Array(vec![Value::Int(0)]);
        assert!(asker.readable(page_of(page)).is_err());
        assert_eq!(metrics.unreadable.get(), 2);
        assert!(
            asker
                .readable(Claimed::read(Value::Array(vec![Value::Int(2)])))
                .is_ok()
        );
    }
}
