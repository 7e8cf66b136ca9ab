//! Publish, subscribe, terminate: the only path by which an event reaches a channel.

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::apps::WebhookEvent;
use crate::hub::broadcast::{BacklogFull, Broadcast, Reservation};
use crate::hub::{
    Admission, AppHub, Authority, Caching, Hub, Join, Leave, Peer, Receipt, SignIn, Standing,
    Unavailable,
};
use crate::net::tally::Requests;
use crate::protocol::member::Watchlist;
use crate::protocol::server::{self, EventData};
use crate::protocol::{ChannelName, ChannelRef, CloseCode, Frame, SocketId};
use crate::session::{Action, CloseReason, Overload};
use crate::tap::{Kind, Tap, TapEvent};
use crate::webhooks::{ClientEventNotice, Notice};

/// What connections and publishers ask for, done on the hub.
#[derive(Debug)]
pub struct Relay {
    /// Who is connected and subscribed.
    pub hub: Hub,
    /// Who decides about joins and leaves, on this node or for all.
    pub authority: Arc<dyn Authority>,
    /// The live stream of what passes.
    pub tap: Tap,
    /// HTTP requests under way.
    pub requests: Requests,
}

/// An event as a backend publishes it; checked, and not yet accepted.
#[derive(Clone, Copy, Debug)]
pub struct Publication<'a> {
    /// The event's name.
    pub name: &'a str,
    /// Its data.
    pub data: &'a EventData<'a>,
    /// Where it goes; each channel once.
    pub channels: &'a [ChannelRef<'a>],
    /// The connection that does not get it.
    pub except: Option<SocketId>,
}

/// An event of a client for which there is no room at the moment.
#[derive(Debug)]
pub struct ClientPublication {
    channel: ChannelName,
    frame: Frame,
    deliveries: usize,
    admission: Admission,
}

