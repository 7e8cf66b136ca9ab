//! `conversation-api serve`.

use std::path::PathBuf;

use service::signals;

use super::{DatabaseArgs, FAILURE, Failure, block_on, telemetry};
use crate::server;
use crate::settings::{Log, Settings};

/// Where to serve what.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    database: DatabaseArgs,

    /// Where the endpoints are served [default: $LISTEN, or 127.0.0.1:8000]. Port 0 takes any
    /// free port.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,

    /// Where Prometheus metrics are served [default: $METRICS_LISTEN, or nowhere].
    #[arg(long, value_name = "HOST:PORT")]
    metrics_listen: Option<String>,

    /// The folder of the built inbox [default: $WEB, or conversation-api/web/dist].
    #[arg(long, value_name = "DIR")]
    web: Option<PathBuf>,
}

/// Serves until it is asked to stop.
pub(super) fn run(args: &ServeArgs) -> Result<(), Failure> {
    let web = args.web.as_ref().map(|folder| folder.to_string_lossy());
    let environment = args
        .database
        .environment()?
        .flag("--listen", "LISTEN", args.listen.as_deref())
        .flag(
            "--metrics-listen",
            "METRICS_LISTEN",
            args.metrics_listen.as_deref(),
        )
        .flag("--web", "WEB", web.as_deref());
    let log = Log::from_environment(&environment)?;
    let settings = Settings::from_environment(&environment)?;
    telemetry::init(log).map_err(Failure::other)?;
    let stop_requested = signals::stop_requested(FAILURE).map_err(Failure::other)?;
    block_on(server::run(settings, stop_requested)).map_err(Failure::other)
}
