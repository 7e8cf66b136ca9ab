//! Fan-out on one shard: from the mailbox to the sockets.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::peer::Peer;
use super::tables::Tables;
use super::unproven::{Kept, What};
use crate::hub::broadcast::Broadcast;
use crate::hub::mailbox::{ChannelId, Command, Delivery, Queue};

/// Whether a shard has more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// The slice is used up.
    More,
    /// Everything is done.
    Idle,
}

/// Sockets written to, or other commands done, in one slice: well under a millisecond.
const SLICE: usize = 96;
/// Events of one channel that are written together at most.
const MOST_EVENTS: usize = 64;
/// Bytes that are written together at most, but for a single larger event.
const MOST_BYTES: usize = 64 << 10;

/// What the shard has taken out of its mailbox and not done yet.
///
/// Commands are done strictly in order, also those of different channels: a publisher's events
/// reach a connection in the order of the publishes, whatever their channels. A long delivery
/// is therefore interrupted, but never overtaken.
#[derive(Default)]
pub(super) struct Inbox {
    commands: VecDeque<Command>,
    run: Option<Run>,
    /// Memory of the last queue taken, to be used again.
    spare: Queue,
    deliveries: usize,
    bytes: usize,
}

/// Consecutive events of one channel. Each subscriber gets them in one write: no delay when
/// there is only one, one system call for many under load.
struct Run {
    channel: ChannelId,
    broadcasts: SmallVec<[Arc<Broadcast>; 4]>,
    frames: SmallVec<[Bytes; 4]>,
    bytes: usize,
    /// Whether any of them leaves out a connection.
    has_exception: bool,
    /// The next subscriber. The list cannot change meanwhile: its changes are commands too.
    cursor: usize,
    sent: usize,
    sent_bytes: usize,
}

impl Inbox {
    /// Works for one slice.
    pub(super) fn work(&mut self, tables: &Tables) -> Progress {
        let mut left = SLICE;
        while left > 0 {
            if let Some(run) = &mut self.run {
                let written = run.deliver(tables, left);
                self.deliveries = self.deliveries.saturating_sub(written * run.frames.len());
                self.bytes = self.bytes.saturating_sub(written * run.bytes);
                left = left.saturating_sub(written.max(1));
                if run.is_done(tables) {
                    let absent = run.finish(tables);
                    self.deliveries = self.deliveries.saturating_sub(absent * run.frames.len());
                    self.bytes = self.bytes.saturating_sub(absent * run.bytes);
                    self.run = None;
                }
            } else if let Some(command) = self.next(tables) {
                match command {
                    Command::Deliver(first) => self.run = Some(self.collect_run(first)),
                    Command::Control(control) => {
                        tables.apply(control);
                        left -= 1;
                    }
                }
            } else {
                self.report(tables);
                return Progress::Idle;
            }
        }
        self.report(tables);
        Progress::More
    }

    fn next(&mut self, tables: &Tables) -> Option<Command> {
        if self.commands.is_empty() {
            let mut taken = tables.mailbox.take(std::mem::take(&mut self.spare));
            self.deliveries = taken.deliveries;
            self.bytes = taken.bytes;
            self.commands.extend(taken.commands.drain(..));
            const KEPT: usize = 1024;
            if taken.commands.capacity() > KEPT {
                taken.commands = Vec::new();
                self.commands.shrink_to(KEPT);
            }
            self.spare = Queue {
                commands: taken.commands,
                ..Queue::default()
            };
        }
        self.commands.pop_front()
    }

    /// The event and those of the same channel right behind it.
    fn collect_run(&mut self, first: Delivery) -> Run {
        let channel = first.channel;
        let mut run = Run::new(channel);
        run.push(first.broadcast);
        while run.frames.len() < MOST_EVENTS {
            match self.commands.front() {
                Some(Command::Deliver(next))
                    if next.channel == channel
                        && run.bytes + next.broadcast.frame.len() <= MOST_BYTES =>
                {
                    run.push(Arc::clone(&next.broadcast));
                    self.commands.pop_front();
                }
                _ => break,
            }
        }
        run
    }

    /// The backlog as it stands, for the operator.
    fn report(&self, tables: &Tables) {
        tables
            .metrics
            .backlog_deliveries
            .set(self.deliveries as i64);
        tables.metrics.backlog_bytes.set(self.bytes as i64);
    }
}

