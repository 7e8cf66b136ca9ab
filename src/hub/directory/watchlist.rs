//! Who is online, and who is notified of it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use parking_lot::Mutex;

use super::listeners::Listeners;
use crate::departures::Departures;
use crate::hub::mailbox::{AppIndex, ChannelId, Control, Locked, Wakes, Watched};
use crate::hub::moves::PeerHandle;
use crate::protocol::Frame;
use crate::protocol::member::Watchlist;
use crate::protocol::server::{self, Status};

/// The users of an app that are online or watched.
///
/// A user is online from the first signed-in connection until a while after the last one has
/// ended: whoever is back by then had never gone. A watched user is like a channel to the
/// shards: those who watch are its subscribers.
///
/// One lock covers all users, as a watcher is notified of all of its watchlist at one moment; it is
/// held for a few hash look-ups a watched user.
#[derive(Debug)]
pub(in crate::hub) struct Watchlists {
    app: AppIndex,
    users: Mutex<Users>,
    silent: AtomicBool,
}

#[derive(Debug)]
struct Users {
    by_id: HashMap<Arc<str>, User, RandomState>,
    /// Users whose last connection has ended, and who still count as online.
    departures: Departures<Arc<str>>,
}

#[derive(Debug)]
struct User {
    connections: usize,
    /// Whether others announce so, where several nodes share users.
    online_elsewhere: bool,
    watchers: Listeners,
}

impl Watchlists {
    /// Nobody yet. Users count as online for `grace` after their last connection.
    pub(in crate::hub) fn new(app: AppIndex, grace: Duration) -> Self {
        Self {
            app,
            users: Mutex::new(Users {
                by_id: HashMap::default(),
                departures: Departures::new(grace, usize::MAX),
            }),
            silent: AtomicBool::new(false),
        }
    }

    /// Whether nobody is notified, as everybody leaves.
    pub(in crate::hub) fn set_silent(&self, is_silent: bool) {
        self.silent.store(is_silent, Ordering::Relaxed);
    }

    /// Users count as online for so long after their last connection, from now on.
    pub(in crate::hub) fn set_grace(&self, grace: Duration) {
        self.users.lock().departures.set_delay(grace);
    }

    /// One more connection is signed in as the user.
    pub(in crate::hub) fn came(&self, user_id: &Arc<str>) {
        let mut locked = Locked::new(&self.users);
        let (users, wakes) = locked.parts();
        let is_back = users.departures.is_back(user_id);
        let user = users.user(user_id);
        user.connections += 1;
        if user.connections == 1 && !is_back {
            self.announce(Status::Online, user_id, user, wakes);
        }
    }

    /// One connection less is signed in as the user.
    pub(in crate::hub) fn left(&self, user_id: &Arc<str>, now: Instant) {
        let mut locked = Locked::new(&self.users);
        let (users, wakes) = locked.parts();
        let Some(user) = users.by_id.get_mut(user_id) else {
            return;
        };
        user.connections -= 1;
        if user.connections > 0 || users.departures.leave(user_id, now) {
            return;
        }
        self.went_offline(users, user_id, wakes);
    }

    /// Those who share users announce whether this one is online.
    pub(in crate::hub) fn set_online(&self, user_id: &Arc<str>, online: bool) {
        let mut locked = Locked::new(&self.users);
        let (users, wakes) = locked.parts();
        let user = users.user(user_id);
        if std::mem::replace(&mut user.online_elsewhere, online) != online {
            let status = if online {
                Status::Online
            } else {
                Status::Offline
            };
            self.announce(status, user_id, user, wakes);
        }
        users.forget_if_idle(user_id);
    }

    /// Tells of those who have not come back in time.
    pub(in crate::hub) fn housekeeping(&self, now: Instant) {
        while self.announce_departures(now) {}
    }

    /// Tells of some of them; returns whether there may be more. In between, others have the
    /// lock.
    fn announce_departures(&self, now: Instant) -> bool {
        const AT_ONCE: usize = 64;
        let mut locked = Locked::new(&self.users);
        let (users, wakes) = locked.parts();
        for _ in 0..AT_ONCE {
            let Some(user_id) = users.departures.take_due(now) else {
                return false;
            };
            self.went_offline(users, &user_id, wakes);
        }
        true
    }

    fn went_offline(&self, users: &mut Users, user_id: &Arc<str>, wakes: &mut Wakes) {
        if let Some(user) = users.by_id.get(user_id) {
            self.announce(Status::Offline, user_id, user, wakes);
        }
        users.forget_if_idle(user_id);
    }

