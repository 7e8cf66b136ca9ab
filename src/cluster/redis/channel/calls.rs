//! What Redis is asked.

use std::sync::Arc;
use std::time::Duration;

use redis::Cmd;
use smallvec::SmallVec;

use super::{Asked, Channel, Context, Kind, Occupancy, Place, Step};
use crate::apps::WebhookEvent;
use crate::cluster::redis::keys;
use crate::cluster::redis::outgoing::Batch;
use crate::cluster::redis::script::{self, ChannelReply};

/// How much of a channel's log comes with an answer; the rest is asked for later.
#[derive(Clone, Copy, Debug)]
pub(in crate::cluster::redis) struct Page {
    pub(in crate::cluster::redis) bytes: usize,
    /// Whether one entry is to come however large it is.
    pub(in crate::cluster::redis) one_at_least: bool,
}

/// What Redis is asked, and what was said along with it.
#[derive(Debug)]
pub(in crate::cluster::redis) enum Call {
    Publish(Batch),
    Change(Change),
}

#[derive(Debug)]
pub(in crate::cluster::redis) struct Change {
    pub(super) connections: usize,
    pub(super) watchers: usize,
    pub(super) adds: Vec<Arc<str>>,
    /// Users told as new among all others.
    pub(super) news: Vec<Arc<str>>,
    /// Users told to have left.
    pub(super) removes: Vec<(Arc<str>, bool)>,
    /// Whether all is asked for that the node has to tell.
    pub(super) all_due: bool,
    pub(super) acknowledged: Vec<String>,
    pub(super) was_sync: bool,
    /// Whether what the channel is for the cluster was asked for as a whole.
    pub(super) reconciles: bool,
    pub(super) asked_from: Option<Place>,
    pub(super) orphans_of: Option<String>,
}

impl Change {
    /// Whether the node was on the channel when it told so.
    pub(super) fn was_on_it(&self) -> bool {
        self.connections > 0 || self.watchers > 0
    }

    /// Whether it was made from a place in a log that has been begun anew since.
    pub(super) fn is_from_before(&self, reply: &ChannelReply) -> bool {
        let from = self.asked_from.as_ref();
        from.is_some_and(|place| place.epoch != reply.epoch)
    }
}

