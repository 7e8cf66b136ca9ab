//! Where apps come from, and what holds where two sources have the same.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use rustc_hash::FxHashMap;

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
    /// What others have of those that are not served, by their ids.
    taken: [FxHashMap<Box<str>, Taken>; Source::ALL.len()],
}

/// An app that is not served, as an earlier source, or another app of its own, has its id or one of its keys.
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
        write!(f, "app `{id}` of {source} is not served: {taken}")
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

    /// The apps that are served, and those that are not. `has` says whether the app with an id has a key so far: what
    /// others of its source come to name is no reason to take it from it.
    pub fn merged(&mut self, has: impl Fn(&str, &str) -> bool) -> (Registry, Vec<Refused>) {
        let (registry, refused) = merge(Source::ALL.into_iter().zip(&self.latest), has);
        self.taken = Default::default();
        for Refused { source, id, taken } in &refused {
            self.taken[*source as usize].insert(id.clone(), taken.clone());
        }
        (registry, refused)
    }

    /// What another app has of this one, if that is why it was not served when all were last merged.
    pub fn taken(&self, source: Source, id: &str) -> Option<&Taken> {
        self.taken[source as usize].get(id)
    }
}

/// What an app has to say for itself where others of its source name the same key, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// It accepts the key.
    Accepts,
    /// It signs with it.
    Signs,
    /// It has it so far.
    Has,
}

/// The apps of the sources, the strongest first, each as a whole or not at all.
fn merge<'a>(
    sources: impl Iterator<Item = (Source, &'a Vec<Arc<App>>)>,
    has: impl Fn(&str, &str) -> bool,
) -> (Registry, Vec<Refused>) {
    let mut registry = Registry::default();
    let mut refused = Vec::new();
    for (source, apps) in sources {
        for app in in_turn(apps, &has) {
            if let Err(taken) = registry.add(Arc::clone(app)) {
                let id = app.id.clone();
                refused.push(Refused { source, id, taken });
            }
        }
    }
    (registry, refused)
}

/// The apps of a source, those that name what is another one's after all others.
fn in_turn(apps: &[Arc<App>], has: impl Fn(&str, &str) -> bool) -> impl Iterator<Item = &Arc<App>> {
    let mut owners: FxHashMap<&str, (Claim, usize)> = FxHashMap::default();
    for (index, app) in apps.iter().enumerate() {
        for (place, pair) in app.keys.iter().enumerate() {
            let claim = match place {
                _ if has(&app.id, pair.key()) => Claim::Has,
                0 => Claim::Signs,
                _ => Claim::Accepts,
            };
            let owner = owners.entry(pair.key()).or_insert((claim, index));
            // Among equals the first has it.
            if claim > owner.0 {
                *owner = (claim, index);
            }
        }
    }
    let is_own = |index: usize, app: &App| {
        let mut pairs = app.keys.iter();
        pairs.all(|pair| owners[pair.key()].1 == index)
    };
    let all = apps.iter().enumerate();
    let (own, others): (Vec<_>, Vec<_>) = all.partition(|(index, app)| is_own(*index, app));
    own.into_iter().chain(others).map(|(_, app)| app)
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
        merged_after(lists, &Registry::default())
    }

    fn merged_after(lists: &[Vec<Arc<App>>], before: &Registry) -> (Registry, Vec<Refused>) {
        let sources = lists.iter().map(|apps| (Source::Configuration, apps));
        merge(sources, |id, key| {
            before.by_key(key).is_some_and(|(app, _)| *app.id == *id)
        })
    }

    fn ids(registry: &Registry) -> Vec<&str> {
        let mut ids: Vec<&str> = registry.iter().map(|app| &*app.id).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn a_key_is_that_of_the_app_which_signs_with_it_unless_another_one_has_it_so_far() {
        let (first, second) = (app(1, &[1, 2]), app(2, &[2]));
        let both = [vec![Arc::clone(&first), Arc::clone(&second)]];
        let (registry, refused) = merged(&both);
        assert_eq!(ids(&registry), ["a2"]);
        assert_eq!(refused[0].taken, Taken::Key("k2".into()));
        let (alone, _) = merged(&[vec![first]]);
        let (registry, _) = merged_after(&both, &alone);
        assert_eq!(ids(&registry), ["a1"]);
        // Nobody else wants what it had.
        let (registry, _) = merged_after(&[vec![app(1, &[1]), second]], &alone);
        assert_eq!(ids(&registry), ["a1", "a2"]);
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

    /// The apps of a source in the order in which they are taken.
    fn ordered(source: &[(u8, Vec<u8>)]) -> Vec<&(u8, Vec<u8>)> {
        let owner = |key: &u8| {
            let signs = source.iter().position(|(_, keys)| keys[0] == *key);
            signs.or_else(|| source.iter().position(|(_, keys)| keys.contains(key)))
        };
        let all = source.iter().enumerate();
        let (own, others): (Vec<_>, Vec<_>) =
            all.partition(|(index, (_, keys))| keys.iter().all(|key| owner(key) == Some(*index)));
        own.into_iter().chain(others).map(|(_, app)| app).collect()
    }

    proptest! {
        /// Whatever others a source comes to have, and wherever in it.
        #[test]
        fn an_app_that_is_served_goes_on(plain in sources(), others in sources()) {
            let of = |apps: &[(u8, Vec<u8>)], from: u8| -> Vec<Arc<App>> {
                apps.iter().map(|(id, keys)| app(id + from, keys)).collect()
            };
            // A source has an id once.
            let once: std::collections::BTreeMap<_, _> = plain.concat().into_iter().collect();
            let apps = of(&once.into_iter().collect::<Vec<_>>(), 0);
            let (before, _) = merged(std::slice::from_ref(&apps));
            let (after, _) = merged_after(&[[of(&others.concat(), 100), apps].concat()], &before);
            for app in before.iter() {
                let found = after.by_id(&app.id);
                prop_assert!(found.is_some_and(|found| Arc::ptr_eq(found, app)));
            }
        }

        /// The model: who comes first has what it names, and nobody has a part of what it names.
        #[test]
        fn whoever_comes_first_has_it(plain in sources()) {
            let (mut ids, mut keys, mut expected) = (HashSet::new(), HashMap::new(), Vec::new());
            let mut refused = 0;
            for (id, own) in plain.iter().flat_map(|source| ordered(source)) {
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
