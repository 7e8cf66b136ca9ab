//! Which server the tests run against, chosen when they run.
//!
//! | variable | meaning |
//! | --- | --- |
//! | `PROTOCOL_TESTS_URL` | `http://host:port[/prefix]` of a running server; absent: each test starts its own |
//! | `PROTOCOL_TESTS_APP_ID`, `_KEY`, `_SECRET` | an app of that server; default `local` three times |
//! | `PROTOCOL_TESTS_APP2_ID`, `_KEY`, `_SECRET` | a second app; absent: tests that need two are skipped |
//! | `FANFARE_BIN` | the binary to start; default: `fanfare` in the directory that the tests were built into |
//!
//! A foreign server is taken to have its app's options at their defaults, client events allowed. Tests that need
//! another configuration are skipped there ([`or_skip!`](crate::or_skip)).

use std::env;
use std::path::PathBuf;

use crate::config::App;

/// A server that was running before the tests.
#[derive(Clone, Debug)]
pub(crate) struct ForeignServer {
    pub(crate) endpoint: Endpoint,
    pub(crate) app: App,
    pub(crate) second_app: Option<App>,
}

/// Where a server is reached: `host:port`, and the path before `/app` and `/apps`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `host:port`, as connected to and as sent in Host.
    pub authority: String,
    /// The path prefix, empty or beginning with a slash and not ending with one.
    pub prefix: String,
}

impl Endpoint {
    /// Reads `http://host:port[/prefix]`.
    ///
    /// # Panics
    /// When the URL has another scheme or names no port.
    pub fn parse(url: &str) -> Endpoint {
        let rest = url
            .strip_prefix("http://")
            .unwrap_or_else(|| panic!("{url:?}: expected http://host:port[/prefix]"));
        let (authority, prefix) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        assert!(
            authority.contains(':'),
            "{url:?}: the port is missing, expected http://host:port[/prefix]"
        );
        Endpoint {
            authority: authority.to_owned(),
            prefix: prefix.trim_end_matches('/').to_owned(),
        }
    }
}

/// The foreign server that the environment names, if it does.
pub(crate) fn foreign() -> Option<ForeignServer> {
    let url = variable("PROTOCOL_TESTS_URL")?;
    Some(ForeignServer {
        endpoint: Endpoint::parse(&url),
        app: app("PROTOCOL_TESTS_APP").unwrap_or_else(|| App {
            id: "local".to_owned(),
            key: "local".to_owned(),
            secret: "local".to_owned(),
        }),
        second_app: app("PROTOCOL_TESTS_APP2"),
    })
}

/// The binary that tests start.
///
/// # Panics
/// When there is none, saying how to get one.
pub fn binary() -> PathBuf {
    if let Some(path) = variable("FANFARE_BIN") {
        // Absolute, because the server is started in a directory of its own.
        return std::fs::canonicalize(&path)
            .unwrap_or_else(|error| panic!("FANFARE_BIN is {path}: {error}"));
    }
    let test = env::current_exe().expect("a test knows its own executable");
    // target/<profile>/deps/<test>-<hash> → target/<profile>/fanfare
    let profile = test.ancestors().nth(2).expect("tests are built into deps/");
    let path = profile.join("fanfare");
    assert!(
        path.is_file(),
        "{} is missing: run `cargo build` first, or name a binary in FANFARE_BIN",
        path.display()
    );
    path
}

fn app(prefix: &str) -> Option<App> {
    Some(App {
        id: variable(&format!("{prefix}_ID"))?,
        key: variable(&format!("{prefix}_KEY"))?,
        secret: variable(&format!("{prefix}_SECRET"))?,
    })
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_split_into_authority_and_prefix() {
        let endpoint = Endpoint::parse("http://127.0.0.1:6001/ws/");
        assert_eq!(endpoint.authority, "127.0.0.1:6001");
        assert_eq!(endpoint.prefix, "/ws");
        assert_eq!(Endpoint::parse("http://localhost:80").prefix, "");
    }
}
