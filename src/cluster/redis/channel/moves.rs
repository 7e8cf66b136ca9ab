//! What connections do.

use std::rc::Rc;
use std::sync::Arc;

use super::context::Context;
use super::part::{LocalUser, Reported};
use super::state::{Channel, Kind};
use super::waiting::{SigningIn, Waiting};
use crate::cluster::redis::watch::PendingWatch;
use crate::hub::{AppHub, Join, Leave, PeerHandle};
use crate::protocol::member::Member;

impl Channel {
    /// From now on it is for connections of this app, which may have been removed and made again since the channel
    /// was first of use. Those of the app that was there before are closed; what they leave is taken off as it
    /// comes. Returns false for one of them that still asks: nobody is to answer it.
    pub(in crate::cluster::redis) fn serve(&mut self, app: &Arc<AppHub>) -> bool {
        if let Some(known) = &self.app {
            if Arc::ptr_eq(known, app) {
                return true;
            }
            if app.is_retired() {
                return false;
            }
        }
        self.forget_waiting();
        // The new one knows nobody yet.
        self.replica.forget_place();
        self.former = self.app.replace(Arc::clone(app));
        true
    }

    /// Whoever waits is answered no more.
    fn forget_waiting(&mut self) {
        for waiting in std::mem::take(&mut self.waiting) {
            match waiting {
                Waiting::Join(_) => self.part.connections -= 1,
                Waiting::SignIn(signing_in) => {
                    self.part.connections -= 1;
                    if let Some(watch) = signing_in.watch {
                        watch.one_known();
                    }
                }
                Waiting::Confirm(_) => {}
                // Once it watches, it is taken off everywhere.
                Waiting::Watch(watch) => watch.one_known(),
            }
        }
        let mut gone = Vec::new();
        for (user_id, user) in &mut self.part.users {
            if let Some(joining) = user.joining.take() {
                self.part.connections -= joining.len();
                gone.extend((user.connections == 0).then(|| Arc::clone(user_id)));
            }
        }
        for user_id in gone {
            if let Some(user) = self.part.users.remove(&user_id) {
                self.granted.retain(|granted| *granted != user_id);
                self.part.remove(&user_id, &user);
            }
        }
    }

    pub(in crate::cluster::redis) fn join(&mut self, join: Join, context: &Context<'_>) {
        self.part.connections += 1;
        if context.is_away() {
            self.join_offline(join);
        } else if (self.is_live() && self.waiting.is_empty()) || self.must_be_asked_for(&join) {
            self.join_live(join);
        } else {
            self.waiting.push_back(Waiting::Join(join));
        }
    }

    /// Whether it is for the cluster to decide if there is room for this one.
    fn must_be_asked_for(&self, join: &Join) -> bool {
        join.member.as_ref().is_some_and(|member| {
            let user = self.part.users.get(member.user_id());
            user.is_none_or(|user| user.joining.is_some())
        })
    }

    /// Joins while the cluster can be asked.
    pub(super) fn join_live(&mut self, join: Join) {
        let Some(member) = &join.member else {
            return self.admit(join);
        };
        match self.part.users.get_mut(member.user_id()) {
            Some(user) => match &mut user.joining {
                Some(joining) => joining.push(join),
                None => {
                    user.connections += 1;
                    self.admit(join);
                }
            },
            None => {
                let (user_id, member) = (Arc::clone(member.user_id()), Arc::clone(member));
                self.part.add(Arc::clone(&user_id));
                let user = LocalUser {
                    member,
                    connections: 0,
                    joining: Some(vec![join]),
                    only_here: false,
                    reported: Reported::No,
                };
                self.part.users.insert(user_id, user);
            }
        }
    }

    /// Joins while nobody can be asked: what this node knows has to do.
    pub(super) fn join_offline(&mut self, join: Join) {
        let Some(app) = self.app.clone() else { return };
        if let Some(member) = &join.member {
            let is_news = app.member_came(&self.name, member);
            let user_id = member.user_id();
            // Redis may forget the departure that waits there.
            let mut reported = self.part.departed.remove(user_id).unwrap_or_default();
            if self.notices.is_pending_departure(user_id) {
                reported = Reported::Yes;
            }
            let user = self
                .part
                .users
                .entry(Arc::clone(user_id))
                .or_insert_with(|| LocalUser {
                    member: Arc::clone(member),
                    connections: 0,
                    joining: None,
                    only_here: false,
                    // Of those whom another node has it is for that one to decide.
                    reported,
                });
            user.connections += 1;
            user.only_here |= is_news;
            user.reported = user.reported.max(reported);
            self.part.send_users_again();
        }
        self.admit(join);
    }