    fn announce(&self, status: Status, user_id: &Arc<str>, user: &User, wakes: &mut Wakes) {
        if !user.watchers.is_empty() && !self.silent.load(Ordering::Relaxed) {
            let frame = server::watchlist_events([(status, std::slice::from_ref(user_id))]);
            user.watchers.announce(frame, wakes);
        }
    }

    /// A connection is notified of who of the watchlist is online, and from then on of every change.
    pub(in crate::hub) fn watch(
        &self,
        peer: &PeerHandle,
        watchlist: &Watchlist,
        complaint: Option<Frame>,
    ) {
        let mut locked = Locked::new(&self.users);
        let (users, wakes) = locked.parts();
        let mut lists = Vec::with_capacity(watchlist.len());
        for user_id in watchlist.iter() {
            let user = users.user(user_id);
            user.watchers.add(&peer.mailbox);
            lists.push(user.watchers.id());
        }
        let watched = Watched {
            app: self.app,
            watchlist: Arc::clone(watchlist),
            lists,
            complaint,
            statuses: users.statuses(watchlist),
        };
        // Posted under the lock: every later change is announced behind it.
        let control = Control::Watch {
            peer: peer.id,
            watched: Box::new(watched),
        };
        peer.mailbox.post(control, wakes);
    }

    /// A connection that watched is no longer notified.
    pub(in crate::hub) fn unwatch(&self, peer: &PeerHandle, watchlist: &Watchlist) {
        let mut locked = Locked::new(&self.users);
        let (users, wakes) = locked.parts();
        let lists = users.remove_watcher(peer, watchlist);
        let control = Control::Unwatch {
            peer: peer.id,
            lists,
        };
        peer.mailbox.post(control, wakes);
    }

    /// A connection is not notified of what it was to be notified of. Nothing is posted: it may by now be
    /// notified of the same users as it has asked again.
    pub(in crate::hub) fn undo_watch(&self, peer: &PeerHandle, watchlist: &Watchlist) {
        self.users.lock().remove_watcher(peer, watchlist);
    }

    /// Users that anybody watches.
    #[cfg(test)]
    pub(in crate::hub) fn watched(&self) -> usize {
        let users = self.users.lock();
        let watched = users.by_id.values();
        watched.filter(|user| !user.watchers.is_empty()).count()
    }

    /// Who of these users is online. What is announced of them later is news to whom this is sent now.
    pub(in crate::hub) fn statuses(&self, watchlist: &Watchlist) -> Frame {
        self.users.lock().statuses(watchlist)
    }
}

impl User {
    fn is_online(&self) -> bool {
        self.connections > 0 || self.online_elsewhere
    }
}

impl Users {
    fn user(&mut self, user_id: &Arc<str>) -> &mut User {
        self.by_id
            .entry(Arc::clone(user_id))
            .or_insert_with(|| User {
                connections: 0,
                online_elsewhere: false,
                watchers: Listeners::new(),
            })
    }

    /// Who of these is online, and who is not.
    fn statuses(&self, watchlist: &Watchlist) -> Frame {
        let is_online = |user_id: &Arc<str>| {
            let user = self.by_id.get(user_id);
            user.is_some_and(User::is_online) || self.departures.is_away(user_id)
        };
        let watched = watchlist.iter().map(Arc::clone);
        let (online, offline): (Vec<_>, Vec<_>) = watched.partition(is_online);
        server::watchlist_events([(Status::Online, online), (Status::Offline, offline)])
    }

    /// A connection less watches these users: what the shards know them by.
    fn remove_watcher(&mut self, peer: &PeerHandle, watchlist: &Watchlist) -> Vec<ChannelId> {
        let mut lists = Vec::with_capacity(watchlist.len());
        for user_id in watchlist.iter() {
            if let Some(user) = self.by_id.get_mut(user_id) {
                user.watchers.remove(&peer.mailbox);
                lists.push(user.watchers.id());
            }
            self.forget_if_idle(user_id);
        }
        lists
    }

    /// Forgets a user who is neither online nor watched.
    fn forget_if_idle(&mut self, user_id: &Arc<str>) {
        let is_idle = |user: &User| !user.is_online() && user.watchers.is_empty();
        if self.by_id.get(user_id).is_some_and(is_idle) && !self.departures.is_away(user_id) {
            self.by_id.remove(user_id);
        }
    }
}