impl Call {
    /// About how much goes to Redis.
    pub(in crate::cluster::redis) fn bytes(&self) -> usize {
        match self {
            Self::Publish(batch) => batch.bytes(),
            Self::Change(_) => 0,
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

impl Channel {
    fn next(&self, is_counted: bool) -> Option<Next> {
        let changes = self.has_changes() && self.may_change(is_counted);
        let cleans_up = !self.orphans.is_empty() && self.may_clean_up(is_counted);
        match (changes, self.outgoing.is_empty()) {
            // Who is on this node as well is not gone in between.
            _ if cleans_up && !(changes && self.must_send_all) => Some(Next::CleanUp),
            (true, empty) if empty || !self.last_was_change => Some(Next::Change),
            (_, false) => Some(Next::Publish),
            _ => None,
        }
    }

    /// Whether what it asks next may be answered with much: what the channel is, and its log.
    pub(in crate::cluster::redis) fn asks_for_much(&self, is_counted: bool) -> bool {
        self.reads() && self.next(is_counted) == Some(Next::Change)
    }

    /// Whether the node reads what the channel is, or what was missed of it.
    pub(in crate::cluster::redis) fn reads(&self) -> bool {
        let reads = self.is_behind || self.must_reconcile || !self.is_synced;
        self.is_wanted() && reads
    }

    /// What Redis is to be asked next. One call at a time is under way.
    pub(in crate::cluster::redis) fn next_call(
        &mut self,
        is_counted: bool,
        page: Page,
        context: &Context<'_>,
    ) -> Option<(Call, Cmd)> {
        if self.is_calling {
            return None;
        }
        let call = match self.next(is_counted)? {
            Next::CleanUp => self.remove_orphans(context),
            Next::Change => self.change(page, context),
            Next::Publish => self.publish_next(context),
        };
        self.is_calling = call.is_some();
        call
    }

    fn publish_next(&mut self, context: &Context<'_>) -> Option<(Call, Cmd)> {
        self.last_was_change = false;
        let batch = self.outgoing.next(context.publishing)?;
        let listens = self.listening != Asked::No;
        let command = batch.call(&self.topic, context.publishing, listens);
        Some((Call::Publish(batch), command))
    }

    fn change(&mut self, page: Page, context: &Context<'_>) -> Option<(Call, Cmd)> {
        self.last_was_change = true;
        let node = context.publishing.node;
        if !self.is_wanted() {
            // Whoever comes from now on waits until Redis has been told: nobody tells this node of
            // what happens in between.
            self.forget_place();
        }
        let asked_from = self.place.clone();
        let tells_all = std::mem::take(&mut self.must_send_all);
        let was_sync = !self.is_synced || tells_all;
        let reconciles = std::mem::take(&mut self.must_reconcile);
        let all_due = was_sync || self.flushes_due.is_some();
        let mut flags = self.flags(was_sync, all_due);
        if reconciles {
            flags.push('r');
        }
        flags.push(self.occupancy_flag(tells_all));
        if self.connections > 0 && self.occupancy == Occupancy::No {
            self.occupancy = Occupancy::Unsure;
        }
        if page.one_at_least {
            flags.push('e');
        }
        let from = asked_from.as_ref().map(|place| (place, page.bytes));
        let mut command = self.call_of(&node.to_string(), from, &flags, context);
        let acknowledged = std::mem::take(&mut self.to_acknowledge);
        for field in &acknowledged {
            command.arg("a").arg(field);
        }
        let (mut adds, mut news, mut removes) = (Vec::new(), Vec::new(), Vec::new());
        let steps = std::mem::take(&mut self.steps);
        if tells_all {
            self.note_pending_as_departed();
            removes.extend(std::mem::take(&mut self.departed));
            self.add_whole_part(&mut command, &removes, &mut adds, &mut news);
        } else {
            for step in steps {
                match step {
                    Step::Add(user_id) => {
                        let Some(user) = self.users.get(&user_id) else {
                            continue;
                        };
                        command.arg("+").arg(&*user_id);
                        command.arg(user.member.escaped_info());
                        adds.push(user_id);
                    }
                    Step::Remove(user_id, is_reported) => {
                        remove(&mut command, &user_id, is_reported);
                        removes.push((user_id, is_reported));
                    }
                }
            }
        }
        if self.acknowledged_counts != Some((self.connections, self.watchers)) || tells_all {
            command.arg("n").arg(self.connections);
            if matches!(self.kind, Kind::User(_)) {
                command.arg("w").arg(self.watchers);
            }
        }
        if all_due && !tells_all {
            self.add_pending(&mut command);
        }
        if let Some(all) = self.flushes_due.take() {
            command.arg("f").arg(i32::from(all));
        }
        self.is_behind = false;
        let change = Change {
            connections: self.connections,
            watchers: self.watchers,
            adds,
            news,
            removes,
            all_due,
            acknowledged,
            was_sync,
            reconciles,
            asked_from,
            orphans_of: None,
        };
        Some((Call::Change(change), command))
    }

    /// Departures that wait until they are due: Redis may have forgotten them since, and what it answers is
    /// taken for all that waits.
    fn add_pending(&self, command: &mut Cmd) {
        let departed = self
            .pending
            .iter()
            .filter_map(|field| field.strip_prefix('r'));
        for user_id in departed.filter(|user_id| !self.users.contains_key(*user_id)) {
            remove(command, user_id, true);
        }
    }

    /// The whole part; users who wait to be let in come on top of it, as there may be no room.
    fn add_whole_part(
        &self,
        command: &mut Cmd,
        departed: &[(Arc<str>, bool)],
        adds: &mut Vec<Arc<str>>,
        news: &mut Vec<Arc<str>>,
    ) {
        if !self.name.kind().is_presence() {
            return;
        }
        for (user_id, is_reported) in departed {
            // Whoever waits to be let in has gone and come again.
            if !self.is_here(user_id) {
                remove(command, user_id, *is_reported);
            }
        }
        let (joining, here): (Vec<_>, Vec<_>) = self
            .users
            .iter()
            .partition(|(_, user)| user.joining.is_some());
        command.arg("=").arg(here.len());
        for (user_id, user) in here {
            command.arg(&**user_id).arg(user.member.escaped_info());
            command.arg(i32::from(!user.is_reported));
            if !user.is_reported {
                news.push(Arc::clone(user_id));
            }
        }
        for (user_id, user) in joining {
            command.arg("+").arg(&**user_id);
            command.arg(user.member.escaped_info());
            adds.push(Arc::clone(user_id));
        }
    }

    fn remove_orphans(&mut self, context: &Context<'_>) -> Option<(Call, Cmd)> {
        let dead = self.orphans.pop()?;
        let mut command = self.call_of(&dead, None, &self.flags(false, true), context);
        command.arg("=").arg(0);
        command.arg("n").arg(0).arg("w").arg(0);
        let change = Change {
            connections: self.connections,
            watchers: self.watchers,
            adds: Vec::new(),
            news: Vec::new(),
            removes: Vec::new(),
            all_due: false,
            acknowledged: Vec::new(),
            was_sync: false,
            reconciles: false,
            asked_from: None,
            orphans_of: Some(dead),
        };
        Some((Call::Change(change), command))
    }

    /// A call of the script, up to its steps.
    fn call_of(
        &self,
        node: &str,
        from: Option<(&Place, usize)>,
        flags: &str,
        context: &Context<'_>,
    ) -> Cmd {
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
        let mut command = script::CHANNEL.call(&keys);
        let publishing = context.publishing;
        command
            .arg(publishing.node.to_string())
            .arg(node)
            .arg(publishing.epoch)
            .arg(publishing.history_ms)
            .arg(publishing.publish)
            .arg(topic)
            .arg(publishing.version)
            .arg(self.most_members())
            .arg(
                [
                    flags,
                    if from.is_none() { "x" } else { "" },
                    if context.is_doubtful { "D" } else { "" },
                ]
                .concat(),
            )
            .arg(self.delay(context).as_millis() as u64);
        let bytes = from.map_or(0, |(_, bytes)| bytes);
        match from.map(|(place, _)| place).or(self.former.as_ref()) {
            Some(place) => command.arg(&*place.epoch).arg(place.id.to_string()),
            None => command.arg("").arg("0-0"),
        };
        command.arg(bytes);
        command.arg(context.node_timeout.as_millis() as u64);
        command.arg(context.memory.map_or("", |(_, name)| name));
        command
    }

    /// What webhooks know of this node's part.
    fn occupancy_flag(&self, tells_all: bool) -> char {
        match (self.occupancy, self.connections) {
            (Occupancy::Known, 0) => 'z',
            (Occupancy::Known, _) => 'q',
            (Occupancy::No, 0) if tells_all => 'y',
            // None that the script knows.
            (Occupancy::Unsure | Occupancy::No, _) => '-',
        }
    }

    /// Whether subscribers are told how many they are.
    pub(super) fn counts_subscriptions(&self) -> bool {
        let app = self.app.as_ref();
        let is_counted = self.kind == Kind::Channel && !self.name.kind().is_presence();
        is_counted && app.is_some_and(|app| app.app.subscription_count)
    }

    fn most_members(&self) -> usize {
        let app = self.app.as_ref();
        app.map_or(0, |app| app.app.limits.presence_members)
    }

    fn delay(&self, context: &Context<'_>) -> Duration {
        match (&self.kind, &self.app) {
            (Kind::User(_), Some(app)) => app.app.watchlist_grace,
            _ => context.leave_delay,
        }
    }

    fn flags(&self, is_sync: bool, all_due: bool) -> String {
        let mut flags = String::new();
        let Some(app) = &self.app else {
            return flags;
        };
        if all_due {
            flags.push('d');
        }
        if let Kind::User(_) = self.kind {
            if app.has_watchlists() {
                flags.push('u');
            }
            return flags;
        }
        let kind = self.name.kind();
        if kind.is_presence() {
            flags.push('p');
        } else if self.counts_subscriptions() {
            flags.push('c');
        }
        if is_sync && kind.cache {
            flags.push('k');
        }
        let Some(webhooks) = app.webhooks() else {
            return flags;
        };
        use WebhookEvent::{
            ChannelOccupied, ChannelVacated, MemberAdded, MemberRemoved, SubscriptionCount,
        };
        for (flag, events) in [
            ('o', [ChannelOccupied, ChannelVacated]),
            ('m', [MemberAdded, MemberRemoved]),
            ('s', [SubscriptionCount, SubscriptionCount]),
        ] {
            let name = self.name.as_str();
            if events.into_iter().any(|event| webhooks.wants(event, name)) {
                flags.push(flag);
            }
        }
        flags
    }

    /// It is not known whether Redis has done what it was asked.
    pub(in crate::cluster::redis) fn on_unsure(&mut self, call: Call) {
        self.is_calling = false;
        match call {
            Call::Publish(batch) => self.outgoing.put_back(batch),
            Call::Change(change) => self.put_back_change(change),
        }
    }

    /// Redis has not done what it was asked.
    pub(in crate::cluster::redis) fn on_refused(&mut self, call: Call) {
        self.is_calling = false;
        match call {
            Call::Publish(batch) => self.outgoing.put_back_unacknowledged(batch),
            Call::Change(change) => self.put_back_change(change),
        }
    }

    pub(super) fn put_back_change(&mut self, change: Change) {
        self.to_acknowledge.extend(change.acknowledged);
        if let Some(dead) = change.orphans_of {
            self.orphans.push(dead);
            return;
        }
        if self.next_due.is_some() {
            self.flushes_due = Some(false);
        }
        self.must_reconcile |= change.reconciles;
        self.departed.extend(change.removes);
        self.send_all_again();
    }
}

/// A user has left; should Redis have forgotten one whom webhooks know of, they are told.
fn remove(command: &mut Cmd, user_id: &str, is_reported: bool) {
    let step = if is_reported { "g" } else { "-" };
    command.arg(step).arg(user_id);
}
