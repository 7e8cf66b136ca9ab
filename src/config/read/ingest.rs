//! What comes in otherwise than over the HTTP API.

use super::super::ConfigError;
use super::super::keys::{INGEST, LARAVEL_REDIS};
use super::super::section::Section;
use super::super::settings::Cluster;
use crate::apps::Registry;
use crate::ingest::laravel_redis::{RedisServer, Settings};

const URL: &str = "a URL such as redis://127.0.0.1:6379/0 or redis://user:password@host:6379/0";
const PREFIX: &str = "a text, or nothing where Laravel has no prefix";

/// What is taken in of Laravel's `redis` driver, for one of the apps.
pub(in crate::config) fn laravel_redis(
    root: &Section<'_>,
    apps: &Registry,
    has_database: bool,
    cluster: &Cluster,
) -> Result<Settings, ConfigError> {
    let section = root
        .child("ingest", INGEST)?
        .child("laravel_redis", LARAVEL_REDIS)?;
    let default = Settings::default();
    let enabled = section.switch("enabled", default.enabled)?;
    let prefix = section
        .text("prefix", PREFIX, |text| Some(text.into()))?
        .unwrap_or(default.prefix);
    if let (true, Cluster::Redis(cluster)) = (enabled, cluster)
        && prefix.starts_with(&*cluster.prefix)
    {
        let expected = "a text that does not begin with cluster.prefix, as what does is left out";
        return Err(section.invalid("prefix", expected, format!("{prefix:?}")));
    }
    Ok(Settings {
        enabled,
        url: url(&section)?.unwrap_or(default.url),
        prefix,
        app: app(&section, apps, has_database, enabled)?,
    })
}

/// It may hold a password.
fn url(section: &Section<'_>) -> Result<Option<RedisServer>, ConfigError> {
    if !section.has("url") {
        return Ok(None);
    }
    let url = section.secret("url", URL, |text| RedisServer::parse(text).is_ok())?;
    Ok(RedisServer::parse(&url).ok())
}

/// The id of the app that is named, which may be one of the database, or of the only one.
fn app(
    section: &Section<'_>,
    apps: &Registry,
    has_database: bool,
    needed: bool,
) -> Result<Box<str>, ConfigError> {
    const KEY: &str = "app";
    let ids: Vec<&str> = apps.iter().map(|app| &*app.id).collect();
    let expected = format!("the id of one of the apps: {}", ids.join(", "));
    let named = section.text(KEY, &expected, |text| {
        (text.is_empty() || has_database || ids.contains(&text)).then(|| text.to_owned())
    })?;
    match (named.filter(|id| !id.is_empty()), &ids[..]) {
        (Some(id), _) => Ok(id.into()),
        (None, [only]) if !has_database => Ok((*only).into()),
        (None, _) if needed => Err(if section.has(KEY) {
            section.invalid(KEY, expected, "nothing")
        } else {
            section.missing(KEY, &expected)
        }),
        (None, _) => Ok("".into()),
    }
}
