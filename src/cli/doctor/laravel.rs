//! The known mistakes in a Laravel project's `.env`.

use crate::doctor::{Finding, shown};

/// A project's variables, those that are set and not empty.
pub(super) trait Variables {
    fn get(&self, name: &str) -> Option<String>;
}

/// What the relay has, as far as it is known.
#[derive(Default)]
pub(super) struct Relay {
    /// Its app of the project's id; `None`: the relay's apps are not known.
    pub(super) app: Option<KnownApp>,
    /// Where clients reach it: whether by TLS, host and port.
    pub(super) place: Option<(bool, String, u16)>,
}

/// What the relay's configuration says of the app that the project names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KnownApp {
    /// There is none of that id.
    Missing,
    /// It has other keys.
    OtherKey,
    /// It has the key, with another secret.
    OtherSecret,
    Same,
}

/// What a driver's variables begin with.
struct Driver<'v> {
    name: &'static str,
    prefix: &'static str,
    variables: &'v dyn Variables,
}

impl Driver<'_> {
    fn name_of(&self, part: &str) -> String {
        format!("{}_{part}", self.prefix)
    }

    fn get(&self, part: &str) -> Option<String> {
        self.variables.get(&self.name_of(part))
    }

    /// What is built into the pages.
    fn of_pages(&self, part: &str) -> Option<String> {
        self.variables.get(&format!("VITE_{}", self.name_of(part)))
    }
}

/// Everything that is to be said of a project.
pub(super) fn judge(variables: &dyn Variables, relay: &Relay) -> Vec<Finding> {
    let (connection, driver) = driver(variables);
    let mut findings = vec![connection];
    if let Some(driver) = driver {
        findings.extend(credentials(&driver, relay));
        findings.extend(place(&driver, relay));
        findings.extend(pages(&driver));
    }
    findings
}

/// Where Laravel broadcasts to.
fn driver(variables: &dyn Variables) -> (Finding, Option<Driver<'_>>) {
    const ID: &str = "laravel.connection";
    // Laravel 11 and newer, and those before.
    let names = ["BROADCAST_CONNECTION", "BROADCAST_DRIVER"];
    let set = names
        .into_iter()
        .find_map(|name| Some((name, variables.get(name)?)));
    let known = |name, prefix| Driver {
        name,
        prefix,
        variables,
    };
    let remedy = "BROADCAST_CONNECTION=reverb or =pusher (BROADCAST_DRIVER before Laravel 11), then php artisan config:clear";
    let Some((name, value)) = set else {
        let has = |prefix: &str| variables.get(&format!("{prefix}_APP_KEY")).is_some();
        let text = "BROADCAST_CONNECTION is not set, so that Laravel broadcasts nothing";
        let driver = match (has("REVERB"), has("PUSHER")) {
            (true, _) => Some(known("reverb", "REVERB")),
            (_, true) => Some(known("pusher", "PUSHER")),
            _ => None,
        };
        return (Finding::error(ID, text, remedy), driver);
    };
    match value.as_str() {
        "reverb" => (
            Finding::ok(ID, format!("{name} is reverb")),
            Some(known("reverb", "REVERB")),
        ),
        "pusher" => (
            Finding::ok(ID, format!("{name} is pusher")),
            Some(known("pusher", "PUSHER")),
        ),
        "log" | "null" => {
            let text = format!("{name} is {value}: Laravel sends nothing to any relay");
            (Finding::error(ID, text, remedy), None)
        }
        "redis" => {
            let text = format!("{name} is redis: Laravel publishes to Redis, and not to the relay");
            let remedy = "the relay takes that in with [ingest.laravel_redis] enabled = true; otherwise use reverb or pusher";
            (Finding::warn(ID, text, remedy), None)
        }
        other => {
            let text = format!("{name} is {}, which is no relay's", shown(other));
            (Finding::error(ID, text, remedy), None)
        }
    }
}