    pub(super) fn admit(&mut self, join: Join) {
        if let Some(app) = &self.app {
            self.part.admitted += 1;
            app.admit_shared(join);
        }
    }

    /// Lets in who has waited, now that the channel is known, or nobody can be asked.
    pub(super) fn admit_known(&mut self, waiting: Waiting) {
        match waiting {
            Waiting::Join(join) => self.join_live(join),
            Waiting::Confirm(peer) => self.confirm(peer),
            Waiting::SignIn(signing_in) => self.register(signing_in),
            Waiting::Watch(watch) => watch.one_known(),
        }
    }

    pub(in crate::cluster::redis) fn confirm(&mut self, peer: PeerHandle) {
        match (&self.app, self.waiting.is_empty()) {
            (Some(app), true) => app.confirm_locally(&peer, &self.name),
            _ => self.waiting.push_back(Waiting::Confirm(peer)),
        }
    }

    /// A connection of `of` leaves.
    pub(in crate::cluster::redis) fn leave(&mut self, of: &AppHub, leave: &Leave) {
        let Some(app) = self.app.clone() else { return };
        of.dismiss_shared(leave);
        self.part.connections -= 1;
        if let Some(member) = &leave.member {
            self.user_leaves(member.user_id(), &app);
        }
        self.count_out(&app);
    }

    fn user_leaves(&mut self, user_id: &Arc<str>, app: &AppHub) {
        let Some(user) = self.part.users.get_mut(user_id) else {
            return;
        };
        user.connections = user.connections.saturating_sub(1);
        if user.connections > 0 || user.joining.is_some() {
            return;
        }
        let Some(user) = self.part.users.remove(user_id) else {
            return;
        };
        self.part.remove(user_id, &user);
        // Whether others have the user too, who was not only here, Redis alone knows.
        if user.only_here {
            app.member_went(&self.name, user_id);
        }
    }

    fn count_out(&mut self, app: &AppHub) {
        self.part.admitted -= 1;
        if self.part.admitted == 0 && self.kind == Kind::Channel {
            // With its last listener the node has forgotten the roster.
            self.replica.forget_place();
            app.forget_empty(&self.name);
        }
    }

    pub(in crate::cluster::redis) fn sign_in(
        &mut self,
        signing_in: SigningIn,
        context: &Context<'_>,
    ) {
        self.part.connections += 1;
        if context.is_away() || (self.is_live() && self.waiting.is_empty()) {
            self.register(signing_in);
        } else {
            self.waiting.push_back(Waiting::SignIn(signing_in));
        }
    }

    pub(super) fn register(&mut self, signing_in: SigningIn) {
        let Some(app) = &self.app else { return };
        let SigningIn {
            peer,
            user,
            reply,
            watch,
            join,
        } = signing_in;
        self.part.admitted += 1;
        app.sign_in_shared(&peer, Arc::clone(&user), reply);
        if !self.is_live() {
            app.set_online(user.user_id(), true);
        }
        if let Some(watch) = watch {
            watch.one_known();
        }
        if let Some(join) = join {
            join.ask(app);
        }
    }

    /// A connection of `of` is no longer the user's.
    pub(in crate::cluster::redis) fn sign_out(
        &mut self,
        of: &AppHub,
        peer: PeerHandle,
        user: &Member,
    ) {
        if self.app.is_some() {
            of.sign_out_shared(&peer, user);
            self.part.connections -= 1;
            self.part.admitted -= 1;
        }
    }

    pub(in crate::cluster::redis) fn watch(
        &mut self,
        watch: &Rc<PendingWatch>,
        context: &Context<'_>,
    ) {
        self.part.watchers += 1;
        if context.is_away() || (self.is_live() && self.waiting.is_empty()) {
            watch.one_known();
        } else {
            self.waiting.push_back(Waiting::Watch(Rc::clone(watch)));
        }
    }

    pub(in crate::cluster::redis) fn unwatch(&mut self) {
        self.part.watchers = self.part.watchers.saturating_sub(1);
    }
}
