//! One event on its way, and the room it takes.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::protocol::{ChannelKind, ChannelName, Frame, SocketId};
use crate::webhooks::Notice;

/// One event on its way to the subscribers of a channel, shared by all shards.
#[derive(Debug)]
pub struct Broadcast {
    /// The event, encoded once.
    pub frame: Frame,
    /// The same compressed, once somebody has asked for it and if that makes it smaller.
    deflated: OnceLock<Option<Frame>>,
    /// The connection that does not get it.
    pub except: Option<SocketId>,
    /// When the relay took it.
    pub accepted_at: Instant,
    /// Whether it is an announcement of the relay itself.
    announces: bool,
    /// What is reported to webhooks once the event has its place among those of its channel.
    notice: Option<Box<ChannelNotice>>,
    /// Given back when the last shard is done with it.
    reservation: Option<Reservation>,
}

/// What is reported to webhooks of a channel.
#[derive(Debug)]
pub(super) struct ChannelNotice {
    pub(super) channel: ChannelName,
    pub(super) notice: Notice,
}

impl Broadcast {
    /// An event from outside, for which room was reserved.
    pub fn reserved(frame: Frame, except: Option<SocketId>, reservation: Reservation) -> Self {
        Self {
            frame,
            deflated: OnceLock::new(),
            except,
            accepted_at: Instant::now(),
            announces: false,
            notice: None,
            reservation: Some(reservation),
        }
    }

    /// The same event, of which this is reported to webhooks on its channel.
    pub fn with_notice(self, channel: ChannelName, notice: Notice) -> Self {
        Self {
            notice: Some(Box::new(ChannelNotice { channel, notice })),
            ..self
        }
    }

    /// What is reported to webhooks.
    pub(super) fn notice(&self) -> Option<&ChannelNotice> {
        self.notice.as_deref()
    }

    /// An announcement of the relay itself. It reserves nothing: it follows from a join or
    /// leave, which cannot be refused for want of room.
    pub fn announcement(frame: Frame) -> Self {
        Self {
            frame,
            deflated: OnceLock::new(),
            except: None,
            accepted_at: Instant::now(),
            announces: true,
            notice: None,
            reservation: None,
        }
    }

    /// An event that another node has accepted, and that is to be delivered here too.
    pub fn forwarded(frame: Frame, except: Option<SocketId>, room: Option<Reservation>) -> Self {
        Self {
            except,
            announces: false,
            reservation: room,
            ..Self::announcement(frame)
        }
    }

    /// The event compressed, if it ever is. The first who asks has `deflate` do it; a shard that asks
    /// meanwhile waits for no longer than it would take itself.
    pub(super) fn deflated(&self, deflate: impl FnOnce(&Frame) -> Option<Frame>) -> Option<&Frame> {
        self.deflated.get_or_init(|| deflate(&self.frame)).as_ref()
    }

    /// Whether it is an announcement of the relay itself: who came, who left, how many there are.
    pub(super) fn is_announcement(&self) -> bool {
        self.announces
    }

    /// Whether the event came from outside.
    pub(super) fn is_event(&self) -> bool {
        self.reservation.is_some()
    }
}

/// Whether an event is kept as the last of its channel, for those who come later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caching {
    /// It is.
    AsLast,
    /// It is not.
    None,
}

impl Caching {
    /// What becomes of an event of the app's backend on such a channel.
    pub fn on(kind: ChannelKind) -> Self {
        if kind.cache { Self::AsLast } else { Self::None }
    }
}

/// How much an app may have on its way to its connections. What is bounded is the entrance:
/// an event takes its room before it is posted anywhere, and is never half posted.
#[derive(Debug)]
pub struct Room {
    free: Arc<Semaphore>,
    size: u32,
    wait: Duration,
}

/// Room taken up until this is dropped.
#[derive(Debug)]
pub struct Reservation {
    _permit: OwnedSemaphorePermit,
}

/// The backlog stayed full for as long as a publish may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many events are waiting to be delivered (publish_backlog)")]
pub struct BacklogFull;

