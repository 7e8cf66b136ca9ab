//! What must be true of a cluster in which nothing has gone wrong for a while.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::acknowledged;
use super::plan::{CHANNELS, USERS};
use super::relay::{Client, Relay, Wish};
use super::world::{Event, World};

/// A relay that was away for as long knows how many entries it has missed.
const SHORTER_THAN_HISTORY: Duration = Duration::from_secs(25);

impl World {
    fn clients(&self) -> impl Iterator<Item = &Client> {
        self.relays.iter().flat_map(|relay| relay.clients.values())
    }

    fn members(&self, channel: &str) -> BTreeSet<String> {
        let users = self.clients().filter_map(|client| match client.wish {
            Wish::Channel(on, user) if on == channel => user,
            _ => None,
        });
        users.map(str::to_owned).collect()
    }

    fn count(&self, channel: &str) -> usize {
        let is_on = |wish: &Wish| matches!(wish, Wish::Channel(on, _) if *on == channel);
        self.clients().filter(|client| is_on(&client.wish)).count()
    }

    pub(super) fn check(&mut self) {
        for relay in &self.relays {
            assert!(relay.is_well(), "{:?}: Redis is not found", relay.run);
            for client in relay.clients.values() {
                assert!(client.is_in, "{:?}: {client:?} waits", relay.run);
            }
        }
        for channel in CHANNELS {
            self.check_channel(channel);
        }
        self.check_users();
        self.check_events();
        self.check_notices();
        self.check_redis();
    }

    fn check_channel(&self, channel: &'static str) {
        let (members, count) = (self.members(channel), self.count(channel));
        for relay in &self.relays {
            if !relay.is_listening(channel) {
                continue;
            }
            let run = relay.run;
            let known = relay.app.members_locally(channel);
            let known: BTreeSet<String> = known.iter().map(ToString::to_string).collect();
            assert_eq!(known, members, "{run:?}: members of {channel}");
            assert_eq!(
                relay.received.rosters[channel], members,
                "{run:?}: {channel} as received"
            );
            if !channel.starts_with("presence-") {
                let received = relay.received.counts.get(channel).copied();
                assert_eq!(received, Some(count as u64), "{run:?}: count of {channel}");
            }
        }
    }

    fn check_users(&self) {
        for user in USERS {
            let mut clients = self.clients();
            let is_online = clients.any(|client| client.wish == Wish::User(user));
            for relay in self.relays.iter().filter(|relay| relay.is_watching()) {
                let received = relay.received.online.get(user).copied();
                assert_eq!(
                    received,
                    Some(is_online),
                    "{:?}: status of {user}",
                    relay.run
                );
            }
        }
    }

    /// Events came once and in order, or are counted.
    fn check_events(&self) {
        for relay in &self.relays {
            for channel in CHANNELS {
                self.check_losses(relay, channel);
            }
        }
        for relay in &self.relays {
            for channel in CHANNELS.into_iter().filter(|on| relay.is_listening(on)) {
                let mut last: BTreeMap<u64, u64> = BTreeMap::new();
                for number in &relay.received.events[channel] {
                    let origin = self.origins.get(number).copied().unwrap_or_default();
                    let before = last.insert(origin, *number);
                    assert!(
                        before.is_none_or(|before| before < *number),
                        "{:?}: event {number} came behind a later one",
                        relay.run
                    );
                }
            }
        }
    }

    /// Events that subscribers of a relay were to get on the channel, and did not.
    fn missing<'w>(
        &'w self,
        relay: &'w Relay,
        channel: &'w str,
    ) -> impl Iterator<Item = &'w Event> {
        let is_missing = move |event: &&Event| {
            event.channel == channel && event.missing.contains(&relay.run) && !event.is_optional
        };
        self.events.iter().filter(is_missing)
    }

    /// In how many entries they were written.
    pub(super) fn entries_missing(&self, relay: &Relay, channel: &str) -> u64 {
        let missing = self.missing(relay, channel);
        let entries = missing.map(|event| self.network.entries.get(&event.number));
        entries.collect::<BTreeSet<_>>().len() as u64
    }

    /// Entries are counted, of one event or more each. Where nobody can know how many are missing, it is counted that
    /// some are.
    fn check_losses(&self, relay: &Relay, channel: &str) {
        let is_number_known = !self.has_forgotten
            && self.network.trouble[relay.run.0].longest_outage < SHORTER_THAN_HISTORY;
        let entries = self.entries_missing(relay, channel);
        let least = if is_number_known {
            entries
        } else {
            entries.min(1)
        };
        let (run, counted) = (relay.run, relay.lost(channel));
        assert!(
            counted >= least,
            "{run:?}: {entries} entries of {channel} are missing, and {counted} are counted: {:?}",
            self.missing(relay, channel).collect::<Vec<_>>()
        );
    }

    /// What is published when all is well arrives wherever somebody is on the channel.
    pub(super) fn check_delivered(&self) {
        for event in self
            .events
            .iter()
            .filter(|event| event.number > self.last_of_plan)
        {
            assert!(event.missing.is_empty(), "{event:?} is missing");
        }
    }

    /// Webhooks know who is there; if each node reported what it had to itself, they were notified once.
    fn check_notices(&self) {
        if self.has_forgotten && self.may_lose_notices {
            // What was still to be reported may be forgotten before any node knows that it has to be.
            return;
        }
        for ((channel, user), reported) in &self.notices {
            let (is_there, came) = match &**user {
                "" => (self.count(channel) > 0, "channel_occupied"),
                user => (self.members(channel).contains(user), "member_added"),
            };
            // Of nodes that report at about the same time either may be the first.
            let arrivals = reported.iter().filter(|name| *name == came).count();
            let is_even = 2 * arrivals == reported.len() + usize::from(is_there);
            let is_last = reported.last().is_some_and(|name| name == came) == is_there;
            let is_right = is_even || (is_last && (self.was_given_up || self.has_forgotten));
            assert!(is_right, "{channel} {user}: {is_there} {reported:?}");
        }
        for channel in CHANNELS {
            let users = self.members(channel).into_iter();
            let all = users.chain((self.count(channel) > 0).then(String::new));
            for user in all {
                let about = (channel.to_owned(), user);
                assert!(self.notices.contains_key(&about), "{about:?}: not reported");
            }
        }
    }

    /// Redis has who is there, nobody else, and nothing that is still to be reported.
    fn check_redis(&mut self) {
        for channel in CHANNELS {
            let topic = acknowledged::topic(channel);
            let data = &mut self.network.data;
            let users = data.fields(&format!("{topic}:users"));
            let due = data.fields(&format!("{topic}:due"));
            let meta = data.fields(&format!("{topic}:meta"));
            let is_for_good = data.is_kept_for_good(&format!("{topic}:meta"));
            let counts = meta.iter().filter(|(field, _)| field.starts_with("n:"));
            let count: usize = counts
                .map(|(_, count)| count.parse::<usize>().unwrap())
                .sum();
            assert_eq!(
                users.into_keys().collect::<BTreeSet<_>>(),
                self.members(channel)
            );
            assert_eq!(count, self.count(channel), "{channel}: {meta:?}");
            let is_left_behind = count == 0 && is_for_good;
            assert!(!is_left_behind, "{channel}: nobody is there: {meta:?}");
            let is_due = !due.is_empty() && !self.has_forgotten;
            assert!(!is_due, "{channel}: {due:?} is still to be reported");
        }
    }
}
