//! What Redis is asked.

use std::time::{Duration, Instant};

use redis::Cmd;
use smallvec::SmallVec;

use super::changes::Change;
use super::replica::{Place, Sync};
use super::schedule::Asked;
use super::{Channel, Context, Kind};
use crate::apps::WebhookEvent;
use crate::cluster::redis::entry::EntryId;
use crate::cluster::redis::keys;
use crate::cluster::redis::outgoing::Batch;
use crate::cluster::redis::script;
use crate::cluster::redis::wire::{self, flag, step};
use crate::hub::{COUNT_AT_ONCE, COUNT_INTERVAL};

/// How much of a channel's log comes with an answer; the rest is asked for later.
#[derive(Clone, Copy, Debug)]
pub(in crate::cluster::redis) struct Page {
    pub(in crate::cluster::redis) bytes: usize,
    /// Whether one entry is to come however large it is.
    pub(in crate::cluster::redis) one_at_least: bool,
}

/// What Redis is asked, and what was announced along with it.
#[derive(Debug)]
pub(in crate::cluster::redis) enum Call {
    Publish(Batch),
    Change(Change),
    /// The part of a dead node is removed.
    CleanUp(String),
}

impl Call {
    /// About how much goes to Redis.
    pub(in crate::cluster::redis) fn bytes(&self) -> usize {
        match self {
            Self::Publish(batch) => batch.bytes(),
            Self::Change(_) | Self::CleanUp(_) => 0,
        }
    }
}

/// What a channel asks next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    CleanUp,
    Change,
    Publish,
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
    /// Whether Redis could be called now. Until the node counts as alive, its part is not announced.
    pub(in crate::cluster::redis) fn wants_call(&self, is_counted: bool, now: Instant) -> bool {
        !self.schedule.is_calling()
            && self.schedule.retry_at.is_none_or(|until| until <= now)
            && (!self.outgoing.is_empty()
                || (!self.orphans.is_empty() && self.may_clean_up(is_counted))
                || (self.has_changes() && self.may_change(is_counted)))
    }

    /// Whether there is something to call Redis for.
    pub(super) fn has_work(&self) -> bool {
        !self.outgoing.is_empty() || !self.orphans.is_empty() || self.has_changes()
    }

    fn has_changes(&self) -> bool {
        let replica = &self.replica;
        self.part.has_changes()
            || self.notices.has_changes()
            || replica.must_reconcile
            || replica.sync == Sync::Behind
            || (self.is_wanted() && !replica.is_known())
    }

    /// Whether changes can be announced: not before what follows from them would be received.
    fn may_change(&self, is_counted: bool) -> bool {
        let is_ready = self.schedule.is_listening() && self.schedule.is_listed();
        is_counted && (!self.is_wanted() || is_ready)
    }

    /// Whether what a dead node had to report can become this one's to report.
    fn may_clean_up(&self, is_counted: bool) -> bool {
        is_counted && self.schedule.is_listed()
    }

    fn next(&self, is_counted: bool) -> Option<Next> {
        let changes = self.has_changes() && self.may_change(is_counted);
        let cleans_up = !self.orphans.is_empty() && self.may_clean_up(is_counted);
        match (changes, self.outgoing.is_empty()) {
            // Who is on this node as well is not gone in between.
            _ if cleans_up && !(changes && self.part.is_whole_unsent()) => Some(Next::CleanUp),
            (true, empty) if empty || !self.schedule.last_was_change => Some(Next::Change),
            (_, false) => Some(Next::Publish),
            _ => None,
        }
    }

    /// Whether what it asks next may be answered with much: what the channel is, and its log.
    pub(in crate::cluster::redis) fn asks_for_much(&self, is_counted: bool) -> bool {
        self.reads() && self.next(is_counted) == Some(Next::Change)
    }

    /// Whether the node reads what the channel is, or what was missed of it.
    pub(super) fn reads(&self) -> bool {
        self.is_wanted() && self.replica.must_read()
    }

    /// What Redis is to be asked next. One call at a time is under way.
    pub(in crate::cluster::redis) fn next_call(
        &mut self,
        is_counted: bool,
        page: Page,
        context: &Context<'_>,
    ) -> Option<(Call, Cmd)> {
        if self.schedule.is_calling() {
            return None;
        }
        let call = match self.next(is_counted)? {
            Next::CleanUp => self.remove_orphan(context)?,
            Next::Change => self.change(page, context),
            Next::Publish => self.publish_next(context)?,
        };
        self.schedule.begin_call();
        Some(call)
    }

    fn publish_next(&mut self, context: &Context<'_>) -> Option<(Call, Cmd)> {
        self.schedule.last_was_change = false;
        let batch = self.outgoing.next(context.publishing)?;
        let listens = self.schedule.listening != Asked::No;
        let command = batch.call(&self.topic, context.publishing, listens);
        Some((Call::Publish(batch), command))
    }

    fn remove_orphan(&mut self, context: &Context<'_>) -> Option<(Call, Cmd)> {
        let dead = self.orphans.pop()?;
        let asking = Asking {
            node: &dead,
            from: None,
            flags: &self.flags(false, true),
        };
        let mut command = self.call_of(asking, context);
        command.arg(step::WHOLE).arg(0);
        command.arg(step::SUBSCRIBERS).arg(0);
        command.arg(step::WATCHERS).arg(0);
        Some((Call::CleanUp(dead), command))
    }

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

    /// It is not known whether Redis has done what it was asked.
    pub(in crate::cluster::redis) fn on_unsure(&mut self, call: Call) {
        self.schedule.end_call();
        match call {
            Call::Publish(batch) => self.outgoing.put_back(batch),
            Call::Change(change) => self.put_back_change(change),
            Call::CleanUp(dead) => self.orphans.push(dead),
        }
    }

    /// Redis has not done what it was asked.
    pub(in crate::cluster::redis) fn on_refused(&mut self, call: Call) {
        self.schedule.end_call();
        match call {
            Call::Publish(batch) => self.outgoing.put_back_unacknowledged(batch),
            Call::Change(change) => self.put_back_change(change),
            Call::CleanUp(dead) => self.orphans.push(dead),
        }
    }
}
