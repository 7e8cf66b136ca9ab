//! What is laid over the file: the environment, and flags over that.

use std::collections::BTreeMap;

use super::references::Resolved;
use super::variables::key_of;
use super::{ConfigError, Origin, Sources};

/// Values given as text by key, the strongest source's each.
#[derive(Debug, Default)]
pub(super) struct Overrides<'a>(BTreeMap<String, (&'a str, Origin)>);

impl<'a> Overrides<'a> {
    /// Refuses variables that begin like a key's and are none, unless the file refers to them.
    pub(super) fn new(sources: &'a Sources, resolved: &Resolved) -> Result<Self, ConfigError> {
        let mut values = BTreeMap::new();
        for (name, value) in &sources.environment {
            if let Some(key) = key_of(name, value, resolved.refers_to(name))? {
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
