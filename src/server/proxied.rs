//! Connections that begin with a header of the PROXY protocol.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use service::net::entry::Entry;
use service::net::proxies::TrustedProxies;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::accept::Accepted;
use crate::metrics::{Metrics, ProxyHeaderRefusal};
use crate::net::proxy_protocol::{self, Malformed};
use crate::throttle::Throttle;

/// Bytes that are looked at when they come: those of a header without extensions, and more.
const LOOK: usize = 512;

/// Takes the header off connections of a listener on which each begins with one.
#[derive(Debug)]
pub(super) struct Proxied {
    trusted: Arc<TrustedProxies>,
    /// How long a header may take.
    patience: Duration,
    metrics: Metrics,
    log: Mutex<Throttle>,
}

impl Proxied {
    /// Only `trusted` are believed, or everybody if there are none.
    pub(super) fn new(trusted: Arc<TrustedProxies>, patience: Duration, metrics: Metrics) -> Self {
        Self {
            trusted,
            patience,
            metrics,
            log: Mutex::default(),
        }
    }

    /// The connection behind its header, as one of the client that the header names. An error: it is to be
    /// closed.
    pub(super) async fn unwrap(&self, accepted: Accepted, entry: &Entry) -> io::Result<Accepted> {
        let Accepted { mut stream, peer } = accepted;
        let address = peer.map(|peer| peer.ip());
        if !self.trusted.is_empty() && !self.trusted.trusts(address) {
            return Err(self.refuse(ProxyHeaderRefusal::Untrusted, peer));
        }
        let header = tokio::time::timeout(self.patience, read(&mut stream));
        let header = tokio::select! {
            header = header => header,
            () = entry.evicted() => return Err(io::ErrorKind::ConnectionAborted.into()),
        };
        let client = match header {
            Ok(Ok(client)) => client?,
            Ok(Err(Malformed)) => return Err(self.refuse(ProxyHeaderRefusal::Malformed, peer)),
            Err(_) => return Err(self.refuse(ProxyHeaderRefusal::Timeout, peer)),
        };
        Ok(Accepted {
            stream,
            peer: client.or(peer),
        })
    }

    fn refuse(&self, refusal: ProxyHeaderRefusal, peer: Option<SocketAddr>) -> io::Error {
        let refused = &self.metrics.process().proxy_headers_refused;
        refused.with(refusal).inc();
        if self.log.lock().lets_through(Instant::now()) {
            let peer = peer.map(tracing::field::display);
            let reason = match refusal {
                ProxyHeaderRefusal::Untrusted => "it comes from none of server.trusted_proxies",
                ProxyHeaderRefusal::Malformed => "it does not begin with one",
                ProxyHeaderRefusal::Timeout => "none came within server.request_head_timeout",
            };
            tracing::warn!(
                peer,
                reason,
                "a connection to a listener with server.proxy_protocol is closed, as it has no header \
                 of the PROXY protocol"
            );
        }
        io::ErrorKind::InvalidData.into()
    }
}

