//! The log on stderr.

use std::io;

use service::log::{self, Format};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

use crate::settings::{Log, LogFormat};

/// Starts logging; once a process.
pub(super) fn init(log: Log) -> io::Result<()> {
    let format = match log.format {
        LogFormat::Human => Format::Human,
        LogFormat::Json => Format::Json,
    };
    log::start(format, filter(log.level))
}

/// The level is that of this program and of the broadcast drivers, one of which logs; other
/// libraries speak up only when something may be wrong.
fn filter(level: LevelFilter) -> Targets {
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        // It reports strangers' malformed requests as errors, one line each.
        .with_target("actix_http", LevelFilter::OFF)
        // The store reports an outage once, not for everybody who waits.
        .with_target("sqlx::pool", LevelFilter::OFF)
        .with_target("sqlx_core::pool", LevelFilter::OFF)
        .with_target("publisher", level)
        .with_target(env!("CARGO_CRATE_NAME"), level)
}
