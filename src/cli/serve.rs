//! `fanfare serve`: the relay itself.

use std::collections::BTreeMap;
use std::path::PathBuf;

use service::{log, signals};

use super::{FAILURE, Failure, banner, program, telemetry};
use crate::config::{self, Flag, Loaded, LogFormat, Rereader, Sources};
use crate::server::{self, Reload};

/// Where the configuration comes from, and what overrides it.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    files: Files,

    /// Where WebSockets and the HTTP API are served. Port 0 takes any free port.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,

    /// Where metrics, the live stream and the admin API are served; "" turns it off.
    #[arg(long, value_name = "HOST:PORT")]
    admin_listen: Option<String>,

    /// Worker threads; 0 for one a core.
    #[arg(long, value_name = "NUMBER")]
    workers: Option<String>,

    /// What the log on stderr looks like: human or json.
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,

    /// The least important that is logged: error, warn, info, debug or trace.
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

/// The files that a configuration is read from.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Files {
    /// The configuration file [default: $FANFARE_CONFIG, or config.toml if there is one].
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// A .env file whose PUSHER_APP_ID, PUSHER_APP_KEY and PUSHER_APP_SECRET are an app.
    #[arg(long, value_name = "FILE")]
    pub(super) env_file: Option<PathBuf>,
}

impl Files {
    /// These files, with the environment and the working directory of the process.
    pub(super) fn sources(&self) -> Sources {
        Sources {
            config_file: self.config.clone(),
            env_file: self.env_file.clone(),
            directory: PathBuf::new(),
            environment: environment(),
            flags: Vec::new(),
        }
    }
}

impl ServeArgs {
    /// The files, with the flags laid over them.
    pub(super) fn sources(&self) -> Sources {
        let flags = [
            ("--listen", "server.listen", &self.listen),
            ("--admin-listen", "admin.listen", &self.admin_listen),
            ("--workers", "server.workers", &self.workers),
            ("--log-format", "log.format", &self.log_format),
            ("--log-level", "log.level", &self.log_level),
        ];
        let given = flags.into_iter().filter_map(|(name, key, value)| {
            let value = value.clone()?;
            Some(Flag { name, key, value })
        });
        Sources {
            flags: given.collect(),
            ..self.files.sources()
        }
    }
}

/// The environment of the process. What is no text is replaced, which no key accepts.
fn environment() -> BTreeMap<String, String> {
    let text = |part: std::ffi::OsString| part.to_string_lossy().into_owned();
    std::env::vars_os()
        .map(|(name, value)| (text(name), text(value)))
        .collect()
}

/// Serves until it is asked to stop.
pub(super) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let sources = args.sources();
    let loaded = config::load(&sources)?;
    let sources_have_token = sources.environment.contains_key(config::TOKEN_VARIABLE);
    let rereader = Rereader::new(sources, &loaded);
    let Loaded { config, layers, .. } = loaded;
    telemetry::init(&config.log).map_err(Failure::other)?;
    for layer in &layers {
        tracing::info!(source = %layer.source, detail = %layer.detail, "configuration");
    }
    if config.admin.tokens.is_empty() && sources_have_token {
        tracing::warn!(
            "{} is what commands show to a relay: what opens this one's admin listener is \
             FANFARE_ADMIN__TOKEN, and nothing is set",
            config::TOKEN_VARIABLE
        );
    }
    let (stop_requested, requested) =
        signals::stop_or_reload_requested(FAILURE).map_err(Failure::other)?;
    let reload = Reload {
        rereader,
        requested,
        set_log_level: telemetry::set_level,
    };
    let greeted = config.clone();
    let greet = move |bound| {
        if greeted.log.format == LogFormat::Human
            && let Some(text) = banner::text(&greeted, &program::command(), bound)
        {
            log::print(&text);
        }
    };
    server::run(config, reload, greet, stop_requested).map_err(Failure::other)
}
