//! The log on stderr.

use std::io::{self, IsTerminal as _};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, registry};

use crate::settings::{Log, LogFormat};

/// Starts logging; once a process.
pub(super) fn init(log: Log) {
    let output = fmt::layer().with_writer(io::stderr);
    let output = match log.format {
        LogFormat::Human => output.with_ansi(colours()).with_target(false).boxed(),
        LogFormat::Json => output
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    };
    registry().with(output).with(filter(log.level)).init();
}

/// The level is that of this program and of the broadcast drivers, one of which logs; other
/// libraries speak up only when something may be wrong.
fn filter(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        // It reports strangers' malformed requests as errors, one line each.
        .with_target("actix_http", LevelFilter::OFF)
        .with_target("publisher", level)
        .with_target(env!("CARGO_CRATE_NAME"), level)
}

fn colours() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !unwanted
}
