//! What is known of a project, and of the relay that it is held against.

use std::fmt;

/// A project's variables, those that are set and not empty.
pub(in crate::cli::doctor) trait Variables {
    fn get(&self, name: &str) -> Option<String>;
}

/// What the relay has, as far as it is known.
#[derive(Default)]
pub(in crate::cli::doctor) struct Relay {
    /// Its app of the project's id; `None`: the relay's apps are not known.
    pub(in crate::cli::doctor) app: Option<KnownApp>,
    /// Where clients reach it.
    pub(in crate::cli::doctor) place: Option<Place>,
    /// Whether it takes in what Laravel publishes to Redis.
    pub(in crate::cli::doctor) takes_redis: bool,
}

/// Where a relay is reached.
#[derive(Clone, Debug)]
pub(in crate::cli::doctor) struct Place {
    pub(in crate::cli::doctor) tls: bool,
    pub(in crate::cli::doctor) host: String,
    pub(in crate::cli::doctor) port: u16,
}

impl Place {
    /// Whether variables of a project say the same. Addresses of IPv6 may have brackets there.
    pub(super) fn is_at(&self, scheme: &str, host: &str, port: &str) -> bool {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        self.tls == (scheme == "https")
            && self.host.eq_ignore_ascii_case(host)
            && self.port.to_string() == port
    }
}

impl fmt::Display for Place {
    /// As servers are given it. An address of IPv6 stands in it without brackets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "https" } else { "http" };
        write!(f, "{scheme}://{}:{}", self.host, self.port)
    }
}

/// What the relay's configuration says of the app that the project names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli::doctor) enum KnownApp {
    /// There is none of that id.
    Missing,
    /// It has other keys.
    OtherKey,
    /// It has the key, with another secret.
    OtherSecret,
    Same,
}

/// What a driver's variables begin with.
pub(super) struct Driver<'v> {
    pub(super) name: &'static str,
    pub(super) prefix: &'static str,
    pub(super) variables: &'v dyn Variables,
}

impl Driver<'_> {
    pub(super) fn name_of(&self, part: &str) -> String {
        format!("{}_{part}", self.prefix)
    }

    pub(super) fn get(&self, part: &str) -> Option<String> {
        self.variables.get(&self.name_of(part))
    }

    /// What is built into the pages.
    pub(super) fn of_pages(&self, part: &str) -> Option<String> {
        self.variables.get(&format!("VITE_{}", self.name_of(part)))
    }

    /// The same, or where it is not set what Echo takes for granted: https, 443 and without TLS 80.
    pub(super) fn of_pages_or_usual(&self, part: &str) -> Option<String> {
        let usual = || match part {
            "SCHEME" => Some("https"),
            "PORT" if self.of_pages_or_usual("SCHEME")? == "https" => Some("443"),
            "PORT" => Some("80"),
            _ => None,
        };
        self.of_pages(part).or_else(|| usual().map(str::to_owned))
    }

    /// Whether pages connect to where clients are said to, other than Laravel publishes to: it has a way of its own then.
    pub(super) fn pages_are_at(&self, place: &Place) -> bool {
        let of_pages = |part| self.of_pages_or_usual(part).unwrap_or_default();
        place.is_at(&of_pages("SCHEME"), &of_pages("HOST"), &of_pages("PORT"))
    }
}
