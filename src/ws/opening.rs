//! From a handshake that was accepted to a connection.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::connection::Connection;
use crate::clients::Permit;
use crate::hub::{AppPermit, Carrier, Outlives, Shard};
use crate::protocol::{ChannelName, SocketId, Window, server};
use crate::relay::{Connected, Relay};
use crate::resume::{Resumable, Tokens};
use crate::session::{Session, SignOfLife, Timeouts};
use crate::tls::Socket;

/// What holds for every WebSocket.
#[derive(Clone, Debug)]
pub struct WebSocketSettings {
    /// What public paths begin with, or nothing; both are served.
    pub path_prefix: Box<str>,
    /// Whether compression is agreed on with clients that offer it.
    pub compresses: bool,
    /// Whether there are any here.
    pub served: bool,
    /// The connections' timeouts.
    pub timeouts: Arc<Timeouts>,
}

/// An app's connection, admitted but not yet registered.
pub(super) struct Admitted {
    pub(super) permit: Permit,
    pub(super) app: AppPermit,
    /// Its address.
    pub(super) client: Option<IpAddr>,
    /// The answer to the handshake.
    pub(super) accepted: Bytes,
    /// The window of a client that has agreed on compression.
    pub(super) window: Option<Window>,
    pub(super) sign_of_life: SignOfLife,
}

/// Opens connections, on one worker thread.
pub(super) struct Opener {
    pub(super) relay: Arc<Relay>,
    pub(super) shard: Shard,
    pub(super) tokens: Arc<Tokens>,
    pub(super) settings: WebSocketSettings,
}

impl Opener {
    /// Opens a connection that ends with its socket.
    pub(super) fn connect(&self, admitted: Admitted, stream: Socket, received: &[u8]) {
        let connection = self.open(admitted, stream, received, None);
        actix_rt::spawn(connection.run());
    }

    /// Opens a connection whose session may outlive it, if there is a door by which to come back to it.
    /// Its client has missed something on these channels.
    pub(super) fn open_resumable(
        &self,
        admitted: Admitted,
        stream: Socket,
        received: &[u8],
        resumable: Resumable,
        missed: Vec<ChannelName>,
    ) {
        let connection = self.open(admitted, stream, received, Some(Box::new(resumable)));
        if !missed.is_empty() {
            connection.has_missed(missed);
        }
        actix_rt::spawn(connection.run());
    }

    fn open(
        &self,
        admitted: Admitted,
        stream: Socket,
        received: &[u8],
        resumable: Option<Box<Resumable>>,
    ) -> Connection {
        let Admitted {
            permit,
            app,
            client,
            accepted,
            window,
            sign_of_life,
        } = admitted;
        let timeouts = &self.settings.timeouts;
        let socket_id = SocketId::from_random(rand::random());
        let session = Session::new(
            Arc::clone(&app.app().app),
            socket_id,
            Arc::clone(timeouts),
            sign_of_life,
            Instant::now(),
        );
        let (reader, writer, behind) = stream.into_halves();
        let outlives = match resumable {
            Some(_) => Outlives::Carrier,
            None => Outlives::No,
        };
        let carrier = Carrier::from(writer);
        let registration = self.shard.register(app, session, carrier, outlives);
        registration.set_window(window);
        let registration = Connected::new(&self.relay, registration, client);
        let established =
            server::connection_established(socket_id, timeouts.activity.as_secs().max(1));
        registration.send_first(accepted, &established);
        registration.close_if_app_is_closed();
        let received = [received, &behind[..]];
        Connection::new(permit, registration, resumable, reader, received)
    }
}
