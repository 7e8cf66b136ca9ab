//! The public listeners, and what holds for whoever connects to them.

use service::net::proxies::TrustedProxies;

use super::{WAIT, normal_prefix};
use crate::clients::ClientLimits;
use crate::config::listener::{Listen, Listener, UnixAccess};
use crate::config::section::Section;
use crate::config::settings::{Role, Server};
use crate::config::{Address, ConfigError};
use crate::net::rate::Rate;

/// What can be listened on.
pub(in crate::config) const PLACES: &str = "host:port, such as 127.0.0.1:6001, [::1]:6001 or localhost:6001, unix:/path, or a list of these";

/// More addresses than anybody listens on.
const MOST_LISTENERS: usize = 64;
/// More networks than anybody has proxies in.
const MOST_PROXIES: usize = 1024;

/// New connections of one address that may come at once.
const BURST: u32 = 50;
/// New connections come to a worker in so many pieces a second at least.
const BURSTS_A_SECOND: u32 = 20;
/// Less memory than a relay has with nobody connected.
const LEAST_MEMORY: u64 = 16 << 20;

pub(in crate::config) fn server(section: &Section<'_>) -> Result<Server, ConfigError> {
    let default = Server::default();
    let role = section.text("role", "`relay` or `api`", |text| match text {
        "relay" => Some(Role::Relay),
        "api" => Some(Role::Api),
        _ => None,
    })?;
    Ok(Server {
        role: role.unwrap_or(default.role),
        listen: listeners(section)?,
        unix_access: unix_access(section)?,
        trusted_proxies: trusted_proxies(section)?,
        path_prefix: section
            .text(
                "path_prefix",
                "nothing or a path such as /relay, of letters, digits, `-`, `_`, `.` and `~`",
                normal_prefix,
            )?
            .unwrap_or(default.path_prefix),
        workers: section.optional("workers", 1024)?,
        // The protocol carries whole seconds, and clients fail on 0.
        activity_timeout: section.seconds(
            "activity_timeout",
            default.activity_timeout,
            1..=86_400,
        )?,
        pong_timeout: section.seconds("pong_timeout", default.pong_timeout, WAIT)?,
        max_connections: section.optional("max_connections", 100_000_000)?,
        client_limits: client_limits(section)?,
        pace: section
            .optional_u32("new_connections_per_worker", 1_000_000)?
            .map(|most| Rate::new(most, most / BURSTS_A_SECOND)),
        memory_bytes: memory_bytes(section)?,
        request_head_timeout: section.seconds(
            "request_head_timeout",
            default.request_head_timeout,
            WAIT,
        )?,
        request_timeout: section.seconds("request_timeout", default.request_timeout, WAIT)?,
        keep_alive: section.seconds("keep_alive", default.keep_alive, WAIT)?,
        http_backlog_bytes: section.whole(
            "http_backlog_bytes",
            default.http_backlog_bytes,
            1 << 20..=1 << 40,
        )?,
        message_timeout: section.seconds("message_timeout", default.message_timeout, WAIT)?,
        write_timeout: section.seconds("write_timeout", default.write_timeout, WAIT)?,
        fallback_timeout: section.seconds("fallback_timeout", default.fallback_timeout, WAIT)?,
        close_timeout: section.seconds("close_timeout", default.close_timeout, WAIT)?,
        shutdown_timeout: section.seconds("shutdown_timeout", default.shutdown_timeout, WAIT)?,
        state_dir: section
            .text("state_dir", "the path of a folder", |text| {
                (!text.is_empty()).then(|| text.into())
            })?
            .unwrap_or(default.state_dir),
    })
}

/// How much one client may do.
fn client_limits(section: &Section<'_>) -> Result<ClientLimits, ConfigError> {
    let burst = section.whole("new_connections_burst", BURST, 1..=1_000_000)?;
    let new_connections = section.optional_u32("new_connections_per_address", 1_000_000)?;
    let requests = section.optional_u32("requests_per_address", 1_000_000)?;
    Ok(ClientLimits {
        connections: section.optional_u32("connections_per_address", 100_000_000)?,
        new_connections: new_connections.map(|most| Rate::new(most, burst)),
        requests: requests.map(|most| Rate::new(most, most)),
    })
}

