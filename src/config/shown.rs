//! What people may see of a configuration at work: each key with the value that holds, by the names and in the units of the file.
//! Of a secret it is said whether there is one, of an address that may hold a password, where it leads.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::settings::{Admin, Cluster, Config, Log, LogFormat, LogLevel, Role, Server, Tls};
use crate::acme::Challenge;
use crate::database::{self, Place, Schema};
use crate::ingest::laravel_redis;
use crate::net::rate::Rate;
use crate::protocol::Compression;
use crate::tls::{Minimum, Name, Pair};
use crate::webhooks;

/// Stands for a secret that is set.
const SET: &str = "(set)";

/// All sections but the apps.
pub fn shown(config: &Config) -> Value {
    json!({
        "server": server(&config.server),
        "tls": tls(&config.tls),
        "compression": compression(config.compression),
        "cluster": cluster(&config.cluster),
        "webhooks": of_webhooks(&config.webhooks),
        "ingest": { "laravel_redis": ingest(&config.laravel_redis) },
        "admin": admin(&config.admin),
        "metrics": {
            "prefix": config.metrics.prefix,
            "soketi_names": config.metrics.soketi_names,
        },
        "log": log(&config.log),
        "apps_database": apps_database(&config.apps_database),
    })
}

fn server(server: &Server) -> Value {
    let proxied = server.listen.iter().filter(|one| one.proxy_protocol);
    let clients = &server.client_limits;
    let mut shown = json!({
        "role": match server.role {
            Role::Relay => "relay",
            Role::Api => "api",
        },
        "listen": server.listen.iter().map(|one| one.at.to_string()).collect::<Vec<_>>(),
        "socket_mode": format!("{:04o}", server.unix_access.mode),
        "socket_group": server.unix_access.group.as_deref().unwrap_or_default(),
        "proxy_protocol": proxied.map(|one| one.at.to_string()).collect::<Vec<_>>(),
        "trusted_proxies": server.trusted_proxies.items(),
        "path_prefix": server.path_prefix,
        "workers": server.worker_threads(),
        "activity_timeout": server.activity_timeout.as_secs(),
        "pong_timeout": server.pong_timeout.as_secs(),
        "max_connections": server.max_connections.unwrap_or(0),
        "connections_per_address": clients.connections.unwrap_or(0),
        "new_connections_per_address": per_second(clients.new_connections),
        "new_connections_burst": clients.new_connections.map_or(0, Rate::burst),
        "requests_per_address": per_second(clients.requests),
        "new_connections_per_worker": per_second(server.pace),
        "memory_bytes": server.memory_bytes.unwrap_or(0),
    });
    let more = json!({
        "request_head_timeout": server.request_head_timeout.as_secs(),
        "request_timeout": server.request_timeout.as_secs(),
        "keep_alive": server.keep_alive.as_secs(),
        "http_backlog_bytes": server.http_backlog_bytes,
        "message_timeout": server.message_timeout.as_secs(),
        "write_timeout": server.write_timeout.as_secs(),
        "fallback_timeout": server.fallback_timeout.as_secs(),
        "close_timeout": server.close_timeout.as_secs(),
        "shutdown_timeout": server.shutdown_timeout.as_secs(),
        "state_dir": path(Some(&server.state_dir)),
    });
    if let (Value::Object(shown), Value::Object(more)) = (&mut shown, more) {
        shown.extend(more);
    }
    shown
}

