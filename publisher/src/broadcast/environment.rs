//! Laravel's environment variables.
//!
//! Source: laravel/laravel, `.env.example`; laravel/framework, `config/broadcasting.php`,
//! `config/database.php` and `config/app.php`.

use std::collections::HashMap;

#[cfg(feature = "ably")]
use super::AblyConfig;
use super::LogConfig;
use super::pusher_url::PusherUrl;
#[cfg(feature = "redis")]
use super::{RedisConfig, slug::slug};
use crate::{Config, Invalid, MasterKey, Scheme};

/// What names the driver: the variable of Laravel 11 and later, and that of those before.
const DRIVER: [&str; 2] = ["BROADCAST_CONNECTION", "BROADCAST_DRIVER"];

/// All that is read here.
const VARIABLES: [&str; 23] = [
    DRIVER[0],
    DRIVER[1],
    "PUSHER_URL",
    "PUSHER_APP_ID",
    "PUSHER_APP_KEY",
    "PUSHER_APP_SECRET",
    "PUSHER_APP_CLUSTER",
    "PUSHER_HOST",
    "PUSHER_PORT",
    "PUSHER_SCHEME",
    MASTER_KEY,
    "REDIS_URL",
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_USERNAME",
    "REDIS_PASSWORD",
    "REDIS_DB",
    "REDIS_PREFIX",
    "ABLY_KEY",
    "ABLY_ENDPOINT",
    "APP_NAME",
    "APP_ENV",
    "LOG_PATH",
];

const MASTER_KEY: &str = "PUSHER_ENCRYPTION_MASTER_KEY_BASE64";

/// What this process's environment has of the variables that are read here. The error names one
/// that is not UTF-8.
pub(super) fn of_process() -> Result<HashMap<String, String>, Invalid> {
    let mut variables = HashMap::new();
    for name in VARIABLES {
        if let Some(value) = std::env::var_os(name) {
            let value = value.into_string();
            let value = value.map_err(|_| Invalid::new(name, "is not UTF-8"))?;
            variables.insert(name.to_owned(), value);
        }
    }
    Ok(variables)
}

/// A process's environment.
#[derive(Clone, Copy)]
pub(super) struct Environment<'a>(&'a HashMap<String, String>);

impl<'a> Environment<'a> {
    pub(super) fn new(variables: &'a HashMap<String, String>) -> Self {
        Self(variables)
    }

    /// The driver, and the variable that names it.
    pub(super) fn driver(self) -> Result<(&'static str, &'a str), Invalid> {
        let set = DRIVER.map(|variable| self.raw(variable).filter(|value| !value.is_empty()));
        match set {
            [Some(new), Some(old)] if new != old => Err(Invalid::new(
                DRIVER[1],
                format!("is {old:?}, but {} is {new:?}: set one of them", DRIVER[0]),
            )),
            [Some(new), _] => Ok((DRIVER[0], new)),
            [None, Some(old)] => Ok((DRIVER[1], old)),
            [None, None] => Ok((DRIVER[0], "log")),
        }
    }

    /// The app and the server of the driver `pusher`.
    pub(super) fn pusher(self) -> Result<Config, Invalid> {
        let config = match self.get("PUSHER_URL") {
            Some(url) => self.app_of(PusherUrl::parse(url)?)?,
            None => self.app()?,
        };
        Ok(match self.get(MASTER_KEY) {
            None => config,
            Some(key) => {
                let key = MasterKey::from_base64(key)
                    .map_err(|error| Invalid::new(MASTER_KEY, error.reason))?;
                config.master_key(key)
            }
        })
    }

    /// The app that a URL names. Whoever sets another beside it may mean either.
    fn app_of(self, url: PusherUrl) -> Result<Config, Invalid> {
        for (variable, value) in [
            ("PUSHER_APP_ID", &url.app_id),
            ("PUSHER_APP_KEY", &url.key),
            ("PUSHER_APP_SECRET", &url.secret),
        ] {
            if self.get(variable).is_some_and(|own| own != value) {
                let reason = "is not what PUSHER_URL says: set one of them";
                return Err(Invalid::new(variable, reason));
            }
        }
        Ok(url.config())
    }

