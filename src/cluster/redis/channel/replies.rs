//! What follows from what Redis answers.

use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use redis::Value;

use super::super::entry::{EntryId, Unreadable};
use super::super::script::{self, ChannelReply};
use super::calls::{Call, Change};
use super::entries::Reading;
use super::{Asked, Channel, Kind, Place, Surroundings, Waiting};
use crate::protocol::Frame;
use crate::protocol::member::Member;

impl Channel {
    /// Redis has done what it was asked. Returns the dead node that it was about, if it was.
    pub(in super::super) fn on_reply(
        &mut self,
        call: Call,
        value: Value,
        around: &Surroundings<'_>,
    ) -> Result<Option<String>, Unreadable> {
        self.is_calling = false;
        let change = match call {
            Call::Publish(utterance) => {
                around.metrics.entries_sent.inc();
                let evicted = script::evicted(value);
                around.metrics.log_evictions.inc_by(evicted);
                utterance.done();
                return Ok(None);
            }
            Call::Change(change) => change,
        };
        let reply = match ChannelReply::read(value) {
            Ok(reply) => reply,
            Err(error) => {
                self.put_back_change(change);
                return Err(error);
            }
        };
        for field in &change.acknowledged {
            self.told_to_webhooks.remove(field);
        }
        self.tell(&reply.due);
        if let Some(dead) = change.orphans_of {
            return Ok(Some(dead));
        }
        self.told = Some((change.connections, change.watchers));
        if self.is_wanted() {
            // Else the channel may be nobody's since: what it is is asked for anew.
            if change.was_on_it() {
                self.catch_up(&change, reply, around);
            }
        } else {
            self.place = None;
            self.is_synced = false;
            if let Some(app) = &self.app {
                match &self.kind {
                    Kind::User(user_id) => app.set_online(user_id, false),
                    Kind::Channel => app.forget_empty(&self.name),
                }
            }
        }
        Ok(None)
    }

    /// Brings the copy up to where the reply says the channel is, and lets in who waited for that.
    fn catch_up(&mut self, change: &Change, reply: ChannelReply, around: &Surroundings<'_>) {
        if change.asked_from.is_some() && self.place.is_none() {
            // The copy is gone since the question was asked.
            self.keep_granted(change, &reply);
            return;
        }
        self.note_break(change, &reply, around);
        if change.is_from_before(&reply) {
            // The new log is read from its beginning.
            self.place = Some(Place {
                epoch: reply.epoch.clone(),
                id: EntryId { ms: 0, offset: 0 },
            });
            self.reconcile_at = Some(Instant::now() + around.node_timeout);
        }
        let goes_on = reply.known_here && change.asked_from.is_some();
        let reading = match goes_on || reply.has_more {
            true => Reading::InOrder,
            false => Reading::Remains,
        };
        if !self.read(reading, change, &reply, around) {
            self.must_reconcile |= change.reconciles || !goes_on;
            self.keep_granted(change, &reply);
            return;
        }
        // What the reply says as a whole is as of its last entry: later ones are read again.
        let is_whole = !goes_on || change.reconciles;
        if is_whole || self.offset() <= reply.last.offset {
            self.place = Some(Place {
                epoch: reply.epoch.clone(),
                id: reply.last,
            });
        }
        let is_begun_anew = self.reconcile_at.is_some();
        self.take_over(&reply, is_begun_anew, is_whole);
        self.is_synced = self.listening == Asked::Done;
        self.is_behind |= self.heard > self.offset();
        self.heard = 0;
        self.let_in_granted(change, &reply);
        self.let_in_waiting();
        if let Some(app) = &self.app {
            if let Some(subscribers) = self.total.take() {
                app.announce_total(&self.name, subscribers);
            }
            if !self.is_wanted() {
                app.forget_empty(&self.name);
            }
        }
    }

    /// The offset of the last entry that is known.
    fn offset(&self) -> u64 {
        self.place.as_ref().map_or(0, |place| place.id.offset)
    }

