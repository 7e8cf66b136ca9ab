//! What one worker thread knows: its connections, and the channels that they are on.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustc_hash::FxBuildHasher;

use super::carrier::{Carrier, Outlives};
use super::channel::LocalChannel;
use super::peer::Peer;
use super::resumable::{Of, Resumable, Unacknowledged};
use super::standstill::Standstill;
use super::unproven::Tail;
use super::wheel::{TICK, Wheel};
use crate::hub::app::AppHub;
use crate::hub::authority::Authority;
use crate::hub::mailbox::{
    AppIndex, ChannelId, Control, Joined, JoinedAs, Mailbox, PeerId, Watched,
};
use crate::hub::moves::{Join, Leave, PeerHandle};
use crate::memory::trim;
use crate::metrics::WorkerMetrics;
use crate::protocol::member::Member;
use crate::protocol::{ChannelName, Compression, Deflater};
use crate::session::{Answered, CloseReason, Session};

/// The tables of a shard.
pub(super) struct Tables {
    pub(super) mailbox: Arc<Mailbox>,
    authority: Arc<dyn Authority>,
    /// The apps that have, or had, connections here. It keeps none of them at work.
    apps: RefCell<HashMap<AppIndex, Weak<AppHub>, FxBuildHasher>>,
    peers: RefCell<HashMap<PeerId, Entry, FxBuildHasher>>,
    pub(super) channels: RefCell<HashMap<ChannelId, LocalChannel, FxBuildHasher>>,
    wheel: RefCell<Wheel>,
    pub(super) standstill: Standstill,
    next_peer: Cell<u64>,
    pub(super) unacknowledged: Unacknowledged,
    /// Whose turn it is to be asked.
    pub(super) turn: Cell<u64>,
    pub(super) deflater: RefCell<Deflater>,
    pub(super) metrics: WorkerMetrics,
}

/// A connection, and what only people who look at it want to know: it has no place in the connection itself, which is as large as
/// its block of memory.
struct Entry {
    peer: Rc<Peer>,
    client: Client,
}

/// Whom a connection is with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    /// When it was established, in seconds since 1970.
    pub(super) since: u32,
    /// Where the client is; None: on this machine, by a Unix socket.
    pub(super) address: Option<IpAddr>,
}

impl Client {
    fn now() -> Self {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = since_1970.map_or(0, |time| time.as_secs());
        Self {
            since: u32::try_from(seconds).unwrap_or(u32::MAX),
            address: None,
        }
    }
}

impl Tables {
    pub(super) fn new(
        mailbox: Arc<Mailbox>,
        authority: Arc<dyn Authority>,
        compression: Compression,
        metrics: WorkerMetrics,
    ) -> Self {
        let now = Instant::now();
        Self {
            mailbox,
            authority,
            deflater: RefCell::new(Deflater::new(compression)),
            metrics,
            apps: RefCell::default(),
            peers: RefCell::default(),
            channels: RefCell::default(),
            wheel: RefCell::new(Wheel::new(now)),
            standstill: Standstill::new(now),
            next_peer: Cell::new(0),
            unacknowledged: Unacknowledged::default(),
            turn: Cell::new(0),
        }
    }

    /// Takes a connection in.
    pub(super) fn insert(
        &self,
        app: Arc<AppHub>,
        session: Session,
        carrier: Carrier,
        outlives: Outlives,
    ) -> Rc<Peer> {
        self.note_app(&app);
        let id = PeerId(self.next_peer.replace(self.next_peer.get() + 1));
        let max_bytes = app.app.record().resume.session_bytes;
        let resumable = (outlives == Outlives::Carrier)
            .then(|| Box::new(Resumable::new(max_bytes, &self.unacknowledged)));
        let mailbox = Arc::clone(&self.mailbox);
        let peer = Rc::new(Peer::new(id, app, mailbox, session, carrier, resumable));
        self.schedule(&peer, peer.deadline());
        let entry = Entry {
            peer: Rc::clone(&peer),
            client: Client::now(),
        };
        self.peers.borrow_mut().insert(id, entry);
        peer
    }

    /// Where the client of a connection is, or was last.
    pub(super) fn address(&self, id: PeerId) -> Option<IpAddr> {
        self.peers.borrow().get(&id)?.client.address
    }

    /// Where the client of a connection is, who may have come back from elsewhere.
    pub(super) fn set_address(&self, id: PeerId, address: Option<IpAddr>) {
        if let Some(entry) = self.peers.borrow_mut().get_mut(&id) {
            entry.client.address = address;
        }
    }

