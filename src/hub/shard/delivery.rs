//! Fan-out on one shard: from the mailbox to the sockets.

use std::cell::{OnceCell, RefCell};
use std::collections::VecDeque;
use std::io::IoSlice;
use std::ops::AddAssign;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use super::peer::Peer;
use super::tables::Tables;
use super::unproven::{Kept, What};
use crate::hub::broadcast::Broadcast;
use crate::hub::mailbox::{ChannelId, Command, Delivery, Queue};
use crate::metrics::{AppMetrics, CompressionOutcome, CompressionStage};
use crate::protocol::{Deflater, Frame, Window};

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
    /// Bytes of the longest frame.
    longest: usize,
    /// The same frames compressed, once there is a subscriber that takes them; None if that makes none of
    /// them smaller.
    deflated: OnceCell<Option<Deflated>>,
    /// Whether any of them leaves out a connection.
    has_exception: bool,
    /// The next subscriber. The list cannot change meanwhile: its changes are commands too.
    cursor: usize,
    sent: Sent,
}

/// What was sent of a run.
#[derive(Clone, Copy, Default)]
struct Sent {
    frames: usize,
    bytes: usize,
    /// What compression has saved.
    saved: usize,
}

/// What a peer is sent now.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Nothing,
    Run,
    /// The run, and behind it a ping, whose answer proves it received.
    RunAndPing,
}

impl AddAssign for Sent {
    fn add_assign(&mut self, other: Self) {
        self.frames += other.frames;
        self.bytes += other.bytes;
        self.saved += other.saved;
    }
}

