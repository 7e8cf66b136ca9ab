//! Which keys there are. Section by section; the readers in `read` may ask for no others.

/// Tables of the file, and the lists of tables.
pub(super) const ROOT: &[&str] = &[
    "server",
    "tls",
    "compression",
    "cluster",
    "webhooks",
    "ingest",
    "admin",
    "metrics",
    "log",
    "apps_database",
    "apps",
];

pub(super) const SERVER: &[&str] = &[
    "role",
    "listen",
    "socket_mode",
    "socket_group",
    "proxy_protocol",
    "trusted_proxies",
    "path_prefix",
    "workers",
    "activity_timeout",
    "pong_timeout",
    "max_connections",
    "connections_per_address",
    "new_connections_per_address",
    "new_connections_burst",
    "requests_per_address",
    "new_connections_per_worker",
    "memory_bytes",
    "request_head_timeout",
    "request_timeout",
    "keep_alive",
    "http_backlog_bytes",
    "message_timeout",
    "write_timeout",
    "fallback_timeout",
    "close_timeout",
    "shutdown_timeout",
    "state_dir",
];

pub(super) const ACME: &[&str] = &[
    "domains",
    "contact",
    "directory",
    "challenge",
    "ca_certificates",
    "cluster_secret",
];

pub(super) const COMPRESSION: &[&str] = &["enabled", "min_bytes", "level"];

/// What can be set in the environment, too.
pub(super) const TLS: &[&str] = &[
    "listen",
    "proxy_protocol",
    "http2",
    "certificate",
    "key",
    "minimum",
    "handshake_timeout",
];

pub(super) const TLS_WITH_TABLES: &[&str] = &[
    "listen",
    "proxy_protocol",
    "http2",
    "certificate",
    "key",
    "minimum",
    "handshake_timeout",
    "certificates",
    "acme",
];

/// Of one of `tls.certificates`.
pub(super) const CERTIFICATE: &[&str] = &["certificate", "key", "names"];

pub(super) const CLUSTER: &[&str] = &[
    "driver",
    "url",
    "prefix",
    "node_timeout",
    "backlog_bytes",
    "log_bytes",
    "total_log_bytes",
    "ca_certificates",
];

pub(super) const WEBHOOKS: &[&str] = &[
    "leave_delay_ms",
    "timeout",
    "retry_for",
    "batch_wait_ms",
    "batch_events",
    "concurrency",
    "backlog_bytes",
    "private_addresses",
    "ca_certificates",
    "journal",
];

/// Tables of `ingest`.
pub(super) const INGEST: &[&str] = &["laravel_redis"];

pub(super) const LARAVEL_REDIS: &[&str] = &["enabled", "url", "prefix", "app"];

pub(super) const ADMIN: &[&str] = &[
    "listen",
    "hosts",
    "token",
    "token_file",
    "tokens_file",
    "open_metrics",
];

pub(super) const METRICS: &[&str] = &["prefix", "soketi_names"];

pub(super) const LOG: &[&str] = &["format", "level"];

pub(super) const APPS_DATABASE: &[&str] =
    &["url", "url_file", "schema", "table", "poll_ms", "max_apps"];

/// Of one app.
pub const APP: &[&str] = &[
    "id",
    "key",
    "secret",
    "secret_file",
    "enabled",
    "extra_keys",
    "client_events",
    "subscription_count",
    "allowed_origins",
    "allow_missing_origin",
    "authorized_connections_timeout",
    "watchlist",
    "watchlist_grace",
    "webhooks",
    "resume",
    "limits",
];

/// Of an app that does not come from the file: it names no other files.
pub(super) const APP_RECORD: &[&str] = &[
    "id",
    "key",
    "secret",
    "enabled",
    "extra_keys",
    "client_events",
    "subscription_count",
    "allowed_origins",
    "allow_missing_origin",
    "authorized_connections_timeout",
    "watchlist",
    "watchlist_grace",
    "webhooks",
    "resume",
    "limits",
];

