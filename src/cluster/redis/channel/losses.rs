//! What is missing of a log.

use std::time::Duration;

use super::changes::Change;
use super::context::Context;
use super::loss_log::Loss;
use super::state::{Channel, Kind};
use crate::cluster::redis::entry::Place;
use crate::cluster::redis::script::ChannelReply;
use crate::cluster::redis::wire::KEEPS_FOR;
use crate::metrics::{EventLoss, LossOn};

impl Channel {
    /// Counts and logs that events are missing.
    pub(super) fn note_break(
        &mut self,
        change: &Change,
        reply: &ChannelReply,
        context: &Context<'_>,
    ) {
        let Some(place) = &change.asked_from else {
            return;
        };
        let away = self.replica.away_for(context.now);
        let was_given_up = std::mem::take(&mut self.replica.was_given_up);
        if reply.known_here {
            let history = Duration::from_millis(context.publishing.history_ms);
            if was_given_up && away.is_some_and(|away| away > history) {
                self.note_loss(EventLoss::Uncounted, 1, context);
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

    /// Counts and logs what Redis has forgotten before this node could read it, as those have it who wrote it.
    pub(super) fn note_forgotten(&mut self, ends: &[Place], context: &Context<'_>) {
        let lost = self.replica.take_unread(ends);
        if lost > 0 {
            self.note_loss(EventLoss::Forgotten, lost, context);
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
        let loss = Loss { reason, kind, lost };
        let mut losses = context.losses.borrow_mut();
        losses.note(self.name.as_str(), loss, context.now);
    }
}

/// The entries that a log does not have between the place that is known and what a reply gives of
/// it, where that is known; `away`: how long ago it was last listened to, if it is not now.
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
    // The nodes keep for each other what they publish for a while after a loss. (What they have published before it is
    // counted when they have handed in how much that was.)
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
            doubted: Vec::new(),
            ends: Vec::new(),
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
