//! What a node has missed of a channel is read: its log from where the node was, or what the channel is as a whole.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::changes::Change;
use super::context::Context;
use super::entries::Reading;
use super::replica::Sync;
use super::state::{Channel, Kind};
use crate::cluster::redis::script::ChannelReply;
use crate::hub::{AppHub, CachedEvent};
use crate::protocol::Frame;
use crate::protocol::member::Member;

impl Channel {
    /// Brings the copy up to where the channel is as of the reply, and admits who waited for that.
    pub(super) fn catch_up(&mut self, change: &Change, reply: ChannelReply, context: &Context<'_>) {
        if change.asked_from.is_some() && self.replica.place.is_none() {
            // The copy is gone since the question was asked.
            self.keep_granted(change, &reply);
            return;
        }
        for (origin, number) in &reply.numbers {
            self.replica.note_number(*origin, *number);
        }
        self.note_break(change, &reply, context);
        self.note_forgotten(&reply.ends, context);
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
            replica.place = Some(reply.place());
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
                self.replica.go_on_reading(*id, reply.begun_after);
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
            self.replica.go_on_reading(*id, reply.begun_after);
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
}
