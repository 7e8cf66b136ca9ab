//! Laravel's environment variables.
//!
//! Source: laravel/laravel, `.env.example`; laravel/framework, `config/broadcasting.php` and
//! `config/database.php`.

use std::collections::HashMap;

#[cfg(feature = "ably")]
use super::AblyConfig;
#[cfg(feature = "redis")]
use super::{RedisConfig, slug::slug};
use crate::{Config, Invalid, MasterKey, Scheme};

/// What names the driver: the variable of Laravel 11 and later, and that of those before.
const DRIVER: [&str; 2] = ["BROADCAST_CONNECTION", "BROADCAST_DRIVER"];

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
        // As in Laravel: a cluster stands for Pusher itself, unless a host is named.
        let cluster = self.get("PUSHER_APP_CLUSTER");
        let cluster = cluster.filter(|_| self.get("PUSHER_HOST").is_none());
        let scheme = match self.get("PUSHER_SCHEME") {
            None if cluster.is_some() => Scheme::Https,
            None | Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some(_) => return Err(Invalid::new("PUSHER_SCHEME", "must be http or https")),
        };
        let default_port = match scheme {
            Scheme::Http if cluster.is_some() => 80,
            Scheme::Http => 6001,
            Scheme::Https => 443,
        };
        let config = Config::new(
            self.required("PUSHER_APP_ID")?,
            self.required("PUSHER_APP_KEY")?,
            self.required("PUSHER_APP_SECRET")?,
        )
        .scheme(scheme)
        .port(self.number("PUSHER_PORT", default_port)?);
        let config = match cluster {
            Some(cluster) => config.cluster(cluster),
            None => config.host(self.get("PUSHER_HOST").unwrap_or("127.0.0.1")),
        };
        const MASTER_KEY: &str = "PUSHER_ENCRYPTION_MASTER_KEY_BASE64";
        Ok(match self.get(MASTER_KEY) {
            None => config,
            Some(key) => {
                let key = MasterKey::from_base64(key)
                    .map_err(|error| Invalid::new(MASTER_KEY, error.reason))?;
                config.master_key(key)
            }
        })
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
                Ok(Connection::Log)
            ));
            assert!(matches!(connection(&[(variable, "")]), Ok(Connection::Log)));
            assert_eq!(fault(&[(variable, "Pusher")]), variable);
        }
        assert!(matches!(connection(&[]), Ok(Connection::Log)));
        let both = |old| [(DRIVER[0], "null"), (DRIVER[1], old)];
        assert!(matches!(connection(&both("null")), Ok(Connection::Null)));
        assert_eq!(fault(&both("log")), "BROADCAST_DRIVER");
    }

    #[test]
    fn pusher_is_a_relay_on_this_machine_unless_another_is_named() {
        let origin = |more: &[(&str, &str)]| pusher(more).unwrap().origin();
        assert_eq!(origin(&[]), "http://127.0.0.1:6001");
        assert_eq!(
            origin(&[("PUSHER_HOST", ""), ("PUSHER_PORT", "null")]),
            "http://127.0.0.1:6001"
        );
        let local = [("PUSHER_APP_CLUSTER", "eu"), ("PUSHER_HOST", "127.0.0.1")];
        assert_eq!(origin(&local), "http://127.0.0.1:6001");
        let tls = [("PUSHER_SCHEME", "https"), ("PUSHER_HOST", "example.com")];
        assert_eq!(origin(&tls), "https://example.com:443");
        assert_eq!(origin(&[("PUSHER_PORT", "8080")]), "http://127.0.0.1:8080");
    }

    #[test]
    fn a_cluster_without_a_host_is_pusher_itself() {
        let origin = |more: &[(&str, &str)]| pusher(more).unwrap().origin();
        let cluster = ("PUSHER_APP_CLUSTER", "mt1");
        let expected = "https://api-mt1.pusher.com:443";
        assert_eq!(origin(&[cluster]), expected);
        assert_eq!(origin(&[cluster, ("PUSHER_HOST", "")]), expected);
        let laravel = [("PUSHER_PORT", "443"), ("PUSHER_SCHEME", "https")];
        assert_eq!(origin(&[&[cluster], &laravel[..]].concat()), expected);
        let plain = [cluster, ("PUSHER_SCHEME", "http")];
        assert_eq!(origin(&plain), "http://api-mt1.pusher.com:80");
    }

    #[test]
    fn faults_name_the_variable() {
        let of_pusher = |more| pusher(more).unwrap_err().field;
        assert_eq!(of_pusher(&[("PUSHER_SCHEME", "ws")]), "PUSHER_SCHEME");
        assert_eq!(of_pusher(&[("PUSHER_PORT", "65536")]), "PUSHER_PORT");
        let key = "PUSHER_ENCRYPTION_MASTER_KEY_BASE64";
        assert_eq!(of_pusher(&[(key, "short")]), key);
        for (missing, _) in APP {
            let mut variables = vec![("BROADCAST_DRIVER", "pusher")];
            variables.extend(APP.iter().filter(|(name, _)| *name != missing));
            assert_eq!(fault(&variables), missing);
        }
    }

    #[test]
    fn an_encryption_key_is_taken() {
        let key = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
        let config = pusher(&[("PUSHER_ENCRYPTION_MASTER_KEY_BASE64", key)]);
        assert!(config.unwrap().master_key.is_some());
        assert!(pusher(&[]).unwrap().master_key.is_none());
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
