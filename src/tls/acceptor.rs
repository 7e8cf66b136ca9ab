//! From a socket that was accepted to one that speaks TLS.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::{HandshakeKind, ServerConfig};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::exchange::{Exchange, Failure};
use super::socket::Socket;
use crate::metrics::{CounterBy, Gauge, TlsHandshake};

/// Handshakes that a worker has under way at one time. With more, the oldest ends: whoever takes part in it
/// has taken longer than all others.
const MOST_HANDSHAKES: usize = 512;
/// How long a client that was answered in plain HTTP may take to read that.
const LAST_ANSWER: Duration = Duration::from_secs(1);

/// What whoever speaks plain HTTP here is answered.
const PLAIN_HTTP: &str = "this port speaks TLS; use https:// or wss://\n";

/// Does the handshakes of one worker thread.
#[derive(Clone)]
pub struct Acceptor {
    config: Arc<ServerConfig>,
    timeout: Duration,
    outcomes: CounterBy<TlsHandshake>,
    under_way: Rc<UnderWay>,
}

/// Handshakes under way, the oldest first.
#[derive(Default)]
struct UnderWay {
    next: Cell<u64>,
    /// How many there are, on all threads.
    shown: Gauge,
    ends: RefCell<BTreeMap<u64, oneshot::Sender<()>>>,
}

/// One of them; it counts until this is dropped.
struct Turn {
    under_way: Rc<UnderWay>,
    number: u64,
}

impl Acceptor {
    /// For the calling thread. A handshake may take as long as `timeout`; `outcomes` counts them, and `under_way`
    /// shows how many there are.
    pub fn new(
        config: Arc<ServerConfig>,
        timeout: Duration,
        outcomes: CounterBy<TlsHandshake>,
        under_way: Gauge,
    ) -> Self {
        Self {
            config,
            timeout,
            outcomes,
            under_way: Rc::new(UnderWay {
                shown: under_way,
                ..UnderWay::default()
            }),
        }
    }

    /// Does the handshake. The flag says whether HTTP/2 was agreed on.
    ///
    /// # Errors
    /// When there is no connection to be served; what could be answered was answered.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<(Socket, bool)> {
        let (turn, displaced) = self.under_way.enter();
        let mut exchange = Exchange::new(stream, &self.config).map_err(io::Error::other)?;
        let outcome = tokio::select! {
            outcome = tokio::time::timeout(self.timeout, exchange.run()) => {
                outcome.unwrap_or(Err(Failure::Timeout))
            }
            _ = displaced => Err(Failure::Displaced),
        };
        drop(turn);
        let outcome = outcome.map(|kind| (kind, exchange.is_challenge()));
        let failure = match outcome {
            Ok((kind, false)) => {
                self.count(match kind {
                    HandshakeKind::Resumed => TlsHandshake::Resumed,
                    HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest => {
                        TlsHandshake::Full
                    }
                });
                let is_http2 = exchange.is_http2();
                return Ok((exchange.finish()?, is_http2));
            }
            Ok((_, true)) => {
                // The authority has seen what it wanted to see (RFC 8737 §3).
                self.count(TlsHandshake::Challenge);
                let ended = exchange.finish();
                if let Ok(mut socket) = ended {
                    let _ = tokio::time::timeout(LAST_ANSWER, socket.shutdown()).await;
                }
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            Err(failure) => failure,
        };
        self.count(failure.outcome());
        let last = match failure {
            Failure::PlainHttp => exchange.answer_plainly(PLAIN_HTTP),
            _ => exchange.take_outgoing(),
        };
        let said = exchange.end(&last);
        // A client that goes away or does not listen is of no interest any more.
        let _ = tokio::time::timeout(LAST_ANSWER, said).await;
        Err(io::ErrorKind::ConnectionAborted.into())
    }

    fn count(&self, outcome: TlsHandshake) {
        self.outcomes.with(outcome).inc();
    }
}

impl UnderWay {
    /// Begins one, and ends the oldest if there are too many.
    fn enter(self: &Rc<Self>) -> (Turn, oneshot::Receiver<()>) {
        let number = self.next.get();
        self.next.set(number + 1);
        let (end, displaced) = oneshot::channel();
        let mut ends = self.ends.borrow_mut();
        if ends.len() >= MOST_HANDSHAKES {
            ends.pop_first();
        }
        ends.insert(number, end);
        self.shown.inc();
        let under_way = Rc::clone(self);
        (Turn { under_way, number }, displaced)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.under_way.ends.borrow_mut().remove(&self.number);
        self.under_way.shown.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_handshake_ends_when_there_are_too_many() {
        let under_way = Rc::new(UnderWay::default());
        let mut open: Vec<_> = (0..MOST_HANDSHAKES).map(|_| under_way.enter()).collect();
        drop(open.remove(0));
        let newest = under_way.enter();
        assert!(
            open.iter_mut()
                .all(|(_, displaced)| displaced.try_recv()
                    == Err(oneshot::error::TryRecvError::Empty))
        );
        let _one_too_many = under_way.enter();
        assert_eq!(
            open[0].1.try_recv(),
            Err(oneshot::error::TryRecvError::Closed)
        );
        assert_eq!(
            open[1].1.try_recv(),
            Err(oneshot::error::TryRecvError::Empty)
        );
        drop(newest);
        assert!(under_way.ends.borrow().len() < MOST_HANDSHAKES);
    }
}
