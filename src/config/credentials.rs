//! An app's id, key and secret in `PUSHER_APP_*` variables, as Laravel projects have them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::dotenv::{self, Entry};
use super::section::Place;
use super::{ConfigError, Origin};

const ID: &str = "PUSHER_APP_ID";
const KEY: &str = "PUSHER_APP_KEY";
const SECRET: &str = "PUSHER_APP_SECRET";

/// What opens one app. The secret is in clear text; it must not be printed.
pub(super) struct Credentials {
    pub(super) id: String,
    pub(super) key: String,
    pub(super) secret: String,
    pub(super) places: Places,
}

/// Where each part is given.
pub(super) struct Places {
    pub(super) id: Place,
    pub(super) key: Place,
    pub(super) secret: Place,
}

/// The variables of a `.env` file.
pub struct EnvFile {
    path: PathBuf,
    entries: Vec<Entry>,
}

impl EnvFile {
    /// Reads a file. Lines that are no assignments are passed over, and bytes that are no text
    /// stand for themselves until somebody asks for their variable: most of a project's settings
    /// are none of the relay's business.
    pub fn read(path: &Path, environment: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        let bytes = fs::read(path).map_err(|reason| ConfigError::Unreadable {
            path: path.into(),
            reason,
        })?;
        Ok(Self {
            path: path.into(),
            entries: dotenv::parse(&String::from_utf8_lossy(&bytes), environment),
        })
    }

    /// A variable's value, if it has one that is not empty.
    pub fn get(&self, name: &str) -> Result<Option<&str>, ConfigError> {
        let Some(entry) = self.entry(name) else {
            return Ok(None);
        };
        match &entry.value {
            Ok(value) if value.contains(char::REPLACEMENT_CHARACTER) => Err(self
                .place(name)
                .invalid("text in UTF-8", "bytes that are none")),
            Ok(value) => Ok(Some(value.as_str()).filter(|value| !value.is_empty())),
            Err(malformed) => Err(self
                .place(name)
                .invalid(malformed.expected, malformed.found)),
        }
    }

    /// The last assignment holds.
    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.name == name)
    }

    fn place(&self, name: &str) -> Place {
        let path = self.path.clone();
        let origin = match self.entry(name) {
            Some(entry) => Origin::File {
                path,
                line: entry.line,
            },
            None => Origin::WholeFile(path),
        };
        Place {
            origin,
            key: name.into(),
        }
    }
}

/// The credentials in the environment, if there are any.
pub(super) fn in_environment(
    environment: &BTreeMap<String, String>,
) -> Result<Option<Credentials>, ConfigError> {
    let get = |name: &str| {
        environment
            .get(name)
            .cloned()
            .filter(|value| !value.is_empty())
    };
    let place = |name: &str| Place {
        origin: Origin::Environment,
        key: name.into(),
    };
    complete([get(ID), get(KEY), get(SECRET)], place)
}

/// The credentials in a file that was named for having them.
pub(super) fn in_file(file: &EnvFile) -> Result<Credentials, ConfigError> {
    let get = |name: &str| Ok::<_, ConfigError>(file.get(name)?.map(str::to_owned));
    let found = complete([get(ID)?, get(KEY)?, get(SECRET)?], |name| file.place(name))?;
    found.ok_or_else(|| missing(file.place(ID)))
}

/// All three parts or none; some of them are a mistake.
fn complete(
    parts: [Option<String>; 3],
    place: impl Fn(&str) -> Place,
) -> Result<Option<Credentials>, ConfigError> {
    match parts {
        [None, None, None] => Ok(None),
        [Some(id), Some(key), Some(secret)] => Ok(Some(Credentials {
            id,
            key,
            secret,
            places: Places {
                id: place(ID),
                key: place(KEY),
                secret: place(SECRET),
            },
        })),
        [None, _, _] => Err(missing(place(ID))),
        [_, None, _] => Err(missing(place(KEY))),
        [_, _, None] => Err(missing(place(SECRET))),
    }
}

fn missing(place: Place) -> ConfigError {
    ConfigError::Missing {
        origin: place.origin,
        key: place.key,
        expected: format!("{ID}, {KEY} and {SECRET}, each not empty"),
    }
}