    /// A connection, and whom it is with.
    pub(super) fn peer_and_client(&self, id: PeerId) -> Option<(Rc<Peer>, Client)> {
        let peers = self.peers.borrow();
        let entry = peers.get(&id)?;
        Some((Rc::clone(&entry.peer), entry.client))
    }

    /// Takes a connection out.
    pub(super) fn remove(&self, id: PeerId) {
        let mut peers = self.peers.borrow_mut();
        let peer = peers.remove(&id);
        trim::table(&mut peers);
        drop(peers);
        // Dropped only now: the tables are no longer borrowed.
        drop(peer);
    }

    /// A connection's deadline has come closer.
    pub(super) fn reschedule(&self, peer: &Peer) {
        let deadline = peer.deadline();
        // Otherwise a client whose deadlines come and go would fill the wheel.
        if !self.is_looked_at_before(peer, deadline) {
            self.schedule(peer, deadline);
        }
    }

    /// Who decides about joins and leaves.
    pub(super) fn authority(&self) -> &dyn Authority {
        &*self.authority
    }

    /// The app, which has a connection here.
    fn note_app(&self, app: &Arc<AppHub>) {
        let mut apps = self.apps.borrow_mut();
        if apps.contains_key(&app.index) {
            return;
        }
        if apps.len() == apps.capacity() {
            apps.retain(|_, app| app.strong_count() > 0);
        }
        apps.insert(app.index, Arc::downgrade(app));
    }

    /// The app that a command is about, unless it is gone: then there is nothing left to do for it.
    fn app(&self, index: AppIndex) -> Option<Arc<AppHub>> {
        self.apps.borrow().get(&index).and_then(Weak::upgrade)
    }

    /// Carries out the mailbox's commands about connections and their channels.
    pub(super) fn apply(&self, control: Control) {
        match control {
            Control::Join {
                peer,
                channel,
                joined,
            } => self.join(peer, channel, *joined),
            Control::Confirm {
                peer,
                channel,
                welcome,
            } => self.confirm(peer, channel, &welcome),
            Control::Park { peer } => self.park(peer),
            Control::UserIsBack { peer } => self.user_is_back(peer),
            Control::Refuse {
                peer,
                channel,
                error,
            } => {
                if let Some(peer) = self.peer(peer)
                    && let Answered::AskAgain(member) = peer.on_refused(channel.as_str(), &error)
                {
                    self.ask_again(&peer, channel, member);
                }
            }
            Control::Leave { peer, channel } => self.leave(peer, channel),
            Control::Watch { peer, watched } => self.watch(peer, *watched),
            Control::Unwatch { peer, lists } => {
                for list in lists {
                    self.leave(peer, list);
                }
            }
            Control::Close { channel, reason } => {
                let channels = self.channels.borrow();
                let local = channels.get(&channel);
                let local = local.into_iter().flat_map(LocalChannel::everybody);
                let peers: Vec<_> = local.map(Rc::clone).collect();
                drop(channels);
                for peer in peers {
                    peer.close(&reason);
                }
            }
            Control::CloseApp { app, reason } => {
                self.close_all(|peer| peer.app().index == app, &reason);
            }
            Control::CloseEveryone { reason } => self.close_all(|_| true, &reason),
            Control::Inspect(inspection) => self.inspect(*inspection),
        }
    }

    fn close_all(&self, which: impl Fn(&Peer) -> bool, reason: &CloseReason) {
        let peers = self.peers.borrow();
        let chosen = peers.values().filter(|entry| which(&entry.peer));
        let chosen: Vec<_> = chosen.map(|entry| Rc::clone(&entry.peer)).collect();
        drop(peers);
        for peer in chosen {
            peer.close(reason);
        }
    }

    /// The numbers of all connections.
    pub(super) fn numbers(&self) -> Vec<PeerId> {
        self.peers.borrow().keys().copied().collect()
    }

    pub(super) fn peer(&self, id: PeerId) -> Option<Rc<Peer>> {
        let peers = self.peers.borrow();
        peers.get(&id).map(|entry| Rc::clone(&entry.peer))
    }

