//! What follows from what Redis answers.

use std::collections::HashSet;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use redis::Value;

use super::calls::Call;
use super::changes::Change;
use super::entries::Reading;
use super::part::Occupancy;
use super::replica::{Place, Sync};
use super::{Channel, Context, Kind};
use crate::cluster::redis::entry::Unreadable;
use crate::cluster::redis::outgoing::{Batch, Written};
use crate::cluster::redis::script::{ChannelReply, Published};
use crate::cluster::redis::wire::due;
use crate::hub::{AppHub, CachedEvent};
use crate::protocol::Frame;
use crate::protocol::member::Member;

/// What Redis has done.
#[derive(Debug)]
pub(in crate::cluster::redis) enum Done {
    /// Written what was to be published.
    Wrote(Written),
    /// Removed a dead node's part.
    CleanedUp(String),
    Other,
}

impl Channel {
    /// Redis has done what it was asked.
    pub(in crate::cluster::redis) fn on_reply(
        &mut self,
        call: Call,
        value: Value,
        context: &Context<'_>,
    ) -> Result<Done, Unreadable> {
        self.schedule.end_call();
        match call {
            Call::Publish(batch) => Ok(self.on_published(batch, value, context)),
            Call::Change(change) => match ChannelReply::read(value) {
                Ok(reply) => {
                    self.on_changed(&change, reply, context);
                    Ok(Done::Other)
                }
                Err(error) => {
                    self.put_back_change(change);
                    Err(error)
                }
            },
            Call::CleanUp(dead) => match ChannelReply::read(value) {
                Ok(reply) => {
                    self.on_reply_due(&reply, context);
                    Ok(Done::CleanedUp(dead))
                }
                Err(error) => {
                    self.orphans.push(dead);
                    Err(error)
                }
            },
        }
    }

    fn on_published(&mut self, batch: Batch, value: Value, context: &Context<'_>) -> Done {
        let published = Published::read(value);
        self.schedule.doubts_memory |= published.was_forgotten;
        context.metrics.entries_sent.inc();
        context.metrics.log_evictions.inc_by(published.evicted);
        if !published.is_logged {
            batch.done();
            return Done::Other;
        }
        let (page, bytes) = (&mut self.ledger_page, batch.body_bytes());
        let mut ledger = context.ledger.borrow_mut();
        ledger.wrote(&self.topic, page, bytes, context.now);
        ledger.freed(published.freed);
        Done::Wrote(batch.done())
    }

    fn on_changed(&mut self, change: &Change, reply: ChannelReply, context: &Context<'_>) {
        self.notices.on_acknowledged(&change.acknowledged);
        if change.all_due {
            self.notices.pending.clear();
            self.end_doubts();
        }
        self.on_reply_due(&reply, context);
        self.note_part(change, &reply);
        if self.is_wanted() {
            // Else the channel may be nobody's since: what it is is asked for anew.
            if change.was_on_it() {
                self.catch_up(change, reply, context);
            }
            return;
        }
        self.replica.forget_place();
        if let Some(app) = &self.app {
            match &self.kind {
                Kind::User(user_id) => app.set_online(user_id, false),
                Kind::Channel => app.forget_empty(&self.name),
            }
        }
    }

    fn on_reply_due(&mut self, reply: &ChannelReply, context: &Context<'_>) {
        self.on_due(&reply.due, context.now);
        // Redis has lost something that this node does not know of yet.
        let is_news = !self.notices.doubted.is_empty() && !context.is_doubtful;
        self.schedule.doubts_memory |= is_news;
    }

