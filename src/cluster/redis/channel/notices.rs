//! What is reported to the app's backend.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::Channel;
use super::part::Occupancy;
use crate::cluster::redis::wire::{due, due_field};
use crate::webhooks::Transition;

/// What is due is to be reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Flush {
    #[default]
    No,
    /// What has come due.
    Due,
    /// All that the node would report later.
    All,
}

/// What is reported to webhooks, now and later: fields of what is due.
#[derive(Debug, Default)]
pub(super) struct Notices {
    /// Departures that are reported when they are due.
    pub(super) pending: HashSet<String>,
    /// Arrivals that are reported when they are due, unless other nodes announce that webhooks know of them.
    pub(super) doubted: HashSet<String>,
    /// What was reported, of which Redis is not known to know it.
    notified: HashSet<String>,
    to_acknowledge: Vec<String>,
    /// When the next of what is due has to be looked at.
    next_due: Option<Instant>,
    flush: Flush,
}

impl Notices {
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.next_due
    }

    /// Whether something is still to be reported, or to be acknowledged to Redis.
    pub(super) fn is_any_left(&self) -> bool {
        self.next_due.is_some() || !self.notified.is_empty()
    }

    /// Whether Redis is to be called for it.
    pub(super) fn has_changes(&self) -> bool {
        self.flush != Flush::No || !self.to_acknowledge.is_empty()
    }

    pub(super) fn is_flushing(&self) -> bool {
        self.flush != Flush::No
    }

    /// What is due is to be reported.
    pub(super) fn flush(&mut self, all: bool) {
        self.next_due = None;
        if all {
            self.flush = Flush::All;
        } else if self.flush == Flush::No {
            self.flush = Flush::Due;
        }
    }

    pub(super) fn take_flush(&mut self) -> Flush {
        std::mem::take(&mut self.flush)
    }

    /// A call may have been made or not. What is due is looked for again.
    pub(super) fn flush_again(&mut self) {
        if self.next_due.is_some() && self.flush == Flush::No {
            self.flush = Flush::Due;
        }
    }

    pub(super) fn take_acknowledgements(&mut self) -> Vec<String> {
        std::mem::take(&mut self.to_acknowledge)
    }

    pub(super) fn acknowledge_again(&mut self, fields: Vec<String>) {
        self.to_acknowledge.extend(fields);
    }

    /// Redis knows that they were reported.
    pub(super) fn on_acknowledged(&mut self, fields: &[String]) {
        for field in fields {
            self.notified.remove(field);
        }
    }

    /// All others report that all that the node had has gone.
    pub(super) fn on_given_up(&mut self) {
        self.pending.clear();
        self.doubted.clear();
    }

    /// Users whose departure waits until it is due.
    pub(super) fn pending_departures(&self) -> impl Iterator<Item = &str> {
        let fields = self.pending.iter();
        fields.filter_map(|field| field.strip_prefix(due::REMOVING))
    }

    /// The user has come: there is no departure.
    pub(super) fn on_return(&mut self, user_id: &str) {
        if !self.pending.is_empty() {
            self.pending.remove(&due_field(due::REMOVING, user_id));
        }
    }

    /// Whether webhooks may not know of the user, whom another node may have reported.
    pub(super) fn is_doubted(&self, user_id: &str) -> bool {
        !self.doubted.is_empty()
            && self
                .doubted
                .contains(&due_field(due::PERHAPS_ADDED, user_id))
    }

    fn look_again_at(&mut self, at: Instant) {
        self.next_due = Some(self.next_due.map_or(at, |next| next.min(at)));
    }

    /// Whether what is acknowledged to Redis was reported.
    pub(super) fn check(&self) {
        let mut acknowledged = self.to_acknowledge.iter();
        debug_assert!(acknowledged.all(|field| self.notified.contains(field)));
    }
}

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
                    if matches!(kind, due::REMOVING | due::VACATING) {
                        self.notices.pending.insert(field.clone());
                    } else if matches!(kind, due::PERHAPS_OCCUPIED | due::PERHAPS_ADDED) {
                        self.notices.doubted.insert(field.clone());
                    }
                    self.notices.look_again_at(now + Duration::from_millis(*ms));
                    continue;
                }
            };
            self.note_reported(kind, rest);
            if !self.notices.notified.insert(field.clone()) {
                continue;
            }
            self.notices.to_acknowledge.push(field.clone());
            if let Some(webhooks) = self.app.as_ref().map(|app| app.webhooks()) {
                webhooks.transition(&self.name, &transition);
            }
        }
    }

    /// What is reported to webhooks, or was: it is not waited for any more.
    fn note_reported(&mut self, kind: &str, user_id: &str) {
        match kind {
            due::REMOVED => {
                let field = due_field(due::REMOVING, user_id);
                self.notices.pending.remove(&field);
                self.part.departed.remove(user_id);
            }
            due::VACATED => {
                self.notices.pending.remove(due::VACATING);
                self.part.occupancy = Occupancy::No;
            }
            due::OCCUPIED => {
                self.notices.doubted.remove(due::PERHAPS_OCCUPIED);
            }
            due::ADDED => {
                if !self.notices.doubted.is_empty() {
                    self.notices
                        .doubted
                        .remove(&due_field(due::PERHAPS_ADDED, user_id));
                }
                self.part.note_reported(user_id, true);
            }
            _ => {}
        }
    }

    /// What is still in doubt will be among what is due. Of the rest webhooks know. (What is due of the
    /// node that this one was is found when that one's part is removed.)
    pub(super) fn end_doubts(&mut self) {
        if !self.orphans.is_empty() {
            return;
        }
        for field in std::mem::take(&mut self.notices.doubted) {
            if let Some(user_id) = field.strip_prefix(due::PERHAPS_ADDED) {
                self.part.note_reported(user_id, true);
            }
        }
    }

    /// What is due is to be reported, and all that the node would report later.
    pub(in crate::cluster::redis) fn flush_all(&mut self) {
        self.notices.flush(true);
    }
}
