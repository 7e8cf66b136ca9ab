//! What the variables mean.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use service::net::deadline::Waits;
use tracing::level_filters::LevelFilter;

use super::environment::{Environment, SettingError};
use super::{Log, LogFormat, Origins, Settings};
use crate::http::{WebhookSecrets, page};
use crate::media::{self, Folder};
use crate::outbox::Timing;
use crate::store::DatabaseUrl;
use crate::whatsapp::graph;
use crate::whatsapp::templates::Templates;

const ADDRESS: &str = "an address with a port, such as 127.0.0.1:8000";
const LEVELS: &str = "expected error, warn, info, debug or trace, or a level of Laravel's";
/// Hours.
const DAY: u64 = 24;
/// Hours that WhatsApp keeps a file for.
const MEDIA_IS_KEPT: u64 = 30 * DAY;
const POLL: Duration = Duration::from_secs(1);
/// Shorter leases would end while a slow relay still answers.
const SHORTEST_LEASE: u64 = 3;
/// Milliseconds that a request waits for the database: a refusal takes less than two seconds.
const DATABASE_WAIT: u64 = 1500;
/// A shorter wait would refuse what a healthy database only needs a moment for.
const SHORTEST_DATABASE_WAIT: u64 = 100;

/// The database, of any command.
pub fn database_url(environment: &Environment) -> Result<DatabaseUrl, SettingError> {
    let url = environment
        .get("DATABASE_URL")
        .unwrap_or("sqlite://conversations.db");
    url.parse()
        .map_err(|error| environment.wrong("DATABASE_URL", error))
}

impl Log {
    /// How to log, with any command.
    pub fn from_environment(environment: &Environment) -> Result<Self, SettingError> {
        let format = match environment.get("LOG_FORMAT") {
            None | Some("human") => LogFormat::Human,
            Some("json") => LogFormat::Json,
            Some(_) => return Err(environment.wrong("LOG_FORMAT", "expected human or json")),
        };
        let level = match environment.get("LOG_LEVEL") {
            None => LevelFilter::INFO,
            Some(name) => level(name).ok_or_else(|| environment.wrong("LOG_LEVEL", LEVELS))?,
        };
        Ok(Self { format, level })
    }
}

/// A level by its name here or in Laravel, whose levels are those of syslog.
fn level(name: &str) -> Option<LevelFilter> {
    match name.to_ascii_lowercase().as_str() {
        "emergency" | "alert" | "critical" | "error" => Some(LevelFilter::ERROR),
        "warning" | "warn" => Some(LevelFilter::WARN),
        "notice" | "info" => Some(LevelFilter::INFO),
        "debug" => Some(LevelFilter::DEBUG),
        "trace" => Some(LevelFilter::TRACE),
        _ => None,
    }
}

impl Settings {
    /// What `serve` needs to know.
    pub fn from_environment(environment: &Environment) -> Result<Self, SettingError> {
        let listen = environment.parsed("LISTEN", ADDRESS)?;
        let lease = seconds(environment, "OUTBOX_LEASE_SECONDS", 15, SHORTEST_LEASE)?;
        let minutes = seconds(environment, "TOKEN_LIFETIME_MINUTES", 7 * 24 * 60, 1)?;
        let authorisations = seconds(environment, "AUTHORISATION_SECONDS", 30, 1)?;
        let broadcast = publisher::Connection::from_env(environment.all())
            .map_err(|invalid| environment.wrong(invalid.field, invalid.reason))?;
        let wait = number(
            environment,
            "DATABASE_WAIT_MS",
            DATABASE_WAIT,
            SHORTEST_DATABASE_WAIT,
        )?;
        let folder = environment.get("WEB").map(Into::into);
        Ok(Self {
            listen: listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8000))),
            metrics_listen: environment.parsed("METRICS_LISTEN", ADDRESS)?,
            database: database_url(environment)?,
            database_wait: Duration::from_millis(wait),
            page: folder.unwrap_or_else(page::default_folder),
            origins: origins(environment),
            proxies: environment
                .parsed(
                    "TRUSTED_PROXIES",
                    "addresses and networks with commas between them",
                )?
                .unwrap_or_default(),
            waits: waits(environment)?,
            token_lifetime: minutes * 60,
            authorisations,
            webhooks: WebhookSecrets {
                app_secret: environment.get("WHATSAPP_APP_SECRET").map(str::to_owned),
                verify_token: environment.get("WHATSAPP_VERIFY_TOKEN").map(str::to_owned),
            },
            replies: replies(environment)?,
            replies_retried: hours(environment, "WHATSAPP_RETRY_HOURS", DAY)?,
            templates: templates(environment)?,
            media: Folder::new(Path::new(environment.get("MEDIA").unwrap_or("media"))),
            media_limits: media_limits(environment)?,
            broadcast,
            relay: relay(environment)?,
            timing: Timing { lease, poll: POLL },
            kept: hours(environment, "OUTBOX_KEEP_HOURS", DAY)?,
        })
    }
}