impl Run {
    fn new(channel: ChannelId) -> Self {
        Self {
            channel,
            broadcasts: SmallVec::new(),
            frames: SmallVec::new(),
            bytes: 0,
            has_exception: false,
            cursor: 0,
            sent: 0,
            sent_bytes: 0,
        }
    }

    fn push(&mut self, broadcast: Arc<Broadcast>) {
        self.bytes += broadcast.frame.len();
        self.has_exception |= broadcast.except.is_some();
        self.frames.push(broadcast.frame.bytes().clone());
        self.broadcasts.push(broadcast);
    }

    /// Writes to at most so many subscribers; returns to how many.
    fn deliver(&mut self, tables: &Tables, most: usize) -> usize {
        let channels = tables.channels.borrow();
        let Some(local) = channels.get(&self.channel) else {
            return 0;
        };
        let slices: SmallVec<[IoSlice<'_>; 4]> = self
            .frames
            .iter()
            .map(|frame| IoSlice::new(frame))
            .collect();
        let peers = local.peers();
        let end = peers.len().min(self.cursor + most);
        let start = self.cursor;
        for peer in &peers[start..end] {
            let (frames, bytes) = if !self.keep_unproven(peer) {
                (0, 0)
            } else if self.has_exception && self.leaves_out(peer) {
                self.deliver_all_but_own(peer)
            } else if peer.send_run(&self.frames, &slices) {
                (self.frames.len(), self.bytes)
            } else {
                (0, 0)
            };
            self.sent += frames;
            self.sent_bytes += bytes;
        }
        self.cursor = end;
        end - start
    }

    fn leaves_out(&self, peer: &Peer) -> bool {
        self.broadcasts
            .iter()
            .any(|broadcast| peer.is(broadcast.except))
    }

    /// Sends the run without the peer's own events.
    fn deliver_all_but_own(&self, peer: &Peer) -> (usize, usize) {
        let frames: SmallVec<[Bytes; 4]> = self
            .broadcasts
            .iter()
            .filter(|broadcast| !peer.is(broadcast.except))
            .map(|broadcast| broadcast.frame.bytes().clone())
            .collect();
        let slices: SmallVec<[IoSlice<'_>; 4]> =
            frames.iter().map(|frame| IoSlice::new(frame)).collect();
        if frames.is_empty() || !peer.send_run(&frames, &slices) {
            return (0, 0);
        }
        (frames.len(), frames.iter().map(Bytes::len).sum())
    }

    /// Keeps the run for a peer that is sent it again should it not prove to have received it. Returns
    /// whether it is to be sent now.
    fn keep_unproven(&self, peer: &Peer) -> bool {
        let Some(resumable) = &peer.resumable else {
            return true;
        };
        if peer.is_over() {
            return false;
        }
        for (broadcast, frame) in self.broadcasts.iter().zip(&self.frames) {
            if !peer.is(broadcast.except) {
                let kept = Kept {
                    channel: self.channel,
                    frame: frame.clone(),
                    what: What::of(broadcast),
                };
                resumable.keep(peer.id(), kept);
            }
        }
        !resumable.is_parking()
    }

    fn is_done(&self, tables: &Tables) -> bool {
        let channels = tables.channels.borrow();
        channels
            .get(&self.channel)
            .is_none_or(|local| self.cursor >= local.peers().len())
    }

    /// Counts what was sent, once for the whole run, and keeps it for those who are away. Returns how many
    /// these are.
    fn finish(&self, tables: &Tables) -> usize {
        let mut absent_peers = 0;
        if let Some(local) = tables.channels.borrow_mut().get_mut(&self.channel) {
            if let Some(absent) = local.absent_mut() {
                absent.append(self.broadcasts.iter());
                absent_peers = absent.len();
            }
            if let Some(app) = local.app() {
                app.metrics.messages_sent.inc_by(self.sent as u64);
                app.metrics.sent_bytes.inc_by(self.sent_bytes as u64);
            }
        }
        for broadcast in self
            .broadcasts
            .iter()
            .filter(|broadcast| broadcast.is_event())
        {
            let duration = broadcast.accepted_at.elapsed();
            tables.metrics.publish_to_write.observe(duration);
        }
        absent_peers
    }
}
