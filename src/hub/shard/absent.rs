//! Who is away from a channel, and what they miss of it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::RandomState;
use rustc_hash::FxBuildHasher;

use super::peer::Peer;
use super::unproven::{Lost, Tail, What};
use crate::hub::broadcast::Broadcast;
use crate::hub::mailbox::PeerId;
use crate::net::budget::{Budget, Share};
use crate::protocol::SocketId;

/// What keeping an entry takes beside its bytes.
const OVERHEAD: usize = 128;

/// The subscribers of a channel that are away. What is sent to the channel meanwhile is kept once for all
/// of them, and costs none of them anything: a log, and where each of them stopped.
#[derive(Debug)]
pub(super) struct Absent {
    peers: HashMap<SocketId, Away, RandomState>,
    socket_ids: HashMap<PeerId, SocketId, FxBuildHasher>,
    log: VecDeque<Entry>,
    /// The number of the log's first entry.
    first: u64,
    /// Events that have been sent to the channel since somebody is away.
    events: u64,
    bytes: usize,
    max_bytes: usize,
    /// How many of those who are away need the log from where.
    stops: BTreeMap<u64, usize>,
    share: Share,
}

/// Something that was sent to the channel.
#[derive(Debug)]
struct Entry {
    frame: Bytes,
    except: Option<SocketId>,
    what: What,
}

/// A subscriber that is away.
#[derive(Debug)]
struct Away {
    peer: Rc<Peer>,
    /// The number of the first entry that it has missed.
    from: u64,
    /// How many events had been sent to the channel by then.
    events_before: u64,
    /// Those since that were not for it.
    not_for_it: u64,
    /// What it was sent before, and may have missed.
    tail: Tail,
    _share: Option<Share>,
}

/// What a subscriber has missed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// This, in order.
    Frames(Vec<(Bytes, What)>),
    /// This, which is no longer there.
    Gap(Lost),
}

impl Absent {
    /// Nobody is away yet. `max_bytes`: what may be kept for one of them; `kept`: for all of the app.
    pub(super) fn new(max_bytes: usize, kept: &Arc<Budget>) -> Self {
        Self {
            peers: HashMap::default(),
            socket_ids: HashMap::default(),
            log: VecDeque::new(),
            first: 0,
            events: 0,
            bytes: 0,
            max_bytes,
            stops: BTreeMap::new(),
            share: Share::of(kept),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// How many are away.
    pub(super) fn len(&self) -> usize {
        self.peers.len()
    }

    pub(super) fn peers(&self) -> impl Iterator<Item = &Rc<Peer>> {
        self.peers.values().map(|away| &away.peer)
    }

    /// A subscriber is away from now on, if it is not already.
    pub(super) fn insert(&mut self, peer: Rc<Peer>, mut tail: Tail, kept: &Arc<Budget>) {
        if self.socket_ids.contains_key(&peer.id()) {
            // It was registered twice as its user. What it has missed since the first time holds.
            return;
        }
        let bytes: usize = tail.frames.iter().map(|(frame, _)| tail_cost(frame)).sum();
        let share = (bytes > 0).then(|| {
            let mut share = Share::of(kept);
            if share.grow_to(bytes).is_err() {
                tail.lose();
            }
            share
        });
        let from = self.first + self.log.len() as u64;
        *self.stops.entry(from).or_default() += 1;
        let away = Away {
            from,
            events_before: self.events,
            not_for_it: 0,
            tail,
            _share: share,
            peer,
        };
        let socket_id = away.peer.socket_id();
        self.socket_ids.insert(away.peer.id(), socket_id);
        self.peers.insert(socket_id, away);
    }

    /// A subscriber has left for good.
    pub(super) fn remove(&mut self, id: PeerId) -> Option<Rc<Peer>> {
        let away = self.remove_away(id)?;
        self.no_longer_needed_by(&away);
        Some(away.peer)
    }

    /// A subscriber is back: what it has missed, if that is no more than so many bytes.
    pub(super) fn take(&mut self, id: PeerId, most_bytes: usize) -> Option<(Rc<Peer>, Missed)> {
        let mut away = self.remove_away(id)?;
        let missed = self.missed(&mut away, most_bytes);
        self.no_longer_needed_by(&away);
        Some((away.peer, missed))
    }

    fn remove_away(&mut self, id: PeerId) -> Option<Away> {
        self.peers.remove(&self.socket_ids.remove(&id)?)
    }

    fn missed(&self, away: &mut Away, most_bytes: usize) -> Missed {
        let socket_id = away.peer.socket_id();
        let is_whole = away.tail.lost.is_nothing() && away.from >= self.first;
        let skipped = away.from.saturating_sub(self.first) as usize;
        let log = self.log.iter().skip(skipped);
        let for_it = || log.clone().filter(|entry| entry.except != Some(socket_id));
        let in_tail = away.tail.events();
        let mut frames = std::mem::take(&mut away.tail.frames);
        let bytes = frames.iter().map(|(frame, _)| frame.len()).sum::<usize>()
            + for_it().map(|entry| entry.frame.len()).sum::<usize>();
        if is_whole && bytes <= most_bytes {
            frames.extend(for_it().map(|entry| (entry.frame.clone(), entry.what)));
            return Missed::Frames(frames);
        }
        let since = self.events - away.events_before - away.not_for_it;
        let mut lost = away.tail.lost;
        lost.events += in_tail + since;
        Missed::Gap(lost)
    }

    /// These were sent to the channel.
    pub(super) fn append<'b>(&mut self, broadcasts: impl Iterator<Item = &'b Arc<Broadcast>>) {
        for broadcast in broadcasts {
            let what = What::of(broadcast);
            self.events += u64::from(what == What::Event);
            self.bytes += cost(broadcast.frame.bytes());
            if what == What::Event
                && let Some(except) = broadcast.except
                && let Some(away) = self.peers.get_mut(&except)
            {
                away.not_for_it += 1;
            }
            self.log.push_back(Entry {
                // Not the broadcast itself, which takes up room in the backlog until it is delivered.
                frame: broadcast.frame.bytes().clone(),
                except: broadcast.except,
                what,
            });
        }
        while self.bytes > self.max_bytes || self.share.grow_to(self.bytes).is_err() {
            if !self.drop_first() {
                break;
            }
        }
        self.share.shrink_to(self.bytes);
    }

    /// Drops the oldest entry; false if there is none.
    fn drop_first(&mut self) -> bool {
        let Some(entry) = self.log.pop_front() else {
            return false;
        };
        self.bytes -= cost(&entry.frame);
        self.first += 1;
        true
    }

    /// Drops what only this one needed.
    fn no_longer_needed_by(&mut self, away: &Away) {
        if let Some(count) = self.stops.get_mut(&away.from) {
            *count -= 1;
            if *count == 0 {
                self.stops.remove(&away.from);
            }
        }
        let end = self.first + self.log.len() as u64;
        // (Who needs what is no longer there is notified of that, and needs nothing.)
        let needed = self.stops.range(self.first..).next();
        let needed_from = needed.map_or(end, |(from, _)| *from);
        while self.first < needed_from && self.drop_first() {}
        self.share.shrink_to(self.bytes);
        if self.log.is_empty() {
            self.log = VecDeque::new();
        }
    }
}

/// What a frame of a tail takes. Most are shared by many, and by other channels' subscribers.
fn tail_cost(frame: &Bytes) -> usize {
    let own = if frame.is_unique() { frame.len() } else { 0 };
    size_of::<(Bytes, What)>() + own
}

fn cost(frame: &Bytes) -> usize {
    frame.len() + OVERHEAD
}