/// Frames of which those are compressed that become smaller by it.
struct Deflated {
    frames: SmallVec<[Bytes; 4]>,
    bytes: usize,
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
            longest: 0,
            deflated: OnceCell::new(),
            has_exception: false,
            cursor: 0,
            sent: Sent::default(),
        }
    }

    fn push(&mut self, broadcast: Arc<Broadcast>) {
        self.bytes += broadcast.frame.len();
        self.longest = self.longest.max(broadcast.frame.len());
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
        let Some(metrics) = local.app().map(|app| &app.metrics) else {
            return 0;
        };
        let deflater = Deflating {
            deflater: &tables.deflater,
            metrics,
        };
        let peers = local.peers();
        let end = peers.len().min(self.cursor + most);
        let start = self.cursor;
        self.sent += self.send_to(&peers[start..end], &deflater);
        self.cursor = end;
        end - start
    }

    fn send_to(&self, peers: &[Rc<Peer>], deflater: &Deflating<'_>) -> Sent {
        let slices = slices_of(&self.frames);
        let mut slices_deflated = None;
        let mut sent = Sent::default();
        for peer in peers {
            let next = self.keep_unproven(peer);
            if let Next::Nothing = next {
                continue;
            }
            if next == Next::RunAndPing || self.has_exception && self.leaves_out(peer) {
                sent += self.deliver_all_but_own(peer, deflater, next);
            } else if let Some(window) = peer.window()
                && !window.holds(self.longest)
            {
                sent += self.deliver_all_but_own(peer, deflater, next);
            } else if peer.window().is_some()
                && let Some(deflated) = self.deflated(deflater)
            {
                let slices = slices_deflated.get_or_insert_with(|| slices_of(&deflated.frames));
                if peer.send_run(&deflated.frames, slices) {
                    sent += Sent {
                        frames: deflated.frames.len(),
                        bytes: deflated.bytes,
                        saved: self.bytes - deflated.bytes,
                    };
                }
            } else if peer.send_run(&self.frames, &slices) {
                sent += Sent {
                    frames: self.frames.len(),
                    bytes: self.bytes,
                    saved: 0,
                };
            }
        }
        sent
    }

    fn leaves_out(&self, peer: &Peer) -> bool {
        self.broadcasts
            .iter()
            .any(|broadcast| peer.is(broadcast.except))
    }

    /// The frames compressed, where one of them becomes smaller by it.
    fn deflated(&self, deflater: &Deflating<'_>) -> Option<&Deflated> {
        let deflate = || {
            let mut deflated = Deflated {
                frames: SmallVec::new(),
                bytes: 0,
            };
            for broadcast in &self.broadcasts {
                let frame = deflater.frame(broadcast, Window::LARGEST);
                deflated.bytes += frame.len();
                deflated.frames.push(frame.bytes().clone());
            }
            (deflated.bytes < self.bytes).then_some(deflated)
        };
        self.deflated.get_or_init(deflate).as_ref()
    }

    /// Sends the run without the peer's own events, each in the form that the peer takes.
    fn deliver_all_but_own(&self, peer: &Peer, deflater: &Deflating<'_>, next: Next) -> Sent {
        let mut frames: SmallVec<[Bytes; 4]> = SmallVec::new();
        let mut sent = Sent::default();
        let window = peer.window();
        let broadcasts = self.broadcasts.iter();
        for broadcast in broadcasts.filter(|broadcast| !peer.is(broadcast.except)) {
            let frame = match window {
                Some(window) => deflater.frame(broadcast, window),
                None => &broadcast.frame,
            };
            sent += Sent {
                frames: 1,
                bytes: frame.len(),
                saved: broadcast.frame.len() - frame.len(),
            };
            frames.push(frame.bytes().clone());
        }
        if next == Next::RunAndPing
            && !frames.is_empty()
            && let Some(ping) = peer.ping_along()
        {
            sent += Sent {
                frames: 1,
                bytes: ping.len(),
                saved: 0,
            };
            frames.push(ping.bytes().clone());
        }
        if frames.is_empty() || !peer.send_run(&frames, &slices_of(&frames)) {
            return Sent::default();
        }
        sent
    }

    /// Keeps the run for a peer that is sent it again should it not prove to have received it. Returns
    /// what is to be sent now.
    fn keep_unproven(&self, peer: &Peer) -> Next {
        let Some(resumable) = &peer.resumable else {
            return Next::Run;
        };
        if peer.is_over() {
            return Next::Nothing;
        }
        for (broadcast, frame) in self.broadcasts.iter().zip(&self.frames) {
            if !peer.is(broadcast.except) {
                let kept = Kept {
                    channel: self.channel,
                    // Not compressed: what carries the session then may not have agreed on it.
                    frame: frame.clone(),
                    what: What::of(broadcast),
                };
                resumable.keep(peer.id(), kept);
            }
        }
        match (resumable.is_parking(), resumable.asks_along()) {
            (true, _) => Next::Nothing,
            (false, false) => Next::Run,
            (false, true) => Next::RunAndPing,
        }
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
                let metrics = &app.metrics;
                metrics.messages_sent.inc_by(self.sent.frames as u64);
                metrics.sent_bytes.inc_by(self.sent.bytes as u64);
                if self.sent.saved > 0 {
                    let saved = self.sent.saved as u64;
                    metrics.compression_saved_bytes.inc_by(saved);
                }
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

fn slices_of(frames: &[Bytes]) -> SmallVec<[IoSlice<'_>; 4]> {
    frames.iter().map(|frame| IoSlice::new(frame)).collect()
}

/// What compresses an app's events, each when the first subscriber takes it so.
struct Deflating<'t> {
    deflater: &'t RefCell<Deflater>,
    metrics: &'t AppMetrics,
}

impl Deflating<'_> {
    /// The event in the form that a client with this window takes.
    fn frame<'b>(&self, broadcast: &'b Broadcast, window: Window) -> &'b Frame {
        let plain = &broadcast.frame;
        if !window.holds(plain.payload().len()) {
            return plain;
        }
        broadcast
            .deflated(|frame| self.deflate(frame))
            .unwrap_or(plain)
    }

    fn deflate(&self, frame: &Frame) -> Option<Frame> {
        let mut deflater = self.deflater.borrow_mut();
        if !deflater.wants(frame) {
            return None;
        }
        let deflated = deflater.deflate(frame);
        let outcome = match &deflated {
            Some(deflated) => {
                let bytes = &self.metrics.compression_bytes;
                let stages = [
                    (CompressionStage::Before, frame),
                    (CompressionStage::After, deflated),
                ];
                for (stage, frame) in stages {
                    bytes.with(stage).inc_by(frame.len() as u64);
                }
                CompressionOutcome::Smaller
            }
            None => CompressionOutcome::NotSmaller,
        };
        self.metrics.frames_compressed.with(outcome).inc();
        deflated
    }
}
