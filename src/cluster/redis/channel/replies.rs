//! What follows from what Redis answers.

use std::collections::HashSet;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use redis::Value;

use super::calls::{Call, Change};
use super::entries::Reading;
use super::{Asked, Channel, Context, Kind, Occupancy, Place, Waiting};
use crate::cluster::redis::entry::{EntryId, Unreadable};
use crate::cluster::redis::node::KEEPS_FOR;
use crate::cluster::redis::outgoing::Written;
use crate::cluster::redis::script::{ChannelReply, Published};
use crate::hub::CachedEvent;
use crate::metrics::{EventLoss, LossOn};
use crate::protocol::Frame;
use crate::protocol::member::Member;

/// What Redis has done.
#[derive(Debug)]
pub(in crate::cluster::redis) enum Done {
    /// Written what was said.
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
        self.is_calling = false;
        let change = match call {
            Call::Publish(batch) => {
                let published = Published::read(value);
                self.doubts_memory |= published.was_forgotten;
                context.metrics.entries_sent.inc();
                context.metrics.log_evictions.inc_by(published.evicted);
                if published.is_logged {
                    let (page, bytes) = (&mut self.ledger_page, batch.body_bytes());
                    let mut ledger = context.ledger.borrow_mut();
                    ledger.wrote(&self.topic, page, bytes, context.now);
                    ledger.freed(published.freed);
                }
                let written = batch.done();
                return Ok(match published.is_logged {
                    true => Done::Wrote(written),
                    false => Done::Other,
                });
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
            self.notified.remove(field);
        }
        if change.all_due {
            self.pending.clear();
            self.end_doubts();
        }
        self.on_due(&reply.due, context.now);
        // Redis has lost something that this node does not know of yet.
        self.doubts_memory |= !self.doubted.is_empty() && !context.is_doubtful;
        if let Some(dead) = change.orphans_of {
            return Ok(Done::CleanedUp(dead));
        }
        if !self.must_send_all {
            self.acknowledged_counts = Some((change.connections, change.watchers));
        }
        self.note_part(&change, &reply);
        if self.is_wanted() {
            // Else the channel may be nobody's since: what it is is asked for anew.
            if change.was_on_it() {
                self.catch_up(&change, reply, context);
            }
        } else {
            self.forget_place();
            if let Some(app) = &self.app {
                match &self.kind {
                    Kind::User(user_id) => app.set_online(user_id, false),
                    Kind::Channel => app.forget_empty(&self.name),
                }
            }
        }
        Ok(Done::Other)
    }

    /// Redis knows of this part.
    fn note_part(&mut self, change: &Change, reply: &ChannelReply) {
        self.occupancy = match change.connections {
            0 if self.pending.contains("v") => Occupancy::Known,
            0 => Occupancy::No,
            _ if self.doubted.contains("p") => Occupancy::Unsure,
            _ => Occupancy::Known,
        };
        for user_id in &change.news {
            let is_reported = !self.is_doubted(user_id);
            if let Some(user) = self.users.get_mut(user_id) {
                user.is_reported = is_reported;
            }
        }
        if self.place.is_none() {
            self.former = Some(Place {
                epoch: reply.epoch.clone(),
                id: reply.last,
            });
        }
    }

    /// Brings the copy up to where the reply says the channel is, and lets in who waited for that.
    fn catch_up(&mut self, change: &Change, reply: ChannelReply, context: &Context<'_>) {
        if change.asked_from.is_some() && self.place.is_none() {
            // The copy is gone since the question was asked.
            self.keep_granted(change, &reply);
            return;
        }
        for (origin, number) in &reply.numbers {
            self.note_number(*origin, *number);
        }
        self.note_break(change, &reply, context);
        if change.is_from_before(&reply) {
            // The new log is read from its beginning.
            let first = reply.entries.first().map_or(1, |(id, _)| id.offset);
            let was = self.place.as_ref().map(|place| place.id);
            self.beyond = self.beyond.max(was);
            self.former = self.place.replace(Place {
                epoch: reply.epoch.clone(),
                id: EntryId {
                    ms: 0,
                    offset: first.saturating_sub(1),
                },
            });
            self.reconcile_at = Some(context.now + context.node_timeout);
        }
        let goes_on = reply.known_here && change.asked_from.is_some();
        let reading = match goes_on || reply.has_more {
            true => Reading::InOrder,
            false => Reading::Remains,
        };
        if !self.read(reading, change, &reply, context) {
            self.must_reconcile |= change.reconciles || !goes_on;
            self.keep_granted(change, &reply);
            return;
        }
        // What the reply says as a whole is as of its last entry: later ones are read again.
        let is_whole = !goes_on || change.reconciles;
        if std::mem::take(&mut self.follows_another_log) {
            self.is_behind = true;
            self.send_all_again();
        }
        self.interrupted_at = None;
        self.beyond = None;
        if is_whole || self.offset() <= reply.last.offset {
            self.place = Some(Place {
                epoch: reply.epoch.clone(),
                id: reply.last,
            });
        }
        let is_begun_anew = self.reconcile_at.is_some();
        self.take_over(&reply, is_begun_anew, is_whole);
        self.is_synced = self.listening == Asked::Done;
        self.is_behind |= self.pushed > self.offset();
        self.pushed = 0;
        self.admit_granted(change, &reply);
        self.admit_waiting();
        if let Some(app) = &self.app {
            if let Some(subscribers) = self.total.take() {
                app.announce_total(&self.name, subscribers);
            }
            if !self.is_wanted() {
                app.forget_empty(&self.name);
            }
        }
    }

