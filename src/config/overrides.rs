//! What is laid over the file: the environment, and flags over that.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::variables::key_of;
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

/// Values given as text by key, the strongest source's each.
#[derive(Debug)]
pub(super) struct Overrides<'a>(BTreeMap<String, (&'a str, Origin)>);

impl<'a> Overrides<'a> {
    /// Refuses variables that look like a key's and are none.
    pub(super) fn new(sources: &'a Sources) -> Result<Self, ConfigError> {
        let mut values = BTreeMap::new();
        for (name, value) in &sources.environment {
            if let Some(key) = key_of(name, value)? {
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
