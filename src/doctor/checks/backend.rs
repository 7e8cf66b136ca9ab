//! Webhooks, Redis, the database of apps, the limit on open files.

use std::time::Duration;

use super::super::finding::{Finding, shown};

/// Descriptors that are few for a relay.
const FEW_FILES: u64 = 4096;
/// How long Redis may take to answer before that is said.
const SLOW_REDIS: Duration = Duration::from_millis(50);

/// What to do, where it may be that a name is known elsewhere alone.
fn remedy(usual: &str, reason: &str) -> String {
    if !reason.contains("lookup address") {
        return usual.to_owned();
    }
    format!(
        "{usual}\nnames of a container's network are known within it alone: where the relay runs in one, ask there (docker compose \
         exec)"
    )
}

/// What a webhook made of a signed request without events. `place`: scheme, host and port of its URL.
pub(in crate::doctor) fn webhook(place: &str, outcome: &Result<(), String>) -> Finding {
    const ID: &str = "webhook";
    match outcome {
        Ok(()) => Finding::ok(ID, format!("the webhook at {place} takes signed requests")),
        Err(reason) => Finding::error(
            ID,
            format!(
                "the webhook at {place} does not take a signed request: {}",
                shown(reason)
            ),
            remedy(
                "have the endpoint answer 2xx to a signed request without events; it verifies X-Pusher-Signature with the secret of \
                 this app, over the body as it came",
                reason,
            ),
        ),
    }
}

/// What a server of Redis said.
pub(in crate::doctor) fn redis(
    place: &str,
    answer: &Result<(String, Duration), String>,
) -> Finding {
    const ID: &str = "redis";
    match answer {
        Err(reason) => Finding::error(
            ID,
            format!("{place} cannot be used: {}", shown(reason)),
            remedy(
                "start Redis, or correct cluster.url, its password and its certificates",
                reason,
            ),
        ),
        Ok((version, took)) => {
            let text = format!(
                "{place} is version {} and answers in {:.1} ms",
                shown(version),
                took.as_secs_f64() * 1e3
            );
            if is_older_than(version, 6, 2) {
                return Finding::error(ID, text, "the relay needs Redis 6.2 or newer");
            }
            if *took > SLOW_REDIS {
                return Finding::warn(
                    ID,
                    text,
                    "every event between nodes takes that long: put Redis near the relays",
                );
            }
            Finding::ok(ID, text)
        }
    }
}

/// What the server of Redis said that Laravel publishes to.
pub(in crate::doctor) fn laravel_redis(
    place: &str,
    answer: &Result<(String, Duration), String>,
) -> Finding {
    const ID: &str = "ingest.redis";
    match answer {
        Ok((_, took)) => {
            let milliseconds = took.as_secs_f64() * 1e3;
            let text =
                format!("{place}, which Laravel publishes to, answers in {milliseconds:.1} ms");
            Finding::ok(ID, text)
        }
        Err(reason) => Finding::error(
            ID,
            format!(
                "{place}, which Laravel is to publish to, cannot be used: {}",
                shown(reason)
            ),
            remedy(
                "start Redis, or correct ingest.laravel_redis.url and its password",
                reason,
            ),
        ),
    }
}

/// What the database of apps said: how many rows its table has.
pub(in crate::doctor) fn apps_database(
    place: &str,
    answer: &Result<(u64, Duration), String>,
) -> Finding {
    const ID: &str = "apps_database";
    match answer {
        Ok((count, took)) => {
            let milliseconds = took.as_secs_f64() * 1e3;
            let text =
                format!("{place} has {count} rows of apps and answers in {milliseconds:.1} ms");
            Finding::ok(ID, text)
        }
        Err(reason) => Finding::error(
            ID,
            format!("the apps of {place} cannot be read: {}", shown(reason)),
            remedy(
                "start the database, or correct apps_database.url, its password, schema and table. (The table is made by the first \
                 relay that is started with it.)",
                reason,
            ),
        ),
    }
}

/// Apps of which the cluster's other nodes know nothing.
pub(in crate::doctor) fn apps_of_one_node(concern: &str) -> Finding {
    let remedy = "set apps_database.url to a PostgreSQL or MySQL database, the same on each node";
    Finding::warn("apps_database.shared", concern, remedy)
}

fn is_older_than(version: &str, major: u32, minor: u32) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    match (parts.next().flatten(), parts.next().flatten()) {
        (Some(its_major), Some(its_minor)) => (its_major, its_minor) < (major, minor),
        _ => false,
    }
}

/// How many files a process that is started as this one was may have open.
pub(in crate::doctor) fn files(limit: u64) -> Finding {
    const ID: &str = "files";
    let text = format!(
        "a process started here may have {limit} files open, and each connection takes one"
    );
    if limit < FEW_FILES {
        return Finding::warn(
            ID,
            text,
            "raise the hard limit: LimitNOFILE= of systemd, ulimits of a container, /etc/security/limits.conf. (It is the limit of \
             this command; a relay that runs as a service has its own.)",
        );
    }
    Finding::ok(ID, text)
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Level;
    use super::*;

    #[test]
    fn names_that_are_unknown_here_may_be_known_elsewhere() {
        let unknown = "failed to lookup address information: Name or service not known";
        let remedy = |reason: &str| redis("r", &Err(reason.to_owned())).remedy.unwrap();
        assert!(remedy(unknown).contains("docker compose exec"));
        assert!(!remedy("refused").contains("docker"));
    }

    #[test]
    fn what_backends_answer_is_judged() {
        assert_eq!(webhook("h", &Ok(())).level, Level::Ok);
        assert_eq!(
            webhook("h", &Err("it answered 500".into())).level,
            Level::Error
        );
        let redis = |version: &str, ms| {
            redis("r", &Ok((version.to_owned(), Duration::from_millis(ms)))).level
        };
        assert_eq!(redis("7.0.15", 1), Level::Ok);
        assert_eq!(redis("6.2.0", 1), Level::Ok);
        assert_eq!(redis("6.0.16", 1), Level::Error);
        assert_eq!(redis("7.0.15", 80), Level::Warn);
        assert_eq!(redis("", 1), Level::Ok);
        assert_eq!(
            (files(1024).level, files(65_536).level),
            (Level::Warn, Level::Ok)
        );
    }
}