/// A whole number as that many seconds, at least `least`.
fn seconds(
    environment: &Environment,
    name: &str,
    otherwise: u64,
    least: u64,
) -> Result<Duration, SettingError> {
    number(environment, name, otherwise, least).map(Duration::from_secs)
}

/// A whole number as that many hours.
fn hours(environment: &Environment, name: &str, otherwise: u64) -> Result<Duration, SettingError> {
    Ok(seconds(environment, name, otherwise, 0)? * 3600)
}

/// A whole number, at least `least`.
fn number(
    environment: &Environment,
    name: &str,
    otherwise: u64,
    least: u64,
) -> Result<u64, SettingError> {
    let number = environment
        .parsed(name, "a whole number")?
        .unwrap_or(otherwise);
    // A bound that no calculation with times overflows at.
    if number < least || number > u64::from(u32::MAX) {
        return Err(environment.wrong(name, format!("expected a number from {least} on")));
    }
    Ok(number)
}

fn media_limits(environment: &Environment) -> Result<media::Limits, SettingError> {
    let megabytes = |name, otherwise| Ok(number(environment, name, otherwise, 1)? * 1024 * 1024);
    Ok(media::Limits {
        file: megabytes("MEDIA_FILE_MB", 100)?,
        folder: megabytes("MEDIA_FOLDER_MB", 20 * 1024)?,
        retry_for: hours(environment, "MEDIA_RETRY_HOURS", MEDIA_IS_KEPT)?,
    })
}

fn templates(environment: &Environment) -> Result<Templates, SettingError> {
    let Some(path) = environment.get("WHATSAPP_TEMPLATES") else {
        return Ok(Templates::default());
    };
    let wrong = |error: &dyn std::error::Error| {
        // One line, whatever the error.
        let error = error.to_string().replace('\n', " ");
        environment.wrong("WHATSAPP_TEMPLATES", error)
    };
    let file = std::fs::read(path).map_err(|error| wrong(&error))?;
    Templates::parse(&file).map_err(|error| wrong(&error))
}

fn waits(environment: &Environment) -> Result<Waits, SettingError> {
    Ok(Waits {
        head: seconds(environment, "HTTP_HEAD_SECONDS", 10, 1)?,
        request: seconds(environment, "HTTP_REQUEST_SECONDS", 60, 1)?,
        idle: seconds(environment, "HTTP_IDLE_SECONDS", 60, 1)?,
        write: seconds(environment, "HTTP_WRITE_SECONDS", 10, 1)?,
    })
}

fn origins(environment: &Environment) -> Origins {
    let list = environment.get("CORS_ALLOWED_ORIGINS").unwrap_or("*");
    let origins = list
        .split(',')
        .map(str::trim)
        .filter(|origin| !origin.is_empty());
    let origins: Vec<_> = origins.map(str::to_owned).collect();
    if origins.iter().any(|origin| origin == "*") {
        Origins::All
    } else {
        Origins::These(origins)
    }
}

