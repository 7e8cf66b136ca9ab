//! From a socket that was accepted to one that speaks TLS.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustls::{HandshakeKind, ServerConfig};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::exchange::{Exchange, Failure};
use super::socket::Socket;
use super::under_way::UnderWay;
use crate::metrics::{CounterBy, Gauge, TlsHandshake};
use crate::net::block::Block;

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
            under_way: UnderWay::new(under_way),
        }
    }

    /// Does the handshake. The flag says whether HTTP/2 was agreed on. `client` is who is at the other end; None: a proxy is,
    /// which stands for many.
    ///
    /// # Errors
    /// When there is no connection to be served; what could be answered was answered.
    pub async fn accept(
        &self,
        stream: TcpStream,
        client: Option<Block>,
    ) -> io::Result<(Socket, bool)> {
        let (turn, displaced) = self.under_way.enter(client);
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