    /// Redis knows of this part.
    fn note_part(&mut self, change: &Change, reply: &ChannelReply) {
        let notices = &self.notices;
        if !self.part.is_whole_unsent() {
            self.part.acknowledged_counts = Some((change.connections, change.watchers));
        }
        self.part.occupancy = match change.connections {
            0 if notices.pending.contains(due::VACATING) => Occupancy::Known,
            0 => Occupancy::No,
            _ if notices.doubted.contains(due::PERHAPS_OCCUPIED) => Occupancy::Unsure,
            _ => Occupancy::Known,
        };
        for user_id in &change.users.news {
            let is_reported = !notices.is_doubted(user_id);
            self.part.note_reported(user_id, is_reported);
        }
        if self.replica.place.is_none() {
            self.replica.former = Some(last_place(reply));
        }
    }

    /// Brings the copy up to where the channel is as of the reply, and lets in who waited for that.
    fn catch_up(&mut self, change: &Change, reply: ChannelReply, context: &Context<'_>) {
        if change.asked_from.is_some() && self.replica.place.is_none() {
            // The copy is gone since the question was asked.
            self.keep_granted(change, &reply);
            return;
        }
        for (origin, number) in &reply.numbers {
            self.replica.note_number(*origin, *number);
        }
        self.note_break(change, &reply, context);
        if change.is_from_before(&reply) {
            // The new log is read from its beginning.
            let first = reply.entries.first().map_or(1, |(id, _)| id.offset);
            let reconcile_at = context.now + context.node_timeout;
            self.replica.begin_anew(&reply.epoch, first, reconcile_at);
        }
        let goes_on = reply.known_here && change.asked_from.is_some();
        let reading = if goes_on || reply.has_more {
            Reading::InOrder
        } else {
            Reading::Remains
        };
        if !self.read(reading, change, &reply, context) {
            self.replica.must_reconcile |= change.reconciles || !goes_on;
            self.keep_granted(change, &reply);
            return;
        }
        // What the reply says as a whole is as of its last entry: later ones are read again. Of members it says
        // nothing if the log goes on from where the node was.
        let is_news = !self.replica.is_known() && !self.name.kind().is_presence();
        let is_whole = !goes_on || change.reconciles || is_news;
        self.take_over(&reply, is_whole);
        self.note_caught_up(&reply, is_whole);
        self.admit_granted(change, &reply);
        for waiting in std::mem::take(&mut self.waiting) {
            self.admit_known(waiting);
        }
        self.announce_total();
    }

    /// All up to the reply is known.
    fn note_caught_up(&mut self, reply: &ChannelReply, is_whole: bool) {
        let follows_another_log = std::mem::take(&mut self.replica.follows_another_log);
        if follows_another_log {
            self.send_all_again();
        }
        let replica = &mut self.replica;
        replica.interrupted_at = None;
        replica.beyond = None;
        if is_whole || replica.offset() <= reply.last.offset {
            replica.place = Some(last_place(reply));
        }
        let is_behind = follows_another_log
            || replica.sync == Sync::Behind
            || replica.pushed > replica.offset();
        replica.sync = match is_behind {
            _ if !self.schedule.is_listening() => Sync::Unknown,
            true => Sync::Behind,
            false => Sync::UpToDate,
        };
        replica.pushed = 0;
    }

    fn announce_total(&mut self) {
        let Some(app) = &self.app else { return };
        if let Some(subscribers) = self.replica.total.take() {
            app.announce_total(&self.name, subscribers);
        }
        if !self.is_wanted() {
            app.forget_empty(&self.name);
        }
    }

    /// Applies the entries that came along. False if those are not all yet.
    fn read(
        &mut self,
        reading: Reading,
        change: &Change,
        reply: &ChannelReply,
        context: &Context<'_>,
    ) -> bool {
        for (id, body) in &reply.entries {
            if id.offset <= self.replica.offset() {
                continue;
            }
            if self.replica.is_from_before(*id) {
                self.replica.go_on_to(*id);
                continue;
            }
            let body = Bytes::copy_from_slice(body);
            if self.apply(&body, reading, context).is_err() {
                self.wait_for_room(context.now);
                return false;
            }
            if change.was_sync {
                context.metrics.entries_recovered.inc();
            }
            self.replica.go_on_to(*id);
        }
        if reply.has_more {
            self.replica.note_missing();
        }
        !reply.has_more
    }