    /// Whether an entry of a log that goes on from an older state of itself is one that this node was
    /// beyond: it was delivered, or is from before its subscribers came.
    fn is_from_before(&self, id: EntryId) -> bool {
        self.beyond.is_some_and(|beyond| id <= beyond)
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
        context: &Context<'_>,
    ) -> bool {
        for (id, body) in &reply.entries {
            if id.offset <= self.offset() {
                continue;
            }
            if self.is_from_before(*id) {
                self.go_on_to(*id);
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
                app.set_roster(&self.name, self.with_those_here(members.collect()));
            }
        }
        if let (Some((payload, ms)), true) = (&reply.cached, self.name.kind().cache) {
            let cached = CachedEvent {
                frame: Frame::text(payload.len(), |out| out.extend_from_slice(payload)),
                left: Duration::from_millis(*ms),
            };
            app.set_cached(&self.name, Some(cached));
        }
        if let Kind::User(user_id) = &self.kind
            && is_news
            && (reply.is_online || !begun_anew)
        {
            app.set_online(user_id, reply.is_online || self.admitted > 0);
        }
        if is_news && self.counts_subscriptions() {
            self.total = Some(reply.subscribers);
        }
        for user in self.users.values_mut() {
            user.only_here = false;
        }
    }

    /// The members and whoever is on this node, whatever the others think.
    fn with_those_here(&self, mut members: Vec<Arc<Member>>) -> Vec<Arc<Member>> {
        let named: HashSet<Arc<str>> = members
            .iter()
            .map(|member| Arc::clone(member.user_id()))
            .collect();
        let here = self
            .users
            .values()
            .filter(|user| user.joining.is_none() && !named.contains(user.member.user_id()))
            .map(|user| Arc::clone(&user.member));
        members.extend(here);
        members
    }

    /// Counts and logs that events are missing.
    fn note_break(&mut self, change: &Change, reply: &ChannelReply, context: &Context<'_>) {
        let Some(place) = &change.asked_from else {
            return;
        };
        let away = self
            .interrupted_at
            .map(|since| context.now.saturating_duration_since(since));
        let was_given_up = std::mem::take(&mut self.was_given_up);
        if reply.known_here {
            let history = Duration::from_millis(context.publishing.history_ms);
            if was_given_up && away.is_some_and(|away| away > history) {
                self.note_loss(EventLoss::Expired, 1, context);
            }
            return;
        }
        if place.epoch != reply.epoch {
            context.metrics.epoch_changes.inc();
        } else {
            context.metrics.events_missed.inc();
        }
        if let Some((reason, lost)) = lost_events(place, reply, away) {
            self.note_loss(reason, lost, context);
        }
    }

    fn note_loss(&self, reason: EventLoss, lost: u64, context: &Context<'_>) {
        let kind = match self.kind {
            Kind::User(_) => LossOn::User,
            Kind::Channel => self.name.kind().access.into(),
        };
        context
            .metrics
            .events_lost
            .with((reason, kind))
            .inc_by(lost);
        // An outage may concern any number of channels: the metric counts them.
        if context.breaks.borrow_mut().lets_through(context.now) {
            let (channel, kind) = (self.name.as_str(), kind.as_str());
            tracing::warn!(
                channel,
                kind,
                lost,
                ?reason,
                "events of other nodes are missing: Redis does not have them any more"
            );
        }
    }

