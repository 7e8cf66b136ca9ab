//! `fanfare check-config`: what a configuration says, without serving it.

use std::fmt::Write as _;
use std::time::SystemTime;

use super::serve::ServeArgs;
use super::{Failure, print};
use crate::config::{self, Admin, Cluster, Config, Listen, Listener, Loaded, Role, Server};
use crate::tls::{self, Certificate, Chain, Name, Pair};

/// Prints the layers, the listeners, the certificates and the apps; secrets never.
pub(super) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let loaded = config::load(&args.sources())?;
    let pairs = loaded.config.tls.pairs.iter();
    let certificates = pairs.map(Pair::load).collect::<Result<Vec<_>, _>>();
    print(&report(&loaded, &certificates.map_err(Failure::other)?))
}

fn report(loaded: &Loaded, certificates: &[Certificate]) -> String {
    let Loaded {
        config,
        layers,
        app_origins,
        ..
    } = loaded;
    let mut lines = vec![("defaults".to_owned(), String::new())];
    let mut add = |name: &str, value: String| lines.push((name.to_owned(), value));
    for layer in layers {
        add(&layer.source, layer.detail.clone());
    }
    add("", String::new());
    let server = &config.server;
    for listener in &server.listen {
        add("public", public(listener, server));
    }
    add(
        "admin",
        match &config.admin.listen {
            Some(Listen::Tcp(address)) => format!("http://{address}{}", opened_by(&config.admin)),
            Some(socket) => format!("{socket}{}", opened_by(&config.admin)),
            None => "off".into(),
        },
    );
    lines.extend(over_tls(config, certificates));
    let mut add = |name: &str, value: String| lines.push((name.to_owned(), value));
    add("workers", server.worker_threads().to_string());
    if let Cluster::Redis(settings) = &config.cluster {
        let (target, prefix) = (&settings.target, &settings.prefix);
        add("cluster", format!("{target}, keys {prefix}*"));
    }
    let laravel = &config.laravel_redis;
    if laravel.enabled {
        let (url, prefix, app) = (&laravel.url, &laravel.prefix, &laravel.app);
        add("ingest", format!("{url}, topics {prefix}*, for app {app}"));
    }
    let database = &config.apps_database;
    if database.place.is_there() {
        let (place, schema) = (&database.place, &database.schema);
        let poll = database.poll.as_millis();
        add(
            "more apps",
            format!("{place}, {schema}, looked at every {poll} ms"),
        );
    }
    if let Some(concern) = database.concern(config.cluster.is_shared()) {
        add("", format!("! {concern}"));
    }
    add("", String::new());
    for (index, app) in config.apps.iter().enumerate() {
        let origin = match app_origins.get(index) {
            Some(origin) => origin.to_string(),
            None => "built in, for development on this machine".into(),
        };
        let state = if app.enabled { "" } else { ", disabled" };
        add("app", format!("{} ({origin}{state})", app.id));
        let (needed, allowed) = (
            app.limits.full_client_event_bytes(),
            app.limits.message_bytes,
        );
        if app.client_events && needed > allowed {
            let data = app.limits.event_data_bytes;
            add(
                "",
                format!(
                    "! event_data_bytes is {data}, but clients can send less: message_bytes is \
                     {allowed}, and such an event takes {needed}"
                ),
            );
        }
        for webhook in &app.webhooks {
            let events: Vec<&str> = webhook.events.names().collect();
            add("", format!("→ {} ({})", webhook.url, events.join(", ")));
        }
    }
    columns(&lines)
}

/// What opens the admin listener.
fn opened_by(admin: &Admin) -> String {
    let metrics = if admin.open_metrics {
        ", metrics without"
    } else {
        ""
    };
    match admin.tokens.iter().count() {
        0 => " (without a token)".into(),
        1 => format!(" (with a token{metrics})"),
        tokens => format!(" (with one of {tokens} tokens{metrics})"),
    }
}

/// Where TLS is spoken, and with which certificates.
fn over_tls(config: &Config, certificates: &[Certificate]) -> Vec<(String, String)> {
    let (server, settings) = (&config.server, &config.tls);
    let mut lines = Vec::new();
    let mut add = |name: &str, value: String| lines.push((name.to_owned(), value));
    if let Some(address) = &settings.listen {
        add("tls", format!("https://{address}{}", server.path_prefix));
    }
    for (pair, certificate) in settings.pairs.iter().zip(certificates) {
        let now = SystemTime::now();
        add("certificate", described(pair, certificate, now));
        for concern in pair.concerns(certificate, now) {
            add("", format!("! {concern}"));
        }
        if let Some(reason) = tls::distrust(certificate, tls::system_authorities(), now) {
            let file = pair.certificate.path.display();
            add("", format!("! {file} ({}): {reason}", pair.certificate.key));
        }
    }
    if let Some(acme) = &settings.acme {
        let domains: Vec<&str> = acme.domains.iter().map(|name| name.as_str()).collect();
        let (domains, directory) = (domains.join(", "), &acme.directory);
        let folder = server.state_dir.display();
        add(
            "certificate",
            format!("for {domains}, from {directory}, kept in {folder}"),
        );
        let is_shared = acme.cluster_secret.is_some();
        match (&config.cluster, is_shared) {
            (Cluster::Redis(_), true) => add(
                "",
                "shared by the nodes of the cluster, of which one orders it".into(),
            ),
            (Cluster::Redis(_), false) => {
                let warning = "! each node orders for itself, so each needs a name of its own, \
                               or all the same tls.acme.cluster_secret";
                add("", warning.into());
            }
            (Cluster::Local, true) => {
                let warning = "! cluster_secret does nothing without cluster.driver = \"redis\"";
                add("", warning.into());
            }
            (Cluster::Local, false) => {}
        }
    }
    lines
}

