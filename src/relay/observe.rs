//! What the live stream shows of what passes.

use std::net::IpAddr;

use super::Relay;
use super::client_event::ClientEvent;
use super::publish::Publication;
use crate::hub::{AppHub, Peer};
use crate::protocol::member::Member;
use crate::protocol::{ChannelName, Frame};
use crate::tap::{Kind, TapEvent};

/// What carries the connection, if it is no WebSocket.
fn transport(peer: &Peer) -> Option<&'static str> {
    Some(peer.fallback()?.name())
}

impl Relay {
    pub(super) fn show_publication(&self, app: &AppHub, publication: &Publication<'_>) {
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

    /// A connection was established.
    pub(super) fn on_connect(&self, peer: &Peer, client: Option<IpAddr>) {
        let transport = transport(peer);
        let address = client.map(tracing::field::display);
        tracing::debug!(app = &*peer.app().app.id, socket_id = %peer.socket_id(), transport, address, "connected");
        self.show_connection(peer, Kind::Connect, client, None);
    }

    /// A connection has ended.
    pub(super) fn on_disconnect(&self, peer: &Peer) {
        let code = peer.closed_with();
        tracing::debug!(app = &*peer.app().app.id, socket_id = %peer.socket_id(), code, "disconnected");
        self.show_connection(peer, Kind::Disconnect, None, code);
    }

    fn show_connection(&self, peer: &Peer, kind: Kind, address: Option<IpAddr>, code: Option<u16>) {
        if self.tap.watched() {
            let socket_id = peer.socket_id().to_string();
            self.tap.emit(|| TapEvent {
                app: Some(&peer.app().app.id),
                socket_id: Some(&socket_id),
                transport: transport(peer),
                address,
                code,
                ..TapEvent::new(kind)
            });
        }
    }

    pub(super) fn show(
        &self,
        peer: &Peer,
        kind: Kind,
        channel: &ChannelName,
        user_id: Option<&str>,
    ) {
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

    /// A connection is signed in as a user.
    pub(super) fn show_sign_in(&self, peer: &Peer, user: &Member) {
        if self.tap.watched() {
            let socket_id = peer.socket_id().to_string();
            self.tap.emit(|| TapEvent {
                app: Some(&peer.app().app.id),
                socket_id: Some(&socket_id),
                user_id: Some(user.user_id()),
                ..TapEvent::new(Kind::SignIn)
            });
        }
    }

    pub(super) fn show_client_event(&self, peer: &Peer, channel: &ChannelName, frame: &Frame) {
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

    pub(super) fn show_error(
        &self,
        peer: &Peer,
        channel: Option<&str>,
        code: Option<u16>,
        message: &str,
    ) {
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
