//! How a call of the channel's script begins.

use std::time::Duration;

use redis::Cmd;
use smallvec::SmallVec;

use super::context::Context;
use super::state::{Channel, Kind};
use crate::apps::WebhookEvent;
use crate::cluster::redis::entry::{EntryId, Place};
use crate::cluster::redis::keys;
use crate::cluster::redis::script;
use crate::cluster::redis::wire::{self, flag};
use crate::hub::{COUNT_AT_ONCE, COUNT_INTERVAL};

/// How much of a channel's log comes with an answer; the rest is asked for later.
#[derive(Clone, Copy, Debug)]
pub(in crate::cluster::redis) struct Page {
    pub(in crate::cluster::redis) bytes: usize,
    /// Whether one entry is to come however large it is.
    pub(in crate::cluster::redis) one_at_least: bool,
}

/// What a call of the channel's script begins with.
pub(super) struct Asking<'a> {
    /// The node whose part is changed.
    pub(super) node: &'a str,
    /// The place from which the log is read, and how much of it; None: it is not.
    pub(super) from: Option<(&'a Place, usize)>,
    pub(super) flags: &'a str,
}

impl Channel {
    /// A call of the script, up to its steps.
    pub(super) fn call_of(&self, asking: Asking<'_>, context: &Context<'_>) -> Cmd {
        let Asking { node, from, flags } = asking;
        let publishing = context.publishing;
        let flags = [
            flags,
            if from.is_none() { flag::NOT_SINCE } else { "" },
            if context.is_doubtful {
                flag::DOUBTFUL
            } else {
                ""
            },
        ];
        let place = from.map(|(place, _)| place);
        let (known_epoch, known_id) = match place.or(self.replica.former.as_ref()) {
            Some(place) => (&*place.epoch, place.id),
            None => ("", EntryId::default()),
        };
        let millis = |time: Duration| time.as_millis() as u64;
        self.call_with_keys(node, context)
            .arg("asker", publishing.node.to_string())
            .arg("node", node)
            .arg("new_epoch", publishing.epoch)
            .arg("history", publishing.history_ms)
            .arg("publish", publishing.publish)
            .arg("topic", &*self.topic)
            .arg("version", publishing.version)
            .arg("most_members", self.most_members())
            .arg("flags", flags.concat())
            .arg("delay", millis(self.delay(context)))
            .arg("known_epoch", known_epoch)
            .arg("known_id", known_id.to_string())
            .arg("page_bytes", from.map_or(0, |(_, bytes)| bytes))
            .arg("announced_again_after", millis(context.node_timeout))
            .arg("known_memory", context.memory.map_or("", |(_, name)| name))
            .arg("count_at_once", COUNT_AT_ONCE)
            .arg("count_interval", millis(COUNT_INTERVAL))
            .arg("repeated_for", millis(wire::REPEATED_FOR))
            .command()
    }

    fn call_with_keys(&self, node: &str, context: &Context<'_>) -> script::Call {
        let topic = &*self.topic;
        let keys = [
            keys::meta(topic),
            keys::log(topic),
            keys::cache(topic),
            keys::users(topic),
            keys::members(topic),
            keys::due(topic),
            keys::users_at(topic, node),
        ];
        let mut keys: SmallVec<[&str; 8]> = keys.iter().map(String::as_str).collect();
        keys.extend(context.memory.map(|(key, _)| key));
        script::CHANNEL.call(&keys)
    }

    /// Whether subscribers are notified of how many they are.
    pub(super) fn counts_subscriptions(&self) -> bool {
        let app = self.app.as_ref();
        let is_counted = self.kind == Kind::Channel && !self.name.kind().is_presence();
        is_counted && app.is_some_and(|app| app.app.record().subscription_count)
    }

    fn most_members(&self) -> usize {
        let app = self.app.as_ref();
        app.map_or(0, |app| app.app.record().limits.presence_members)
    }

    fn delay(&self, context: &Context<'_>) -> Duration {
        match (&self.kind, &self.app) {
            (Kind::User(_), Some(app)) => app.app.record().watchlist_grace,
            _ => context.leave_delay,
        }
    }

    pub(super) fn flags(&self, is_sync: bool, all_due: bool) -> String {
        let mut flags = String::new();
        let Some(app) = &self.app else {
            return flags;
        };
        if all_due {
            flags.push_str(flag::ALL_DUE);
        }
        if let Kind::User(_) = self.kind {
            if app.has_watchlists() {
                flags.push_str(flag::USER);
            }
            return flags;
        }
        let kind = self.name.kind();
        if kind.is_presence() {
            flags.push_str(flag::PRESENCE);
        } else if self.counts_subscriptions() {
            flags.push_str(flag::COUNTED);
        }
        if is_sync && kind.cache {
            flags.push_str(flag::CACHED);
        }
        self.add_webhook_flags(&mut flags);
        flags
    }

    fn add_webhook_flags(&self, flags: &mut String) {
        use WebhookEvent::{
            ChannelOccupied, ChannelVacated, MemberAdded, MemberRemoved, SubscriptionCount,
        };
        let Some(webhooks) = self.app.as_ref().map(|app| app.webhooks()) else {
            return;
        };
        for (flag, events) in [
            (flag::REPORTS_OCCUPANCY, [ChannelOccupied, ChannelVacated]),
            (flag::REPORTS_MEMBERS, [MemberAdded, MemberRemoved]),
            (flag::REPORTS_COUNTS, [SubscriptionCount, SubscriptionCount]),
        ] {
            let name = self.name.as_str();
            if events.into_iter().any(|event| webhooks.wants(event, name)) {
                flags.push_str(flag);
            }
        }
    }
}
