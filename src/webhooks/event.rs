//! One event on its way to one webhook.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime};

use crate::protocol::ChannelName;

/// An event on its way to webhooks. Cloning shares what it holds.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Events of this process in the order in which they happened.
    pub(super) number: u64,
    /// Stays the same however often it is sent, and in all processes is no other's.
    pub(super) id: EventId,
    /// The channel; events of one channel are sent in order.
    pub(super) channel: ChannelName,
    /// The event's JSON object.
    pub(super) json: Arc<str>,
    /// When it happened.
    pub(super) at: Moment,
}

/// An event's id: its number in the process in which it happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct EventId {
    /// Drawn by each process anew.
    pub(super) process: u64,
    pub(super) number: u64,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.process, self.number)
    }
}

/// The text is no event's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoEventId;

impl FromStr for EventId {
    type Err = NoEventId;

    fn from_str(text: &str) -> Result<Self, NoEventId> {
        let (process, number) = text.split_once('-').ok_or(NoEventId)?;
        let process = u64::from_str_radix(process, 16).map_err(|_| NoEventId)?;
        let number = number.parse().map_err(|_| NoEventId)?;
        Ok(Self { process, number })
    }
}

/// A point in time on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    /// For measuring how long it has been tried.
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

    /// A moment of another process. It is measured from now on: nobody knows how long there was no process since.
    pub(super) fn of_wall(wall: SystemTime) -> Self {
        Self {
            instant: Instant::now(),
            wall,
        }
    }
}

impl Event {
    /// About what it takes up while it waits.
    pub(super) fn cost(&self) -> usize {
        // Measured: what lanes, batches and queues take for an event that is alone on its channel.
        const OVERHEAD: usize = 400;
        OVERHEAD + self.channel.as_str().len() + self.json.len()
    }
}

/// Gives events their numbers and ids.
#[derive(Debug)]
pub(super) struct Numbers {
    /// Of this process alone.
    process: u64,
    next: AtomicU64,
}

impl Numbers {
    pub(super) fn new() -> Self {
        Self {
            process: rand::random(),
            next: AtomicU64::new(1),
        }
    }

    /// An event that happens now.
    pub(super) fn event(&self, channel: &ChannelName, json: Arc<str>) -> Event {
        let number = self.next();
        Event {
            number,
            id: EventId {
                process: self.process,
                number,
            },
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
