//! What must be true once everything is good again.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use protocol_tests::names::unique;
use protocol_tests::request::percent_encode;
use protocol_tests::{PATIENCE, PublishedEvent, Request, TestServer};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use crate::tab::{EVENT, Tab};
use crate::webhooks;
use crate::world::{NODES, World};

/// Who is where, as the tabs know themselves.
pub(crate) type Truth = BTreeMap<String, There>;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct There {
    pub(crate) subscriptions: usize,
    /// Of a presence channel.
    pub(crate) users: BTreeSet<String>,
}

/// A user who has no tab before a check.
const FRESH: &str = "fresh";

/// Asks until there is no difference, and returns the last when patience ends first.
async fn converge<F>(mut difference: impl FnMut() -> F) -> Option<String>
where
    F: Future<Output = Option<String>>,
{
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = difference().await;
        if found.is_none() || Instant::now() >= deadline {
            return found;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

impl World {
    pub(crate) fn truth(&self) -> Truth {
        let mut truth = Truth::new();
        for channel in &self.channels {
            let there = truth.entry(channel.clone()).or_default();
            for tab in &self.tabs {
                if tab.joined(channel).is_some() {
                    there.subscriptions += 1;
                    if channel.starts_with("presence-") {
                        there.users.insert(tab.user.clone());
                    }
                }
            }
        }
        truth
    }

    /// Everything that differs from the model, once all is quiet.
    pub(crate) async fn differences(&self) -> Vec<String> {
        let mut found = Vec::new();
        found.extend(converge(|| async { self.unanswered() }).await);
        let truth = self.truth();
        for node in self.cluster.nodes() {
            found.extend(converge(|| counts(node, &truth)).await);
        }
        found.extend(self.fresh_rosters(&truth).await);
        found.extend(converge(|| async { self.believed(&truth) }).await);
        found.extend(self.marks().await);
        let webhooks = || async { webhooks::difference(&self.receiver, &truth, &self.history) };
        found.extend(converge(webhooks).await);
        for tab in &self.tabs {
            let seen = tab.seen();
            found.extend(seen.differences.iter().cloned());
            if let Some(why) = &seen.ended {
                found.push(format!(
                    "{} of node {} has ended: {why}",
                    tab.name, tab.node
                ));
            }
        }
        found
    }

    /// Subscriptions and publishes without an answer.
    fn unanswered(&self) -> Option<String> {
        let asks = self
            .tabs
            .iter()
            .filter(|tab| tab.seen().ended.is_none())
            .find_map(|tab| {
                let channel = tab.asks_for()?;
                Some(format!(
                    "{} of node {} waits for {channel}",
                    tab.name, tab.node
                ))
            });
        asks.or_else(|| {
            let mut waiting = self.ledger().unanswered();
            waiting.retain(|name| self.publisher_names().contains(name));
            (!waiting.is_empty()).then(|| format!("{waiting:?} wait for an answer to a publish"))
        })
    }

    /// Whoever joins now sees everybody, at every node.
    async fn fresh_rosters(&self, truth: &Truth) -> Vec<String> {
        let mut tabs = Vec::new();
        for node in 0..NODES {
            let tab = self.open_tab(&format!("fresh-{node}"), FRESH, node);
            for (channel, _) in presence(truth) {
                tab.subscribe(channel);
            }
            tabs.push(tab);
        }
        let mut with_fresh = truth.clone();
        for (channel, there) in &mut with_fresh {
            if channel.starts_with("presence-") {
                there.subscriptions += NODES;
                there.users.insert(FRESH.to_owned());
            }
        }
        let mut found = Vec::new();
        found.extend(converge(|| async { believed(&tabs, &with_fresh) }).await);
        found
    }

    /// What tabs believe that is not true.
    fn believed(&self, truth: &Truth) -> Option<String> {
        believed(&self.tabs, truth)
    }

    /// An event of every node reaches everybody on every channel.
    async fn marks(&self) -> Option<String> {
        let round = unique("mark-");
        let mut marks = Vec::new();
        for (position, node) in self.cluster.nodes().enumerate() {
            for channel in &self.channels {
                let publisher = format!("{round}-{position}");
                let data = format!("{publisher}:1");
                node.publish(PublishedEvent::new(channel, EVENT, data))
                    .await;
                marks.push((channel.clone(), publisher, 1));
            }
        }
        converge(|| async {
            let mut lacks = Vec::new();
            for tab in &self.tabs {
                for mark in marks.iter().filter(|mark| tab.joined(&mark.0).is_some()) {
                    if !tab.seen().received.contains(mark) {
                        lacks.push(format!("{} of node {}: {mark:?}", tab.name, tab.node));
                    }
                }
            }
            let count = lacks.len();
            lacks.truncate(5);
            (count > 0).then(|| format!("{count} events after the fault did not come: {lacks:#?}"))
        })
        .await
    }
}

fn presence(truth: &Truth) -> impl Iterator<Item = (&String, &There)> {
    truth
        .iter()
        .filter(|(channel, _)| channel.starts_with("presence-"))
}

fn believed(tabs: &[Tab], truth: &Truth) -> Option<String> {
    for tab in tabs {
        for (channel, there) in presence(truth) {
            let seen = tab.seen();
            let Some(stay) = seen.stays.get(channel) else {
                continue;
            };
            let is = &stay.believed;
            if seen.ended.is_none() && stay.phase != crate::tab::Phase::Left && *is != there.users {
                let ghosts: Vec<_> = is.difference(&there.users).collect();
                let lacks: Vec<_> = there.users.difference(is).collect();
                return Some(format!(
                    "{} of node {} on {channel} sees {ghosts:?} who are not there, and lacks {lacks:?}",
                    tab.name, tab.node
                ));
            }
        }
    }
    None
}

/// What a node's HTTP API counts, where it differs.
async fn counts(node: &TestServer, truth: &Truth) -> Option<String> {
    compare(node, truth).await.err()
}

/// Asks a node's HTTP API; the error is where it differs, or that it refuses.
async fn compare(node: &TestServer, truth: &Truth) -> Result<(), String> {
    let count = |there: &There| json!({"subscription_count": there.subscriptions});
    let expected = occupied(truth.iter(), count);
    let info = [("info", "subscription_count")];
    let answer = ask(node, "/channels", &info).await?;
    if answer["channels"] != expected {
        return Err(format!("/channels answers {answer}, and it is {expected}"));
    }
    let count = |there: &There| json!({"user_count": there.users.len()});
    let expected = occupied(presence(truth), count);
    let info = [("info", "user_count"), ("filter_by_prefix", "presence-")];
    let answer = ask(node, "/channels", &info).await?;
    if answer["channels"] != expected {
        return Err(format!("/channels answers {answer}, and it is {expected}"));
    }
    for (channel, there) in presence(truth) {
        let path = format!("/channels/{}/users", percent_encode(channel));
        let answer = ask(node, &path, &[]).await?;
        let users = answer["users"].as_array().into_iter().flatten();
        let ids = users.filter_map(|user| user["id"].as_str().map(str::to_owned));
        let ids: BTreeSet<String> = ids.collect();
        if ids != there.users {
            return Err(format!("{path} lists {ids:?}, and it is {:?}", there.users));
        }
    }
    Ok(())
}

/// What a node's HTTP API answers; the error is that it refuses, as one does that has just found out that Redis has
/// forgotten it.
async fn ask(node: &TestServer, path: &str, query: &[(&str, &str)]) -> Result<Value, String> {
    let mut request = Request::get(node.app(), path);
    for (name, value) in query {
        request = request.query(name, value);
    }
    let answer = node.request(&request).await;
    if answer.status == 503 {
        return Err(format!("{path} is refused: {}", answer.text()));
    }
    Ok(answer.expect_status(200).json())
}

fn occupied<'a>(
    channels: impl Iterator<Item = (&'a String, &'a There)>,
    count: impl Fn(&There) -> Value,
) -> Value {
    let occupied = channels.filter(|(_, there)| there.subscriptions > 0);
    let counts: Map<String, Value> = occupied
        .map(|(channel, there)| (channel.clone(), count(there)))
        .collect();
    Value::Object(counts)
}
