//! Laravel's environment variables.
//!
//! Source: laravel/laravel, `.env.example`; laravel/framework, `config/broadcasting.php`,
//! `config/database.php` and `config/app.php`.
//!
//! - [`variables`]: the variables that are read, and what their values stand for
//! - [`pusher`], [`pusher_url`]: the app and the server of the driver `pusher`

mod pusher;
mod pusher_url;
mod variables;

#[cfg(feature = "ably")]
use super::AblyConfig;
use super::LogConfig;
#[cfg(feature = "redis")]
use super::{RedisConfig, slug::slug};
use crate::Invalid;

#[cfg(feature = "redis")]
use variables::is_null;
pub(super) use variables::{Environment, of_process};

/// What names the driver: the variable of Laravel 11 and later, and that of those before.
const DRIVER: [&str; 2] = ["BROADCAST_CONNECTION", "BROADCAST_DRIVER"];

impl<'a> Environment<'a> {
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
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::Connection;

    pub(super) fn environment(variables: &[(&str, &str)]) -> HashMap<String, String> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        variables.iter().map(owned).collect()
    }

    pub(super) fn connection(variables: &[(&str, &str)]) -> Result<Connection, Invalid> {
        Connection::from_env(&environment(variables))
    }

    /// The variable that is wrong.
    pub(super) fn fault(variables: &[(&str, &str)]) -> &'static str {
        connection(variables).unwrap_err().field
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
