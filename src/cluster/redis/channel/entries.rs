//! What others do, by the channel's log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::context::Context;
use super::state::{Channel, Kind};
use crate::cluster::redis::entry::{Entry, Event, Message, NodeId, What};
use crate::cluster::redis::link::LinkId;
use crate::hub::broadcast::Reservation;
use crate::hub::{AppHub, Broadcast, CachedEvent, Caching};
use crate::protocol::member::Member;
use crate::protocol::{CloseCode, Frame};
use crate::session::CloseReason;

/// How a log is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// From where the node was, entry by entry.
    InOrder,
    /// All that is left of it: events only, as the roster is read as a whole. They are delivered
    /// whether there is room or not, being no more than one answer holds.
    Remains,
}

/// Too much is on its way to the app's connections.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoRoom;

impl Channel {
    /// Something was published on the topic, and received over this link.
    pub(in crate::cluster::redis) fn on_message(
        &mut self,
        message: &Message,
        link: LinkId,
        context: &Context<'_>,
    ) {
        let replica = &mut self.replica;
        replica.pushed = replica.pushed.max(message.id.offset);
        let Some((is_same_log, known)) = replica.place.as_ref().map(|place| {
            let is_same_log = place.epoch.as_bytes() == message.epoch;
            (is_same_log, place.id.offset)
        }) else {
            return;
        };
        // After an interruption the log may have gone back, and have other entries before this one: it
        // is read first. What came before the interruption may be nowhere else.
        let is_after_break = replica.interrupted_at.is_some() && context.link == Some(link);
        if !is_same_log && !is_after_break && replica.follows_on_former(message) {
            // On its way when the log was begun anew. Not delivered twice, should it be in both.
            let _ = self.apply(&message.body, Reading::Remains, context);
            return;
        }
        let is_next = is_same_log && !is_after_break && message.id.offset == known + 1;
        if !(replica.is_known() || is_next) {
            replica.follows_another_log |= !is_same_log;
            return;
        }
        if is_same_log && message.id.offset <= known {
            return;
        }
        if !is_same_log {
            // Redis does not have what this node has announced either.
            replica.note_missing();
            self.schedule.doubts_memory = true;
            self.send_all_again();
        } else if message.id.offset > known + 1 {
            replica.note_missing();
        } else if self.apply(&message.body, Reading::InOrder, context).is_ok() {
            self.replica.go_on_to(message.id);
        } else {
            self.wait_for_room(context.now);
        }
    }

    /// This node cannot keep up. The log keeps what there is no room for: it is read from there
    /// a little later.
    pub(super) fn wait_for_room(&mut self, now: Instant) {
        const PAUSE: Duration = Duration::from_millis(20);
        self.replica.note_missing();
        self.schedule.retry_at = Some(now + PAUSE);
    }

    /// Applies an entry, unless there is no room for its events.
    pub(super) fn apply(
        &mut self,
        body: &Bytes,
        reading: Reading,
        context: &Context<'_>,
    ) -> Result<(), NoRoom> {
        let Ok(entry) = Entry::parse(body) else {
            context.metrics.unreadable.inc();
            return Ok(());
        };
        let Some(app) = self.app.clone() else {
            return Ok(());
        };
        match entry.what {
            What::Events { number, events } => {
                self.apply_events((entry.origin, number), events, reading, &app, context)?;
            }
            What::Close {
                number,
                code,
                reason,
            } => self.apply_close((entry.origin, number), code, reason, &app, context),
            _ if reading == Reading::Remains => {}
            what => self.apply_state(what, &app),
        }
        context.metrics.entries_received.inc();
        Ok(())
    }

    fn apply_events(
        &mut self,
        from: (NodeId, u64),
        events: Vec<Event>,
        reading: Reading,
        app: &AppHub,
        context: &Context<'_>,
    ) -> Result<(), NoRoom> {
        if context.own.contains(from.0) {
            self.is_repeated(from, context);
            self.note_own(app, &events);
            return Ok(());
        }
        let deliveries = self.part.admitted * events.len();
        let bytes = events.iter().map(|event| event.payload.len()).sum();
        let room = app.room().try_reserve(deliveries, bytes);
        if room.is_none() && reading == Reading::InOrder {
            return Err(NoRoom);
        }
        if !self.is_repeated(from, context) {
            self.deliver(app, events, room);
        }
        Ok(())
    }

    fn apply_close(
        &mut self,
        from: (NodeId, u64),
        code: u16,
        reason: String,
        app: &AppHub,
        context: &Context<'_>,
    ) {
        let is_repeated = self.is_repeated(from, context);
        if let Kind::User(user_id) = &self.kind
            && !context.own.contains(from.0)
            && !is_repeated
            && let Some(code) = CloseCode::of(code)
        {
            app.close_user_locally(user_id, CloseReason::new(code, reason));
        }
    }

    /// Who is there, and how many.
    fn apply_state(&mut self, what: What, app: &AppHub) {
        match what {
            What::Added(users) => {
                for (user_id, info) in users {
                    let member = Arc::new(Member::from_escaped(&user_id, &info));
                    app.member_came(&self.name, &member);
                    self.notices.on_return(&user_id);
                    if let Some(user) = self.part.users.get_mut(&*user_id) {
                        user.only_here = false;
                    }
                }
            }
            What::Removed(users) => {
                for user_id in users {
                    if !self.part.is_here(&user_id) {
                        app.member_went(&self.name, &user_id);
                    }
                }
            }
            What::Total(subscribers) if self.replica.is_known() => {
                app.announce_total(&self.name, subscribers);
            }
            // Whoever is about to be admitted is to be notified, too.
            What::Total(subscribers) => self.replica.total = Some(subscribers),
            What::Online | What::Offline => {
                if let Kind::User(user_id) = &self.kind {
                    app.set_online(user_id, what == What::Online || self.part.admitted > 0);
                }
            }
            What::Events { .. } | What::Close { .. } => {}
        }
    }

    /// This node's subscribers have its own events; but which was the last the log alone knows.
    fn note_own(&self, app: &AppHub, events: &[Event]) {
        if let Some(last) = events.iter().rfind(|event| event.is_cached) {
            let cached = CachedEvent {
                frame: frame_of(last),
                left: app.app.record().limits.cache_ttl,
            };
            app.set_cached(&self.name, Some(cached));
        }
    }

    fn deliver(&self, app: &AppHub, events: Vec<Event>, mut room: Option<Reservation>) {
        for event in events {
            let frame = frame_of(&event);
            let share = room
                .as_mut()
                .map(|room| room.split(self.part.admitted, frame.len()));
            let broadcast = Broadcast::forwarded(frame, event.except, share);
            let caching = if event.is_cached {
                Caching::AsLast
            } else {
                Caching::None
            };
            app.publish_locally(self.name.as_str(), broadcast, caching);
        }
    }

    /// Whether the node has had what bears this number from the same origin before.
    fn is_repeated(&mut self, (origin, number): (NodeId, u64), context: &Context<'_>) -> bool {
        let is_repeated = !self.replica.note_number(origin, number);
        if is_repeated && !context.own.contains(origin) {
            context.metrics.repeats_dropped.inc();
        }
        is_repeated
    }
}

fn frame_of(event: &Event) -> Frame {
    Frame::text(event.payload.len(), |out| {
        out.extend_from_slice(&event.payload);
    })
}