fn tls(tls: &Tls) -> Value {
    let first = tls.pairs.first();
    let file = |file: fn(&Pair) -> &Path| path(first.map(file));
    let names = |names: &[Name]| {
        names
            .iter()
            .map(|name| name.as_str().to_owned())
            .collect::<Vec<_>>()
    };
    let others = tls.pairs.iter().skip(1).map(|pair| {
        json!({
            "certificate": path(Some(&pair.certificate.path)),
            "key": path(Some(&pair.key.path)),
            "names": names(&pair.names),
        })
    });
    let acme = tls.acme.as_ref();
    json!({
        "listen": tls.listen.as_ref().map(ToString::to_string).unwrap_or_default(),
        "proxy_protocol": tls.proxy_protocol,
        "http2": tls.http2,
        "certificate": file(|pair| &pair.certificate.path),
        "key": file(|pair| &pair.key.path),
        "minimum": match tls.minimum {
            Minimum::Tls12 => "1.2",
            Minimum::Tls13 => "1.3",
        },
        "handshake_timeout": tls.handshake_timeout.as_secs(),
        "certificates": others.collect::<Vec<_>>(),
        "acme": {
            "domains": acme.map(|acme| names(&acme.domains)).unwrap_or_default(),
            "contact": acme.and_then(|acme| acme.contact.as_deref()).unwrap_or_default(),
            "directory": acme.map(|acme| &*acme.directory).unwrap_or_default(),
            "challenge": acme.map_or("", |acme| match acme.challenge {
                Challenge::TlsAlpn01 => "tls-alpn-01",
                Challenge::Http01 => "http-01",
            }),
            "ca_certificates": path(acme.and_then(|acme| acme.ca_certificates.as_deref())),
            "cluster_secret": secret(acme.is_some_and(|acme| acme.cluster_secret.is_some())),
        },
    })
}

fn compression(compression: Option<Compression>) -> Value {
    let settings = compression.unwrap_or_default();
    json!({
        "enabled": compression.is_some(),
        "min_bytes": settings.min_bytes,
        "level": settings.level,
    })
}

fn cluster(cluster: &Cluster) -> Value {
    match cluster {
        Cluster::Local => json!({ "driver": "local" }),
        Cluster::Redis(settings) => json!({
            "driver": "redis",
            "url": settings.target.to_string(),
            "prefix": settings.prefix,
            "node_timeout": settings.node_timeout.as_secs(),
            "backlog_bytes": settings.backlog_bytes,
            "log_bytes": settings.log_bytes,
            "total_log_bytes": settings.total_log_bytes,
            "ca_certificates": path(settings.ca_certificates.as_deref()),
        }),
    }
}

fn of_webhooks(settings: &webhooks::Settings) -> Value {
    json!({
        "leave_delay_ms": milliseconds(settings.leave_delay),
        "timeout": settings.timeout.as_secs(),
        "retry_for": settings.retry_for.as_secs(),
        "batch_wait_ms": milliseconds(settings.batch_wait),
        "batch_events": settings.batch_events,
        "concurrency": settings.concurrency,
        "backlog_bytes": settings.backlog_bytes,
        "private_addresses": settings.private_addresses,
        "ca_certificates": path(settings.ca_certificates.as_deref()),
        "journal": path(settings.journal.folder()),
    })
}

fn ingest(settings: &laravel_redis::Settings) -> Value {
    json!({
        "enabled": settings.enabled,
        "url": settings.url.to_string(),
        "prefix": settings.prefix,
        "app": settings.app,
    })
}

fn admin(admin: &Admin) -> Value {
    let tokens = admin.tokens.iter().map(crate::admin::Token::shown);
    json!({
        "listen": admin.listen.as_ref().map(ToString::to_string).unwrap_or_default(),
        "hosts": admin.hosts,
        "open_metrics": admin.open_metrics,
        "tokens": tokens.collect::<Vec<_>>(),
    })
}

fn log(log: &Log) -> Value {
    json!({
        "format": match log.format {
            LogFormat::Human => "human",
            LogFormat::Json => "json",
        },
        "level": match log.level {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        },
    })
}

/// Of the URL, where it leads.
fn apps_database(settings: &database::Settings) -> Value {
    let (url, is_read) = match &settings.place {
        Place::Url(url) => (url.to_string(), true),
        Place::Embedded(_) => (String::new(), settings.place.is_there()),
    };
    let (schema, table) = match &settings.schema {
        Schema::Fanfare => ("fanfare", String::new()),
        Schema::Soketi(table) => ("soketi", table.to_string()),
    };
    json!({
        "url": url,
        "schema": schema,
        "table": table,
        "poll_ms": milliseconds(settings.poll),
        "max_apps": settings.max_apps,
        "is_read": is_read,
    })
}

/// 0: no limit.
fn per_second(rate: Option<Rate>) -> u32 {
    rate.map_or(0, Rate::per_second)
}

fn milliseconds(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

fn path(path: Option<&Path>) -> String {
    path.map(|path| path.display().to_string())
        .unwrap_or_default()
}

fn secret(is_set: bool) -> &'static str {
    if is_set { SET } else { "" }
}
