//! Questions that only Redis can answer, asked from any thread.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::try_join_all;
use redis::{Cmd, Value};
use tokio::sync::oneshot;

use super::Shared;
use super::entry::{NodeId, Unreadable};
use super::keys::{self, Keys, Subject};
use super::request::{Question, Request};
use super::script::{self, Report};
use crate::hub::authority::ChannelReport;
use crate::hub::idempotency::{SharedClaim, SharedTurn};
use crate::hub::{AppHub, ChannelState, Unavailable};
use crate::protocol::{ChannelName, Frame};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a claim lasts, beyond the time that a publish may wait, if its holder is never heard of
/// again.
const CLAIM: Duration = Duration::from_secs(5);
/// How long an answer is remembered, as on a single node.
const ANSWER_MS: u64 = 120_000;
/// How often one who waits for another's publish asks again.
const ASKS_EVERY: Duration = Duration::from_millis(15);

/// Asks questions.
#[derive(Clone)]
pub(super) struct Asker {
    shared: Arc<Shared>,
    keys: Keys,
}

impl Asker {
    pub(super) fn new(shared: Arc<Shared>, keys: Keys) -> Self {
        Self { shared, keys }
    }

    async fn ask(&self, key: &str, command: Cmd) -> Result<Value, Unavailable> {
        let (answer, answered) = oneshot::channel();
        self.shared.requests.push(Request::Ask(Question {
            key: key.to_owned(),
            command,
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
        let mut command = script::REPORT.call(&keys);
        command.arg(i32::from(cached));
        let report = Report::read(self.ask(topic, command).await?)?;
        Ok(ChannelReport {
            state: ChannelState {
                subscribers: report.subscribers,
                users: report.users,
            },
            cached: report.cached.map(|(payload, ms)| {
                let frame = Frame::text(payload.len(), |out| out.extend_from_slice(&payload));
                (frame, Duration::from_millis(ms))
            }),
        })
    }

    pub(super) async fn channels(
        &self,
        app: &AppHub,
        prefix: &str,
        cached: bool,
    ) -> Result<Vec<(ChannelName, ChannelReport)>, Unavailable> {
        let topics = self.topics(app, prefix).await?;
        let reports = topics.iter().map(async |(topic, name)| {
            let cached = cached && name.kind().cache;
            let report = self.report(topic, cached).await?;
            Ok::<_, Unavailable>((name.clone(), report))
        });
        let mut reports = try_join_all(reports).await?;
        reports.retain(|(_, report)| report.state.subscribers > 0);
        Ok(reports)
    }

    /// The topics of channels whose name begins so that any node has to do with.
    async fn topics(
        &self,
        app: &AppHub,
        prefix: &str,
    ) -> Result<HashSet<(String, ChannelName)>, Unavailable> {
        let [alive, _, dead] = self.keys.nodes();
        let range = |key: &str| {
            let mut command = redis::cmd("ZRANGE");
            command.arg(key).arg(0).arg(-1);
            command
        };
        let mut nodes = script::texts(self.ask(&alive, range(&alive)).await?)?;
        // Until it is cleaned up, what a dead node had counts.
        nodes.extend(script::texts(self.ask(&dead, range(&dead)).await?)?);
        let lists = nodes.iter().map(async |node| {
            let key = self.keys.topics_of(node);
            let mut command = redis::cmd("SMEMBERS");
            command.arg(&key);
            Ok::<_, Unavailable>(script::texts(self.ask(&key, command).await?)?)
        });
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
            }
        }
        Ok(topics)
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
        let ids = script::texts(self.ask(&key, command).await?)?;
        Ok(ids.into_iter().map(Arc::from).collect())
    }

    pub(super) async fn claim(&self, app: &AppHub, key: &str) -> Result<SharedClaim, Unavailable> {
        let key = self.keys.idempotency(&app.app.id, key);
        let claimant = NodeId::random().to_string();
        let claim = app.app.limits.publish_wait + CLAIM;
        loop {
            let mut command = script::CLAIM.call(&[&key]);
            command.arg(&claimant).arg(claim.as_millis() as u64);
            let mut answer = script::list(self.ask(&key, command).await?)?.into_iter();
            match script::number(answer.next().unwrap_or_default())? {
                1 => return Ok(SharedClaim::Granted(self.turn(key, claimant))),
                2 => tokio::time::sleep(ASKS_EVERY).await,
                _ => {
                    let answer = script::bytes(answer.next().unwrap_or_default())?;
                    return Ok(SharedClaim::Answered(Bytes::from(answer)));
                }
            }
        }
    }

    fn turn(&self, key: String, claimant: String) -> SharedTurn {
        let shared = Arc::clone(&self.shared);
        SharedTurn::new(move |answer| {
            let mut command = script::SETTLE.call(&[&key]);
            command.arg(claimant).arg(&answer.unwrap_or_default()[..]);
            command.arg(ANSWER_MS);
            // Nobody waits: a key that is not settled expires.
            let (answer, _) = oneshot::channel();
            shared.requests.push(Request::Ask(Question {
                key,
                command,
                answer,
            }));
        })
    }
}

impl From<Unreadable> for Unavailable {
    fn from(_: Unreadable) -> Self {
        Self::Away
    }
}