fn credentials(driver: &Driver<'_>, relay: &Relay) -> Vec<Finding> {
    const ID: &str = "laravel.app";
    let missing: Vec<String> = ["APP_ID", "APP_KEY", "APP_SECRET"]
        .into_iter()
        .filter(|part| driver.get(part).is_none())
        .map(|part| driver.name_of(part))
        .collect();
    if !missing.is_empty() {
        let text = format!("{} is not set", missing.join(", "));
        return vec![Finding::error(
            ID,
            text,
            "set all three to those of the app that the relay has",
        )];
    }
    let (id, key, secret) = (
        driver.name_of("APP_ID"),
        driver.name_of("APP_KEY"),
        driver.name_of("APP_SECRET"),
    );
    vec![match relay.app {
        None => Finding::ok(ID, format!("{id}, {key} and {secret} are set")),
        Some(KnownApp::Same) => Finding::ok(
            ID,
            format!("{id}, {key} and {secret} are those of the relay"),
        ),
        Some(KnownApp::Missing) => Finding::error(
            ID,
            format!("the relay has no app of the id in {id}"),
            "add it to the relay's configuration, or use one that it has",
        ),
        Some(KnownApp::OtherKey) => Finding::error(
            ID,
            format!("{key} is none of the keys that the relay has for this app"),
            "copy the key of the relay's configuration: this one is of another server",
        ),
        Some(KnownApp::OtherSecret) => Finding::error(
            ID,
            format!("{secret} is not the secret that the relay has for this key"),
            "copy the secret of the relay's configuration: publishes are refused with 401",
        ),
    }]
}

/// Host, scheme and port that Laravel publishes to.
fn place(driver: &Driver<'_>, relay: &Relay) -> Vec<Finding> {
    let name = driver.name_of("HOST");
    let Some(host) = driver.get("HOST") else {
        let id = "laravel.host";
        let remedy = format!("{name}=ws.example.com, the relay's own name");
        return vec![match (driver.name, driver.get("APP_CLUSTER")) {
            ("pusher", Some(_)) => Finding::error(
                id,
                format!(
                    "PUSHER_APP_CLUSTER is set and {name} is not: Laravel publishes to pusher.com"
                ),
                remedy,
            ),
            _ => Finding::error(
                id,
                format!("{name} is not set: Laravel does not know where the relay is"),
                remedy,
            ),
        }];
    };
    let mut findings = vec![judge_host(&name, &host)];
    let scheme = driver.get("SCHEME").unwrap_or_else(|| "https".to_owned());
    let port = driver.get("PORT").unwrap_or_else(|| "443".to_owned());
    findings.push(judge_port(driver, &scheme, &port));
    if let Some((tls, its_host, its_port)) = &relay.place {
        let same_scheme = *tls == (scheme == "https");
        let same =
            host.eq_ignore_ascii_case(its_host) && port == its_port.to_string() && same_scheme;
        let theirs = format!(
            "{}://{its_host}:{its_port}",
            if *tls { "https" } else { "http" }
        );
        let its = format!("{}://{}:{}", shown(&scheme), shown(&host), shown(&port));
        findings.push(if same {
            Finding::ok("laravel.place", format!("Laravel publishes to {theirs}, as clients connect to it"))
        } else {
            Finding::warn(
                "laravel.place",
                format!("Laravel publishes to {its}, and clients are said to connect to {theirs}"),
                "both must be the same relay, or nodes of one cluster; within one network the addresses may well differ",
            )
        });
    }
    findings
}

fn judge_host(name: &str, host: &str) -> Finding {
    const ID: &str = "laravel.host";
    let its = shown(host);
    if host.contains("://") {
        return Finding::error(
            ID,
            format!("{name} is {its}, with a scheme in it"),
            format!(
                "the name alone, as in {name}=ws.example.com; the scheme has a variable of its own"
            ),
        );
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if matches!(bare, "0.0.0.0" | "::" | "0") {
        return Finding::error(
            ID,
            format!("{name} is {its}, an address to listen at, which nobody can connect to"),
            format!(
                "{name} is where Laravel and pages find the relay: its public name, or 127.0.0.1 on the same machine"
            ),
        );
    }
    let has_port = host.rsplit_once(':').is_some_and(|(before, port)| {
        !before.contains(':') && !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit())
    });
    if has_port || host.contains('/') {
        return Finding::error(
            ID,
            format!("{name} is {its}, which is more than a host"),
            "the name alone; the port has a variable of its own, and a path is set as `path` in config/broadcasting.php",
        );
    }
    Finding::ok(ID, format!("{name} is {its}"))
}

fn judge_port(driver: &Driver<'_>, scheme: &str, port: &str) -> Finding {
    const ID: &str = "laravel.scheme";
    let (scheme_name, port_name) = (driver.name_of("SCHEME"), driver.name_of("PORT"));
    let text = format!(
        "{scheme_name} is {}, {port_name} is {}",
        shown(scheme),
        shown(port)
    );
    let number: Option<u16> = port.parse().ok();
    match (scheme, number) {
        (_, None | Some(0)) => Finding::error(ID, text, "the port is a number from 1 to 65535"),
        ("http", Some(443)) => Finding::error(ID, text, "443 speaks TLS: https"),
        ("https", Some(80)) => Finding::error(ID, text, "80 speaks no TLS: port 443, or http"),
        ("https", Some(6001 | 8000 | 8080)) => Finding::warn(
            ID,
            text,
            "that port mostly speaks no TLS: http for the relay itself, or https with 443 for a proxy in front of it",
        ),
        ("http" | "https", Some(_)) => Finding::ok(ID, text),
        _ => Finding::error(ID, text, "the scheme is http or https, for WebSockets, too"),
    }
}

