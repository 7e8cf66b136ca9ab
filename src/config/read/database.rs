//! The database that apps come from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::apps::read_secret;
use crate::config::ConfigError;
use crate::config::section::Section;
use crate::database::{DatabaseUrl, Place, Schema, Settings, Table};

const URL: &str = "sqlite://FILE, postgres://user:password@host/name or mysql://user:password@host/name, or nothing";
const URL_FILE: &str = "the path of a file that holds the URL and that can be read";
const SCHEMA: &str = "`fanfare` or `soketi`";
const TABLE: &str =
    "a table's name of letters, digits and `_`, perhaps behind that of its schema and a dot";
/// The file of the embedded database, in `server.state_dir`.
const EMBEDDED: &str = "apps.db";
/// soketi's own default.
const SOKETI_TABLE: &str = "apps";

/// Where apps come from beside the configuration.
pub(in crate::config) fn database(
    section: &Section<'_>,
    state_dir: &Path,
) -> Result<Settings, ConfigError> {
    let is_soketi = section.text("schema", SCHEMA, |text| match text {
        "fanfare" => Some(false),
        "soketi" => Some(true),
        _ => None,
    })?;
    let is_soketi = is_soketi.unwrap_or(false);
    let table = section.text("table", TABLE, |text| match text {
        "" => Some(None),
        text => Table::parse(text).map(Some),
    })?;
    let table = table.flatten();
    if table.is_some() && !is_soketi {
        let expected = "nothing, unless apps_database.schema is `soketi`";
        return Err(section.invalid("table", expected, "a name"));
    }
    let url = url(section)?;
    if url.is_none() && is_soketi {
        return Err(section.missing("url", URL));
    }
    let place = match url {
        Some(url) => Place::Url(url),
        None => Place::Embedded(state_dir.join(EMBEDDED)),
    };
    let default = Settings::new(place);
    let soketi_table = || Table::parse(SOKETI_TABLE).expect("it is a plain name");
    let poll = default.poll.as_millis() as u64;
    Ok(Settings {
        schema: if is_soketi {
            Schema::Soketi(table.unwrap_or_else(soketi_table))
        } else {
            Schema::Fanfare
        },
        poll: section
            .whole("poll_ms", poll, 50..=3_600_000)
            .map(Duration::from_millis)?,
        max_apps: section.whole("max_apps", default.max_apps, 1..=1_000_000)?,
        ..default
    })
}

/// What is wrong with a URL may hold a password: it is not shown.
fn url(section: &Section<'_>) -> Result<Option<DatabaseUrl>, ConfigError> {
    let path = section.text("url_file", URL_FILE, |text| Some(PathBuf::from(text)))?;
    let given = if section.has("url") {
        section.secret("url", URL, |text| {
            text.is_empty() || DatabaseUrl::parse(text).is_ok()
        })
    } else {
        Ok(String::new())
    };
    let Some(path) = path.filter(|path| !path.as_os_str().is_empty()) else {
        // Nothing is as good as no key.
        return match given {
            Ok(text) => Ok(DatabaseUrl::parse(&text).ok()),
            Err(error) => Err(error),
        };
    };
    if given.is_err() || given.is_ok_and(|text| !text.is_empty()) {
        let expected = "either `url` or `url_file`";
        return Err(section.invalid("url_file", expected, "both"));
    }
    let content = read_secret(&path).map_err(|error| {
        let found = format!("{}: {error}", path.display());
        section.invalid("url_file", URL_FILE, found)
    })?;
    let url = DatabaseUrl::parse(content.trim_end_matches(['\n', '\r'])).map_err(|_| {
        let found = format!("{} with another content", path.display());
        section.invalid("url_file", URL, found)
    })?;
    Ok(Some(url))
}