/// Its names, how long it holds and who vouches for it.
fn described(pair: &Pair, certificate: &Certificate, now: SystemTime) -> String {
    let names: Vec<&str> = certificate.names().iter().map(Name::as_str).collect();
    let names = match &names[..] {
        [] => "for whoever asks for no name".into(),
        names => names.join(", "),
    };
    let days = certificate.not_after().duration_since(now);
    let days = days.unwrap_or_default().as_secs() / 86_400;
    let issuer = match certificate.chain() {
        Chain::SelfSigned => "its own issuer",
        Chain::Ordered { issuer } | Chain::Alone { issuer } => issuer,
    };
    let file = pair.certificate.path.display();
    format!("{names} ({file}; {days} days; issued by {issuer})")
}

/// Where clients are served, and how.
fn public(listener: &Listener, server: &Server) -> String {
    let at = match &listener.at {
        Listen::Tcp(address) => format!("http://{address}{}", server.path_prefix),
        Listen::Unix(_) => format!("{} {}", listener.at, server.path_prefix),
    };
    let proxied = listener.proxy_protocol.then_some("after a PROXY header");
    let role = (server.role == Role::Api).then_some("no WebSockets: server.role is api");
    let notes: Vec<&str> = proxied.into_iter().chain(role).collect();
    match notes[..] {
        [] => at.trim_end().to_owned(),
        _ => format!("{} ({})", at.trim_end(), notes.join("; ")),
    }
}

fn columns(lines: &[(String, String)]) -> String {
    let width = lines.iter().map(|(name, _)| name.chars().count()).max();
    let width = width.unwrap_or_default();
    let mut text = String::new();
    for (name, value) in lines {
        let line = format!("{name:<width$}  {value}");
        writeln!(text, "{}", line.trim_end()).expect("writing to a String cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Flag, Sources};

    #[test]
    fn it_shows_layers_listeners_and_apps_but_no_secret() {
        let variables = [
            ("PUSHER_APP_ID", "77"),
            ("PUSHER_APP_KEY", "key"),
            ("PUSHER_APP_SECRET", "s3cr3t"),
            ("FANFARE_SERVER__PATH_PREFIX", "relay"),
        ];
        let sources = Sources {
            directory: "/nonexistent".into(),
            environment: variables
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
            flags: vec![
                Flag {
                    name: "--workers",
                    key: "server.workers",
                    value: "3".into(),
                },
                Flag {
                    name: "--admin-listen",
                    key: "admin.listen",
                    value: String::new(),
                },
            ],
            ..Sources::default()
        };
        assert_eq!(
            report(&config::load(&sources).unwrap(), &[]),
            "\
defaults
environment  FANFARE_SERVER__PATH_PREFIX, PUSHER_APP_ID, PUSHER_APP_KEY, PUSHER_APP_SECRET
flags        --workers, --admin-listen

public       http://127.0.0.1:6001/relay
admin        off
workers      3

app          77 (environment)
"
        );
    }

    #[test]
    fn it_names_a_limit_that_another_one_makes_useless() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("relay.toml");
        let app = "[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = \"s\"\n";
        let limits = "[apps.limits]\nhttp_body_bytes = 300_000_000\nevent_data_bytes = 4_194_304\n";
        let report_of = |more: &str| {
            std::fs::write(&file, format!("{app}{limits}{more}")).unwrap();
            let sources = Sources {
                config_file: Some(file.clone()),
                ..Sources::default()
            };
            report(&config::load(&sources).unwrap(), &[])
        };
        let narrow = report_of("");
        assert!(
            narrow.contains("! event_data_bytes is 4194304")
                && narrow.contains("message_bytes is 65536"),
            "{narrow}"
        );
        let wide = report_of("message_bytes = 5_000_000\n");
        assert!(!wide.contains('!'), "{wide}");
    }

    #[test]
    fn it_shows_the_database_of_apps_without_its_password() {
        let variables = [
            ("FANFARE_APPS_DATABASE__URL", "mysql://me:s3cr3t@db/sockets"),
            ("FANFARE_APPS_DATABASE__SCHEMA", "soketi"),
        ];
        let sources = Sources {
            directory: "/nonexistent".into(),
            environment: variables
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
            ..Sources::default()
        };
        let report = report(&config::load(&sources).unwrap(), &[]);
        let line = "more apps    MySQL at db/sockets, soketi's table apps, looked at every 500 ms";
        assert!(report.lines().any(|shown| shown == line), "{report}");
        assert!(!report.contains("s3cr3t") && !report.contains("local"));
    }

    #[test]
    fn it_shows_a_node_s_role_and_the_redis_that_it_uses() {
        let variables = [
            ("FANFARE_SERVER__ROLE", "api"),
            ("FANFARE_CLUSTER__DRIVER", "redis"),
            ("FANFARE_CLUSTER__URL", "redis://:s3cr3t@b:1"),
            ("FANFARE_INGEST__LARAVEL_REDIS__ENABLED", "true"),
            ("FANFARE_INGEST__LARAVEL_REDIS__PREFIX", "shop_"),
            ("FANFARE_INGEST__LARAVEL_REDIS__URL", "redis://:s3cr3t@a"),
        ];
        let sources = Sources {
            directory: "/nonexistent".into(),
            environment: variables
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
            ..Sources::default()
        };
        let report = report(&config::load(&sources).unwrap(), &[]);
        for line in [
            "public       http://127.0.0.1:6001 (no WebSockets: server.role is api)",
            "cluster      Redis at b:1, keys fanfare:*",
            "ingest       redis://a:6379, topics shop_*, for app local",
        ] {
            assert!(report.lines().any(|shown| shown == line), "{report}");
        }
        assert!(!report.contains("s3cr3t"));
    }
}