    fn join(&self, id: PeerId, channel: ChannelId, joined: Joined) {
        let Some(peer) = self.peer(id) else {
            return self.undo(id, joined);
        };
        match peer.on_joined(channel, &joined.as_what) {
            // In the list and welcomed in one command: nothing can come between them.
            Answered::Expected => {
                let (of, is_held) = match &joined.as_what {
                    JoinedAs::Subscriber { welcome, .. } => {
                        (Of::Channel, peer.holds(welcome.channel.as_str()))
                    }
                    JoinedAs::User { .. } => (Of::User, peer.holds_user()),
                };
                self.add(peer, channel, of, is_held.then(Tail::default));
            }
            Answered::Unwanted => self.undo(id, joined),
            Answered::AskAgain(member) => {
                let channel = match &joined.as_what {
                    JoinedAs::Subscriber { welcome, .. } => welcome.channel.clone(),
                    // A user is signed in once: there is nothing to ask again.
                    JoinedAs::User { .. } => return self.undo(id, joined),
                };
                self.undo(id, joined);
                self.ask_again(&peer, channel, member);
            }
        }
    }

    /// The connection has left and wants to join anew since it asked.
    fn ask_again(&self, peer: &Peer, channel: ChannelName, member: Option<Arc<Member>>) {
        let join = Join {
            peer: peer.handle(),
            channel,
            member,
        };
        self.authority.join(peer.app(), join);
    }

    /// Nobody is there any more for whom the authority has granted this.
    fn undo(&self, id: PeerId, joined: Joined) {
        let peer = PeerHandle {
            mailbox: Arc::clone(&self.mailbox),
            id,
        };
        let Some(app) = self.app(joined.app) else {
            return;
        };
        match joined.as_what {
            JoinedAs::Subscriber { welcome, member } => {
                let leave = Leave {
                    peer,
                    channel: welcome.channel,
                    member,
                };
                self.authority.leave(&app, leave);
            }
            JoinedAs::User { user, .. } => self.authority.sign_out(&app, peer, &user),
        }
    }

    fn watch(&self, id: PeerId, watched: Watched) {
        let peer = self.peer(id);
        let Some(peer) = peer.filter(|peer| peer.on_watching(&watched)) else {
            let peer = PeerHandle {
                mailbox: Arc::clone(&self.mailbox),
                id,
            };
            if let Some(app) = self.app(watched.app) {
                self.authority.undo_watch(&app, &peer, &watched.watchlist);
            }
            return;
        };
        // Its client may be away by now: it has missed what it was to be sent at first.
        let is_held = peer.holds_user();
        let first = watched.complaint.iter().chain([&watched.statuses]);
        let mut missed = is_held.then(|| Tail::of_statuses(first));
        for list in watched.lists {
            self.add(Rc::clone(&peer), list, Of::User, missed.take());
            missed = is_held.then(Tail::default);
        }
    }

    fn leave(&self, id: PeerId, channel: ChannelId) {
        let mut channels = self.channels.borrow_mut();
        let Some(local) = channels.get_mut(&channel) else {
            return;
        };
        let peer = local.remove(id);
        if local.is_empty() {
            channels.remove(&channel);
            trim::table(&mut channels);
        }
        drop(channels);
        if let Some(resumable) = peer.as_ref().and_then(|peer| peer.resumable.as_deref()) {
            resumable.left(channel);
        }
        // This may be the last handle: it goes when nothing is borrowed.
        drop(peer);
    }

    /// Looks at the deadlines that have come.
    pub(super) fn look_at_deadlines(&self, now: Instant) {
        self.standstill.look(now);
        self.ask_for_proof(now);
        let due = self.wheel.borrow_mut().due(now);
        for scheduled in due {
            let Some(peer) = self.peer(scheduled.peer) else {
                continue;
            };
            if peer.scheduled_for() != scheduled.tick {
                continue;
            }
            let deadline = peer.deadline();
            let next = if deadline <= now {
                peer.on_time_up();
                // Looked at again until the connection has dealt with it.
                now + TICK
            } else {
                deadline
            };
            self.schedule(&peer, next);
        }
    }

    /// Whether the connection's deadline is looked at then at the latest, and again after that.
    fn is_looked_at_before(&self, peer: &Peer, deadline: Instant) -> bool {
        self.wheel
            .borrow()
            .comes_before(peer.scheduled_for(), deadline)
    }

    /// Looks at the connection's deadline at that time, and not at the time asked for before.
    fn schedule(&self, peer: &Peer, deadline: Instant) {
        let tick = self.wheel.borrow_mut().insert(peer.id(), deadline);
        peer.set_scheduled_for(tick);
    }
}

impl fmt::Debug for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tables").finish_non_exhaustive()
    }
}
