//! From a handshake that was accepted to a connection.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::connection::Connection;
use crate::hub::{AppPermit, Carrier, Outlives, Shard};
use crate::net::tally::Permit;
use crate::protocol::{ChannelName, SocketId, server};
use crate::relay::{Connected, Relay};
use crate::resume::{Resumable, Tokens};
use crate::session::{Session, SignOfLife, Timeouts};
use crate::tls::Socket;

/// What holds for every WebSocket.
#[derive(Clone, Debug)]
pub struct WebSocketSettings {
    /// What public paths begin with, or nothing; both are served.
    pub path_prefix: Box<str>,
    /// Whether there are any here.
    pub served: bool,
    /// The connections' timeouts.
    pub timeouts: Timeouts,
    /// How long a client may take to answer a close.
    pub close_timeout: Duration,
}

/// An app's connection, let in but not yet registered.
pub(super) struct Admitted {
    pub(super) permit: Permit,
    pub(super) app: AppPermit,
    /// The answer to the handshake.
    pub(super) accepted: Bytes,
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
        actix_rt::spawn(connection);
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
        actix_rt::spawn(connection.run_resumable());
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
            accepted,
            sign_of_life,
        } = admitted;
        let timeouts = self.settings.timeouts;
        let socket_id = SocketId::from_random(rand::random());
        let session = Session::new(
            Arc::clone(&app.app().app),
            socket_id,
            timeouts,
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
        let registration = Connected::new(&self.relay, registration);
        let established =
            server::connection_established(socket_id, timeouts.activity.as_secs().max(1));
        registration.send_first(accepted, &established);
        Connection::new(
            permit,
            registration,
            resumable,
            reader,
            [received, &behind[..]],
            self.settings.close_timeout,
        )
    }
}