    fn keep_granted(&mut self, change: &Change, reply: &ChannelReply) {
        self.refuse(&reply.refused);
        let is_refused = |user_id: &str| reply.refused.iter().any(|refused| refused == user_id);
        let granted = change.adds.iter().filter(|user_id| !is_refused(user_id));
        self.granted.extend(granted.cloned());
    }

    fn admit_granted(&mut self, change: &Change, reply: &ChannelReply) {
        self.keep_granted(change, reply);
        for user_id in std::mem::take(&mut self.granted) {
            let is_reported = !self.is_doubted(&user_id);
            let Some(user) = self.users.get_mut(&user_id) else {
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

    fn admit_waiting(&mut self) {
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
    pub(in crate::cluster::redis) fn reconcile(&mut self, now: Instant) {
        if self.reconcile_at.is_some_and(|at| at <= now) {
            self.reconcile_at = None;
            self.must_reconcile = true;
        }
    }
}

/// The entries that a log does not have between the place that is known and what a reply gives of
/// it, where that can be told; `away`: how long ago it was last listened to, if it is not now.
fn lost_events(
    place: &Place,
    reply: &ChannelReply,
    away: Option<Duration>,
) -> Option<(EventLoss, u64)> {
    if reply.entries.is_empty() && reply.has_more {
        return None;
    }
    let offsets = reply.entries.iter().map(|(id, _)| id.offset);
    let first = offsets.min().unwrap_or(reply.last.offset + 1);
    if place.epoch == reply.epoch {
        let lost = first.saturating_sub(place.id.offset + 1);
        return (lost > 0).then_some((EventLoss::Expired, lost));
    }
    // It may have gone on for a while before it got another epoch.
    let known = reply.begun_after.min(place.id.offset);
    let lost = first.saturating_sub(known + 1);
    if lost > 0 {
        return Some((EventLoss::Expired, lost));
    }
    // The nodes keep for each other what they publish for a while after a loss.
    let is_unknown = away.is_some_and(|away| away > KEEPS_FOR);
    is_unknown.then_some((EventLoss::Forgotten, 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::redis::entry::EntryId;

    fn place(epoch: &str, offset: u64) -> Place {
        Place {
            epoch: epoch.into(),
            id: EntryId { ms: 1, offset },
        }
    }

    /// An answer of the log `a` that has the entries from `first` to `last`.
    fn reply(first: u64, last: u64) -> ChannelReply {
        let entry = |offset| (EntryId { ms: 1, offset }, Vec::new());
        ChannelReply {
            epoch: "a".into(),
            last: place("a", last).id,
            subscribers: 0,
            is_online: false,
            known_here: false,
            entries: (first..=last).map(entry).collect(),
            refused: Vec::new(),
            due: Vec::new(),
            roster: None,
            cached: None,
            has_more: false,
            numbers: Vec::new(),
            begun_after: 0,
        }
    }

    #[test]
    fn what_a_log_does_not_have_any_more_is_lost() {
        let lost = |known, first, last| lost_events(&place("a", known), &reply(first, last), None);
        assert_eq!(lost(3, 4, 9), None);
        assert_eq!(lost(3, 6, 9), Some((EventLoss::Expired, 2)));
        // Nothing is left of it.
        assert_eq!(lost(3, 10, 9), Some((EventLoss::Expired, 6)));
        // It has gone back.
        assert_eq!(lost(30, 10, 9), None);
    }

    #[test]
    fn another_log_has_all_that_is_new_unless_it_is_asked_too_late() {
        let lost = |last, away| lost_events(&place("b", 7), &reply(1, last), away);
        assert_eq!(lost(9, None), None);
        assert_eq!(lost(9, Some(KEEPS_FOR)), None);
        let longer = KEEPS_FOR + Duration::from_millis(1);
        assert_eq!(lost(9, Some(longer)), Some((EventLoss::Forgotten, 1)));
    }

    #[test]
    fn what_another_log_does_not_have_any_more_is_lost() {
        let lost = |begun_after, first| {
            let reply = ChannelReply {
                begun_after,
                ..reply(first, 9)
            };
            lost_events(&place("b", 7), &reply, None)
        };
        assert_eq!(lost(0, 4), Some((EventLoss::Expired, 3)));
        // All of it is gone.
        assert_eq!(lost(0, 10), Some((EventLoss::Expired, 9)));
        // It has gone on from an older state of itself.
        assert_eq!(lost(5, 4), None);
        assert_eq!(lost(5, 6), None);
        assert_eq!(lost(5, 8), Some((EventLoss::Expired, 2)));
        assert_eq!(lost(8, 8), None);
        assert_eq!(lost(8, 9), Some((EventLoss::Expired, 1)));
    }
}
