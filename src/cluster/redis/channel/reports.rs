//! What is reported to the app's backend now.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::part::{Occupancy, Reported};
use super::state::Channel;
use crate::cluster::redis::wire::due;
use crate::webhooks::Transition;

impl Channel {
    /// Reports what is to be reported now, and remembers when to look after the rest.
    pub(super) fn on_due(&mut self, fields: &[(String, u64)], now: Instant) {
        for (field, ms) in fields {
            let (kind, rest) = field.split_at(field.len().min(1));
            let transition = match kind {
                due::OCCUPIED => Transition::Occupied,
                due::VACATED => Transition::Vacated,
                due::ADDED => Transition::MemberAdded(rest),
                due::REMOVED => Transition::MemberRemoved(rest),
                due::COUNT => Transition::Counted(rest.parse().unwrap_or(0)),
                _ => {
                    let at = now + Duration::from_millis(*ms);
                    self.notices.wait_for(kind, field, at);
                    continue;
                }
            };
            self.note_reported(kind, rest);
            if !self.notices.report(field) {
                continue;
            }
            if let Some(webhooks) = self.app.as_ref().map(|app| app.webhooks()) {
                webhooks.transition(&self.name, &transition);
            }
        }
    }

    /// What is reported to webhooks, or was: it is not waited for any more.
    fn note_reported(&mut self, kind: &str, user_id: &str) {
        match kind {
            due::REMOVED => {
                self.notices.on_removed(user_id);
                self.part.departed.remove(user_id);
            }
            due::VACATED => {
                self.notices.pending.remove(due::VACATING);
                self.part.occupancy = Occupancy::No;
            }
            due::OCCUPIED => {
                self.notices.on_occupied();
            }
            due::ADDED => {
                self.notices.on_added(user_id);
                self.part.on_added(user_id);
            }
            _ => {}
        }
    }

    /// What other nodes may have to report: of those who are not here it need not be known.
    pub(super) fn note_doubted_elsewhere(&mut self, fields: Vec<(String, u64)>, now: Instant) {
        for (field, ms) in fields {
            let user_id = field.strip_prefix(due::PERHAPS_ADDED);
            if user_id.is_none_or(|user_id| self.part.users.contains_key(user_id)) {
                let due = now + Duration::from_millis(ms);
                self.notices.note_doubted_elsewhere(field, due);
            }
        }
    }

    /// Of these it was in doubt whether webhooks know: they do, unless it still is.
    pub(super) fn end_doubts(&mut self, fields: &HashSet<String>) {
        let users = fields.iter();
        for user_id in users.filter_map(|field| field.strip_prefix(due::PERHAPS_ADDED)) {
            if !self.notices.is_doubted(user_id) {
                self.part.note_reported(user_id, Reported::Yes);
            }
        }
    }

    /// What is due is to be reported, and all that the node would report later.
    pub(in crate::cluster::redis) fn flush_all(&mut self) {
        self.notices.flush(true);
    }
}
