//! Those who connect and ask, by their addresses.
//!
//! - [`counts`], [`rates`]: how many connections each has; how often each does something

mod counts;
mod rates;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use actix_http::header::HeaderMap;
use service::net::proxies::TrustedProxies;

use self::counts::{Counted, Counts};
pub use self::rates::Rates;
use crate::metrics::{GaugeBy, Table};
use crate::net::block::Block;
use crate::net::rate::{Empty, Left, Rate};
use crate::net::tally;

/// How much one client may do; nothing is limited by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientLimits {
    /// Connections at one time.
    pub connections: Option<u32>,
    /// New connections.
    pub new_connections: Option<Rate>,
    /// Requests to the HTTP API.
    pub requests: Option<Rate>,
}

/// What is known of clients' addresses, and what each may do. Who comes by a Unix socket without being named by
/// a trusted proxy has none, and is not limited by it.
#[derive(Debug, Default)]
pub struct Clients {
    trusted: Arc<TrustedProxies>,
    connections: Option<Arc<Counts>>,
    new_connections: Option<Rates>,
    requests: Option<Rates>,
}

/// Why a client may not connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It has as many connections as it may.
    TooMany,
    /// It connects too often.
    TooOften,
}

/// A connection that counts, among all and among its client's, until this is dropped.
#[derive(Debug)]
#[must_use = "it counts until it is dropped"]
pub struct Permit {
    _of_all: tally::Permit,
    /// None where clients are not counted.
    of_client: Option<Box<Counted>>,
}

impl Permit {
    /// Whether the connection was to take the place of another one of its client's, and is one more than that may have.
    pub fn is_beyond(&self) -> bool {
        let of_client = self.of_client.as_ref();
        of_client.is_some_and(|counted| counted.is_beyond())
    }
}

impl Clients {
    /// Those whom these proxies name are the clients. `entries` shows how many are known.
    pub fn new(
        trusted: Arc<TrustedProxies>,
        limits: &ClientLimits,
        entries: &GaugeBy<Table>,
        now: Instant,
    ) -> Self {
        let counts = |most| Counts::new(most, entries.with(Table::ConnectionsPerAddress).clone());
        let rates = |rate: Option<Rate>, table| {
            rate.map(|rate| Rates::new(rate, now, entries.with(table).clone()))
        };
        Self {
            trusted,
            connections: limits.connections.map(counts),
            new_connections: rates(limits.new_connections, Table::NewConnectionsPerAddress),
            requests: rates(limits.requests, Table::RequestsPerAddress),
        }
    }

    /// Who asks, at the other end of the connection or behind trusted proxies. None: somebody on this machine, by
    /// a Unix socket.
    pub fn address(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        let values = |name: &str| headers.get_all(name).map(|value| value.as_bytes());
        let peer = peer.map(|peer| peer.ip());
        let one = values("x-forwarded-for");
        self.trusted.client(peer, one, values("forwarded"))
    }

    /// What the other end of a connection counts as before anything is asked over it. None: a trusted proxy, which stands
    /// for many, or somebody by a Unix socket.
    pub fn block(&self, peer: Option<SocketAddr>) -> Option<Block> {
        let address = peer.map(|peer| peer.ip());
        let is_proxy = self.trusted.trusts(address);
        address.filter(|_| !is_proxy).map(Block::from)
    }

    /// Counts that a client wants to connect, whatever comes of it.
    pub fn knock(&self, client: Option<IpAddr>, now: Instant) -> Result<(), Refused> {
        if let (Some(rates), Some(client)) = (&self.new_connections, client) {
            rates.take(client, now).map_err(|_| Refused::TooOften)?;
        }
        Ok(())
    }

    /// Counts a connection among its client's. One that takes the place of another that its client has is
    /// not refused.
    pub fn enter(
        &self,
        client: Option<IpAddr>,
        of_all: tally::Permit,
        takes_a_place: impl FnOnce() -> bool,
    ) -> Result<Permit, Refused> {
        let of_client = match (&self.connections, client) {
            (Some(counts), Some(client)) => {
                let counted = counts.enter(client, takes_a_place);
                Some(Box::new(counted.map_err(|_| Refused::TooMany)?))
            }
            _ => None,
        };
        Ok(Permit {
            _of_all: of_all,
            of_client,
        })
    }

    /// Whether requests are limited by their client's address.
    pub fn limit_requests(&self) -> bool {
        self.requests.is_some()
    }

    /// Counts a request to the HTTP API; None: they are not limited.
    pub fn request(&self, client: Option<IpAddr>, now: Instant) -> Option<Result<Left, Empty>> {
        Some(self.requests.as_ref()?.take(client?, now))
    }
}
