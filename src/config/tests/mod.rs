//! Configurations from files, variables and flags, written down briefly.

mod acme;
mod admin;
mod apps_of_the_environment;
mod cluster;
mod development_credentials;
mod laravel_redis;
mod layers;
mod listeners;
mod mistakes;
mod secrets;
mod shipped_file;
mod shown;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::auth::Signer;

/// The configuration that comes with the relay.
const SHIPPED: &str = include_str!("../../../config.toml");

/// A directory that is gone when the test is over.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("fanfare-config-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &(impl AsRef<[u8]> + ?Sized)) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Sources that are easy to write down; files are in a directory of their own.
struct Setting {
    directory: Directory,
    sources: Sources,
}

impl Setting {
    fn new() -> Self {
        let directory = Directory::new();
        let sources = Sources {
            directory: directory.0.clone(),
            ..Sources::default()
        };
        Self { directory, sources }
    }

    fn file(mut self, text: &(impl AsRef<[u8]> + ?Sized)) -> Self {
        self.sources.config_file = Some(self.directory.write("relay.toml", text));
        self
    }

    fn env_file(mut self, text: &(impl AsRef<[u8]> + ?Sized)) -> Self {
        self.sources.env_file = Some(self.directory.write(".env", text));
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.insert(name.into(), value.into());
        self
    }

    fn flag(mut self, name: &'static str, key: &'static str, value: &str) -> Self {
        self.sources.flags.push(Flag {
            name,
            key,
            value: value.into(),
        });
        self
    }

    fn load(&self) -> Config {
        load(&self.sources).unwrap().config
    }

    /// The one line that says what is wrong, with paths as seen from the directory.
    fn mistake(&self) -> String {
        let line = load(&self.sources).unwrap_err().to_string();
        assert!(!line.contains('\n'), "{line}");
        line.replace(&format!("{}/", self.directory.0.display()), "")
    }
}

/// The line for a file with this mistake in it.
fn mistake_in(text: &(impl AsRef<[u8]> + ?Sized)) -> String {
    Setting::new().file(text).mistake()
}

/// A file with one good app and these lines behind its credentials.
fn with_app(lines: &str) -> String {
    format!("[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = \"s3cr3t\"\n{lines}")
}

fn ids(config: &Config) -> Vec<&str> {
    config.apps.iter().map(|app| &*app.id).collect()
}

/// Every key is read: a value that no key takes is refused wherever it stands.
#[test]
fn every_known_key_is_read_and_checked() {
    let wrong = "= 1979-05-27";
    for (section, known) in keys::SINGLE {
        for key in *known {
            let line = mistake_in(&format!("[{section}]\n{key} {wrong}"));
            assert!(
                line.starts_with(&format!("relay.toml:2: {section}.{key}: expected ")),
                "{line}"
            );
        }
    }
    for key in keys::APP
        .iter()
        .filter(|key| !["id", "key", "secret"].contains(key))
    {
        let line = mistake_in(&with_app(&format!("{key} {wrong}")));
        assert!(
            line.starts_with(&format!("relay.toml:5: apps[0].{key}: expected ")),
            "{line}"
        );
    }
    for key in keys::WEBHOOK {
        let good = [("url", "\"http://a\""), ("events", "[\"cache_miss\"]")];
        let others = good.iter().filter(|(other, _)| other != key);
        let others: String = others
            .map(|(key, value)| format!("{key} = {value}, "))
            .collect();
        let line = mistake_in(&with_app(&format!(
            "webhooks = [{{ {others}{key} {wrong} }}]"
        )));
        let start = format!("relay.toml:5: apps[0].webhooks[0].{key}: expected ");
        assert!(line.starts_with(&start), "{line}");
    }
    for key in keys::LIMITS {
        let line = mistake_in(&with_app(&format!("[apps.limits]\n{key} {wrong}")));
        let start = format!("relay.toml:6: apps[0].limits.{key}: expected ");
        assert!(line.starts_with(&start), "{line}");
    }
}

proptest::proptest! {
    /// Any file is taken or gets its one line.
    #[test]
    fn any_file_is_judged_without_panic(text in "([\\[\\]a-z= \"'#{}.0-9é]{0,12}\n?){0,6}", cut in 0..SHIPPED.len()) {
        for text in [text.as_str(), SHIPPED.get(..cut).unwrap_or_default()] {
            if let Err(error) = load(&Setting::new().file(text).sources) {
                proptest::prop_assert!(!error.to_string().contains('\n'), "{}", error);
            }
        }
    }
}

#[test]
fn numbers_may_be_written_as_toml_allows() {
    let text = "[server]\nactivity_timeout = 1_000\npong_timeout = 0x10\nworkers = +2";
    let server = Setting::new().file(text).load().server;
    assert_eq!(server.activity_timeout.as_secs(), 1000);
    assert_eq!(server.pong_timeout.as_secs(), 16);
    assert_eq!(server.workers, Some(2));
}

#[test]
fn key_rotation_keeps_the_first_pair_for_signing() {
    let text = with_app("extra_keys = [{ key = \"old\", secret = \"older\" }]");
    let config = Setting::new().file(&text).load();
    let (app, place) = config.apps.by_key("old").unwrap();
    assert_eq!((app.keys.signing().key(), place), ("k", 1));
}

#[test]
fn relative_files_are_named_as_they_were_given() {
    let sources = Sources {
        config_file: Some(Path::new("no/such.toml").into()),
        ..Sources::default()
    };
    let line = load(&sources).unwrap_err().to_string();
    assert!(line.starts_with("no/such.toml: cannot be read"), "{line}");
}
