//! Which relay and which app a command speaks to.

use std::sync::Arc;

use super::Failure;
use super::serve::Files;
use super::url::Url;
use crate::apps::App;
use crate::auth::Signer;
use crate::config::{self, Config, EnvFile, Sources};

/// Which relay and app. What is not given here comes from the configuration that `fanfare
/// serve` would run with in the same place.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct TargetArgs {
    /// The relay: http://, https:// or unix:/path [default: PUSHER_HOST and PUSHER_PORT, or where the
    /// configuration listens].
    #[arg(long, value_name = "URL", help_heading = "Relay and app")]
    url: Option<String>,

    /// The app's id [default: the app of PUSHER_APP_ID, or the only one].
    #[arg(long, value_name = "ID", help_heading = "Relay and app")]
    app_id: Option<String>,

    /// The app's key, instead of the configuration's.
    #[arg(
        long,
        requires = "app_id",
        requires = "secret",
        help_heading = "Relay and app"
    )]
    key: Option<String>,

    /// The app's secret. Others on this machine can see it here, but not in files and
    /// PUSHER_APP_SECRET.
    #[arg(long, requires = "key", help_heading = "Relay and app")]
    secret: Option<String>,

    #[command(flatten)]
    files: Files,
}

/// An app on a relay, and what signs for it.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) url: Url,
    pub(super) app_id: String,
    pub(super) signer: Signer,
}

impl TargetArgs {
    /// Finds relay and app.
    pub(super) fn resolve(&self) -> Result<Target, Failure> {
        self.resolve_from(&self.files.sources())
    }

    fn resolve_from(&self, sources: &Sources) -> Result<Target, Failure> {
        if let (Some(url), Some(id), Some(key), Some(secret)) =
            (&self.url, &self.app_id, &self.key, &self.secret)
        {
            return Ok(Target {
                url: Url::parse(url)?,
                app_id: id.clone(),
                signer: Signer::new(key, secret.as_bytes()),
            });
        }
        let project = Project::read(sources)?;
        let config = config::load(sources)?.config;
        let (app_id, signer) = match (&self.app_id, &self.key, &self.secret) {
            (Some(id), Some(key), Some(secret)) => {
                (id.clone(), Signer::new(key, secret.as_bytes()))
            }
            (id, ..) => configured(&config, id.as_deref().or(project.app_id.as_deref()))?,
        };
        let url = match self.url.as_ref().or(project.url.as_ref()) {
            Some(url) => Url::parse(url)?,
            None => Url::of(&config)?,
        };
        Ok(Target {
            url,
            app_id,
            signer,
        })
    }
}

/// Ids that a sentence names.
const MOST_NAMED: usize = 20;

/// The app that was asked for, or the only one there is.
///
/// # Errors
/// Why there is none, with the ids that there are.
pub(super) fn choose<'a>(
    apps: impl Iterator<Item = &'a Arc<App>> + Clone,
    id: Option<&str>,
) -> Result<&'a Arc<App>, NoApp> {
    let mut all = apps.clone();
    match (id, all.next(), all.next()) {
        (Some(id), ..) => apps.clone().find(|app| &*app.id == id).ok_or_else(|| {
            let (id, ids) = (id.to_owned(), listed(apps));
            NoApp::Unknown { id, ids }
        }),
        (None, Some(only), None) => Ok(only),
        (None, None, _) => Err(NoApp::Nobody),
        (None, Some(_), Some(_)) => Err(NoApp::Several { ids: listed(apps) }),
    }
}

/// Why it is not known which app is meant. What to do is said by whoever knows the flags.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoApp {
    #[error("there is no app `{id}` (there is {ids})")]
    Unknown { id: String, ids: String },
    #[error("which app? There is {ids}")]
    Several { ids: String },
    #[error("no app is configured")]
    Nobody,
}

fn listed<'a>(apps: impl Iterator<Item = &'a Arc<App>> + Clone) -> String {
    let named: Vec<&str> = apps.clone().take(MOST_NAMED).map(|app| &*app.id).collect();
    let (named, count) = (named.join(", "), apps.count());
    match count.checked_sub(MOST_NAMED) {
        _ if count == 0 => "none".to_owned(),
        Some(more @ 1..) => format!("{named} and {more} more"),
        _ => named,
    }
}

/// The configuration's app that was asked for, or its only one.
fn configured(config: &Config, id: Option<&str>) -> Result<(String, Signer), Failure> {
    let app = choose(config.apps.iter(), id).map_err(|error| {
        let hint = match error {
            NoApp::Unknown { .. } => {
                "give --key and --secret, too, as for an app of a database of apps"
            }
            NoApp::Several { .. } => "--app-id says which",
            NoApp::Nobody => "give --app-id, --key and --secret",
        };
        Failure::Usage(format!("{error}; {hint}"))
    })?;
    Ok((app.id.to_string(), app.keys.signing().clone()))
}

