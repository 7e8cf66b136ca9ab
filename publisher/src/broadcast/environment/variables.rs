//! The variables that are read, and what their values stand for.

use std::collections::HashMap;

use crate::Invalid;

/// All that is read here.
const VARIABLES: [&str; 23] = [
    "BROADCAST_CONNECTION",
    "BROADCAST_DRIVER",
    "PUSHER_URL",
    "PUSHER_APP_ID",
    "PUSHER_APP_KEY",
    "PUSHER_APP_SECRET",
    "PUSHER_APP_CLUSTER",
    "PUSHER_HOST",
    "PUSHER_PORT",
    "PUSHER_SCHEME",
    "PUSHER_ENCRYPTION_MASTER_KEY_BASE64",
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

/// What this process's environment has of the variables that are read here. The error names one
/// that is not UTF-8.
pub(in crate::broadcast) fn of_process() -> Result<HashMap<String, String>, Invalid> {
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
pub(in crate::broadcast) struct Environment<'a>(&'a HashMap<String, String>);

impl<'a> Environment<'a> {
    pub(in crate::broadcast) fn new(variables: &'a HashMap<String, String>) -> Self {
        Self(variables)
    }

    /// A variable as it is.
    pub(super) fn raw(self, variable: &str) -> Option<&'a str> {
        debug_assert!(VARIABLES.contains(&variable), "{variable} is not listed");
        self.0.get(variable).map(String::as_str)
    }

    /// A variable that stands for something.
    pub(super) fn get(self, variable: &str) -> Option<&'a str> {
        self.raw(variable)
            .filter(|value| !value.is_empty() && !is_null(value))
    }

    /// A variable that must be there.
    pub(super) fn required(self, variable: &'static str) -> Result<&'a str, Invalid> {
        self.get(variable)
            .ok_or_else(|| Invalid::new(variable, "is not set"))
    }

    /// A number, or the default.
    pub(super) fn number<T: std::str::FromStr>(
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
pub(super) fn is_null(value: &str) -> bool {
    matches!(
        value.to_ascii_lowercase().as_str(),
        "null" | "(null)" | "empty" | "(empty)"
    )
}