/// What Vite builds into the pages.
fn pages(driver: &Driver<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let names = ["APP_SECRET", "SECRET"]
        .into_iter()
        .filter(|part| driver.of_pages(part).is_some());
    let leaks: Vec<String> = names
        .map(|part| format!("VITE_{}", driver.name_of(part)))
        .collect();
    if !leaks.is_empty() {
        findings.push(Finding::error(
            "laravel.pages.secret",
            format!("{} is built into the pages, where everybody can read it", leaks.join(", ")),
            "remove it, and replace the secret: whoever has it can publish and join private channels",
        ));
    }
    let parts = ["APP_KEY", "HOST", "PORT", "SCHEME"];
    let is_used = parts.iter().any(|part| driver.of_pages(part).is_some());
    let name = |part: &str| driver.name_of(part);
    if !is_used {
        findings.push(Finding::warn(
            "laravel.pages",
            format!("no VITE_{} and the like are set: pages that Vite builds do not know the relay", name("APP_KEY")),
            format!("VITE_{0}=\"${{{0}}}\", and so for HOST, PORT and SCHEME, then build the pages again", name("APP_KEY")),
        ));
        return findings;
    }
    let mut differing = Vec::new();
    let mut absent = Vec::new();
    for part in parts {
        match (driver.get(part), driver.of_pages(part)) {
            (Some(own), Some(pages)) if own != pages => differing.push(part),
            (Some(_), None) => absent.push(format!("VITE_{}", name(part))),
            _ => {}
        }
    }
    if !absent.is_empty() {
        findings.push(Finding::warn(
            "laravel.pages",
            format!(
                "{} is not set: pages fall back to what Echo takes for granted",
                absent.join(", ")
            ),
            "set it to that of the project, and build the pages again",
        ));
    }
    if differing.contains(&"APP_KEY") {
        findings.push(Finding::error(
            "laravel.pages.key",
            format!("VITE_{0} is another key than {0}", name("APP_KEY")),
            "pages and backend must have the same app; build the pages again after it is corrected",
        ));
    }
    let places: Vec<String> = differing
        .iter()
        .filter(|part| **part != "APP_KEY")
        .map(|part| name(part))
        .collect();
    if !places.is_empty() {
        findings.push(Finding::warn(
            "laravel.pages.place",
            format!("pages have another {} than Laravel itself", places.join(", ")),
            "that is right where Laravel reaches the relay within its own network, and a mistake otherwise",
        ));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(
            "laravel.pages",
            "pages have the same key and place as Laravel itself",
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::doctor::Level;

    impl Variables for BTreeMap<&str, &str> {
        fn get(&self, name: &str) -> Option<String> {
            BTreeMap::get(self, name).map(|value| (*value).to_owned())
        }
    }

    const GOOD: [(&str, &str); 11] = [
        ("BROADCAST_CONNECTION", "reverb"),
        ("REVERB_APP_ID", "1"),
        ("REVERB_APP_KEY", "key"),
        ("REVERB_APP_SECRET", "s3cr3t"),
        ("REVERB_HOST", "ws.example.com"),
        ("REVERB_PORT", "443"),
        ("REVERB_SCHEME", "https"),
        ("VITE_REVERB_APP_KEY", "key"),
        ("VITE_REVERB_HOST", "ws.example.com"),
        ("VITE_REVERB_PORT", "443"),
        ("VITE_REVERB_SCHEME", "https"),
    ];

    /// What is found of a good project with these changes: an empty value takes a variable away.
    fn bad(changes: &[(&'static str, &'static str)], relay: &Relay) -> Vec<(&'static str, Level)> {
        let mut variables = BTreeMap::from(GOOD);
        variables.extend(changes.iter().copied());
        variables.retain(|_, value| !value.is_empty());
        let findings = judge(&variables, relay);
        for finding in &findings {
            assert!(!format!("{finding:?}").contains("s3cr3t"), "{finding:?}");
        }
        let bad = findings.iter().filter(|finding| finding.level != Level::Ok);
        bad.map(|finding| (finding.id, finding.level)).collect()
    }

    #[test]
    fn a_good_project_is_told_so() {
        assert_eq!(bad(&[], &Relay::default()), []);
    }

    type Changes = &'static [(&'static str, &'static str)];

    /// What is found of a good project whose pages and backend both have this.
    fn bad_everywhere(part: &str, value: &'static str) -> Vec<(&'static str, Level)> {
        let names = [
            ("REVERB_HOST", "VITE_REVERB_HOST"),
            ("REVERB_PORT", "VITE_REVERB_PORT"),
        ];
        let names = names
            .into_iter()
            .chain([("REVERB_SCHEME", "VITE_REVERB_SCHEME")]);
        let (own, pages) = names
            .into_iter()
            .find(|(own, _)| own.ends_with(part))
            .unwrap();
        bad(&[(own, value), (pages, value)], &Relay::default())
    }

    #[test]
    fn places_that_cannot_be_are_found() {
        use Level::{Error, Warn};
        for host in [
            "0.0.0.0",
            "[::]",
            "https://a.test",
            "a.test:8080",
            "a.test/x",
            "",
        ] {
            assert_eq!(
                bad_everywhere("HOST", host),
                [("laravel.host", Error)],
                "{host}"
            );
        }
        for (port, level) in [("8080", Warn), ("6001", Warn), ("80", Error), ("x", Error)] {
            assert_eq!(
                bad_everywhere("PORT", port),
                [("laravel.scheme", level)],
                "{port}"
            );
        }
        for scheme in ["http", "wss"] {
            assert_eq!(
                bad_everywhere("SCHEME", scheme),
                [("laravel.scheme", Error)],
                "{scheme}"
            );
        }
    }

    #[test]
    fn a_project_that_broadcasts_nowhere_is_found() {
        let cases: [(Changes, &str); 4] = [
            (&[("BROADCAST_CONNECTION", "log")], "laravel.connection"),
            (
                &[("BROADCAST_CONNECTION", ""), ("BROADCAST_DRIVER", "null")],
                "laravel.connection",
            ),
            (&[("BROADCAST_CONNECTION", "")], "laravel.connection"),
            (&[("REVERB_APP_SECRET", "")], "laravel.app"),
        ];
        for (changes, id) in cases {
            assert_eq!(
                bad(changes, &Relay::default()),
                [(id, Level::Error)],
                "{changes:?}"
            );
        }
    }

    #[test]
    fn pages_that_differ_from_the_backend_are_found() {
        use Level::{Error, Warn};
        let found = |changes: Changes| bad(changes, &Relay::default());
        let key = found(&[("VITE_REVERB_APP_KEY", "other")]);
        assert_eq!(key, [("laravel.pages.key", Error)]);
        let place = found(&[("VITE_REVERB_HOST", "other"), ("VITE_REVERB_PORT", "")]);
        assert_eq!(
            place,
            [("laravel.pages", Warn), ("laravel.pages.place", Warn)]
        );
        let secret = found(&[("VITE_REVERB_APP_SECRET", "s3cr3t")]);
        assert_eq!(secret, [("laravel.pages.secret", Error)]);
        let nothing = found(&[
            ("VITE_REVERB_APP_KEY", ""),
            ("VITE_REVERB_HOST", ""),
            ("VITE_REVERB_PORT", ""),
            ("VITE_REVERB_SCHEME", ""),
        ]);
        assert_eq!(nothing, [("laravel.pages", Warn)]);
    }

    #[test]
    fn pusher_s_own_cluster_is_not_the_relay() {
        let variables = BTreeMap::from([
            ("BROADCAST_DRIVER", "pusher"),
            ("PUSHER_APP_ID", "1"),
            ("PUSHER_APP_KEY", "key"),
            ("PUSHER_APP_SECRET", "s3cr3t"),
            ("PUSHER_APP_CLUSTER", "mt1"),
        ]);
        let findings = judge(&variables, &Relay::default());
        let host = findings
            .iter()
            .find(|finding| finding.id == "laravel.host")
            .unwrap();
        assert!(host.text.contains("pusher.com"), "{host:?}");
    }

    #[test]
    fn a_project_is_held_against_the_relay() {
        let with = |app| Relay {
            app: Some(app),
            place: None,
        };
        assert_eq!(bad(&[], &with(KnownApp::Same)), []);
        for app in [KnownApp::Missing, KnownApp::OtherKey, KnownApp::OtherSecret] {
            assert_eq!(bad(&[], &with(app)), [("laravel.app", Level::Error)]);
        }
        let at = |tls, host: &str, port| Relay {
            app: None,
            place: Some((tls, host.to_owned(), port)),
        };
        assert_eq!(bad(&[], &at(true, "WS.example.com", 443)), []);
        for other in [
            at(false, "ws.example.com", 443),
            at(true, "a.test", 443),
            at(true, "ws.example.com", 8443),
        ] {
            assert_eq!(bad(&[], &other), [("laravel.place", Level::Warn)]);
        }
    }
}
