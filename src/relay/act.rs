//! What a connection's session wants.

use std::sync::Arc;

use super::Relay;
use super::client_event::ClientPublication;
use crate::hub::{Join, Leave, Peer, SignIn, leave_all};
use crate::protocol::member::{Member, Watchlist};
use crate::protocol::{ChannelName, CloseCode, Frame, server};
use crate::session::{Action, CloseReason, Overload};
use crate::tap::Kind;

impl Relay {
    /// Does what a connection's session wants. Returns a client event for which there is no
    /// room now: the connection waits with it and with everything behind it.
    pub(super) fn act(&self, peer: &Peer, action: Action) -> Option<ClientPublication> {
        let app = peer.app();
        match action {
            Action::Nothing => {}
            Action::Send(frame) => peer.send(&frame),
            Action::Ping(how) => peer.ask(how),
            Action::Pong => peer.on_pong(),
            Action::UserIsBack => peer.user_is_back(),
            Action::LeaveUnclaimed(ended) => leave_all(peer, &*self.authority, *ended),
            Action::Each(actions) => {
                for action in actions {
                    // None of several is a client event.
                    let _ = self.act(peer, action);
                }
            }
            Action::Mistake { code, message } => self.report_mistake(peer, code, &message),
            Action::RefuseSubscription {
                channel,
                kind,
                status,
                message,
            } => {
                app.metrics.subscription_errors.inc();
                self.show_error(peer, Some(&channel), Some(status), &message);
                peer.send(&server::subscription_error(
                    &channel, kind, &message, status,
                ));
            }
            Action::Join {
                channel,
                member,
                sign_in,
            } => self.join(peer, channel, member, sign_in),
            Action::Confirm { channel } => {
                self.authority.confirm(app, peer.handle(), channel);
            }
            Action::Leave { channel, member } => self.leave(peer, channel, member),
            Action::SignIn {
                user,
                watchlist,
                is_cut,
                reply,
            } => {
                self.show_sign_in(peer, &user);
                let complaint = is_cut.then(|| self.note_long_watchlist(peer));
                let sign_in = SignIn {
                    peer: peer.handle(),
                    user,
                    watchlist,
                    reply,
                    complaint,
                    join: None,
                };
                self.authority.sign_in(app, sign_in);
            }
            Action::ClientEvent { channel, frame } => {
                return self.client_event(peer, channel, frame);
            }
            Action::Close(reason) => {
                self.show_error(peer, None, Some(reason.code.code()), &reason.text);
                peer.close(&reason);
            }
            Action::CloseOverload { cause, reason } => self.close_overload(peer, cause, &reason),
        }
        None
    }

    /// Has the connection join, after signing it in as the user that the subscription names, if
    /// it names one.
    fn join(
        &self,
        peer: &Peer,
        channel: ChannelName,
        member: Option<Arc<Member>>,
        sign_in: Option<Arc<Member>>,
    ) {
        let user_id = member.as_deref().map(|m| &**m.user_id());
        self.show(peer, Kind::Subscribe, &channel, user_id);
        let join = Join {
            peer: peer.handle(),
            channel,
            member,
        };
        match sign_in {
            None => self.authority.join(peer.app(), join),
            Some(user) => {
                self.show_sign_in(peer, &user);
                let sign_in = SignIn {
                    peer: peer.handle(),
                    user,
                    watchlist: Watchlist::default(),
                    reply: None,
                    complaint: None,
                    join: Some(join),
                };
                self.authority.sign_in(peer.app(), sign_in);
            }
        }
    }

    fn leave(&self, peer: &Peer, channel: ChannelName, member: Option<Arc<Member>>) {
        let user_id = member.as_deref().map(|m| &**m.user_id());
        self.show(peer, Kind::Unsubscribe, &channel, user_id);
        let leave = Leave {
            peer: peer.handle(),
            channel,
            member,
        };
        self.authority.leave(peer.app(), leave);
    }

    fn close_overload(&self, peer: &Peer, cause: Overload, reason: &CloseReason) {
        self.show_error(peer, None, Some(reason.code.code()), &reason.text);
        let metrics = &peer.app().metrics;
        match cause {
            Overload::Stall => {
                metrics.write_timeouts.inc();
                peer.close_unread(reason);
            }
            Overload::Flood(kind) => {
                metrics.overruns.with(kind).inc();
                peer.close(reason);
            }
        }
    }

    fn note_long_watchlist(&self, peer: &Peer) -> Frame {
        let most = peer.app().app.record().limits.watchlist_users;
        let message = format!("only the first {most} users of the watchlist count");
        self.note_mistake(peer, Some(CloseCode::WatchlistLimit), &message)
    }

    pub(super) fn report_mistake(&self, peer: &Peer, code: Option<CloseCode>, message: &str) {
        peer.send(&self.note_mistake(peer, code, message));
    }

    /// Counts and shows a client's mistake; returns the answer to it.
    fn note_mistake(&self, peer: &Peer, code: Option<CloseCode>, message: &str) -> Frame {
        let metrics = &peer.app().metrics;
        match code {
            Some(CloseCode::ClientEventRejected) => metrics.client_events_refused.inc(),
            _ => metrics.protocol_errors.inc(),
        };
        let code = code.map(CloseCode::code);
        self.show_error(peer, None, code, message);
        server::error(code, message)
    }
}
