//! What follows from what Redis answers.

use std::collections::HashSet;

use redis::Value;

use super::calls::Call;
use super::changes::Change;
use super::context::Context;
use super::part::Occupancy;
use super::state::{Channel, Kind};
use crate::cluster::redis::entry::Unreadable;
use crate::cluster::redis::outgoing::{Batch, Written};
use crate::cluster::redis::script::{ChannelReply, Published};
use crate::cluster::redis::wire::due;

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
                    Ok(if dead.was_gone {
                        Done::Other
                    } else {
                        Done::CleanedUp(dead.node)
                    })
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
        Done::Wrote(batch.done().at(published.place))
    }

    fn on_changed(&mut self, change: &Change, mut reply: ChannelReply, context: &Context<'_>) {
        self.notices.on_acknowledged(&change.acknowledged);
        self.part.was_left &= !change.was_left;
        if change.all_due {
            self.notices.pending.clear();
        }
        let settled = self.take_settled(change, &reply);
        self.on_reply_due(&reply, context);
        let doubted = std::mem::take(&mut reply.doubted);
        self.note_doubted_elsewhere(doubted, context.now);
        self.end_doubts(&settled);
        self.note_part(change, &reply);
        if !change.was_on_it() {
            self.notices.forget_others();
        }
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

    /// What was in doubt, if it is among what is due should it still be.
    fn take_settled(&mut self, change: &Change, reply: &ChannelReply) -> HashSet<String> {
        let known = change.asked_from.as_ref().or(self.replica.former.as_ref());
        let is_of_another_log = known.is_some_and(|place| place.epoch != reply.epoch);
        let shows_doubts = self
            .notices
            .shows_doubts(change.is_whole, is_of_another_log);
        if !change.all_due || !shows_doubts {
            return HashSet::new();
        }
        // What is due of the node that this one was is found when that one's part is removed.
        self.notices.take_doubts(self.orphans.is_empty())
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
            _ if notices.is_occupancy_doubted() => Occupancy::Perhaps,
            _ => Occupancy::Known,
        };
        for user_id in &change.users.news {
            self.part.note_reported(user_id, notices.reported(user_id));
        }
        if self.replica.place.is_none() {
            self.replica.former = Some(reply.place());
        }
    }
}
