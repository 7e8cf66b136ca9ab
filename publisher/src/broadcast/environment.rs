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
        let scheme = match self.get("PUSHER_SCHEME") {
            None | Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            Some(_) => return Err(Invalid::new("PUSHER_SCHEME", "must be http or https")),
        };
        let default_port = match scheme {
            Scheme::Http => 6001,
            Scheme::Https => 443,
        };
        let config = Config::new(
            self.required("PUSHER_APP_ID")?,
            self.required("PUSHER_APP_KEY")?,
            self.required("PUSHER_APP_SECRET")?,
        )
        .scheme(scheme)
        .host(self.get("PUSHER_HOST").unwrap_or("127.0.0.1"))
        .port(self.number("PUSHER_PORT", default_port)?);
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
