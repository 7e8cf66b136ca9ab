//! What the app's backend is told.

use std::time::{Duration, Instant};

use super::{Channel, Occupancy};
use crate::webhooks::Transition;

impl Channel {
    /// Tells what is to be told now, and remembers when to look after the rest.
    pub(super) fn on_due(&mut self, due: &[(String, u64)], now: Instant) {
        for (field, ms) in due {
            let (kind, rest) = field.split_at(field.len().min(1));
            let transition = match kind {
                "o" => Transition::Occupied,
                "V" => Transition::Vacated,
                "a" => Transition::MemberAdded(rest),
                "R" => Transition::MemberRemoved(rest),
                "N" => Transition::Counted(rest.parse().unwrap_or(0)),
                _ => {
                    if matches!(kind, "r" | "v") {
                        self.pending.insert(field.clone());
                    } else if matches!(kind, "p" | "b") {
                        self.doubted.insert(field.clone());
                    }
                    let at = now + Duration::from_millis(*ms);
                    self.next_due = Some(self.next_due.map_or(at, |next| next.min(at)));
                    continue;
                }
            };
            self.note_reported(kind, rest);
            if !self.notified.insert(field.clone()) {
                continue;
            }
            self.to_acknowledge.push(field.clone());
            if let Some(webhooks) = self.app.as_ref().and_then(|app| app.webhooks()) {
                webhooks.transition(&self.name, &transition);
            }
        }
    }

    /// What webhooks are told, or were: it is not waited for any more.
    fn note_reported(&mut self, kind: &str, user_id: &str) {
        match kind {
            "R" => {
                self.pending.remove(&format!("r{user_id}"));
                self.departed.remove(user_id);
            }
            "V" => {
                self.pending.remove("v");
                self.occupancy = Occupancy::No;
            }
            "o" => {
                self.doubted.remove("p");
            }
            "a" => {
                if !self.doubted.is_empty() {
                    self.doubted.remove(&format!("b{user_id}"));
                }
                self.note_known(user_id);
            }
            _ => {}
        }
    }

    /// Whether webhooks may not know of the user, whom another node may have told of.
    pub(super) fn is_doubted(&self, user_id: &str) -> bool {
        !self.doubted.is_empty() && self.doubted.contains(&format!("b{user_id}"))
    }

    /// What is still in doubt will be among what is due. Of the rest webhooks know. (What is due of the
    /// node that this one was is found when that one's part is removed.)
    pub(super) fn end_doubts(&mut self) {
        if !self.orphans.is_empty() {
            return;
        }
        for field in std::mem::take(&mut self.doubted) {
            if let Some(user_id) = field.strip_prefix('b') {
                self.note_known(user_id);
            }
        }
    }

    fn note_known(&mut self, user_id: &str) {
        if let Some(user) = self.users.get_mut(user_id) {
            user.is_reported = true;
        }
    }

    /// What is due is to be told.
    pub(in crate::cluster::redis) fn flush_due(&mut self, all: bool) {
        self.next_due = None;
        self.flushes_due = Some(all || self.flushes_due == Some(true));
    }
}
