//! All apps, found by id or key.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::App;
use crate::auth::Signer;

/// All apps of the relay. It is complete and cannot fail: `None` means that there is no such
/// app. A disabled app is found.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    apps: Vec<Arc<App>>,
    by_id: FxHashMap<Box<str>, usize>,
    by_key: FxHashMap<Box<str>, (usize, usize)>,
}

/// What an app cannot have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Taken {
    /// Its id.
    #[error("another app has its id")]
    Id,
    /// This key.
    #[error("another app has its key `{0}`")]
    Key(Box<str>),
}

/// Two apps cannot be distinguished. Apps are meant by their index in what was given to
/// [`Registry::new`], key pairs by app and place in its [`Keys`](super::Keys).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DuplicateApp {
    /// An id is taken.
    #[error("two apps have the id `{id}`")]
    Id {
        /// The id.
        id: Box<str>,
        /// The app that has it.
        first: usize,
        /// The app that has it, too.
        second: usize,
    },
    /// A key is taken, in the same app or another one.
    #[error("two key pairs have the key `{key}`")]
    Key {
        /// The key.
        key: Box<str>,
        /// The pair that has it.
        first: (usize, usize),
        /// The pair that has it, too.
        second: (usize, usize),
    },
}

impl Registry {
    /// A registry of these apps.
    pub fn new(apps: Vec<App>) -> Result<Self, DuplicateApp> {
        let mut registry = Self::default();
        for (index, app) in apps.into_iter().enumerate() {
            let app = Arc::new(app);
            registry
                .add(Arc::clone(&app))
                .map_err(|taken| registry.duplicate(&taken, &app, index))?;
        }
        Ok(registry)
    }

    /// Adds an app, unless another one, or itself, has its id or one of its keys: then nothing is added.
    pub fn add(&mut self, app: Arc<App>) -> Result<(), Taken> {
        if self.by_id.contains_key(&app.id) {
            return Err(Taken::Id);
        }
        let index = self.apps.len();
        for (place, pair) in app.keys.iter().enumerate() {
            let is_own = |pair: &Signer| pair.key() == app.keys[place].key();
            if self.by_key.contains_key(pair.key()) || app.keys[..place].iter().any(is_own) {
                return Err(Taken::Key(pair.key().into()));
            }
        }
        for (place, pair) in app.keys.iter().enumerate() {
            self.by_key.insert(pair.key().into(), (index, place));
        }
        self.by_id.insert(app.id.clone(), index);
        self.apps.push(app);
        Ok(())
    }

    /// What an app, the next one, has in common with those before it or with itself.
    fn duplicate(&self, taken: &Taken, app: &App, index: usize) -> DuplicateApp {
        match taken {
            Taken::Id => DuplicateApp::Id {
                id: app.id.clone(),
                first: self.by_id[&app.id],
                second: index,
            },
            Taken::Key(key) => {
                let own = || app.keys.iter().enumerate();
                let mut places = own().filter(|(_, pair)| pair.key() == &**key);
                let mut place = || places.next().map_or(0, |(place, _)| place);
                let (first, second) = match self.by_key.get(key) {
                    Some(known) => (*known, (index, place())),
                    None => ((index, place()), (index, place())),
                };
                DuplicateApp::Key {
                    key: key.clone(),
                    first,
                    second,
                }
            }
        }
    }

    /// The app with this id.
    pub fn by_id(&self, id: &str) -> Option<&Arc<App>> {
        self.by_id.get(id).map(|&index| &self.apps[index])
    }

    /// The app that this key, one of its pairs, belongs to, and the pair's place in its
    /// [`Keys`](super::Keys).
    #[cfg(test)]
    pub fn by_key(&self, key: &str) -> Option<(&Arc<App>, usize)> {
        self.by_key
            .get(key)
            .map(|&(index, place)| (&self.apps[index], place))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.apps.len()
    }

    /// All apps, in the order they were given.
    pub fn iter(&self) -> std::slice::Iter<'_, Arc<App>> {
        self.apps.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Keys;
    use super::*;

    fn app(id: &str, keys: &[&str]) -> App {
        let mut pairs = keys.iter().map(|key| Signer::new(key, b"secret"));
        let first = pairs.next().unwrap();
        App {
            keys: Keys::new(first, pairs.collect()),
            ..App::new(id, Signer::new("unused", b"unused"))
        }
    }

    #[test]
    fn apps_are_found_by_id_and_by_each_of_their_keys() {
        let registry = Registry::new(vec![app("1", &["a", "b"]), app("2", &["c"])]).unwrap();
        assert_eq!(&*registry.by_id("2").unwrap().id, "2");
        let (found, place) = registry.by_key("b").unwrap();
        assert_eq!((&*found.id, place), ("1", 1));
        assert!(registry.by_id("a").is_none() && registry.by_key("1").is_none());
        let ids: Vec<&str> = registry.iter().map(|app| &*app.id).collect();
        assert_eq!(ids, ["1", "2"]);
    }

    #[test]
    fn a_disabled_app_is_found() {
        let disabled = App {
            enabled: false,
            ..app("1", &["a"])
        };
        let registry = Registry::new(vec![disabled]).unwrap();
        assert!(!registry.by_key("a").unwrap().0.enabled);
    }

    #[test]
    fn ids_and_keys_are_unique() {
        assert_eq!(
            Registry::new(vec![app("1", &["a"]), app("1", &["b"])]).unwrap_err(),
            DuplicateApp::Id {
                id: "1".into(),
                first: 0,
                second: 1
            }
        );
        assert_eq!(
            Registry::new(vec![app("1", &["a", "b"]), app("2", &["c", "b"])]).unwrap_err(),
            DuplicateApp::Key {
                key: "b".into(),
                first: (0, 1),
                second: (1, 1)
            }
        );
    }
}
