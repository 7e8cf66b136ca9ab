//! What a backend believes that knows nothing but webhooks.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use protocol_tests::Receiver;
use tokio::time::Instant;

use crate::check::Truth;
use crate::history::History;

pub(crate) const EVENTS: [&str; 4] = [
    "channel_occupied",
    "channel_vacated",
    "member_added",
    "member_removed",
];

/// A channel, or a member of one.
pub(crate) type Who = (String, Option<String>);

/// Where what was reported sums up to something else than what is.
pub(crate) fn difference(receiver: &Receiver, truth: &Truth, history: &History) -> Option<String> {
    let (reported, is) = (reported(receiver), expected(truth));
    let everybody: BTreeSet<&Who> = reported.keys().chain(is.keys()).collect();
    let wrong: Vec<String> = everybody
        .into_iter()
        .filter_map(|who| {
            let reported = reported.get(who).copied().unwrap_or_default();
            let is = is.get(who).copied().unwrap_or_default();
            (reported != is).then(|| {
                let story = story(receiver, history, who);
                format!("{who:?} is {is}, webhooks sum up to {reported}: {story:#?}")
            })
        })
        .collect();
    (!wrong.is_empty()).then(|| format!("webhooks: {}", wrong.join("\n")))
}

/// What webhooks were sent since `begun` of members who have not moved since `quiet_since`. Coming less going is still
/// right when somebody is reported to go and to come again. Members of whom nodes may have been given up are `excused`.
pub(crate) fn reported_without_cause(
    receiver: &Receiver,
    history: &History,
    channels: &[String],
    (quiet_since, begun): (Instant, Instant),
    excused: &BTreeSet<&str>,
) -> Option<String> {
    let mut found = Vec::new();
    for channel in channels {
        let mut ids = HashSet::new();
        for delivery in receiver.deliveries_on(channel) {
            for event in &delivery.events {
                // One that comes again under its id is none more.
                let is_new = ids.insert(event.id.clone()) && delivery.arrived >= begun;
                let user = event.json["user_id"].as_str();
                let Some(user) = user.filter(|user| is_new && !excused.contains(user)) else {
                    continue;
                };
                let who = (channel.clone(), Some(user.to_owned()));
                let mut moves = history.of(&who).into_iter();
                if event.channel == *channel && !moves.any(|(at, _)| at >= quiet_since) {
                    let story = story(receiver, history, &who);
                    found.push(format!("{who:?} did not move, and webhooks: {story:#?}"));
                }
            }
        }
    }
    (!found.is_empty()).then(|| found.join("\n"))
}

/// The last that happened to somebody, and what webhooks were sent of it; in milliseconds from now.
fn story(receiver: &Receiver, history: &History, who: &Who) -> Vec<String> {
    const MOST: usize = 40;
    let mut story = history.of(who);
    for delivery in receiver.deliveries_on(&who.0) {
        for event in &delivery.events {
            let is_meant =
                event.channel == who.0 && event.json["user_id"].as_str() == who.1.as_deref();
            if is_meant && EVENTS.contains(&event.name.as_str()) {
                story.push((
                    delivery.arrived,
                    format!("webhook {} {}", event.name, event.id),
                ));
            }
        }
    }
    story.sort_by_key(|(at, _)| *at);
    let left = story.split_off(story.len().saturating_sub(MOST));
    left.into_iter()
        .map(|(at, what)| format!("-{} {what}", at.elapsed().as_millis()))
        .collect()
}

/// Coming less going, by everything that was reported: an event that comes again under its id counts once.
fn reported(receiver: &Receiver) -> BTreeMap<Who, i64> {
    let mut balances = BTreeMap::new();
    let mut ids = HashSet::new();
    for event in receiver.events() {
        if !ids.insert(event.id) {
            continue;
        }
        let user = event.json["user_id"].as_str().map(str::to_owned);
        let change = match event.name.as_str() {
            "channel_occupied" | "member_added" => 1,
            _ => -1,
        };
        *balances.entry((event.channel, user)).or_default() += change;
    }
    balances
}

fn expected(truth: &Truth) -> BTreeMap<Who, i64> {
    let mut expected = BTreeMap::new();
    for (channel, there) in truth {
        if there.subscriptions > 0 {
            expected.insert((channel.clone(), None), 1);
        }
        for user in &there.users {
            expected.insert((channel.clone(), Some(user.clone())), 1);
        }
    }
    expected
}