impl Room {
    /// Bytes that count as much as one delivery.
    const BYTES_PER_UNIT: usize = 256;

    /// Room for so many deliveries (a large event counts for more than one); a publish waits
    /// for it at most `wait`.
    pub(super) fn new(size: usize, wait: Duration) -> Self {
        let size = size.clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize)) as u32;
        Self {
            free: Arc::new(Semaphore::new(size as usize)),
            size,
            wait,
        }
    }

    /// Takes room at once, if there is any and nobody waits for it.
    pub fn try_reserve(&self, deliveries: usize, bytes: usize) -> Option<Reservation> {
        Arc::clone(&self.free)
            .try_acquire_many_owned(self.units(deliveries, bytes))
            .ok()
            .map(|permit| Reservation { _permit: permit })
    }

    /// Takes room, first come, first served.
    pub async fn reserve(
        &self,
        deliveries: usize,
        bytes: usize,
    ) -> Result<Reservation, BacklogFull> {
        if let Some(reservation) = self.try_reserve(deliveries, bytes) {
            return Ok(reservation);
        }
        let wait = Arc::clone(&self.free).acquire_many_owned(self.units(deliveries, bytes));
        match tokio::time::timeout(self.wait, wait).await {
            Ok(Ok(permit)) => Ok(Reservation { _permit: permit }),
            // The semaphore is never closed, so this is the time-out.
            Ok(Err(_)) | Err(_) => Err(BacklogFull),
        }
    }

    /// An event larger than the whole room takes all of it.
    fn units(&self, deliveries: usize, bytes: usize) -> u32 {
        let units = deliveries.saturating_add(bytes / Self::BYTES_PER_UNIT);
        u32::try_from(units).unwrap_or(u32::MAX).clamp(1, self.size)
    }
}

impl Reservation {
    /// Splits off what one of several broadcasts of a reservation takes, so that each gives
    /// its part back when it is done.
    pub fn split(&mut self, deliveries: usize, bytes: usize) -> Self {
        let units = deliveries + bytes / Room::BYTES_PER_UNIT;
        let most = self._permit.num_permits();
        let permit = self._permit.split(units.min(most));
        Self {
            // At most as many as there are were asked for.
            _permit: permit.expect("a permit splits into at most all of its units"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(size: usize) -> Room {
        Room::new(size, Duration::from_millis(20))
    }

    #[test]
    fn room_is_given_back_when_the_last_shard_is_done() {
        let room = room(10);
        let taken = room.try_reserve(8, 0).unwrap();
        let broadcast = Arc::new(Broadcast::reserved(Frame::text(0, |_| {}), None, taken));
        let other = Arc::clone(&broadcast);
        assert!(room.try_reserve(3, 0).is_none());
        drop(broadcast);
        assert!(room.try_reserve(3, 0).is_none());
        drop(other);
        assert!(room.try_reserve(10, 0).is_some());
    }

    #[test]
    fn an_event_larger_than_the_room_waits_for_all_of_it() {
        let room = room(10);
        let taken = room.try_reserve(1_000_000, 0).unwrap();
        assert!(room.try_reserve(1, 0).is_none());
        drop(taken);
        assert!(room.try_reserve(1, 1 << 40).is_some());
    }

    #[test]
    fn parts_of_a_reservation_are_given_back_one_by_one() {
        let room = room(10);
        let mut whole = room.try_reserve(10, 0).unwrap();
        drop(whole.split(4, 0));
        assert!(room.try_reserve(4, 0).is_some());
        assert!(room.try_reserve(5, 0).is_none());
        drop(whole.split(99, 0));
        assert!(room.try_reserve(10, 0).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_publish_waits_for_room_and_not_for_ever() {
        let room = room(1);
        let taken = room.try_reserve(1, 0).unwrap();
        assert_eq!(room.reserve(1, 0).await.err(), Some(BacklogFull));
        let (waited, ()) = tokio::join!(room.reserve(1, 0), async {
            tokio::task::yield_now().await;
            drop(taken);
        });
        assert!(waited.is_ok());
    }
}