/// Reads a header and nothing behind it. The inner error: the connection ended, or broke.
async fn read(stream: &mut TcpStream) -> Result<io::Result<Option<SocketAddr>>, Malformed> {
    let mut taken = Vec::new();
    let mut look = [0; LOOK];
    loop {
        let seen = match stream.peek(&mut look).await {
            Ok(0) if taken.is_empty() => return Ok(Err(io::ErrorKind::UnexpectedEof.into())),
            Ok(0) => return Err(Malformed),
            Ok(seen) => seen,
            Err(error) => return Ok(Err(error)),
        };
        let before = taken.len();
        taken.extend_from_slice(&look[..seen]);
        let header = proxy_protocol::parse(&taken)?;
        // What was looked at and is of the header is there, and is taken now: looking again would
        // find it again, at once and for ever.
        let length = header.map_or(taken.len(), |header| header.length);
        if let Err(error) = stream.read_exact(&mut look[..length - before]).await {
            return Ok(Err(error));
        }
        if let Some(header) = header {
            return Ok(Ok(header.client));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;

    use tokio::io::AsyncWriteExt as _;
    use tokio::net::UnixStream;

    use super::*;

    const UNKNOWN: &[u8] = b"PROXY UNKNOWN\r\n";
    const NAMED: &[u8] = b"PROXY TCP4 1.2.3.4 5.6.7.8 5678 80\r\n";

    fn proxied(trusted: &str) -> Proxied {
        let trusted = Arc::new(trusted.parse().unwrap());
        Proxied::new(trusted, Duration::from_secs(5), Metrics::new())
    }

    /// Takes the header off a connection whose other end does something.
    async fn unwrapped<F: Future<Output = UnixStream>>(
        proxied: &Proxied,
        act: impl FnOnce(UnixStream) -> F,
    ) -> (io::Result<Accepted>, UnixStream) {
        let (client, accepted) = UnixStream::pair().unwrap();
        let accepted = Accepted::unix(accepted).unwrap();
        let entry = Entry::alone();
        tokio::join!(proxied.unwrap(accepted, &entry), act(client))
    }

    async fn send(mut client: UnixStream, parts: &[&[u8]]) -> UnixStream {
        for part in parts {
            // It may be refused before all is sent.
            let _ended_early = client.write_all(part).await;
            tokio::task::yield_now().await;
        }
        client
    }

    fn refused(proxied: &Proxied, refusal: ProxyHeaderRefusal) -> u64 {
        let refused = &proxied.metrics.process().proxy_headers_refused;
        refused.with(refusal).get()
    }

    #[tokio::test]
    async fn the_header_is_taken_off_and_nothing_else() {
        let proxied = proxied("");
        let long = {
            let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
            header.extend(2000_u16.to_be_bytes());
            header.extend([1, 2, 3, 4, 5, 6, 7, 8, 0x16, 0x2e, 0, 80]);
            header.resize(16 + 2000, 0);
            header
        };
        let named = "1.2.3.4:5678".parse().ok();
        for (header, client) in [(UNKNOWN, None), (NAMED, named), (&long, named)] {
            let whole = [header, b"GET"].concat();
            let bytes: Vec<&[u8]> = whole.chunks(1).collect();
            for parts in [
                &[&whole[..]][..],
                &[&header[..9], &header[9..], b"GET"],
                &bytes,
            ] {
                let act = |peer| send(peer, parts);
                let (accepted, _client) = unwrapped(&proxied, act).await;
                let Accepted { mut stream, peer } = accepted.unwrap();
                assert_eq!(peer, client);
                let mut rest = [0; 3];
                stream.read_exact(&mut rest).await.unwrap();
                assert_eq!(&rest, b"GET");
            }
        }
    }

    #[tokio::test]
    async fn whoever_sends_none_is_refused_and_counted() {
        let proxied = proxied("");
        let (outcome, _client) = unwrapped(&proxied, |client| send(client, &[b"GET / "])).await;
        assert!(outcome.is_err());
        let (outcome, _client) = unwrapped(&proxied, |mut client| async {
            client.write_all(b"PROXY ").await.unwrap();
            client.shutdown().await.unwrap();
            client
        })
        .await;
        assert!(outcome.is_err());
        assert_eq!(refused(&proxied, ProxyHeaderRefusal::Malformed), 2);
        // One that only looks whether somebody is there does nothing wrong.
        let (outcome, _client) = unwrapped(&proxied, |mut client| async {
            client.shutdown().await.unwrap();
            client
        })
        .await;
        assert!(outcome.is_err());
        assert_eq!(refused(&proxied, ProxyHeaderRefusal::Malformed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_that_does_not_come_is_not_waited_for() {
        let proxied = proxied("");
        let (outcome, _client) = unwrapped(&proxied, |client| send(client, &[b"PROXY "])).await;
        assert!(outcome.is_err());
        assert_eq!(refused(&proxied, ProxyHeaderRefusal::Timeout), 1);
    }

    #[tokio::test]
    async fn only_trusted_proxies_are_read_if_there_are_any() {
        let stranger = proxied("10.0.0.1");
        let (outcome, _client) = unwrapped(&stranger, |client| send(client, &[UNKNOWN])).await;
        assert!(outcome.is_err());
        assert_eq!(refused(&stranger, ProxyHeaderRefusal::Untrusted), 1);
        let trusted = proxied("10.0.0.1,unix");
        let (outcome, _client) = unwrapped(&trusted, |client| send(client, &[UNKNOWN])).await;
        assert!(outcome.is_ok());
    }
}
