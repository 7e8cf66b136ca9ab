//! The connections of one worker thread.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use rustc_hash::FxBuildHasher;
use tokio::net::tcp::OwnedWriteHalf;

use super::app::AppHub;
use super::authority::{Join, Leave, PeerHandle};
use super::delivery::{Inbox, LocalChannel, Progress};
use super::mailbox::{ChannelId, Command, Joined, JoinedAs, Mailbox, TICK, Watched};
use super::peer::{Peer, PeerId};
use super::registration::Registration;
use super::wheel::Wheel;
use crate::metrics::WorkerMetrics;
use crate::protocol::ChannelName;
use crate::protocol::member::Member;
use crate::session::{Answered, Session};

/// The connections that live on one worker thread and the channels that they are on. Cloning
/// it gives another handle to the same shard; it never leaves its thread.
#[derive(Clone)]
pub struct Shard(Rc<Tables>);

pub(super) struct Tables {
    pub(super) mailbox: Arc<Mailbox>,
    peers: RefCell<HashMap<PeerId, Rc<Peer>, FxBuildHasher>>,
    pub(super) channels: RefCell<HashMap<ChannelId, LocalChannel, FxBuildHasher>>,
    inbox: RefCell<Inbox>,
    wheel: RefCell<Wheel>,
    next_peer: Cell<u64>,
    pub(super) metrics: WorkerMetrics,
}

impl Shard {
    pub(super) fn new(mailbox: Arc<Mailbox>, metrics: WorkerMetrics) -> Self {
        Self(Rc::new(Tables {
            mailbox,
            peers: RefCell::default(),
            channels: RefCell::default(),
            inbox: RefCell::default(),
            wheel: RefCell::new(Wheel::new(Instant::now())),
            next_peer: Cell::new(0),
            metrics,
        }))
    }

    /// Takes a connection into the tables. It stays there until the registration is dropped.
    pub fn register(
        &self,
        app: Arc<AppHub>,
        session: Session,
        socket: OwnedWriteHalf,
    ) -> Registration {
        let tables = &self.0;
        let id = PeerId(tables.next_peer.replace(tables.next_peer.get() + 1));
        let peer = Peer::new(id, app, Arc::clone(&tables.mailbox), session, socket);
        let peer = Rc::new(peer);
        tables.schedule(&peer, peer.deadline());
        tables.peers.borrow_mut().insert(id, Rc::clone(&peer));
        tables.metrics.connections.inc();
        Registration::new(peer, self.clone())
    }

    pub(super) fn reschedule(&self, peer: &Peer) {
        let deadline = peer.deadline();
        // Otherwise a client whose deadlines come and go would fill the wheel.
        if !self.0.is_looked_at_before(peer, deadline) {
            self.0.schedule(peer, deadline);
        }
    }

    pub(super) fn forget(&self, id: PeerId) {
        let peer = self.0.peers.borrow_mut().remove(&id);
        self.0.metrics.connections.dec();
        // Dropped only now: the tables are no longer borrowed.
        drop(peer);
    }

    /// Does what the mailbox says, for as long as the worker lives. After each slice of work
    /// the thread's other tasks and its sockets have their turn.
    pub async fn run(&self) {
        loop {
            std::future::poll_fn(|cx| self.poll_work(cx)).await;
            tokio::task::yield_now().await;
        }
    }

    /// Works for one slice. Pending while there is nothing to do.
    fn poll_work(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Registered before looking, so that no post goes unnoticed.
        self.0.mailbox.register(cx.waker());
        match self.0.work() {
            Progress::Idle => Poll::Pending,
            Progress::More => Poll::Ready(()),
        }
    }

    /// Watches the connections' deadlines, for as long as the worker lives.
    pub async fn watch_time(&self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.0.look_at_deadlines(Instant::now());
        }
    }
}

impl Tables {
    fn work(&self) -> Progress {
        let mut inbox = self.inbox.borrow_mut();
        inbox.work(self)
    }

    /// Every command but the deliveries.
    pub(super) fn apply(&self, command: Command) {
        match command {
            Command::Deliver { .. } => unreachable!("deliveries are taken in runs"),
            Command::Join {
                peer,
                channel,
                joined,
            } => self.join(peer, channel, *joined),
            Command::Confirm { peer, welcome } => {
                if let Some(peer) = self.peer(peer) {
                    peer.confirm(&welcome);
                }
            }
            Command::Refuse {
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
            Command::Leave { peer, channel } => self.leave(peer, channel),
            Command::Watch { peer, watched } => self.watch(peer, *watched),
            Command::Unwatch { peer, lists } => {
                for list in lists {
                    self.leave(peer, list);
                }
            }
            Command::Close { channel, reason } => {
                let peers = self
                    .channels
                    .borrow()
                    .get(&channel)
                    .map(LocalChannel::to_vec)
                    .unwrap_or_default();
                for peer in peers {
                    peer.close(&reason);
                }
            }
            Command::CloseEveryone { reason } => {
                let peers: Vec<_> = self.peers.borrow().values().map(Rc::clone).collect();
                for peer in peers {
                    peer.close(&reason);
                }
            }
        }
    }

    fn peer(&self, id: PeerId) -> Option<Rc<Peer>> {
        self.peers.borrow().get(&id).map(Rc::clone)
    }

    fn join(&self, id: PeerId, channel: ChannelId, joined: Joined) {
        let Some(peer) = self.peer(id) else {
            return self.undo(id, joined);
        };
        match peer.on_joined(&joined.as_what) {
            // In the list and welcomed in one command: nothing can come between them.
            Answered::Expected => self
                .channels
                .borrow_mut()
                .entry(channel)
                .or_insert_with(|| LocalChannel::new(joined.app))
                .insert(peer),
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
        peer.app().authority().join(peer.app(), join);
    }

    /// Nobody is there any more for whom the authority has granted this.
    fn undo(&self, id: PeerId, joined: Joined) {
        let peer = PeerHandle {
            mailbox: Arc::clone(&self.mailbox),
            id,
        };
        let app = joined.app;
        match joined.as_what {
            JoinedAs::Subscriber { welcome, member } => {
                let leave = Leave {
                    peer,
                    channel: welcome.channel,
                    member,
                };
                app.authority().leave(&app, leave);
            }
            JoinedAs::User { user, .. } => app.authority().sign_out(&app, peer, &user),
        }
    }

    fn watch(&self, id: PeerId, watched: Watched) {
        let peer = self.peer(id);
        let Some(peer) = peer.filter(|peer| peer.on_watching(&watched)) else {
            let peer = PeerHandle {
                mailbox: Arc::clone(&self.mailbox),
                id,
            };
            let app = &watched.app;
            return app.authority().unwatch(app, &peer, &watched.watchlist);
        };
        let mut channels = self.channels.borrow_mut();
        for list in watched.lists {
            channels
                .entry(list)
                .or_insert_with(|| LocalChannel::new(Arc::clone(&watched.app)))
                .insert(Rc::clone(&peer));
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
        }
        drop(channels);
        // This may be the last handle: it goes when nothing is borrowed.
        drop(peer);
    }

    fn look_at_deadlines(&self, now: Instant) {
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
    pub(super) fn schedule(&self, peer: &Peer, deadline: Instant) {
        let tick = self.wheel.borrow_mut().insert(peer.id(), deadline);
        peer.set_scheduled_for(tick);
    }
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard").finish_non_exhaustive()
    }
}