    /// The app that its own variables name.
    fn app(self) -> Result<Config, Invalid> {
        let cluster = self.cluster()?;
        let scheme = match self.get("PUSHER_SCHEME") {
            None if cluster.is_some() => Scheme::Https,
            None | Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some(_) => return Err(Invalid::new("PUSHER_SCHEME", "must be http or https")),
        };
        let default_port = match (cluster, scheme) {
            (None, Scheme::Http) => 6001,
            _ => scheme.default_port(),
        };
        let config = Config::new(
            self.required("PUSHER_APP_ID")?,
            self.required("PUSHER_APP_KEY")?,
            self.required("PUSHER_APP_SECRET")?,
        )
        .scheme(scheme)
        .port(self.number("PUSHER_PORT", default_port)?);
        Ok(match cluster {
            Some(cluster) => config.cluster(cluster),
            None => config.host(self.get("PUSHER_HOST").unwrap_or("127.0.0.1")),
        })
    }

    /// The cluster of Pusher's that has the app, unless a host is named, which wins as in Laravel.
    fn cluster(self) -> Result<Option<&'a str>, Invalid> {
        const VARIABLE: &str = "PUSHER_APP_CLUSTER";
        if self.get("PUSHER_HOST").is_some() {
            return Ok(None);
        }
        let cluster = self.get(VARIABLE);
        let is_part_of_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if cluster.is_some_and(|cluster| !cluster.chars().all(is_part_of_name)) {
            let reason = "must be the name of one of Pusher's clusters, such as mt1";
            return Err(Invalid::new(VARIABLE, reason));
        }
        Ok(cluster)
    }

    /// Where the driver `log` writes.
    pub(super) fn log(self) -> LogConfig {
        let config = LogConfig::new();
        let config = match self.get("APP_ENV") {
            Some(name) => config.environment(name),
            None => config,
        };
        match self.get("LOG_PATH") {
            Some(path) => config.path(path),
            None => config,
        }
    }

    /// The server of the driver `redis`.
    #[cfg(feature = "redis")]
    pub(super) fn redis(self) -> Result<RedisConfig, Invalid> {
        let config = match self.get("REDIS_URL") {
            Some(url) => {
                RedisConfig::new(url).map_err(|error| Invalid::new("REDIS_URL", error.reason))?
            }
            None => RedisConfig::at(
                self.get("REDIS_HOST").unwrap_or("127.0.0.1"),
                self.number("REDIS_PORT", 6379)?,
            )
            .login(self.get("REDIS_USERNAME"), self.get("REDIS_PASSWORD"))
            .database(self.number("REDIS_DB", 0)?),
        };
        Ok(config.prefix(self.redis_prefix()?))
    }

    #[cfg(feature = "redis")]
    fn redis_prefix(self) -> Result<String, Invalid> {
        // An empty one is a choice here.
        if let Some(prefix) = self.raw("REDIS_PREFIX") {
            return Ok(if is_null(prefix) { "" } else { prefix }.to_owned());
        }
        let name = self.get("APP_NAME").unwrap_or("Laravel");
        let reason =
            "Laravel would spell it in ASCII letters; set REDIS_PREFIX to what it makes of it";
        let slug = slug(name).ok_or_else(|| Invalid::new("APP_NAME", reason))?;
        Ok(format!("{slug}-database-"))
    }

    /// The app of the driver `ably`.
    #[cfg(feature = "ably")]
    pub(super) fn ably(self) -> Result<AblyConfig, Invalid> {
        let config = AblyConfig::new(self.required("ABLY_KEY")?);
        Ok(match self.get("ABLY_ENDPOINT") {
            Some(url) => config.endpoint(url),
            None => config,
        })
    }

    fn raw(self, variable: &str) -> Option<&'a str> {
        debug_assert!(VARIABLES.contains(&variable), "{variable} is not listed");
        self.0.get(variable).map(String::as_str)
    }

    fn get(self, variable: &str) -> Option<&'a str> {
        self.raw(variable)
            .filter(|value| !value.is_empty() && !is_null(value))
    }

    fn required(self, variable: &'static str) -> Result<&'a str, Invalid> {
        self.get(variable)
            .ok_or_else(|| Invalid::new(variable, "is not set"))
    }

    fn number<T: std::str::FromStr>(
        self,
        variable: &'static str,
        default: T,
    ) -> Result<T, Invalid> {
        match self.get(variable) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .map_err(|_| Invalid::new(variable, format!("{text:?} is no number that fits"))),
        }
    }
}

/// What Laravel reads as null. Source: laravel/framework, `Illuminate\Support\Env`.
fn is_null(value: &str) -> bool {
    matches!(
        value.to_ascii_lowercase().as_str(),
        "null" | "(null)" | "empty" | "(empty)"
    )
}

