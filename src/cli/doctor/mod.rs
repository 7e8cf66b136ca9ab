//! `fanfare doctor`: why it does not connect, asked from outside, through the address that clients are given.
//!
//! - [`apps`]: which apps there are
//! - [`project`], [`laravel`]: a Laravel project, and what is known to go wrong in one
//! - [`report`]: how findings are printed; [`time`]: how long all of it may take

mod apps;
mod laravel;
mod project;
mod report;
mod time;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use self::apps::Apps;
use self::project::Project;
use self::report::{as_json, as_text};
use super::serve::Files;
use super::url::Url;
use super::{Failure, print};
use crate::config::{self, Config};
use crate::doctor::{
    Level, Observer, PublicUrl, Reach, Request, Subject, Survey, is_origin, worst,
};

/// Exit code where something is wrong.
const ERRORS: u8 = 2;
/// Exit code where nothing is wrong, and something may be.
const WARNINGS: u8 = 3;

/// Find out why clients do not connect: ask the relay from outside, as they do, and say what is wrong and what to do.
///
/// It resolves the name, connects, looks at the certificate, at the proxy, at the clocks, at key, origin and signature, sends an event
/// through a private and a presence channel of its own, and asks webhooks and Redis where the configuration names them.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct DoctorArgs {
    /// What clients connect to, such as wss://ws.example.com/relay [default: where the configuration listens].
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// The app's id, of the configuration or its database of apps [default: the only one].
    #[arg(long, value_name = "ID")]
    app: Option<String>,

    /// Connect as a page of this origin would, such as `https://shop.example.com` [default: none, or one of the app's
    /// allowed_origins where these let in nobody without one].
    #[arg(long, value_name = "ORIGIN")]
    origin: Option<String>,

    /// See for how long a silent connection lasts: up to 130 seconds, beside those of --timeout.
    #[arg(long)]
    patient: bool,

    /// How long all of it may take. What was not looked at by then is listed, and is something wrong.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,

    /// A Laravel project's .env: look for the known mistakes in it. With --config it is held against the relay's apps, with --url
    /// its app is tried there; without them nothing is connected to.
    #[arg(long, value_name = "FILE")]
    laravel: Option<PathBuf>,

    /// Print one JSON object instead of lines.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    files: Files,
}

const EXAMPLES: &str = "\
Examples:
  fanfare doctor --config relay.toml --url wss://ws.example.com
  fanfare doctor --url wss://ws.example.com --origin https://shop.example.com --patient
  fanfare doctor --laravel ../shop/.env
  fanfare doctor --laravel ../shop/.env --url wss://ws.example.com

Exit codes: 0 nothing is wrong, 3 warnings only, 2 something is wrong, 64 the command line or the
configuration makes no sense, 1 anything else.";

/// Looks, and prints what was found.
pub(super) fn run(args: &DoctorArgs) -> Result<(), Failure> {
    if let Some(origin) = &args.origin
        && !is_origin(origin)
    {
        let text = "--origin is a scheme and a host, such as https://shop.example.com";
        return Err(Failure::Usage(text.to_owned()));
    }
    let findings = {
        let args = args.clone();
        let limit = Duration::from_secs(args.timeout);
        time::within(limit, move |observer| look(&args, observer))?
    };
    print(&if args.json {
        as_json(&findings)
    } else {
        as_text(&findings)
    })?;
    match worst(&findings) {
        Level::Ok => Ok(()),
        Level::Warn => Err(Failure::Found(WARNINGS)),
        Level::Error => Err(Failure::Found(ERRORS)),
    }
}

/// Looks at everything that is asked for.
fn look(args: &DoctorArgs, observer: &mut dyn Observer) -> Result<(), Failure> {
    // Whoever waits for nothing more has what there is.
    let done = |_: ControlFlow<()>| Ok(());
    let url = args.url.as_deref().map(url_of).transpose()?;
    let (subject, settings) = match &args.laravel {
        None => {
            let config = config::load(&args.files.sources())?.config;
            let apps = apps_of(&config, args.app.as_deref(), observer)?;
            match subject(args, &config, &apps, url)? {
                Some(subject) => (subject, Some(config.relay_settings())),
                None => return done(observer.all(apps.trouble.into_iter().collect())),
            }
        }
        Some(file) => {
            // Only a configuration that was named is the relay's: what lies about may be another's.
            let config = match &args.files.config {
                Some(_) => Some(config::load(&args.files.sources())?.config),
                None => None,
            };
            let project = Project::read(file)?;
            let apps = config
                .as_ref()
                .map(|config| apps_of(config, None, observer));
            let apps = apps.transpose()?;
            let settings = config.as_ref().map(Config::relay_settings);
            let takes_redis = settings
                .as_ref()
                .is_some_and(|relay| relay.laravel_redis.is_some());
            let mut findings = project.held_against(apps.as_ref(), url.as_ref(), takes_redis);
            let subject = url.and_then(|url| project.subject(url, apps.as_ref()));
            if subject.is_none() {
                findings.extend(apps.and_then(|apps| apps.trouble));
            }
            let goes_on = observer.all(findings);
            match subject {
                Some(subject) if goes_on.is_continue() => (subject, settings),
                _ => return Ok(()),
            }
        }
    };
    let request = Request {
        origin: args.origin.clone(),
        patient: args.patient,
    };
    let survey = Survey::new(subject, settings, Reach::Anywhere);
    done(survey.run(&request, observer))
}

/// The apps that are known, of the database, too, which may take its time.
fn apps_of(
    config: &Config,
    wanted: Option<&str>,
    observer: &mut dyn Observer,
) -> Result<Apps, Failure> {
    if config.apps_database.place.is_there() {
        observer.planned(vec!["apps_database"]);
    }
    Apps::of(config, wanted)
}

/// What is looked at; `None` where the app may be in a database that cannot be read.
fn subject(
    args: &DoctorArgs,
    config: &Config,
    apps: &Apps,
    url: Option<PublicUrl>,
) -> Result<Option<Subject>, Failure> {
    let url = match url {
        Some(url) => url,
        None => {
            let Url {
                origin,
                prefix,
                socket,
                ..
            } = Url::of(config)?;
            if socket.is_some() {
                let unnamed = "the configuration listens on a Unix socket only, and does not say where clients connect; \
                               say it with --url";
                return Err(Failure::other(unnamed));
            }
            if origin.starts_with("https:") {
                let unnamed = "the configuration listens over TLS only, and does not say by which name clients connect; \
                               say it with --url";
                return Err(Failure::other(unnamed));
            }
            url_of(&format!("{origin}{prefix}"))?
        }
    };
    let app = apps.choose(args.app.as_deref())?;
    Ok(app.map(|app| Subject {
        url,
        app_id: app.id.to_string(),
        signer: app.keys.signing().clone(),
        app: Some((**app).clone()),
    }))
}

fn url_of(text: &str) -> Result<PublicUrl, Failure> {
    PublicUrl::parse(text)
        .map_err(|error| Failure::Usage(format!("{error}; --url is what clients connect to")))
}
