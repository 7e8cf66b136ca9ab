//! Connections that sign in as users.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Action, CloseReason, Ended, Session};
use crate::auth::channel as signature;
use crate::protocol::member::{self, MemberError, MemberLimits, Watchlist};
use crate::protocol::{CloseCode, server};

impl Session {
    pub(super) fn on_signin(&mut self, auth: &str, user_data: &str) -> Action {
        let refuse =
            |reason: String| Action::Close(CloseReason::new(CloseCode::Unauthorized, reason));
        if let Err(error) =
            signature::verify_user(&self.app.record().keys, auth, self.socket_id, user_data)
        {
            return refuse(format!("sign-in: {error}"));
        }
        let user = match member::parse_user_data(user_data, self.member_limits()) {
            Ok(user) => user.member,
            Err(error) => return refuse(format!("sign-in: {error}")),
        };
        let (watchlist, is_cut) = match self.watchlist_in(user_data) {
            Ok(watchlist) => watchlist,
            Err(error) => return refuse(format!("sign-in: {error}")),
        };
        self.authorize_by = None;
        let reply = server::signin_success(user_data);
        match self.signed_in_user() {
            Some(known) if known.user_id() == user.user_id() => return Action::Send(reply),
            Some(_) => return refuse("the connection is signed in as another user".into()),
            None => {}
        }
        if self.claim_user(&user, &watchlist) {
            return Action::Each(vec![Action::Send(reply), Action::UserIsBack]);
        }
        let left = self.leave_user();
        self.user = Some(Arc::clone(&user));
        self.watchlist = Some(Arc::clone(&watchlist));
        let sign_in = Action::SignIn {
            user,
            watchlist,
            is_cut,
            reply: Some(reply),
        };
        match left {
            None => sign_in,
            Some(left) => Action::Each(vec![left, sign_in]),
        }
    }

    pub(super) fn member_limits(&self) -> MemberLimits {
        let limits = &self.app.record().limits;
        MemberLimits {
            user_id_length: limits.presence_user_id_length,
            user_info_bytes: limits.presence_user_info_bytes,
        }
    }

    /// The users of a watchlist that count, each once, and whether there are more.
    fn watchlist_in(&self, user_data: &str) -> Result<(Watchlist, bool), MemberError> {
        if !self.app.record().watchlist {
            return Ok((Watchlist::default(), false));
        }
        let mut named = member::parse_watchlist(user_data)?;
        let mut seen = HashSet::with_capacity(named.len());
        named.retain(|user_id| !user_id.is_empty() && seen.insert(Arc::clone(user_id)));
        let most = self.app.record().limits.watchlist_users;
        let is_cut = named.len() > most;
        named.truncate(most);
        Ok((named.into(), is_cut))
    }

    /// The relay has registered the connection as its user's. It does so more than once if the client was cut off
    /// before, and then signed in anew to watch others.
    pub fn signed_in(&mut self) {
        self.registrations += 1;
    }

    /// The connection is notified of these users from now on. False if it has not asked for that, or not
    /// since it was somebody else's.
    pub fn watching(&mut self, watchlist: &Watchlist) -> bool {
        let asked = self.watchlist.as_ref();
        let is_asked = asked.is_some_and(|asked| Arc::ptr_eq(asked, watchlist));
        is_asked && !std::mem::replace(&mut self.is_watching, true)
    }

    /// The users of whom the connection is notified.
    pub fn watchlist(&self) -> Option<&Watchlist> {
        self.watchlist.as_ref().filter(|_| self.is_watching)
    }

    /// The connection is nobody's any more: what it leaves behind.
    pub(super) fn end_user(&mut self) -> Ended {
        let registrations = std::mem::take(&mut self.registrations);
        let watching = std::mem::take(&mut self.is_watching);
        Ended {
            subscriptions: Vec::new(),
            user: self.user.take().filter(|_| registrations > 0),
            registrations,
            watchlist: self.watchlist.take().filter(|_| watching),
        }
    }
}