/// Of the table `resume` of an app.
pub(super) const RESUME: &[&str] = &["window", "sessions", "session_bytes", "bytes"];

/// Of one webhook of an app.
pub(super) const WEBHOOK: &[&str] = &["url", "events", "batch", "headers", "filter"];

pub(super) const FILTER: &[&str] = &["channel_prefix", "channel_suffix"];

pub(super) const KEY_PAIR: &[&str] = &["key", "secret", "secret_file"];

pub(super) const KEY_PAIR_RECORD: &[&str] = &["key", "secret"];

/// Of the limits of one app.
pub const LIMITS: &[&str] = &[
    "max_connections",
    "event_data_bytes",
    "event_name_length",
    "channel_name_length",
    "channels_per_event",
    "batch_events",
    "client_events_per_second",
    "messages_per_second",
    "overrun_timeout",
    "presence_members",
    "presence_user_id_length",
    "presence_user_info_bytes",
    "watchlist_users",
    "outbox_bytes",
    "channels_per_connection",
    "message_bytes",
    "cache_bytes",
    "cache_ttl",
    "idempotency_bytes",
    "auth_timestamp_window",
    "http_body_bytes",
    "publish_backlog",
    "publish_wait_ms",
    "requests_per_second",
];

/// The sections that the environment and flags reach, a dot between a table and one in it; apps
/// are lists, which they do not reach.
pub(super) const SINGLE: &[(&str, &[&str])] = &[
    ("server", SERVER),
    ("tls", TLS),
    ("tls.acme", ACME),
    ("compression", COMPRESSION),
    ("cluster", CLUSTER),
    ("webhooks", WEBHOOKS),
    ("ingest.laravel_redis", LARAVEL_REDIS),
    ("admin", ADMIN),
    ("metrics", METRICS),
    ("log", LOG),
    ("apps_database", APPS_DATABASE),
];

/// Every section as its header is written in the file.
const HEADERS: &[(&str, &[&str])] = &[
    ("[server]", SERVER),
    ("[tls]", TLS_WITH_TABLES),
    ("[tls.acme]", ACME),
    ("[compression]", COMPRESSION),
    ("[cluster]", CLUSTER),
    ("[webhooks]", WEBHOOKS),
    ("[admin]", ADMIN),
    ("[metrics]", METRICS),
    ("[log]", LOG),
    ("[apps_database]", APPS_DATABASE),
    ("[[apps]]", APP),
    ("[apps.limits]", LIMITS),
    ("[[apps.webhooks]]", WEBHOOK),
    ("a webhook's filter", FILTER),
    ("[ingest.laravel_redis]", LARAVEL_REDIS),
];

/// Whether any section has this key.
pub(super) fn is_known(key: &str) -> bool {
    HEADERS.iter().any(|(_, keys)| keys.contains(&key))
}

/// What may have been meant by a key that is none of `known`.
pub(super) fn hint(key: &str, known: &[&str]) -> String {
    let with_words_left_out = known.iter().find(|known| {
        let mut words = known.split('_');
        words.any(|word| word == key)
    });
    let near = nearest(key, known.iter().copied());
    if let Some(near) = near.or(with_words_left_out.copied()) {
        return format!("did you mean `{near}`?");
    }
    let elsewhere: Vec<&str> = HEADERS
        .iter()
        .filter(|(_, keys)| keys.contains(&key))
        .map(|(header, _)| *header)
        .collect();
    match elsewhere[..] {
        [] => format!("expected one of {}", known.join(", ")),
        _ => format!("it belongs in {}", elsewhere.join(" or ")),
    }
}

/// The candidate that differs least from `text`, if it is near enough to be a slip.
pub(super) fn nearest<'c>(
    text: &str,
    candidates: impl Iterator<Item = &'c str>,
) -> Option<&'c str> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(text, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= (candidate.len() / 3).clamp(1, 4))
        .map(|(_, candidate)| candidate)
}
