//! Who may connect, whatever carries the connection.

use std::net::IpAddr;
use std::time::Instant;

use actix_http::StatusCode;
use actix_http::header::{self, HeaderMap};

use crate::auth::request::Query;
use crate::clients::{Permit, Refused};
use crate::hub::{AppHub, AppPermit, Drain, Knowledge, Standing};
use crate::metrics::ConnectionRefusal;
use crate::protocol::CloseCode;
use crate::relay::Relay;
use crate::session::CloseReason;

/// Versions of the Pusher protocol that are served.
const PROTOCOLS: std::ops::RangeInclusive<u64> = 4..=7;

/// A connection that was admitted, and counts until its permits are dropped.
#[derive(Debug)]
pub struct Admitted {
    /// It counts among the process's.
    pub permit: Permit,
    /// It counts among its app's.
    pub app: AppPermit,
    /// The version of the protocol, if the client names it.
    pub protocol: Option<u64>,
}

/// Who asks to connect.
#[derive(Clone, Copy, Debug)]
pub struct Asker<'r> {
    /// The address; None: somebody on this machine, by a Unix socket.
    pub address: Option<IpAddr>,
    /// The headers of the request.
    pub headers: &'r HeaderMap,
}

/// Whether a client comes back to a session that something carries, and would take the place of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComesBack {
    /// It does not.
    No,
    /// It does.
    Yes,
    /// It does, and of another one that came before it is not yet known whether it gets the session.
    BehindAnother,
}

/// Whether the node takes connections at all. `served`: whether it is there for them. What is
/// refused here, another node may well take: it is no close code, of which clients would take some
/// as final.
pub fn check_node(relay: &Relay, served: bool) -> Result<(), (StatusCode, &'static str)> {
    let refused = &relay.hub.metrics().process().connections_refused;
    if relay.hub.draining() == Some(Drain::ToOthers) {
        refused.with(ConnectionRefusal::Draining).inc();
        return Err((
            StatusCode::SERVICE_UNAVAILABLE,
            "the relay is going away: connect again",
        ));
    }
    if relay.authority.standing() == Standing::NotYet {
        refused.with(ConnectionRefusal::NotReady).inc();
        return Err((
            StatusCode::SERVICE_UNAVAILABLE,
            "the relay is not ready yet: connect again",
        ));
    }
    if !served {
        refused.with(ConnectionRefusal::Role).inc();
        // Not a 5xx: load balancers would take this node, which publishers need, for a broken one.
        // To pusher-js any status is a failed attempt, to be made again after a while.
        return Err((
            StatusCode::MISDIRECTED_REQUEST,
            "this node takes publishes only (server.role is \"api\"): connect to another one",
        ));
    }
    Ok(())
}

/// Lets a connection in to the app with this key, or says why not. A refusal is counted. A client that
/// comes back to a session that something carries takes the place of that, and is none more. While it is not known
/// whether it gets it, it counts beyond the limits: one at a time for each session where the address has no more.
pub fn admit(
    relay: &Relay,
    app_key: Option<&str>,
    query: &Query<'_>,
    asker: Asker<'_>,
    comes_back: impl Fn(&AppHub) -> ComesBack,
) -> Result<Admitted, CloseReason> {
    let hub = &relay.hub;
    let refused = &hub.metrics().process().connections_refused;
    if hub.draining() == Some(Drain::UntilRestart) {
        refused.with(ConnectionRefusal::Draining).inc();
        // After a failed handshake, pusher-js would wait for 15 seconds, and not for one.
        return Err(CloseReason::new(
            CloseCode::OverCapacity,
            "the relay is going away: connect again",
        ));
    }
    if relay.memory.is_reached() {
        return Err(over_capacity(
            relay,
            ConnectionRefusal::Memory,
            "the relay has used up its memory (server.memory_bytes): try again later",
        ));
    }
    let clients = &relay.clients;
    clients
        .knock(asker.address, Instant::now())
        .map_err(|refused| by_address(relay, refused))?;
    let Some(app_key) = app_key else {
        refused.with(ConnectionRefusal::UnknownPath).inc();
        return Err(CloseReason::new(
            CloseCode::PathNotFound,
            "the path must be /app/KEY, behind the configured path_prefix if there is one",
        ));
    };
    let Some(app) = hub.app_by_key(app_key) else {
        return Err(unknown_key(relay));
    };
    let protocol = check_app(&app, asker.headers)
        .and_then(|()| check_protocol(query))
        .map_err(|(code, text)| CloseReason::new(code, text))
        .inspect_err(|reason| count_refusal(&app, reason))?;
    let Ok(permit) = hub.admit() else {
        return Err(over_capacity(
            relay,
            ConnectionRefusal::Capacity,
            "the relay is full (server.max_connections): try again later",
        ));
    };
    let permit = clients
        .enter(asker.address, permit, || comes_back(&app) == ComesBack::Yes)
        .map_err(|refused| by_address(relay, refused))?;
    let app = match AppPermit::of(&app) {
        Ok(permit) => permit,
        Err(_full) if comes_back(&app) != ComesBack::No => AppPermit::instead(&app),
        Err(_full) => return Err(over_quota(&app)),
    };
    Ok(Admitted {
        permit,
        app,
        protocol,
    })
}