#[cfg(test)]
mod tests {
    use super::super::Connection;
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> HashMap<String, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        variables.iter().map(owned).collect()
    }

    fn connection(variables: &[(&str, &str)]) -> Result<Connection, Invalid> {
        Connection::from_env(&environment(variables))
    }

    /// The variable that is wrong.
    fn fault(variables: &[(&str, &str)]) -> &'static str {
        connection(variables).unwrap_err().field
    }

    const APP: [(&str, &str); 3] = [
        ("PUSHER_APP_ID", "1"),
        ("PUSHER_APP_KEY", "key"),
        ("PUSHER_APP_SECRET", "secret"),
    ];

    fn pusher(more: &[(&str, &str)]) -> Result<Config, Invalid> {
        Config::from_env(&environment(&[&APP, more].concat()))
    }

    #[test]
    fn either_variable_names_the_driver() {
        for variable in DRIVER {
            assert!(matches!(
                connection(&[(variable, "null")]),
                Ok(Connection::Null)
            ));
            assert!(matches!(
                connection(&[(variable, "log")]),
                Ok(Connection::Log(_))
            ));
            assert!(matches!(
                connection(&[(variable, "")]),
                Ok(Connection::Log(_))
            ));
            assert_eq!(fault(&[(variable, "Pusher")]), variable);
        }
        assert!(matches!(connection(&[]), Ok(Connection::Log(_))));
        let both = |old| [(DRIVER[0], "null"), (DRIVER[1], old)];
        assert!(matches!(connection(&both("null")), Ok(Connection::Null)));
        assert_eq!(fault(&both("log")), "BROADCAST_DRIVER");
    }

    fn origin(more: &[(&str, &str)]) -> String {
        pusher(more).unwrap().origin()
    }

    #[test]
    fn pusher_is_a_relay_on_this_machine_unless_another_is_named() {
        assert_eq!(origin(&[]), "http://127.0.0.1:6001");
        assert_eq!(
            origin(&[("PUSHER_HOST", ""), ("PUSHER_PORT", "null")]),
            "http://127.0.0.1:6001"
        );
        let tls = [("PUSHER_SCHEME", "https"), ("PUSHER_HOST", "example.com")];
        assert_eq!(origin(&tls), "https://example.com:443");
        assert_eq!(origin(&[("PUSHER_PORT", "8080")]), "http://127.0.0.1:8080");
    }

    #[test]
    fn a_cluster_without_a_host_is_pusher_itself() {
        let eu = ("PUSHER_APP_CLUSTER", "eu");
        assert_eq!(origin(&[eu]), "https://api-eu.pusher.com:443");
        assert_eq!(
            origin(&[eu, ("PUSHER_HOST", ""), ("PUSHER_SCHEME", "")]),
            "https://api-eu.pusher.com:443"
        );
        assert_eq!(
            origin(&[eu, ("PUSHER_SCHEME", "http")]),
            "http://api-eu.pusher.com:80"
        );
        assert_eq!(
            origin(&[eu, ("PUSHER_PORT", "8443")]),
            "https://api-eu.pusher.com:8443"
        );
        // A host wins, and then the cluster means nothing.
        let host = ("PUSHER_HOST", "relay");
        assert_eq!(origin(&[eu, host]), "http://relay:6001");
        assert_eq!(
            origin(&[("PUSHER_APP_CLUSTER", "a b"), host]),
            "http://relay:6001"
        );
    }

    #[test]
    fn a_url_names_app_and_server() {
        let url = ("PUSHER_URL", "http://url-key:url-secret@relay:6002/apps/7");
        let of =
            |more: &[(&str, &str)]| Config::from_env(&environment(&[&[url][..], more].concat()));
        let config = of(&[
            // The server is that of the URL, whatever else is set.
            ("PUSHER_HOST", "elsewhere"),
            ("PUSHER_PORT", "443"),
            ("PUSHER_SCHEME", "https"),
            ("PUSHER_APP_CLUSTER", "mt1"),
            ("PUSHER_APP_KEY", "url-key"),
        ])
        .unwrap();
        assert_eq!(config.origin(), "http://relay:6002");
        assert_eq!((&*config.app_id, config.pair.key()), ("7", "url-key"));
        for (variable, _) in APP {
            let error = of(&[(variable, "other")]).unwrap_err();
            assert_eq!(error.field, variable);
            assert!(!error.to_string().contains("secret:"), "{error}");
        }
        let connection = connection(&[("BROADCAST_CONNECTION", "pusher"), url]);
        assert!(matches!(connection, Ok(Connection::Pusher(_))));
    }

    #[test]
    fn faults_name_the_variable() {
        let of_pusher = |more: &[_]| pusher(more).unwrap_err().field;
        assert_eq!(of_pusher(&[("PUSHER_SCHEME", "ws")]), "PUSHER_SCHEME");
        assert_eq!(of_pusher(&[("PUSHER_PORT", "65536")]), "PUSHER_PORT");
        assert_eq!(of_pusher(&[(MASTER_KEY, "short")]), MASTER_KEY);
        for name in ["a b", "x@evil.example/", "mt1.example"] {
            let cluster = ("PUSHER_APP_CLUSTER", name);
            assert_eq!(of_pusher(&[cluster]), "PUSHER_APP_CLUSTER");
        }
        for (missing, _) in APP {
            let mut variables = vec![("BROADCAST_DRIVER", "pusher")];
            variables.extend(APP.iter().filter(|(name, _)| *name != missing));
            assert_eq!(fault(&variables), missing);
        }
    }

    #[test]
    fn an_encryption_key_is_taken() {
        let key = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
        let config = pusher(&[(MASTER_KEY, key)]);
        assert!(config.unwrap().master_key.is_some());
        assert!(pusher(&[]).unwrap().master_key.is_none());
    }

    #[test]
    fn drivers_that_were_left_out_are_named() {
        for (driver, is_here) in [
            ("redis", cfg!(feature = "redis")),
            ("ably", cfg!(feature = "ably")),
        ] {
            let result = connection(&[(DRIVER[0], driver), ("ABLY_KEY", "a:b")]);
            let feature = format!("needs the feature {driver} of the crate publisher");
            match result {
                Ok(_) => assert!(is_here, "{driver}"),
                Err(error) => assert!(!is_here && error.reason.contains(&feature), "{error}"),
            }
        }
    }

    #[cfg(feature = "ably")]
    #[test]
    fn ably_needs_its_key() {
        let ably = ("BROADCAST_CONNECTION", "ably");
        assert_eq!(fault(&[ably]), "ABLY_KEY");
        let connection = connection(&[ably, ("ABLY_KEY", "app.name:secret")]);
        assert!(matches!(connection, Ok(Connection::Ably(_))));
    }

    #[cfg(feature = "redis")]
    #[test]
    fn redis_is_found_by_its_parts_or_its_url() {
        let redis = |more: &[(&str, &str)]| Environment::new(&environment(more)).redis();
        assert_eq!(
            redis(&[]).unwrap().summary(),
            (
                "127.0.0.1:6379".into(),
                0,
                None,
                None,
                "laravel-database-".into()
            )
        );
        let parts = redis(&[
            ("REDIS_HOST", "::1"),
            ("REDIS_PORT", "6380"),
            ("REDIS_USERNAME", "user"),
            ("REDIS_PASSWORD", "p@ss"),
            ("REDIS_DB", "3"),
            ("APP_NAME", "My App"),
        ]);
        let (user, password) = (Some("user".to_owned()), Some("p@ss".to_owned()));
        let prefix = "my-app-database-".to_owned();
        assert_eq!(
            parts.unwrap().summary(),
            ("::1:6380".into(), 3, user.clone(), password.clone(), prefix)
        );
        let url = redis(&[
            ("REDIS_URL", "redis://user:p%40ss@redis:6380/3"),
            ("REDIS_HOST", "elsewhere"),
            ("REDIS_PREFIX", ""),
        ]);
        assert_eq!(
            url.unwrap().summary(),
            ("redis:6380".into(), 3, user, password, String::new())
        );
        let laravels = redis(&[("REDIS_PASSWORD", "null"), ("REDIS_PREFIX", "p:")]).unwrap();
        assert_eq!(laravels.summary().3, None);
        assert_eq!(laravels.summary().4, "p:");
    }

    #[cfg(feature = "redis")]
    #[test]
    fn faults_of_redis_name_the_variable() {
        let fault = |name, value| {
            let variables = environment(&[(name, value)]);
            Environment::new(&variables).redis().unwrap_err().field
        };
        for (name, value) in [
            ("REDIS_URL", "http://127.0.0.1"),
            ("REDIS_PORT", "-1"),
            ("REDIS_DB", "one"),
            ("APP_NAME", "Käse"),
        ] {
            assert_eq!(fault(name, value), name);
        }
    }
}