/// What a Laravel project configures of the app and the relay it publishes to.
#[derive(Default)]
struct Project {
    app_id: Option<String>,
    url: Option<String>,
}

impl Project {
    /// The `.env` file that was named, or else the environment.
    fn read(sources: &Sources) -> Result<Self, Failure> {
        let file = match &sources.env_file {
            Some(path) => Some(EnvFile::read(path, &sources.environment)?),
            None => None,
        };
        let get = |name: &str| -> Result<Option<String>, Failure> {
            let value = match &file {
                Some(file) => file.get(name)?,
                None => sources.environment.get(name).map(String::as_str),
            };
            Ok(value.filter(|value| !value.is_empty()).map(str::to_owned))
        };
        let url = match get("PUSHER_HOST")? {
            None => None,
            Some(host) => {
                // What Laravel's configuration takes for granted.
                let port = get("PUSHER_PORT")?.unwrap_or_else(|| "443".into());
                let scheme = get("PUSHER_SCHEME")?.unwrap_or_else(|| "https".into());
                Some(format!("{scheme}://{host}:{port}"))
            }
        };
        Ok(Self {
            app_id: get("PUSHER_APP_ID")?,
            url,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::url::DEFAULT_URL;
    use super::*;

    fn sources(variables: &[(&str, &str)]) -> Sources {
        let text = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        Sources {
            directory: "/nonexistent".into(),
            environment: variables.iter().map(text).collect(),
            ..Sources::default()
        }
    }

    fn resolve(
        args: &TargetArgs,
        variables: &[(&str, &str)],
    ) -> Result<(String, String, String), String> {
        let target = args
            .resolve_from(&sources(variables))
            .map_err(|failure| failure.to_string())?;
        let url = format!("{}{}", target.url.origin, target.url.prefix);
        Ok((url, target.app_id, target.signer.key().into()))
    }

    fn found(url: &str, app: &str, key: &str) -> Result<(String, String, String), String> {
        Ok((url.into(), app.into(), key.into()))
    }

    const APP: [(&str, &str); 3] = [
        ("PUSHER_APP_ID", "1"),
        ("PUSHER_APP_KEY", "k"),
        ("PUSHER_APP_SECRET", "s"),
    ];

    #[test]
    fn without_anything_it_is_the_development_app() {
        assert_eq!(
            resolve(&TargetArgs::default(), &[]),
            found(DEFAULT_URL, "local", "local")
        );
    }

    #[test]
    fn the_environment_gives_the_app_and_the_configuration_the_address() {
        let mut variables = APP.to_vec();
        variables.push(("FANFARE_SERVER__LISTEN", "0.0.0.0:7000"));
        variables.push(("FANFARE_SERVER__PATH_PREFIX", "relay"));
        assert_eq!(
            resolve(&TargetArgs::default(), &variables),
            found("http://127.0.0.1:7000/relay", "1", "k")
        );
        let mut variables = APP.to_vec();
        variables.push(("FANFARE_SERVER__LISTEN", "127.0.0.1:0"));
        assert_eq!(
            resolve(&TargetArgs::default(), &variables),
            Err("the configuration leaves the port open; say it with --url".into())
        );
    }

    #[test]
    fn a_project_names_where_it_publishes_to() {
        let mut variables = APP.to_vec();
        variables.extend([
            ("PUSHER_HOST", "relay.test"),
            ("PUSHER_PORT", "8080"),
            ("PUSHER_SCHEME", "http"),
        ]);
        assert_eq!(
            resolve(&TargetArgs::default(), &variables),
            found("http://relay.test:8080", "1", "k")
        );
        variables.truncate(4);
        let secure = resolve(&TargetArgs::default(), &variables);
        assert_eq!(secure, found("https://relay.test:443", "1", "k"));
    }

    #[test]
    fn flags_win() {
        let args = TargetArgs {
            url: Some("http://[::1]:1/x/".into()),
            app_id: Some("9".into()),
            key: Some("flag".into()),
            secret: Some("s".into()),
            ..TargetArgs::default()
        };
        assert_eq!(resolve(&args, &APP), found("http://[::1]:1/x", "9", "flag"));
        let only_app = TargetArgs { url: None, ..args };
        assert_eq!(resolve(&only_app, &APP), found(DEFAULT_URL, "9", "flag"));
    }

    #[test]
    fn an_app_that_the_configuration_does_not_have_needs_credentials() {
        let args = TargetArgs {
            app_id: Some("9".into()),
            ..TargetArgs::default()
        };
        assert_eq!(
            resolve(&args, &APP),
            Err("there is no app `9` (there is 1); give --key and --secret, too, as for an app of a database of apps".into())
        );
    }
}
