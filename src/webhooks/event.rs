//! One event on its way to one webhook.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use bytes::Bytes;

use crate::protocol::ChannelName;

/// An event on its way to webhooks. Cloning shares what it holds.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Events of this process in the order in which they happened.
    pub(super) number: u64,
    /// Stays the same however often it is sent, and in all processes is no other's.
    pub(super) id: Arc<str>,
    /// The channel; events of one channel are sent in order.
    pub(super) channel: ChannelName,
    /// The event's JSON object.
    pub(super) json: Bytes,
    /// When it happened.
    pub(super) at: Moment,
}

/// A point in time on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// For measuring.
    pub(super) instant: Instant,
    /// For other processes.
    pub(super) wall: SystemTime,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self {
            instant: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// A moment of another process. A clock that was set meanwhile makes it now.
    pub(super) fn of_wall(wall: SystemTime) -> Self {
        let now = Self::now();
        let instant = now
            .wall
            .duration_since(wall)
            .ok()
            .and_then(|age| now.instant.checked_sub(age));
        Self {
            instant: instant.unwrap_or(now.instant),
            wall,
        }
    }
}

impl Event {
    /// About what it takes up while it waits.
    pub(super) fn cost(&self) -> usize {
        // Measured: what lanes, batches and queues take for an event that is alone on its channel.
        const OVERHEAD: usize = 800;
        OVERHEAD + self.channel.as_str().len() + self.json.len()
    }
}

/// Gives events their numbers and ids.
#[derive(Debug)]
pub(super) struct Numbers {
    /// Of this process alone.
    prefix: String,
    next: AtomicU64,
}

impl Numbers {
    pub(super) fn new() -> Self {
        Self {
            prefix: format!("{:016x}", rand::random::<u64>()),
            next: AtomicU64::new(1),
        }
    }

    /// An event that happens now.
    pub(super) fn event(&self, channel: &ChannelName, json: Bytes) -> Event {
        let number = self.next();
        Event {
            number,
            id: format!("{}-{number}", self.prefix).into(),
            channel: channel.clone(),
            json,
            at: Moment::now(),
        }
    }

    /// A number behind all others.
    pub(super) fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }
}
