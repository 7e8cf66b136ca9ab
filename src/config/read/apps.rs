//! The apps: those of the file, and one whose credentials `PUSHER_APP_*` give.

use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::credentials::Credentials;
use super::super::keys::{APP, KEY_PAIR, KEY_PAIR_RECORD, LIMITS, RESUME};
use super::super::section::{Place, Section};
use super::super::{ConfigError, Listen, Origin};
use super::{is_path_segment, limits, resume, webhooks};
use crate::apps::{App, DuplicateApp, Keys, Origins, Registry};
use crate::auth::Signer;
use crate::webhooks::Settings;

/// Id, key and secret of the app that is served when none is configured.
const DEVELOPMENT: &str = "local";

const NAME: &str = "a text of 1 to 200 letters, digits, `-`, `_`, `.` and `~`";
const SECRET: &str = "a text that is not empty and has no blanks at its ends";
const SECRET_FILE: &str = "secret_file";
const SECRET_PATH: &str = "the path of a file that holds the secret and that can be read";
/// Bytes of a secret's file that are read.
const MOST_SECRET_BYTES: u64 = 64 << 10;
const TABLES: &str = "a list of tables, each begun by [[apps]]";
const PAIRS: &str = r#"a list of pairs such as [{ key = "…", secret = "…" }]"#;
const ORIGINS: &str = "a list of origins such as `https://example.com`, `*.example.com` or \
                       `localhost:3000`, without paths, international names as xn--…";

/// An app with what it takes to compare it with others and to speak of its mistakes.
pub(in crate::config) struct ReadApp {
    app: App,
    /// Where the id is given; also the app's own place.
    id: Place,
    pairs: Vec<ReadPair>,
}

/// A key pair with its secret in clear text; it must not be printed.
struct ReadPair {
    key: String,
    secret: String,
    /// The file that the secret was read from, if it was.
    file: Option<PathBuf>,
    place: Place,
}

/// The apps of the file.
pub(in crate::config) fn from_file(
    root: &Section<'_>,
    of_webhooks: &Settings,
) -> Result<Vec<ReadApp>, ConfigError> {
    root.children("apps", APP, TABLES)?
        .iter()
        .map(|section| app(section, KEY_PAIR, of_webhooks))
        .collect()
}

/// An app that does not come from the file.
pub(in crate::config) fn record(
    section: &Section<'_>,
    of_webhooks: &Settings,
) -> Result<App, ConfigError> {
    app(section, KEY_PAIR_RECORD, of_webhooks).map(|read| read.app)
}

fn app(
    section: &Section<'_>,
    of_pair: &[&str],
    of_webhooks: &Settings,
) -> Result<ReadApp, ConfigError> {
    let id = section.required("id", NAME, name)?;
    let mut pairs = vec![pair(section)?];
    for extra in section.children("extra_keys", of_pair, PAIRS)? {
        pairs.push(pair(&extra)?);
    }
    let origins = section.texts("allowed_origins", ORIGINS, |text| {
        Origins::new([text]).is_ok()
    })?;
    let authorized =
        section.seconds("authorized_connections_timeout", Duration::ZERO, 0..=86_400)?;
    let app = App {
        id: id.into(),
        enabled: section.switch("enabled", true)?,
        keys: keys(&pairs),
        client_events: section.switch("client_events", true)?,
        subscription_count: section.switch("subscription_count", false)?,
        allowed_origins: self::origins(origins, &pairs)
            .and_missing(section.switch("allow_missing_origin", false)?),
        secret_is_known: is_known(&pairs),
        watchlist: section.switch("watchlist", false)?,
        watchlist_grace: section.seconds("watchlist_grace", App::WATCHLIST_GRACE, 0..=3600)?,
        webhooks: webhooks::of_app(section, of_webhooks)?,
        authorized_connections_timeout: (!authorized.is_zero()).then_some(authorized),
        resume: resume::read(&section.child("resume", RESUME)?)?,
        limits: limits::read(&section.child("limits", LIMITS)?)?,
    };
    Ok(ReadApp {
        app,
        id: section.place("id"),
        pairs,
    })
}

/// The pages that may connect: those that are listed. A list that is empty means any, unless any
/// page could sign.
fn origins(patterns: Vec<&str>, pairs: &[ReadPair]) -> Origins {
    if patterns.is_empty() && is_known(pairs) {
        Origins::development()
    } else {
        Origins::new(patterns).expect("each pattern was tried")
    }
}

fn pair(section: &Section<'_>) -> Result<ReadPair, ConfigError> {
    let key = section.required("key", NAME, name)?;
    let (secret, file) = secret(section)?;
    Ok(ReadPair {
        key,
        secret,
        file,
        place: section.place("key"),
    })
}

/// The secret that is given, or that of a file, as containers are given theirs.
fn secret(section: &Section<'_>) -> Result<(String, Option<PathBuf>), ConfigError> {
    let path = section.text(SECRET_FILE, SECRET_PATH, |text| Some(PathBuf::from(text)))?;
    let Some(path) = path.filter(|path| !path.as_os_str().is_empty()) else {
        let secret = section.secret("secret", SECRET, is_secret)?;
        return Ok((secret, None));
    };
    if section.has("secret") {
        let expected = "either `secret` or `secret_file`";
        return Err(section.invalid(SECRET_FILE, expected, "both"));
    }
    let content = read_secret(&path).map_err(|error| {
        let found = format!("{}: {error}", path.display());
        section.invalid(SECRET_FILE, SECRET_PATH, found)
    })?;
    // Editors end a file with a line's end, and so does `echo`.
    let secret = content.strip_suffix('\n').unwrap_or(&content);
    let secret = secret.strip_suffix('\r').unwrap_or(secret);
    if !is_secret(secret) {
        let found = format!("{} with another content", path.display());
        let expected =
            "a file with a text on one line that is not empty and has no blanks at its ends";
        return Err(section.invalid(SECRET_FILE, expected, found));
    }
    Ok((secret.to_owned(), Some(path)))
}