    /// What the channel is for the cluster, where the reply has it as a whole.
    fn take_over(&mut self, reply: &ChannelReply, is_whole: bool) {
        let Some(app) = self.app.clone() else { return };
        let is_begun_anew = self.replica.reconcile_at.is_some();
        self.take_over_roster(reply, is_begun_anew, &app);
        if let (Some((payload, ms)), true) = (&reply.cached, self.name.kind().cache) {
            let cached = CachedEvent {
                frame: Frame::text(payload.len(), |out| out.extend_from_slice(payload)),
                left: Duration::from_millis(*ms),
            };
            app.set_cached(&self.name, Some(cached));
        }
        if let Kind::User(user_id) = &self.kind
            && is_whole
            && (reply.is_online || !is_begun_anew)
        {
            app.set_online(user_id, reply.is_online || self.part.admitted > 0);
        }
        if is_whole && self.counts_subscriptions() {
            self.replica.total = Some(reply.subscribers);
        }
        for user in self.part.users.values_mut() {
            user.only_here = false;
        }
    }

    /// Of a log that was just begun anew the members may not all be back: nobody is taken to be gone yet.
    fn take_over_roster(&self, reply: &ChannelReply, is_begun_anew: bool, app: &AppHub) {
        let Some(roster) = &reply.roster else { return };
        let members = roster
            .iter()
            .map(|(user_id, info)| Arc::new(Member::from_escaped(user_id, info)));
        if is_begun_anew {
            for member in members {
                app.member_came(&self.name, &member);
            }
        } else {
            app.set_roster(&self.name, self.with_those_here(members.collect()));
        }
    }

    /// The members and whoever is on this node, whatever the others think.
    fn with_those_here(&self, mut members: Vec<Arc<Member>>) -> Vec<Arc<Member>> {
        let named: HashSet<Arc<str>> = members
            .iter()
            .map(|member| Arc::clone(member.user_id()))
            .collect();
        let users = self.part.users.values();
        let here = users
            .filter(|user| user.joining.is_none() && !named.contains(user.member.user_id()))
            .map(|user| Arc::clone(&user.member));
        members.extend(here);
        members
    }

    fn keep_granted(&mut self, change: &Change, reply: &ChannelReply) {
        self.refuse(&reply.refused);
        let is_refused = |user_id: &str| reply.refused.iter().any(|refused| refused == user_id);
        let adds = change.users.adds.iter();
        let granted = adds.filter(|user_id| !is_refused(user_id));
        self.granted.extend(granted.cloned());
    }

    fn admit_granted(&mut self, change: &Change, reply: &ChannelReply) {
        self.keep_granted(change, reply);
        for user_id in std::mem::take(&mut self.granted) {
            let is_reported = !self.notices.is_doubted(&user_id);
            let Some(user) = self.part.users.get_mut(&user_id) else {
                continue;
            };
            let joining = user.joining.take().unwrap_or_default();
            user.connections += joining.len();
            user.is_reported = is_reported;
            for join in joining {
                self.admit(join);
            }
        }
    }

    fn refuse(&mut self, refused: &[String]) {
        let Some(app) = self.app.clone() else { return };
        for user_id in refused {
            let Entry::Occupied(mut user) = self.part.users.entry(user_id.as_str().into()) else {
                continue;
            };
            // Else let in meanwhile, as nobody could be asked.
            if let Some(joining) = user.get_mut().joining.take() {
                user.remove();
                self.granted.retain(|granted| **granted != **user_id);
                for join in joining {
                    self.part.connections -= 1;
                    app.refuse_full(join);
                }
            }
        }
    }
}

/// Where the log is that a reply is of.
fn last_place(reply: &ChannelReply) -> Place {
    Place {
        epoch: reply.epoch.clone(),
        id: reply.last,
    }
}
