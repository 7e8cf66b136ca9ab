//! What is laid over the file: the environment, and flags over that.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::keys::{SINGLE, nearest};
use super::{ConfigError, Origin};

/// What a configuration is made from.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The file that `--config` names.
    pub config_file: Option<PathBuf>,
    /// The file that `--env-file` names.
    pub env_file: Option<PathBuf>,
    /// Where `config.toml` is looked for when nothing names a file.
    pub directory: PathBuf,
    /// The environment.
    pub environment: BTreeMap<String, String>,
    /// Flags, each a key set by hand.
    pub flags: Vec<Flag>,
}

/// A flag that sets a key.
#[derive(Clone, Debug)]
pub struct Flag {
    /// As it is typed, with its dashes.
    pub name: &'static str,
    /// The key it sets, such as `server.listen`.
    pub key: &'static str,
    /// What it sets the key to.
    pub value: String,
}

/// Begins the name of every variable that sets a key: `FANFARE_SERVER__LISTEN` is
/// `server.listen`.
const PREFIX: &str = "FANFARE_";

/// Values given as text by key, the strongest source's each.
#[derive(Debug)]
pub(super) struct Overrides<'a>(BTreeMap<String, (&'a str, Origin)>);

impl<'a> Overrides<'a> {
    /// Refuses variables that look like a key's and are none.
    pub(super) fn new(sources: &'a Sources) -> Result<Self, ConfigError> {
        let mut values = BTreeMap::new();
        for (name, value) in &sources.environment {
            if let Some(key) = key_of(name)? {
                values.insert(key, (value.as_str(), Origin::Variable(name.clone())));
            }
        }
        for flag in &sources.flags {
            values.insert(
                flag.key.into(),
                (flag.value.as_str(), Origin::Flag(flag.name)),
            );
        }
        Ok(Self(values))
    }

    pub(super) fn get(&self, key: &str) -> Option<(&'a str, Origin)> {
        self.0.get(key).cloned()
    }

    /// The names of the variables that set a key.
    pub(super) fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.values().filter_map(|(_, origin)| match origin {
            Origin::Variable(name) => Some(name.as_str()),
            _ => None,
        })
    }
}

/// The key that a variable sets.
///
/// Names without `__` are left alone unless they are a key with the underscores wrong: container
/// platforms add the likes of `FANFARE_PORT` and `FANFARE_SERVICE_HOST` on their own.
fn key_of(name: &str) -> Result<Option<String>, ConfigError> {
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return Ok(None);
    };
    let key = rest.replace("__", ".").to_ascii_lowercase();
    if variables().any(|known| known == name) {
        return Ok(Some(key));
    }
    let one_underscore = variables().find(|known| known.replace("__", "_") == name);
    if !rest.contains("__") && one_underscore.is_none() {
        return Ok(None);
    }
    let known: Vec<String> = variables().collect();
    let near = one_underscore
        .as_deref()
        .or_else(|| nearest(name, known.iter().map(String::as_str)));
    let hint = match near {
        Some(near) => format!("did you mean `{near}`?"),
        None if key.starts_with("apps") => {
            "expected apps in a configuration file, or PUSHER_APP_ID, PUSHER_APP_KEY and \
             PUSHER_APP_SECRET"
                .into()
        }
        None => format!(
            "expected {PREFIX}SECTION__KEY of the sections {}",
            sections()
        ),
    };
    Err(ConfigError::UnknownKey {
        origin: Origin::Variable(name.into()),
        key,
        hint,
    })
}

/// The names of all sections that variables reach, as they stand in variables.
fn sections() -> String {
    let names: Vec<String> = SINGLE
        .iter()
        .map(|(section, _)| section.replace('.', "__"))
        .collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

/// The variables of all keys that have one.
fn variables() -> impl Iterator<Item = String> {
    SINGLE.iter().flat_map(|(section, keys)| {
        let section = section.replace('.', "__").to_uppercase();
        keys.iter()
            .map(move |key| format!("{PREFIX}{section}__{}", key.to_uppercase()))
    })
}