/// A file that holds more is no secret's.
pub(super) fn read_secret(path: &Path) -> io::Result<String> {
    let mut content = String::new();
    let file = fs::File::open(path)?;
    file.take(MOST_SECRET_BYTES).read_to_string(&mut content)?;
    Ok(content)
}

/// The files that secrets were read from.
pub(in crate::config) fn secret_files(apps: &[ReadApp]) -> Vec<PathBuf> {
    let pairs = apps.iter().flat_map(|app| &app.pairs);
    pairs.filter_map(|pair| pair.file.clone()).collect()
}

fn keys(pairs: &[ReadPair]) -> Keys {
    let mut signers = pairs
        .iter()
        .map(|pair| Signer::new(&pair.key, pair.secret.as_bytes()));
    let signing = signers.next().expect("a pair is read for every app");
    Keys::new(signing, signers.collect())
}

/// Ids and keys stand in URLs as they are, and a key is set off by `:` in signatures.
fn name(text: &str) -> Option<String> {
    (text.len() <= 200 && is_path_segment(text)).then(|| text.to_owned())
}

/// A character that stands for bytes which were no text is no part of anybody's secret.
fn is_secret(text: &str) -> bool {
    let unfit = |c: char| c.is_control() || c == char::REPLACEMENT_CHARACTER;
    !text.is_empty() && text.trim() == text && !text.contains(unfit)
}

/// Adds the app that `PUSHER_APP_*` name, unless it is there already.
pub(in crate::config) fn add(
    apps: &mut Vec<ReadApp>,
    credentials: Credentials,
) -> Result<(), ConfigError> {
    let Credentials {
        id,
        key,
        secret,
        places,
    } = credentials;
    for (value, place) in [(&id, &places.id), (&key, &places.key)] {
        if name(value).is_none() {
            return Err(place.clone().invalid(NAME, format!("{value:?}")));
        }
    }
    if !is_secret(&secret) {
        return Err(places.secret.invalid(SECRET, "another text"));
    }
    if let Some(same) = apps.iter().find(|known| *known.app.id == *id) {
        let is_same = |pair: &ReadPair| pair.key == key && pair.secret == secret;
        if same.pairs.iter().any(is_same) {
            return Ok(());
        }
        let expected = format!(
            "the key and secret of app `{id}` as in {} ({})",
            same.id.origin, same.id.key
        );
        return Err(places.secret.invalid(expected, "others"));
    }
    let pairs = vec![ReadPair {
        key,
        secret,
        file: None,
        place: places.key,
    }];
    let app = App {
        allowed_origins: origins(Vec::new(), &pairs),
        secret_is_known: is_known(&pairs),
        ..App::new(id, keys(&pairs).signing().clone())
    };
    apps.push(ReadApp {
        app,
        id: places.id,
        pairs,
    });
    Ok(())
}

/// The registry of the apps, or of the development app if it is to be served; and where each app
/// comes from, none for the development app.
pub(in crate::config) fn registry(
    apps: Vec<ReadApp>,
    development: bool,
) -> Result<(Registry, Vec<Origin>), ConfigError> {
    if development {
        let alone = Registry::new(vec![development_app()]);
        return Ok((alone.expect("one app has no double"), Vec::new()));
    }
    let records = apps.iter().map(|read| read.app.clone()).collect();
    match Registry::new(records) {
        Ok(registry) => Ok((
            registry,
            apps.into_iter().map(|app| app.id.origin).collect(),
        )),
        Err(duplicate) => Err(blame(&duplicate, &apps)),
    }
}

/// The app that is served when none is configured.
fn development_app() -> App {
    let signer = Signer::new(DEVELOPMENT, DEVELOPMENT.as_bytes());
    App {
        allowed_origins: Origins::development(),
        secret_is_known: true,
        ..App::new(DEVELOPMENT, signer)
    }
}

fn blame(duplicate: &DuplicateApp, apps: &[ReadApp]) -> ConfigError {
    let (what, value, first, second) = match duplicate {
        DuplicateApp::Id { id, first, second } => {
            ("an id", id, &apps[*first].id, &apps[*second].id)
        }
        DuplicateApp::Key { key, first, second } => {
            let place = |(app, pair): (usize, usize)| &apps[app].pairs[pair].place;
            ("a key", key, place(*first), place(*second))
        }
    };
    second.clone().invalid(
        format!("{what} of its own"),
        format!(
            "{value:?}, which is that of {} ({})",
            first.key, first.origin
        ),
    )
}

/// Whether credentials that everybody knows open any of the apps.
pub(in crate::config) fn has_development_credentials(apps: &[ReadApp], development: bool) -> bool {
    development || apps.iter().any(|app| app.app.secret_is_known)
}

/// Whether everybody knows the secret of any of an app's pairs.
fn is_known(pairs: &[ReadPair]) -> bool {
    pairs.iter().any(|pair| pair.secret == DEVELOPMENT)
}

/// With credentials that everybody knows, no other machine may be admitted.
pub(in crate::config) fn stay_on_loopback(
    section: &Section<'_>,
    listen: &Listen,
) -> Result<(), ConfigError> {
    if listen.is_loopback() {
        return Ok(());
    }
    let expected = "a loopback address such as 127.0.0.1:6001 while the development credentials \
                    (secret `local`) are in use; to listen elsewhere, configure an app of your own";
    Err(section.invalid("listen", expected, listen.to_string()))
}
