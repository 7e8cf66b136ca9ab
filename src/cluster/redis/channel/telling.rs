//! What the app's backend is told.

use std::time::{Duration, Instant};

use super::{Channel, Occupancy};
use crate::webhooks::Transition;

impl Channel {
    /// Tells what is to be told now, and remembers when to look after the rest.
    pub(super) fn tell(&mut self, due: &[(String, u64)]) {
        let now = Instant::now();
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
                    }
                    let at = now + Duration::from_millis(*ms);
                    self.next_due = Some(self.next_due.map_or(at, |next| next.min(at)));
                    continue;
                }
            };
            self.note_reported(kind, rest);
            if !self.told_to_webhooks.insert(field.clone()) {
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
            _ => {}
        }
    }

    /// What is due is to be told.
    pub(in super::super) fn fire(&mut self, all: bool) {
        self.next_due = None;
        self.fires = Some(all || self.fires == Some(true));
    }
}