fn replies(environment: &Environment) -> Result<Option<graph::Sender>, SettingError> {
    let token = environment.get("WHATSAPP_TOKEN");
    let phone_number_id = environment.get("WHATSAPP_PHONE_NUMBER_ID");
    let (token, phone_number_id) = match (token, phone_number_id) {
        (Some(token), Some(phone_number_id)) => (token, phone_number_id),
        (None, None) => return Ok(None),
        (Some(_), None) => {
            let text = "expected beside WHATSAPP_TOKEN";
            return Err(environment.wrong("WHATSAPP_PHONE_NUMBER_ID", text));
        }
        (None, Some(_)) => {
            let text = "expected beside WHATSAPP_PHONE_NUMBER_ID";
            return Err(environment.wrong("WHATSAPP_TOKEN", text));
        }
    };
    if !phone_number_id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(environment.wrong("WHATSAPP_PHONE_NUMBER_ID", "expected digits"));
    }
    let url = environment
        .get("WHATSAPP_GRAPH_URL")
        .unwrap_or(graph::DEFAULT_URL);
    let is_url = reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
    if !is_url {
        let text = "expected a URL that begins with http:// or https://";
        return Err(environment.wrong("WHATSAPP_GRAPH_URL", text));
    }
    Ok(Some(graph::Sender {
        url: url.trim_end_matches('/').into(),
        token: token.into(),
        phone_number_id: phone_number_id.into(),
    }))
}

