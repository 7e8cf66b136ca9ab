//! Whom the node shares its channels with.

use std::path::PathBuf;
use std::time::Duration;

use super::super::ConfigError;
use super::super::section::{Listed, Section};
use super::super::settings::{Cluster, Role};
use crate::cluster::redis::{Settings, Target};

const DRIVER: &str = "`local` or `redis`";
const URL: &str = "redis://host:port/database, rediss://…, redis+sentinel://host:port,host:port/service, \
                   or a list of redis:// URLs of a Redis Cluster";
const PREFIX: &str = "a text of letters, digits and -_.:/, such as fanfare:";
const CERTIFICATES: &str = "the path of a PEM file, or nothing";

#[derive(Clone, Copy)]
enum Driver {
    Local,
    Redis,
}

pub(in crate::config) fn cluster(
    section: &Section<'_>,
    leave_delay: Duration,
) -> Result<Cluster, ConfigError> {
    let default = Settings::default();
    let driver = section.text("driver", DRIVER, |text| match text {
        "local" => Some(Driver::Local),
        "redis" => Some(Driver::Redis),
        _ => None,
    })?;
    let certificates = section.text("ca_certificates", CERTIFICATES, |text| {
        Some(text.to_owned())
    })?;
    let settings = Settings {
        target: target(section)?.unwrap_or(default.target),
        prefix: section
            .text("prefix", PREFIX, |text| {
                is_prefix(text).then(|| text.into())
            })?
            .unwrap_or(default.prefix),
        node_timeout: section.seconds("node_timeout", default.node_timeout, 1..=3600)?,
        backlog_bytes: section.whole("backlog_bytes", default.backlog_bytes, 1024..=1 << 40)?,
        log_bytes: section.whole("log_bytes", default.log_bytes, 1 << 16..=1 << 40)?,
        total_log_bytes: section.whole(
            "total_log_bytes",
            default.total_log_bytes,
            1 << 20..=1 << 40,
        )?,
        ca_certificates: certificates
            .filter(|path| !path.is_empty())
            .map(PathBuf::from),
        leave_delay,
    };
    Ok(match driver.unwrap_or(Driver::Local) {
        Driver::Local => Cluster::Local,
        Driver::Redis => Cluster::Redis(Box::new(settings)),
    })
}

/// What is wrong with a URL may hold a password: it is not shown.
fn target(section: &Section<'_>) -> Result<Option<Target>, ConfigError> {
    let target = match section.secret_list("url", URL, is_server)? {
        None => return Ok(None),
        Some(Listed::One(url)) => Target::parse(url),
        Some(Listed::Many(urls)) => Target::parse_cluster(urls),
    };
    match target {
        Ok(target) => Ok(Some(target)),
        Err(_) => Err(section.invalid("url", URL, "another text")),
    }
}

/// A node that takes publishes alone, and shares its channels with nobody, publishes to nobody.
pub(in crate::config) fn role_makes_sense(
    server: &Section<'_>,
    role: Role,
    cluster: &Cluster,
) -> Result<(), ConfigError> {
    match (role, cluster) {
        (Role::Api, Cluster::Local) => Err(server.invalid(
            "role",
            "`relay`, or a cluster.driver other than `local`",
            "\"api\"",
        )),
        _ => Ok(()),
    }
}

fn is_server(text: &str) -> bool {
    text.starts_with("redis://") || text.starts_with("rediss://")
}

/// Braces would move keys that belong together to different servers of a Redis Cluster.
fn is_prefix(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}