/// Why events were not published. Nothing was, then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// There is no room on this node.
    #[error(transparent)]
    BacklogFull(#[from] BacklogFull),
    /// There is no way to the other nodes, and no room to wait for one.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Becomes ready when published events are where all nodes find them.
#[derive(Debug, Default)]
#[must_use = "the publisher's answer waits for it"]
pub struct Receipts(SmallVec<[Receipt; 1]>);

impl Receipts {
    fn add(&mut self, receipt: Receipt) {
        if receipt.is_pending() {
            self.0.push(receipt);
        }
    }

    /// Waits for it. Fails if the node goes before all of them are.
    pub async fn settled(self) -> Result<(), PublishError> {
        for receipt in self.0 {
            receipt.settled().await?;
        }
        Ok(())
    }
}

/// One event on one channel, ready to be posted.
struct Post<'p, 'a> {
    channel: &'p ChannelRef<'a>,
    frame: Frame,
    except: Option<SocketId>,
    deliveries: usize,
}

impl Relay {
    /// Publishes all of the events or none. Waits while too much is on its way to the app's
    /// connections, and fails when that lasts; nothing is posted then.
    pub async fn publish(
        &self,
        app: &Arc<AppHub>,
        publications: &[Publication<'_>],
    ) -> Result<Receipts, PublishError> {
        let authority = &*self.authority;
        if authority.standing() == Standing::NotYet {
            return Err(Unavailable::NotYet.into());
        }
        let beyond = authority.reaches_beyond();
        let mut posts: SmallVec<[Post<'_, '_>; 1]> = SmallVec::new();
        let (mut deliveries, mut bytes) = (0, 0);
        for publication in publications {
            for channel in publication.channels {
                let wanted = app.wanted(channel);
                if !wanted.any && !beyond {
                    continue;
                }
                let frame = server::event(publication.name, channel.as_str(), publication.data);
                deliveries += wanted.deliveries;
                bytes += frame.len();
                posts.push(Post {
                    channel,
                    frame,
                    except: publication.except,
                    deliveries: wanted.deliveries,
                });
            }
        }
        let mut receipts = Receipts::default();
        if !posts.is_empty() {
            let reservation = app.room.reserve(deliveries, bytes).await?;
            let admission = authority.admit(bytes)?;
            receipts = post_all(authority, app, posts, reservation, &admission);
        }
        for publication in publications {
            app.metrics
                .publishes
                .inc_by(publication.channels.len() as u64);
            self.show_publication(app, publication);
        }
        Ok(receipts)
    }

    /// Delivers an event to this node's own connections: one that reaches every node by itself.
    /// Waits and fails as [`Relay::publish`] does, for each channel.
    pub async fn publish_here(
        &self,
        app: &Arc<AppHub>,
        publication: &Publication<'_>,
    ) -> Result<(), BacklogFull> {
        for channel in publication.channels {
            let wanted = app.wanted(channel);
            if !wanted.any {
                continue;
            }
            let frame = server::event(publication.name, channel.as_str(), publication.data);
            let reservation = app.room.reserve(wanted.deliveries, frame.len()).await?;
            let broadcast = Broadcast::reserved(frame, publication.except, reservation);
            app.publish_locally(channel.as_str(), broadcast, Caching::on(channel.kind()));
        }
        self.show_publication(app, publication);
        Ok(())
    }

    fn show_publication(&self, app: &AppHub, publication: &Publication<'_>) {
        if !self.tap.watched() {
            return;
        }
        let except = publication.except.map(|socket_id| socket_id.to_string());
        for channel in publication.channels {
            self.tap.emit(|| TapEvent {
                app: Some(&app.app.id),
                channel: Some(channel.as_str()),
                event: Some(publication.name),
                socket_id: except.as_deref(),
                data_json: Some(publication.data.token()),
                ..TapEvent::new(Kind::Publish)
            });
        }
    }

    /// Closes every connection that is signed in as the user.
    pub fn terminate_user(&self, app: &Arc<AppHub>, user_id: &str) -> Receipt {
        let reason = CloseReason::new(
            CloseCode::Unauthorized,
            "the app's backend has ended this user's connections",
        );
        self.authority.close_user(app, user_id, reason)
    }

    /// Closes every connection that is signed in as the user so that clients connect again at
    /// once.
    pub fn reconnect_user(&self, app: &Arc<AppHub>, user_id: &str) -> Receipt {
        let reason = CloseReason::new(
            CloseCode::Reconnect,
            "the app's backend asks this user's clients to connect again",
        );
        self.authority.close_user(app, user_id, reason)
    }

    /// Does what a connection's session wants. Returns a client event for which there is no
    /// room now: the connection waits with it and with everything behind it.
    pub fn act(&self, peer: &Peer, action: Action) -> Option<ClientPublication> {
        let app = peer.app();
        match action {
            Action::Nothing => {}
            Action::Send(frame) => peer.send(&frame),
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
            } => {
                self.show(
                    peer,
                    Kind::Subscribe,
                    &channel,
                    member.as_deref().map(|m| &**m.user_id()),
                );
                let join = Join {
                    peer: peer.handle(),
                    channel,
                    member,
                };
                match sign_in {
                    None => self.authority.join(app, join),
                    Some(user) => {
                        let sign_in = SignIn {
                            peer: peer.handle(),
                            user,
                            watchlist: Watchlist::default(),
                            reply: None,
                            complaint: None,
                            join: Some(join),
                        };
                        self.authority.sign_in(app, sign_in);
                    }
                }
            }
            Action::Confirm { channel } => {
                self.authority.confirm(app, peer.handle(), channel);
            }
            Action::Leave { channel, member } => {
                self.show(
                    peer,
                    Kind::Unsubscribe,
                    &channel,
                    member.as_deref().map(|m| &**m.user_id()),
                );
                let leave = Leave {
                    peer: peer.handle(),
                    channel,
                    member,
                };
                self.authority.leave(app, leave);
            }
            Action::SignIn {
                user,
                watchlist,
                is_cut,
                reply,
            } => {
                let complaint = is_cut.then(|| {
                    let most = app.app.limits.watchlist_users;
                    let message = format!("only the first {most} users of the watchlist count");
                    self.note_mistake(peer, Some(CloseCode::WatchlistLimit), &message)
                });
                let sign_in = SignIn {
                    peer: peer.handle(),
                    user,
                    watchlist,
                    reply: Some(reply),
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
            Action::CloseOverload { cause, reason } => {
                self.show_error(peer, None, Some(reason.code.code()), &reason.text);
                match cause {
                    Overload::Stall => {
                        app.metrics.write_timeouts.inc();
                        peer.close_unread(&reason);
                    }
                    Overload::Flood(kind) => {
                        app.metrics.overruns.with(kind).inc();
                        peer.close(&reason);
                    }
                }
            }
        }
        None
    }

    fn client_event(
        &self,
        peer: &Peer,
        channel: ChannelName,
        frame: Frame,
    ) -> Option<ClientPublication> {
        let app = peer.app();
        let admission = match self.authority.admit(frame.len()) {
            Ok(admission) => admission,
            Err(error) => {
                self.refuse_client_event(peer, &error.into());
                return None;
            }
        };
        let publication = ClientPublication {
            deliveries: app.channel_state(channel.as_str()).subscribers,
            channel,
            frame,
            admission,
        };
        match app
            .room
            .try_reserve(publication.deliveries, publication.frame.len())
        {
            Some(reservation) => {
                self.publish_client_event(peer, publication, reservation);
                None
            }
            None => Some(publication),
        }
    }

    /// Sends a client's event to the others on its channel, now that there is room.
    pub fn publish_client_event(
        &self,
        peer: &Peer,
        publication: ClientPublication,
        reservation: Reservation,
    ) {
        let app = peer.app();
        let ClientPublication {
            channel,
            frame,
            admission,
            ..
        } = publication;
        app.metrics.client_events.inc();
        self.show_client_event(peer, &channel, &frame);
        let notice = client_event_notice(peer, &channel, &frame);
        let mut broadcast = Broadcast::reserved(frame, Some(peer.socket_id()), reservation);
        if let Some(notice) = notice {
            broadcast = broadcast.with_notice(channel.clone(), notice);
        }
        let receipt =
            self.authority
                .publish(app, channel.as_str(), broadcast, Caching::None, &admission);
        // Nobody waits for an answer.
        drop(receipt);
    }

    /// There was no room for a client's event for as long as it may wait.
    pub fn refuse_client_event(&self, peer: &Peer, error: &PublishError) {
        let message = format!("client event rejected: {error}; try again later");
        self.report_mistake(peer, Some(CloseCode::ClientEventRejected), &message);
    }

    fn report_mistake(&self, peer: &Peer, code: Option<CloseCode>, message: &str) {
        peer.send(&self.note_mistake(peer, code, message));
    }

    /// Counts and shows a client's mistake; returns what the client is to be told.
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

    /// A connection was established.
    pub fn on_connect(&self, peer: &Peer) {
        tracing::debug!(app = &*peer.app().app.id, socket_id = %peer.socket_id(), "connected");
        self.show_connection(peer, Kind::Connect, None);
    }

    /// A connection has ended.
    pub fn on_disconnect(&self, peer: &Peer) {
        let code = peer.closed_with();
        tracing::debug!(app = &*peer.app().app.id, socket_id = %peer.socket_id(), code, "disconnected");
        self.show_connection(peer, Kind::Disconnect, code);
    }

    fn show_connection(&self, peer: &Peer, kind: Kind, code: Option<u16>) {
        if self.tap.watched() {
            let socket_id = peer.socket_id().to_string();
            self.tap.emit(|| TapEvent {
                app: Some(&peer.app().app.id),
                socket_id: Some(&socket_id),
                code,
                ..TapEvent::new(kind)
            });
        }
    }

    fn show(&self, peer: &Peer, kind: Kind, channel: &ChannelName, user_id: Option<&str>) {
        if self.tap.watched() {
            let socket_id = peer.socket_id().to_string();
            self.tap.emit(|| TapEvent {
                app: Some(&peer.app().app.id),
                channel: Some(channel.as_str()),
                socket_id: Some(&socket_id),
                user_id,
                ..TapEvent::new(kind)
            });
        }
    }

    fn show_client_event(&self, peer: &Peer, channel: &ChannelName, frame: &Frame) {
        if !self.tap.watched() {
            return;
        }
        let Some(sent) = ClientEvent::of(frame) else {
            return;
        };
        let socket_id = peer.socket_id().to_string();
        self.tap.emit(|| TapEvent {
            app: Some(&peer.app().app.id),
            channel: Some(channel.as_str()),
            event: Some(&sent.event),
            socket_id: Some(&socket_id),
            user_id: sent.user_id.as_deref(),
            data: sent.data.map(|data| data.get()),
            ..TapEvent::new(Kind::ClientEvent)
        });
    }

    fn show_error(&self, peer: &Peer, channel: Option<&str>, code: Option<u16>, message: &str) {
        let app = &*peer.app().app.id;
        tracing::debug!(app, socket_id = %peer.socket_id(), channel, code, "{message}");
        if self.tap.watched() {
            let socket_id = peer.socket_id().to_string();
            self.tap.emit(|| TapEvent {
                app: Some(app),
                channel,
                socket_id: Some(&socket_id),
                code,
                message: Some(message),
                ..TapEvent::new(Kind::Error)
            });
        }
    }
}

impl ClientPublication {
    /// Waits for room.
    pub async fn wait(self, app: Arc<AppHub>) -> (Self, Result<Reservation, BacklogFull>) {
        let reserved = app.room.reserve(self.deliveries, self.frame.len()).await;
        (self, reserved)
    }
}

/// A client's event, read from the frame that the others get.
#[derive(Deserialize)]
struct ClientEvent<'a> {
    #[serde(borrow)]
    event: Cow<'a, str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    user_id: Option<Cow<'a, str>>,
}

impl<'a> ClientEvent<'a> {
    fn of(frame: &'a Frame) -> Option<Self> {
        serde_json::from_slice(frame.payload()).ok()
    }
}

/// What webhooks are told of a client's event; None if none of them wants to know.
fn client_event_notice(peer: &Peer, channel: &ChannelName, frame: &Frame) -> Option<Notice> {
    let webhooks = peer.app().webhooks()?;
    if !webhooks.wants(WebhookEvent::ClientEvent, channel.as_str()) {
        return None;
    }
    let sent = ClientEvent::of(frame)?;
    Some(Notice::of_client_event(ClientEventNotice {
        channel: channel.as_str(),
        name: &sent.event,
        data: sent.data,
        sender: peer.socket_id(),
        user_id: sent.user_id.as_deref(),
    }))
}

/// Posts everything, each part with its share of the reservation.
fn post_all(
    authority: &dyn Authority,
    app: &Arc<AppHub>,
    posts: SmallVec<[Post<'_, '_>; 1]>,
    mut reservation: Reservation,
    admission: &Admission,
) -> Receipts {
    let mut receipts = Receipts::default();
    for post in posts {
        let share = reservation.split(post.deliveries, post.frame.len());
        let broadcast = Broadcast::reserved(post.frame, post.except, share);
        let caching = Caching::on(post.channel.kind());
        let channel = post.channel.as_str();
        receipts.add(authority.publish(app, channel, broadcast, caching, admission));
    }
    receipts
}
