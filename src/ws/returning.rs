//! A WebSocket whose client names itself, and may come back for its session.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::connection::Connection;
use super::opening::{Admitted, Opener};
use super::refusal;
use crate::admission;
use crate::hub::Carrier;
use crate::net::block::Block;
use crate::protocol::server;
use crate::relay::Connected;
use crate::resume::{self, Contender, Door, Entered, Place, Resumable};
use crate::session::CloseReason;
use crate::tls::Socket;

/// A WebSocket that may be handed over to the thread of the session that its client comes back for: a
/// socket belongs to its thread's runtime, unless it is taken out of it.
pub(super) struct Returning<S> {
    admitted: Admitted,
    stream: S,
    received: Bytes,
    activity: u64,
    close_timeout: Duration,
}

impl Returning<Socket> {
    pub(super) fn new(
        admitted: Admitted,
        stream: Socket,
        received: &[u8],
        opener: &Opener,
    ) -> Self {
        let settings = &opener.settings;
        Self {
            admitted,
            stream,
            received: Bytes::copy_from_slice(received),
            activity: settings.timeouts.activity.as_secs().max(1),
            close_timeout: settings.timeouts.close,
        }
    }

    /// Begins a session of this token, or comes for the one that there is.
    pub(super) fn connect(self, token: Box<str>, opener: &Rc<Opener>) {
        let Some((returning, door)) = self.begin(&token, opener) else {
            return;
        };
        let opener = Rc::clone(opener);
        actix_rt::spawn(async move {
            // A socket that cannot be moved is broken: the client comes again.
            let Ok(on_its_way) = returning.over(Socket::into_std) else {
                return;
            };
            if let Err(on_its_way) = resume::hand_over(&door, on_its_way).await
                && let Ok(returning) = on_its_way.over(Socket::from_std)
            {
                returning.begin_anew(&token, &opener);
            }
        });
    }

    /// The session of the token is not to be had: a new one, which has the token if that is free now.
    fn begin_anew(self, token: &str, opener: &Opener) {
        if self.admitted.permit.is_beyond() {
            self.refuse(admission::over_address(&opener.relay));
        } else if self.admitted.app.is_beyond() {
            let reason = admission::over_quota(self.admitted.app.app());
            self.refuse(reason);
        } else if let Some((returning, _)) = self.begin(token, opener) {
            opener.connect(returning.admitted, returning.stream, &returning.received);
        }
    }

    /// It counts no more from here on.
    fn refuse(self, reason: CloseReason) {
        let accepted = self.admitted.accepted;
        let refusal = refusal::refuse(self.stream, accepted, reason, self.close_timeout);
        actix_rt::spawn(refusal);
    }

    /// Begins a session of this token, unless there is one: whose door it is, then.
    fn begin(self, token: &str, opener: &Opener) -> Option<(Self, Arc<Door>)> {
        match opener.tokens.enter(self.admitted.app.app(), token) {
            Entered::Known(door) => Some((self, door)),
            Entered::New { place, missed } => {
                let resumable = Resumable::new(place);
                let received = &self.received;
                opener.open_resumable(self.admitted, self.stream, received, resumable, missed);
                None
            }
        }
    }
}

impl<S> Returning<S> {
    /// The same over what becomes of its stream.
    fn over<T>(self, change: impl FnOnce(S) -> io::Result<T>) -> io::Result<Returning<T>> {
        Ok(Returning {
            admitted: self.admitted,
            stream: change(self.stream)?,
            received: self.received,
            activity: self.activity,
            close_timeout: self.close_timeout,
        })
    }
}

impl Contender for Returning<Socket<std::net::TcpStream>> {
    /// It was let in for the place of a connection that may have counted for another address: it is one more of its own
    /// address's, then.
    fn unless_refused(self: Box<Self>, connected: &Connected) -> Option<Box<dyn Contender>> {
        let had = connected.address().map(Block::from);
        if had == self.admitted.client.map(Block::from) || !self.admitted.permit.is_beyond() {
            return Some(self);
        }
        let reason = admission::over_address(connected.relay());
        if let Ok(returning) = self.over(Socket::from_std) {
            returning.refuse(reason);
        }
        None
    }

    fn take(self: Box<Self>, mut connected: Connected, place: Place) {
        let resumable = Resumable::new(place);
        let Admitted {
            permit,
            app,
            client,
            accepted,
            window,
            sign_of_life,
        } = self.admitted;
        let Ok(stream) = Socket::from_std(self.stream) else {
            // The socket is broken: the client comes again.
            actix_rt::spawn(resume::park(connected, resumable, permit));
            return;
        };
        let (reader, writer, behind) = stream.into_halves();
        connected.resume(app, Carrier::from(writer), sign_of_life);
        connected.set_window(window);
        connected.set_address(client);
        let established = server::connection_established(connected.socket_id(), self.activity);
        connected.send_first(accepted, &established);
        let connection = Connection::new(
            permit,
            connected,
            Some(Box::new(resumable)),
            reader,
            [&self.received, &behind[..]],
        );
        actix_rt::spawn(connection.run());
    }
}