/// No app is known that has the key. The refusal is counted.
fn unknown_key(relay: &Relay) -> CloseReason {
    // To clients, 4001 is final: it is for keys that nobody has for certain.
    if relay.hub.apps().knowledge() != Knowledge::All {
        return over_capacity(
            relay,
            ConnectionRefusal::AppsUnknown,
            "the database of apps cannot be read at the moment: try again later",
        );
    }
    let refused = &relay.hub.metrics().process().connections_refused;
    refused.with(ConnectionRefusal::UnknownKey).inc();
    CloseReason::new(CloseCode::UnknownApp, "no app has this key")
}

/// The client's address has more connections than it may: this one, that was to take the place of another, is one
/// more. The refusal is counted.
pub fn over_address(relay: &Relay) -> CloseReason {
    by_address(relay, Refused::TooMany)
}

/// The client's address has had its part. The refusal is counted.
fn by_address(relay: &Relay, refused: Refused) -> CloseReason {
    let (refusal, text) = match refused {
        Refused::TooMany => (
            ConnectionRefusal::Address,
            "your address has as many connections as it may (server.connections_per_address): try again later",
        ),
        Refused::TooOften => (
            ConnectionRefusal::AddressRate,
            "your address connects too often (server.new_connections_per_address): try again later",
        ),
    };
    over_capacity(relay, refusal, text)
}

fn over_capacity(relay: &Relay, refusal: ConnectionRefusal, text: &'static str) -> CloseReason {
    let refused = &relay.hub.metrics().process().connections_refused;
    refused.with(refusal).inc();
    CloseReason::new(CloseCode::OverCapacity, text)
}

/// The app has as many connections as it may have. The refusal is counted.
pub fn over_quota(app: &AppHub) -> CloseReason {
    let reason = CloseReason::new(
        CloseCode::OverConnectionQuota,
        "the app has as many connections as it may have (max_connections)",
    );
    count_refusal(app, &reason);
    reason
}

fn count_refusal(app: &AppHub, reason: &CloseReason) {
    app.metrics.closes.with(reason.code.into()).inc();
}

fn check_app(app: &AppHub, headers: &HeaderMap) -> Result<(), (CloseCode, &'static str)> {
    let record = app.app.record();
    if !record.enabled {
        return Err((CloseCode::AppDisabled, "the app is disabled"));
    }
    let origins = headers.get_all(header::ORIGIN);
    let origins = origins.map(|origin| origin.as_bytes());
    let allowed = record.allowed_origins.check(origins);
    allowed.map_err(|page| (CloseCode::Unauthorized, page.text()))
}

/// The version of the protocol, if the client names it.
///
/// Source: Pusher Channels protocol, "Error codes" 4006 to 4008.
fn check_protocol(query: &Query<'_>) -> Result<Option<u64>, (CloseCode, &'static str)> {
    match query.get("protocol") {
        Some(version) => match version.parse::<u64>() {
            Ok(version) if PROTOCOLS.contains(&version) => Ok(Some(version)),
            Ok(_) => Err((
                CloseCode::UnsupportedProtocol,
                "protocol versions 4 to 7 are served",
            )),
            Err(_) => Err((CloseCode::InvalidVersion, "protocol must be a number")),
        },
        None if query.get("version").is_some() => Ok(None),
        None => Err((
            CloseCode::NoProtocol,
            "the query must name a protocol version, such as protocol=7",
        )),
    }
}
