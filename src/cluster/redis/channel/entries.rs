//! What others do, as the channel's log tells.

use std::sync::Arc;

use super::super::entry::{Entry, Message, NodeId, What};
use super::{Channel, Kind, Place, Surroundings};
use crate::hub::Broadcast;
use crate::protocol::member::Member;
use crate::protocol::{CloseCode, Frame};
use crate::session::CloseReason;

impl Channel {
    /// Something was published on the topic.
    pub(in super::super) fn on_message(&mut self, message: &Message, around: &Surroundings<'_>) {
        self.heard = self.heard.max(message.id.offset);
        let Some(place) = &self.place else { return };
        if !self.is_synced {
            return;
        }
        if place.epoch != message.epoch || message.id.offset > place.id.offset + 1 {
            self.is_behind = true;
        } else if message.id.offset == place.id.offset + 1 {
            self.place = Some(Place {
                epoch: message.epoch.clone(),
                id: message.id,
            });
            self.apply(&message.body, true, around);
        }
    }

    /// Does what an entry says; of one from an unknown time, only what is not in the roster.
    pub(super) fn apply(&mut self, body: &bytes::Bytes, in_order: bool, around: &Surroundings<'_>) {
        let Ok(entry) = Entry::parse(body) else {
            around.metrics.unreadable.inc();
            return;
        };
        let Some(app) = self.app.clone() else { return };
        around.metrics.entries_received.inc();
        let is_own = around.own.contains(&entry.origin);
        match entry.what {
            What::Events { number, events } => {
                if self.is_repeated(entry.origin, number, is_own, around) {
                    return;
                }
                for event in events {
                    let frame = Frame::text(event.payload.len(), |out| {
                        out.extend_from_slice(&event.payload);
                    });
                    if is_own {
                        // This node's subscribers have it; but others may have had their say.
                        if event.is_cached {
                            let kept_for = app.app.limits.cache_ttl;
                            app.set_cached(&self.name, Some((frame, kept_for)));
                        }
                        continue;
                    }
                    let room = app.room.try_reserve(self.let_in, frame.len());
                    let broadcast = Broadcast::forwarded(frame, event.except, room);
                    app.publish_locally(self.name.as_str(), broadcast, event.is_cached);
                }
            }
            What::Close {
                number,
                code,
                reason,
            } => {
                let is_repeated = self.is_repeated(entry.origin, number, is_own, around);
                if let Kind::User(user_id) = &self.kind
                    && !is_own
                    && !is_repeated
                    && let Some(code) = CloseCode::of(code)
                {
                    app.close_user_locally(user_id, CloseReason::new(code, reason));
                }
            }
            _ if !in_order => {}
            What::Added(users) => {
                for (user_id, info) in users {
                    let member = Arc::new(Member::from_escaped(&user_id, &info));
                    app.member_came(&self.name, &member);
                }
            }
            What::Removed(users) => {
                for user_id in users {
                    app.member_went(&self.name, &user_id);
                }
            }
            What::Total(subscribers) if self.is_synced => {
                app.announce_total(&self.name, subscribers);
            }
            // Whoever is about to be let in is to hear of it too.
            What::Total(subscribers) => self.total = Some(subscribers),
            What::Online | What::Offline => {
                if let Kind::User(user_id) = &self.kind {
                    app.set_online(user_id, entry.what == What::Online);
                }
            }
        }
    }

    /// Whether the node has had this from the same origin before.
    fn is_repeated(
        &mut self,
        origin: NodeId,
        number: u64,
        is_own: bool,
        around: &Surroundings<'_>,
    ) -> bool {
        const MOST: usize = 64;
        match self
            .last_numbers
            .iter_mut()
            .find(|(node, _)| *node == origin)
        {
            Some((_, last)) if *last >= number => {
                if !is_own {
                    around.metrics.repeats_dropped.inc();
                }
                true
            }
            Some((_, last)) => {
                *last = number;
                false
            }
            None => {
                if self.last_numbers.len() == MOST {
                    self.last_numbers.remove(0);
                }
                self.last_numbers.push((origin, number));
                false
            }
        }
    }
}
