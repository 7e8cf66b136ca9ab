//! What a restart is needed for.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};

use toml::de::{DeTable, DeValue};

use super::overrides::Overrides;

/// What holds without a restart: whole tables, and single keys.
const AT_ONCE: &[&str] = &[
    "apps",
    "log.level",
    "admin.token",
    "admin.token_file",
    "admin.tokens_file",
];

/// What the file sets that holds only from the next start on, each key with what shows whether its value is another
/// one. Keys that the environment or a flag sets are left out, as the file's values for them never hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Fixed(BTreeMap<String, u64>);

impl Fixed {
    pub(super) fn of(table: Option<&DeTable<'_>>, overrides: &Overrides<'_>) -> Self {
        let mut keys = BTreeMap::new();
        if let Some(table) = table {
            add(table, "", overrides, &mut keys);
        }
        Self(keys)
    }

    /// The keys that are set otherwise than there, or only here or there.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let (here, there) = (&self.0, &other.0);
        let own = here
            .iter()
            .filter(|(key, value)| there.get(*key) != Some(value));
        let only_there = there.keys().filter(|key| !here.contains_key(*key));
        let mut keys: Vec<String> = own.map(|(key, _)| key).chain(only_there).cloned().collect();
        keys.sort();
        keys
    }
}

fn add(
    table: &DeTable<'_>,
    path: &str,
    overrides: &Overrides<'_>,
    keys: &mut BTreeMap<String, u64>,
) {
    for (key, value) in table {
        let key = key.get_ref();
        let key = if path.is_empty() {
            key.to_string()
        } else {
            format!("{path}.{key}")
        };
        if AT_ONCE.contains(&&*key) || overrides.get(&key).is_some() {
            continue;
        }
        match value.get_ref() {
            DeValue::Table(table) => add(table, &key, overrides, keys),
            value => {
                let mut hasher = DefaultHasher::new();
                hash(value, &mut hasher);
                keys.insert(key, hasher.finish());
            }
        }
    }
}

/// What a value is, wherever it stands in the file. Values may be secrets: no more is kept of them.
fn hash(value: &DeValue<'_>, hasher: &mut DefaultHasher) {
    match value {
        DeValue::String(text) => text.hash(hasher),
        DeValue::Integer(number) => number.to_string().hash(hasher),
        DeValue::Float(number) => number.to_string().hash(hasher),
        DeValue::Boolean(value) => value.hash(hasher),
        DeValue::Datetime(time) => time.to_string().hash(hasher),
        DeValue::Array(items) => {
            items.len().hash(hasher);
            for item in items.iter() {
                hash(item.get_ref(), hasher);
            }
        }
        DeValue::Table(table) => {
            table.len().hash(hasher);
            for (key, value) in table {
                key.get_ref().hash(hasher);
                hash(value.get_ref(), hasher);
            }
        }
    }
}