    /// Applies the entries that came along. False if those are not all yet.
    fn read(
        &mut self,
        reading: Reading,
        change: &Change,
        reply: &ChannelReply,
        around: &Surroundings<'_>,
    ) -> bool {
        for (id, body) in &reply.entries {
            if id.offset <= self.offset() {
                continue;
            }
            let body = Bytes::copy_from_slice(body);
            if self.apply(&body, reading, around).is_err() {
                self.wait_for_room();
                return false;
            }
            if change.was_sync {
                around.metrics.entries_recovered.inc();
            }
            self.go_on_to(*id);
        }
        self.is_behind |= reply.has_more;
        !reply.has_more
    }

    /// What the channel is for the cluster, where the reply says it as a whole. Of a log that was
    /// just begun anew the members may not all be back: nobody is taken to be gone yet.
    fn take_over(&mut self, reply: &ChannelReply, begun_anew: bool, is_whole: bool) {
        let Some(app) = &self.app else { return };
        let is_news = is_whole || !self.is_synced;
        if let Some(roster) = &reply.roster {
            let members = roster
                .iter()
                .map(|(user_id, info)| Arc::new(Member::from_escaped(user_id, info)));
            if begun_anew {
                for member in members {
                    app.member_came(&self.name, &member);
                }
            } else {
                app.set_roster(&self.name, members.collect());
            }
        }
        if let (Some((payload, ms)), true) = (&reply.cached, self.name.kind().cache) {
            let frame = Frame::text(payload.len(), |out| out.extend_from_slice(payload));
            let kept_for = Duration::from_millis(*ms);
            app.set_cached(&self.name, Some((frame, kept_for)));
        }
        if let Kind::User(user_id) = &self.kind
            && is_news
            && (reply.is_online || !begun_anew)
        {
            app.set_online(user_id, reply.is_online);
        }
        if is_news && self.tells_counts() {
            self.total = Some(reply.subscribers);
        }
        for user in self.users.values_mut() {
            user.only_here = false;
        }
    }

    /// Counts and logs that events may be missing.
    fn note_break(&self, change: &Change, reply: &ChannelReply, around: &Surroundings<'_>) {
        let Some(place) = &change.asked_from else {
            return;
        };
        if reply.known_here {
            return;
        }
        let channel = self.name.as_str();
        if place.epoch != reply.epoch {
            around.metrics.epoch_changes.inc();
            tracing::debug!(channel, "the channel's log was begun anew");
            return;
        }
        around.metrics.events_missed.inc();
        // An outage may concern any number of channels: the metric counts them.
        if around.breaks.borrow_mut().lets_through(Instant::now()) {
            tracing::warn!(
                channel,
                "events may be missing: the channel's log does not go back to what this node knows"
            );
        }
    }

    fn keep_granted(&mut self, change: &Change, reply: &ChannelReply) {
        self.refuse(&reply.refused);
        let is_refused = |user_id: &str| reply.refused.iter().any(|refused| refused == user_id);
        let granted = change.adds.iter().filter(|user_id| !is_refused(user_id));
        self.granted.extend(granted.cloned());
    }

    fn let_in_granted(&mut self, change: &Change, reply: &ChannelReply) {
        self.keep_granted(change, reply);
        for user_id in std::mem::take(&mut self.granted) {
            let Some(user) = self.users.get_mut(&user_id) else {
                continue;
            };
            let joining = user.joining.take().unwrap_or_default();
            user.connections += joining.len();
            for join in joining {
                self.admit(join);
            }
        }
    }

    fn refuse(&mut self, refused: &[String]) {
        let Some(app) = self.app.clone() else { return };
        for user_id in refused {
            let Entry::Occupied(mut user) = self.users.entry(user_id.as_str().into()) else {
                continue;
            };
            // Else let in meanwhile, as nobody could be asked.
            if let Some(joining) = user.get_mut().joining.take() {
                user.remove();
                for join in joining {
                    self.connections -= 1;
                    app.refuse_full(join);
                }
            }
        }
    }

    fn let_in_waiting(&mut self) {
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Join(join) => self.join_live(join),
                Waiting::Confirm(peer) => self.confirm(peer),
                Waiting::SignIn(signing_in) => self.register(signing_in),
                Waiting::Watch(watch) => watch.one_known(),
            }
        }
    }

    /// The other nodes have had time to tell who is there since the log was begun anew: whoever is
    /// not is gone.
    pub(in super::super) fn reconcile(&mut self, now: Instant) {
        if self.reconcile_at.is_some_and(|at| at <= now) {
            self.reconcile_at = None;
            self.must_reconcile = true;
        }
    }
}
