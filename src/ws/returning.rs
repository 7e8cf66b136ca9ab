//! A WebSocket whose client names itself, and may come back for its session.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use tokio::net::TcpStream;

use super::connection::Connection;
use super::opening::{Admitted, Opener};
use super::refusal;
use crate::admission;
use crate::hub::{AppHub, Carrier};
use crate::protocol::server;
use crate::relay::Connected;
use crate::resume::{self, Contender, Entered, Place, Resumable};

/// A WebSocket that may be handed over to the thread of the session that its client comes back for.
pub(super) struct Returning {
    admitted: Admitted,
    stream: TcpStream,
    received: Bytes,
    activity: u64,
    close_timeout: Duration,
}

/// The same on its way.
struct OnItsWay {
    admitted: Admitted,
    /// A socket belongs to its thread's runtime, unless it is taken out of it.
    stream: std::net::TcpStream,
    received: Bytes,
    activity: u64,
    close_timeout: Duration,
}

impl Returning {
    pub(super) fn new(
        admitted: Admitted,
        stream: TcpStream,
        received: &[u8],
        opener: &Opener,
    ) -> Self {
        let settings = &opener.settings;
        Self {
            admitted,
            stream,
            received: Bytes::copy_from_slice(received),
            activity: settings.timeouts.activity.as_secs().max(1),
            close_timeout: settings.close_timeout,
        }
    }

    /// Begins a session of this token, or comes for the one that there is.
    pub(super) fn connect(self, token: Box<str>, opener: &Rc<Opener>) {
        match opener.tokens.enter(self.app(), &token) {
            Entered::New { place, missed } => opener.open_resumable(
                self.admitted,
                self.stream,
                &self.received,
                Resumable::new(place),
                missed,
            ),
            Entered::Known(door) => {
                let opener = Rc::clone(opener);
                actix_rt::spawn(async move {
                    let Ok(on_its_way) = self.leave_thread() else {
                        return;
                    };
                    let Err(on_its_way) = resume::hand_over(&door, on_its_way).await else {
                        return;
                    };
                    let Ok(returning) = on_its_way.arrive() else {
                        return;
                    };
                    returning.begin_anew(&token, &opener);
                });
            }
        }
    }

    /// The session of the token is not to be had: a new one, which has the token if that is free now.
    fn begin_anew(self, token: &str, opener: &Opener) {
        if self.admitted.app.is_beyond() {
            let reason = admission::over_quota(self.app());
            let Admitted { accepted, .. } = self.admitted;
            actix_rt::spawn(refusal::refuse(
                self.stream,
                accepted,
                reason,
                self.close_timeout,
            ));
            return;
        }
        match opener.tokens.enter(self.app(), token) {
            Entered::New { place, missed } => opener.open_resumable(
                self.admitted,
                self.stream,
                &self.received,
                Resumable::new(place),
                missed,
            ),
            Entered::Known(_) => opener.connect(self.admitted, self.stream, &self.received),
        }
    }

    fn app(&self) -> &AppHub {
        self.admitted.app.app()
    }

    fn leave_thread(self) -> std::io::Result<OnItsWay> {
        Ok(OnItsWay {
            admitted: self.admitted,
            stream: self.stream.into_std()?,
            received: self.received,
            activity: self.activity,
            close_timeout: self.close_timeout,
        })
    }
}

impl OnItsWay {
    fn arrive(self) -> std::io::Result<Returning> {
        Ok(Returning {
            admitted: self.admitted,
            stream: TcpStream::from_std(self.stream)?,
            received: self.received,
            activity: self.activity,
            close_timeout: self.close_timeout,
        })
    }
}

impl Contender for OnItsWay {
    fn take(self: Box<Self>, mut connected: Connected, place: Place) {
        let resumable = Resumable::new(place);
        let Admitted {
            permit,
            app,
            accepted,
            sign_of_life,
        } = self.admitted;
        let Ok(stream) = TcpStream::from_std(self.stream) else {
            // The socket is broken: the client comes again.
            actix_rt::spawn(resume::park(connected, resumable, permit));
            return;
        };
        let (reader, writer) = stream.into_split();
        connected.resume(app, Carrier::Socket(writer), sign_of_life);
        let established = server::connection_established(connected.socket_id(), self.activity);
        connected.send_first(accepted, &established);
        let connection = Connection::new(
            permit,
            connected,
            Some(Box::new(resumable)),
            reader,
            &self.received,
            self.close_timeout,
        );
        actix_rt::spawn(connection.run_resumable());
    }
}
