//! The known mistakes in a Laravel project's `.env`.
//!
//! - [`facts`]: what is known of a project, and of the relay that it is held against
//! - [`mod@place`]: host, scheme and port that Laravel publishes to
//! - [`mod@pages`]: what Vite builds into the pages

mod facts;
mod pages;
mod place;

use self::facts::Driver;
pub(super) use self::facts::{KnownApp, Place, Relay, Variables};
use self::pages::pages;
use self::place::place;
use crate::doctor::{Finding, shown};

/// Everything that is to be said of a project.
pub(super) fn judge(variables: &dyn Variables, relay: &Relay) -> Vec<Finding> {
    let (connection, driver) = driver(variables, relay);
    let mut findings = vec![connection];
    if let Some(driver) = driver {
        findings.extend(credentials(&driver, relay));
        findings.extend(place(&driver, relay));
        findings.extend(pages(&driver, relay));
    }
    findings
}

/// Where Laravel broadcasts to.
fn driver<'v>(variables: &'v dyn Variables, relay: &Relay) -> (Finding, Option<Driver<'v>>) {
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
    let probable = || {
        let has = |prefix: &str| variables.get(&format!("{prefix}_APP_KEY")).is_some();
        match (has("REVERB"), has("PUSHER")) {
            (true, _) => Some(known("reverb", "REVERB")),
            (_, true) => Some(known("pusher", "PUSHER")),
            _ => None,
        }
    };
    let Some((name, value)) = set else {
        let text = "BROADCAST_CONNECTION is not set, so that Laravel broadcasts nothing";
        return (Finding::error(ID, text, remedy), probable());
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
        "redis" if relay.takes_redis => {
            let text =
                format!("{name} is redis, from which the relay takes what Laravel publishes");
            (Finding::ok(ID, text), None)
        }
        "redis" => {
            let text = format!("{name} is redis: Laravel publishes to Redis, and not to the relay");
            let remedy = "the relay takes that in with [ingest.laravel_redis] enabled = true; otherwise use reverb or pusher";
            (Finding::warn(ID, text, remedy), None)
        }
        "ably" => {
            let text = format!("{name} is ably, which is no relay's");
            (Finding::error(ID, text, remedy), None)
        }
        other => {
            let text = format!(
                "{name} is {}, a connection of the project's own",
                shown(other)
            );
            let remedy = "see that it has the driver reverb or pusher in config/broadcasting.php, and variables of these names, or \
                          is not meant to lead to the relay";
            (Finding::warn(ID, text, remedy), probable())
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
    fn a_connection_of_the_project_s_own_may_be_right() {
        let own: Changes = &[("BROADCAST_CONNECTION", "relay")];
        let found = [("laravel.connection", Level::Warn)];
        assert_eq!(bad(own, &Relay::default()), found);
        // What else is wrong is found, too.
        let relay = Relay {
            app: Some(KnownApp::Missing),
            ..Relay::default()
        };
        let both = [
            ("laravel.connection", Level::Warn),
            ("laravel.app", Level::Error),
        ];
        assert_eq!(bad(own, &relay), both);
        let none: Changes = &[("BROADCAST_CONNECTION", "ably")];
        let found = [("laravel.connection", Level::Error)];
        assert_eq!(bad(none, &Relay::default()), found);
    }

    #[test]
    fn redis_is_right_where_the_relay_takes_from_it() {
        let redis: Changes = &[("BROADCAST_CONNECTION", "redis")];
        let found = [("laravel.connection", Level::Warn)];
        assert_eq!(bad(redis, &Relay::default()), found);
        let relay = Relay {
            takes_redis: true,
            ..Relay::default()
        };
        assert_eq!(bad(redis, &relay), []);
    }

    #[test]
    fn pages_that_differ_from_the_backend_are_found() {
        use Level::{Error, Warn};
        let found = |changes: Changes| bad(changes, &Relay::default());
        let key = found(&[("VITE_REVERB_APP_KEY", "other")]);
        assert_eq!(key, [("laravel.pages.key", Error)]);
        let place = found(&[("VITE_REVERB_HOST", ""), ("VITE_REVERB_PORT", "8443")]);
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

    fn at(tls: bool, host: &str, port: u16) -> Relay {
        let host = host.to_owned();
        Relay {
            place: Some(Place { tls, host, port }),
            ..Relay::default()
        }
    }

    #[test]
    fn pages_that_leave_out_what_echo_takes_for_granted_lack_nothing() {
        let without = [("VITE_REVERB_PORT", ""), ("VITE_REVERB_SCHEME", "")];
        assert_eq!(bad(&without, &Relay::default()), []);
        let plain = [
            ("REVERB_SCHEME", "http"),
            ("REVERB_PORT", "80"),
            ("VITE_REVERB_SCHEME", "http"),
            ("VITE_REVERB_PORT", ""),
        ];
        assert_eq!(bad(&plain, &Relay::default()), []);
        let elsewhere = [("REVERB_PORT", "8443"), ("VITE_REVERB_PORT", "")];
        let lacking = [("laravel.pages", Level::Warn)];
        assert_eq!(bad(&elsewhere, &Relay::default()), lacking);
    }

    #[test]
    fn laravel_may_have_a_way_of_its_own_where_pages_have_that_of_clients() {
        let inside = [
            ("REVERB_HOST", "fanfare"),
            ("REVERB_PORT", "6001"),
            ("REVERB_SCHEME", "http"),
        ];
        assert_eq!(bad(&inside, &at(true, "ws.example.com", 443)), []);
        let usual = [("VITE_REVERB_PORT", ""), ("VITE_REVERB_SCHEME", "")];
        let both: Vec<_> = inside.into_iter().chain(usual).collect();
        assert_eq!(bad(&both, &at(true, "ws.example.com", 443)), []);
        // Nothing says that pages are right.
        let found = bad(&inside, &Relay::default());
        assert_eq!(found, [("laravel.pages.place", Level::Warn)]);
        let found = bad(&inside, &at(true, "other.example.com", 443));
        let both = [
            ("laravel.place", Level::Warn),
            ("laravel.pages.place", Level::Warn),
        ];
        assert_eq!(found, both);
    }

    #[test]
    fn a_port_at_which_tls_is_looked_at_may_be_any() {
        let direct = [("REVERB_PORT", "6001"), ("VITE_REVERB_PORT", "6001")];
        assert_eq!(bad(&direct, &at(true, "ws.example.com", 6001)), []);
    }

    #[test]
    fn a_project_is_held_against_the_relay() {
        let with = |app| Relay {
            app: Some(app),
            ..Relay::default()
        };
        assert_eq!(bad(&[], &with(KnownApp::Same)), []);
        for app in [KnownApp::Missing, KnownApp::OtherKey, KnownApp::OtherSecret] {
            assert_eq!(bad(&[], &with(app)), [("laravel.app", Level::Error)]);
        }
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