fn memory_bytes(section: &Section<'_>) -> Result<Option<u64>, ConfigError> {
    let key = "memory_bytes";
    let bytes = section.whole(key, 0, 0..=1_u64 << 50)?;
    if (1..LEAST_MEMORY).contains(&bytes) {
        let expected = format!("0 or at least {LEAST_MEMORY}");
        return Err(section.invalid(key, expected, bytes.to_string()));
    }
    Ok((bytes != 0).then_some(bytes))
}

/// Where is listened, and which of it begins with the PROXY protocol.
fn listeners(section: &Section<'_>) -> Result<Vec<Listener>, ConfigError> {
    let parse = |text: &str| text.parse::<Listen>().ok();
    let places = match section.list("listen", PLACES, MOST_LISTENERS, parse)? {
        Some(places) => places,
        None => Server::default()
            .listen
            .into_iter()
            .map(|one| one.at)
            .collect(),
    };
    for (index, place) in places.iter().enumerate() {
        let has_fixed_place = place.address().is_none_or(|address| address.port() != 0);
        if has_fixed_place && places[..index].contains(place) {
            let expected = "each of the list once";
            return Err(section.invalid("listen", expected, place.to_string()));
        }
    }
    let proxied = proxied(section, &places)?;
    let listeners = places.into_iter().map(|at| Listener {
        proxy_protocol: proxied.as_ref().is_none_or(|proxied| proxied.contains(&at)),
        at,
    });
    Ok(listeners.collect())
}

/// The listeners that begin with the PROXY protocol; None: all.
fn proxied(section: &Section<'_>, places: &[Listen]) -> Result<Option<Vec<Listen>>, ConfigError> {
    let key = "proxy_protocol";
    if !section.has(key) {
        return Ok(Some(Vec::new()));
    }
    if let Some(all) = section.as_switch(key) {
        return Ok(if all { None } else { Some(Vec::new()) });
    }
    let expected = "true, false, or some of server.listen";
    let parse = |text: &str| {
        let place = text.parse::<Listen>().ok()?;
        places.contains(&place).then_some(place)
    };
    section.list(key, expected, MOST_LISTENERS, parse)
}

fn unix_access(section: &Section<'_>) -> Result<UnixAccess, ConfigError> {
    let default = UnixAccess::default();
    let mode = section.text("socket_mode", "permissions such as \"0660\"", |text| {
        let is_octal = (3..=4).contains(&text.len());
        let mode = u32::from_str_radix(text, 8).ok().filter(|_| is_octal)?;
        (mode <= 0o777).then_some(mode)
    })?;
    let group = section.text("socket_group", "the name or number of a group", |text| {
        let fits = text.len() <= 64 && !text.contains(['\0', ':', '\n']);
        fits.then(|| (!text.is_empty()).then(|| text.into()))
    })?;
    Ok(UnixAccess {
        mode: mode.unwrap_or(default.mode),
        group: group.unwrap_or(default.group),
    })
}

fn trusted_proxies(section: &Section<'_>) -> Result<TrustedProxies, ConfigError> {
    let expected = "addresses, networks such as 10.0.0.0/8, and \"unix\"";
    let parse = |text: &str| TrustedProxies::of([text]).ok().map(|_| text.to_owned());
    let items = section.list("trusted_proxies", expected, MOST_PROXIES, parse)?;
    let items = items.unwrap_or_default();
    TrustedProxies::of(items.iter().map(String::as_str))
        .map_err(|_| section.invalid("trusted_proxies", expected, "another text"))
}

/// Two listeners cannot share an address; better refused here than by the system. `listeners` are the sections and what
/// they listen on; a default is never blamed.
pub(in crate::config) fn listeners_differ(
    listeners: &[(&Section<'_>, Vec<&Address>)],
) -> Result<(), ConfigError> {
    for (index, (section, addresses)) in listeners.iter().enumerate() {
        for (other, other_addresses) in &listeners[..index] {
            let mut same = addresses
                .iter()
                .filter(|address| other_addresses.contains(address) && address.port() != 0);
            let Some(same) = same.next() else {
                continue;
            };
            let (blamed, other) = if other.has("listen") {
                (other, section)
            } else {
                (section, other)
            };
            let other = other.place("listen").key;
            let expected = format!("another address than that of {other}");
            return Err(blamed.invalid("listen", expected, same.to_string()));
        }
    }
    Ok(())
}