/// The app whose clients subscribe, which may be another driver's server than events are
/// published to.
fn relay(environment: &Environment) -> Result<Option<publisher::Config>, SettingError> {
    let names_an_app = |variable: &&str| environment.get(variable).is_some();
    if !["PUSHER_APP_KEY", "PUSHER_URL"].iter().any(names_an_app) {
        return Ok(None);
    }
    let config = publisher::Config::from_env(environment.all());
    config
        .map(Some)
        .map_err(|invalid| environment.wrong(invalid.field, invalid.reason))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Database;

    fn error<const N: usize>(variables: [(&str, &str); N]) -> String {
        let settings = Settings::from_environment(&Environment::from(variables));
        settings.map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn an_empty_environment_is_for_development() {
        let settings = Settings::from_environment(&Environment::from([("LISTEN", "")])).unwrap();
        assert_eq!(settings.listen.to_string(), "127.0.0.1:8000");
        assert_eq!(settings.database.database(), Database::Sqlite);
        assert_eq!(settings.database_wait.as_millis(), 1500);
        assert!(matches!(settings.broadcast, publisher::Connection::Log(_)));
        assert!(settings.relay.is_none() && settings.replies.is_none());
        assert_eq!(settings.origins, Origins::All);
        assert_eq!(settings.media_limits.retry_for.as_secs(), 30 * 24 * 3600);
    }

    #[test]
    fn mistakes_are_named() {
        for (variables, expected) in [
            (
                [("LISTEN", "8000"), ("", "")],
                "LISTEN: expected an address with a port",
            ),
            (
                [("DATABASE_URL", "mysql://h"), ("", "")],
                "DATABASE_URL: expected sqlite://",
            ),
            (
                [("BROADCAST_DRIVER", "pusher"), ("", "")],
                "PUSHER_APP_ID: ",
            ),
            (
                [("BROADCAST_DRIVER", "smoke"), ("", "")],
                "BROADCAST_DRIVER: ",
            ),
            ([("PUSHER_APP_KEY", "key"), ("", "")], "PUSHER_APP_ID: "),
            (
                [("DATABASE_WAIT_MS", "99"), ("", "")],
                "DATABASE_WAIT_MS: expected a number from 100 on",
            ),
            (
                [("OUTBOX_LEASE_SECONDS", "2"), ("", "")],
                "OUTBOX_LEASE_SECONDS: expected",
            ),
            (
                [("HTTP_HEAD_SECONDS", "0"), ("", "")],
                "HTTP_HEAD_SECONDS: expected a number from 1 on",
            ),
            (
                [("MEDIA_FILE_MB", "0"), ("", "")],
                "MEDIA_FILE_MB: expected a number from 1 on",
            ),
            (
                [("WHATSAPP_RETRY_HOURS", "soon"), ("", "")],
                "WHATSAPP_RETRY_HOURS: expected a whole number",
            ),
            (
                [("WHATSAPP_TEMPLATES", "/nowhere.json"), ("", "")],
                "WHATSAPP_TEMPLATES: No such file",
            ),
            (
                [("TRUSTED_PROXIES", "proxy"), ("", "")],
                "TRUSTED_PROXIES: expected addresses and networks",
            ),
            (
                [("WHATSAPP_TOKEN", "t0k3n"), ("", "")],
                "WHATSAPP_PHONE_NUMBER_ID: expected beside",
            ),
            (
                [
                    ("WHATSAPP_TOKEN", "t0k3n"),
                    ("WHATSAPP_PHONE_NUMBER_ID", "1/2"),
                ],
                "WHATSAPP_PHONE_NUMBER_ID: expected digits",
            ),
        ] {
            let text = error(variables);
            assert!(text.starts_with(expected), "{text}");
            assert!(!text.contains("t0k3n") && !text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn a_url_names_the_app_whose_clients_subscribe() {
        let url = ("PUSHER_URL", "http://key:secret@127.0.0.1:6001/apps/local");
        let settings = Settings::from_environment(&Environment::from([url])).unwrap();
        assert_eq!(settings.relay.unwrap().key_pair().key(), "key");
        let other = error([url, ("PUSHER_APP_KEY", "other")]);
        assert!(other.starts_with("PUSHER_APP_KEY: "), "{other}");
    }

    #[test]
    fn levels_of_laravel_are_known() {
        let level = |name| {
            let log = Log::from_environment(&Environment::from([("LOG_LEVEL", name)]));
            log.map(|log| log.level)
        };
        for (names, expected) in [
            (
                &["emergency", "alert", "critical", "error"][..],
                LevelFilter::ERROR,
            ),
            (&["warning", "warn", "WARNING"], LevelFilter::WARN),
            (&["notice", "info", ""], LevelFilter::INFO),
            (&["debug"], LevelFilter::DEBUG),
            (&["trace"], LevelFilter::TRACE),
        ] {
            for name in names {
                assert_eq!(level(name), Ok(expected), "{name}");
            }
        }
        let error = level("loud").unwrap_err().to_string();
        assert!(
            error.starts_with("LOG_LEVEL: expected error, warn"),
            "{error}"
        );
    }

    #[test]
    fn flags_win_and_are_named() {
        let environment = Environment::from([("LISTEN", "127.0.0.1:1")]);
        let flagged = environment.flag("--listen", "LISTEN", Some("127.0.0.1:2"));
        let settings = Settings::from_environment(&flagged).unwrap();
        assert_eq!(settings.listen.port(), 2);
        let wrong = flagged.flag("--listen", "LISTEN", Some("here"));
        let error = Settings::from_environment(&wrong).map(|_| ()).unwrap_err();
        assert_eq!(error.name, "--listen");
    }

    #[test]
    fn origins_are_a_list() {
        let list = |list| origins(&Environment::from([("CORS_ALLOWED_ORIGINS", list)]));
        let these = [
            "https://a.example".to_owned(),
            "https://b.example".to_owned(),
        ];
        let expected = Origins::These(these.into());
        assert_eq!(list("https://a.example, https://b.example"), expected);
        assert_eq!(list("https://a.example,*"), Origins::All);
        assert_eq!(list(","), Origins::These(Vec::new()));
    }
}
