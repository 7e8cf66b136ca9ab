//! Where apps come from, and what holds where two sources have the same.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use super::App;
use super::registry::{Registry, Taken};

/// Where apps come from, the strongest first: a later one cannot take an id or a key that an earlier one has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The configuration: its file, and the variables that name an app.
    Configuration,
    /// The database that the configuration names, or the one that the relay keeps itself.
    Database,
}

impl Source {
    /// All of them, in their order.
    pub const ALL: [Self; 2] = [Self::Configuration, Self::Database];
}

/// As the log names it.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Configuration => "the configuration",
            Self::Database => "the database",
        })
    }
}

/// The apps of every source, as each last was.
#[derive(Debug, Default)]
pub struct Sources {
    latest: [Vec<Arc<App>>; Source::ALL.len()],
}

/// An app that is not served, as an earlier source, or an app before it in its own, has its id or one of its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where it comes from.
    pub source: Source,
    /// Its id.
    pub id: Box<str>,
    /// What is taken.
    pub taken: Taken,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, id, taken } = self;
        write!(f, "app `{id}` of {source} is not served: ")?;
        match taken {
            Taken::Id => f.write_str("another app has its id"),
            Taken::Key(key) => write!(f, "another app has its key `{key}`"),
        }
    }
}

impl Sources {
    /// These are the apps of the source from now on.
    pub fn set(&mut self, source: Source, apps: Vec<Arc<App>>) {
        self.latest[source as usize] = apps;
    }

    /// Whether the source has an app with this id. It is the one that is served, if the source is the strongest.
    pub fn has(&self, source: Source, id: &str) -> bool {
        self.latest[source as usize]
            .iter()
            .any(|app| *app.id == *id)
    }

    /// The ids of a source's apps.
    pub fn ids(&self, source: Source) -> HashSet<Box<str>> {
        let apps = self.latest[source as usize].iter();
        apps.map(|app| app.id.clone()).collect()
    }

    /// The apps that are served, and those that are not.
    pub fn merged(&self) -> (Registry, Vec<Refused>) {
        merge(Source::ALL.into_iter().zip(&self.latest))
    }
}

/// The apps of the sources, the strongest first, each as a whole or not at all.
fn merge<'a>(
    sources: impl Iterator<Item = (Source, &'a Vec<Arc<App>>)>,
) -> (Registry, Vec<Refused>) {
    let mut registry = Registry::default();
    let mut refused = Vec::new();
    for (source, apps) in sources {
        for app in apps {
            if let Err(taken) = registry.add(Arc::clone(app)) {
                let id = app.id.clone();
                refused.push(Refused { source, id, taken });
            }
        }
    }
    (registry, refused)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;
    use crate::apps::Keys;
    use crate::auth::Signer;

    fn app(id: u8, keys: &[u8]) -> Arc<App> {
        let mut pairs = keys
            .iter()
            .map(|key| Signer::new(&format!("k{key}"), b"secret"));
        let first = pairs.next().unwrap();
        let id = format!("a{id}");
        Arc::new(App {
            keys: Keys::new(first.clone(), pairs.collect()),
            ..App::new(id, first)
        })
    }

    fn merged(lists: &[Vec<Arc<App>>]) -> (Registry, Vec<Refused>) {
        merge(lists.iter().map(|apps| (Source::Configuration, apps)))
    }

    #[test]
    fn a_later_source_takes_neither_id_nor_key_of_an_earlier_one() {
        let first = vec![app(1, &[1]), app(2, &[2, 3])];
        let second = vec![app(1, &[4]), app(3, &[5, 3]), app(4, &[4])];
        let (registry, refused) = merged(&[first.clone(), second]);
        let ids: Vec<&str> = registry.iter().map(|app| &*app.id).collect();
        assert_eq!(ids, ["a1", "a2", "a4"]);
        assert!(Arc::ptr_eq(registry.by_id("a1").unwrap(), &first[0]));
        assert!(registry.by_key("k5").is_none(), "of a refused app");
        let lines: Vec<String> = refused.iter().map(Refused::to_string).collect();
        assert_eq!(
            lines,
            [
                "app `a1` of the configuration is not served: another app has its id",
                "app `a3` of the configuration is not served: another app has its key `k3`",
            ]
        );
    }

    type Plain = Vec<Vec<(u8, Vec<u8>)>>;

    fn sources() -> impl Strategy<Value = Plain> {
        let keys = prop::collection::btree_set(0..12_u8, 1..4);
        let app = (0..8_u8, keys.prop_map(|keys| keys.into_iter().collect()));
        prop::collection::vec(prop::collection::vec(app, 0..6), 0..4)
    }

    proptest! {
        /// The model: who comes first has what it names, and nobody has a part of what it names.
        #[test]
        fn whoever_comes_first_has_it(plain in sources()) {
            let (mut ids, mut keys, mut expected) = (HashSet::new(), HashMap::new(), Vec::new());
            let mut refused = 0;
            for (id, own) in plain.iter().flatten() {
                if ids.contains(id) || own.iter().any(|key| keys.contains_key(key)) {
                    refused += 1;
                    continue;
                }
                ids.insert(*id);
                keys.extend(own.iter().map(|key| (*key, *id)));
                expected.push(format!("a{id}"));
            }
            let lists: Vec<Vec<Arc<App>>> = plain
                .iter()
                .map(|apps| apps.iter().map(|(id, keys)| app(*id, keys)).collect())
                .collect();
            let (registry, left) = merged(&lists);
            let served: Vec<String> = registry.iter().map(|app| app.id.to_string()).collect();
            prop_assert_eq!(served, expected);
            prop_assert_eq!(left.len(), refused);
            for key in 0..12_u8 {
                let found = registry.by_key(&format!("k{key}"));
                let owner = found.map(|(app, _)| app.id.to_string());
                prop_assert_eq!(owner, keys.get(&key).map(|id| format!("a{id}")));
            }
        }
    }
}
