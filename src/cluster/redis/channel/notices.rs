//! What is to be reported to the app's backend, and what was.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::part::Reported;
use crate::cluster::redis::wire::{due, due_field};

/// How long after it was due another node has reported something, and Redis knows that.
const REPORTED_WITHIN: Duration = Duration::from_millis(500);

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
    /// The same that other nodes report: until they have, this one cannot announce that webhooks know of it.
    doubted_elsewhere: HashSet<String>,
    /// When they have, and Redis is asked whether there is anything left.
    settled_at: Option<Instant>,
    /// Whether Redis has forgotten since what was in doubt: until all is announced again, its answers show nothing
    /// of that.
    forgotten: bool,
    /// What was reported, of which Redis is not known to know it.
    notified: HashSet<String>,
    to_acknowledge: Vec<String>,
    /// When the next of what is due has to be looked at.
    next_due: Option<Instant>,
    flush: Flush,
}

impl Notices {
    /// When there is the next to look at.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.next_due.into_iter().chain(self.settled_at).min()
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
        self.settled_at = None;
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
        self.forget_others();
    }

    /// Nobody is here of whom others may have to report anything.
    pub(super) fn forget_others(&mut self) {
        self.doubted_elsewhere.clear();
        self.settled_at = None;
    }

    /// Another node reports it when it is due, unless it turns out that webhooks know.
    pub(super) fn note_doubted_elsewhere(&mut self, field: String, due: Instant) {
        let at = due + REPORTED_WITHIN;
        self.settled_at = Some(self.settled_at.map_or(at, |next| next.min(at)));
        self.doubted_elsewhere.insert(field);
    }

    /// Whether an answer shows what is still in doubt: it is that to all that the node has to announce, or that
    /// was announced since Redis last lost anything.
    pub(super) fn shows_doubts(&mut self, is_whole: bool, is_of_another_log: bool) -> bool {
        self.forgotten = !is_whole && (self.forgotten || is_of_another_log);
        !self.forgotten
    }

    /// All that is in doubt, others' and perhaps this node's, as Redis is about to be taken at its word.
    pub(super) fn take_doubts(&mut self, own: bool) -> HashSet<String> {
        let mut fields = std::mem::take(&mut self.doubted_elsewhere);
        self.settled_at = None;
        if own {
            fields.extend(std::mem::take(&mut self.doubted));
        }
        fields
    }

    /// Users whose departure waits until it is due.
    pub(super) fn pending_departures(&self) -> impl Iterator<Item = &str> {
        let fields = self.pending.iter();
        fields.filter_map(|field| field.strip_prefix(due::REMOVING))
    }

    /// Whether the user's departure waits until it is due.
    pub(super) fn is_pending_departure(&self, user_id: &str) -> bool {
        !self.pending.is_empty() && self.pending.contains(&due_field(due::REMOVING, user_id))
    }

    /// The user has come: there is no departure.
    pub(super) fn on_return(&mut self, user_id: &str) {
        if !self.pending.is_empty() {
            self.pending.remove(&due_field(due::REMOVING, user_id));
        }
    }

    /// Whether webhooks may not know of the user, whom another node may have reported.
    pub(super) fn is_doubted(&self, user_id: &str) -> bool {
        if self.doubted.is_empty() && self.doubted_elsewhere.is_empty() {
            return false;
        }
        let field = due_field(due::PERHAPS_ADDED, user_id);
        self.doubted.contains(&field) || self.doubted_elsewhere.contains(&field)
    }

    /// Whether webhooks know of a user whom Redis has.
    pub(super) fn reported(&self, user_id: &str) -> Reported {
        if self.is_doubted(user_id) {
            Reported::Perhaps
        } else {
            Reported::Yes
        }
    }

    /// Whether webhooks may not know that the channel is occupied.
    pub(super) fn is_occupancy_doubted(&self) -> bool {
        self.doubted.contains(due::PERHAPS_OCCUPIED)
            || self.doubted_elsewhere.contains(due::PERHAPS_OCCUPIED)
    }

    /// A field of what is due then, and not before.
    pub(super) fn wait_for(&mut self, kind: &str, field: &str, at: Instant) {
        if matches!(kind, due::REMOVING | due::VACATING) {
            self.pending.insert(field.to_owned());
        } else if matches!(kind, due::PERHAPS_OCCUPIED | due::PERHAPS_ADDED) {
            self.doubted.insert(field.to_owned());
        }
        self.next_due = Some(self.next_due.map_or(at, |next| next.min(at)));
    }

    /// It is reported now, and that is to be acknowledged. False: it was before.
    pub(super) fn report(&mut self, field: &str) -> bool {
        let is_news = self.notified.insert(field.to_owned());
        if is_news {
            self.to_acknowledge.push(field.to_owned());
        }
        is_news
    }

    /// The departure of the user is reported.
    pub(super) fn on_removed(&mut self, user_id: &str) {
        self.pending.remove(&due_field(due::REMOVING, user_id));
    }

    /// The user's arrival is reported.
    pub(super) fn on_added(&mut self, user_id: &str) {
        if self.doubted.is_empty() && self.doubted_elsewhere.is_empty() {
            return;
        }
        let field = due_field(due::PERHAPS_ADDED, user_id);
        self.doubted.remove(&field);
        self.doubted_elsewhere.remove(&field);
    }

    /// It is reported that the channel is occupied.
    pub(super) fn on_occupied(&mut self) {
        self.doubted.remove(due::PERHAPS_OCCUPIED);
        self.doubted_elsewhere.remove(due::PERHAPS_OCCUPIED);
    }

    /// Whether what is acknowledged to Redis was reported.
    pub(super) fn check(&self) {
        let mut acknowledged = self.to_acknowledge.iter();
        debug_assert!(acknowledged.all(|field| self.notified.contains(field)));
    }
}
