//! The log on stderr.

use std::io;

use service::log::{self, Format};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

use crate::config::{Log, LogFormat, LogLevel};

/// Starts logging; once a process.
pub(super) fn init(log: &Log) -> io::Result<()> {
    let format = match log.format {
        LogFormat::Human => Format::Human,
        LogFormat::Json => Format::Json,
    };
    log::start(format, filter(log.level))
}

/// From now on, the least important that is logged is this.
pub(super) fn set_level(level: LogLevel) {
    log::set_filter(filter(level));
}

/// The level is the relay's own; libraries speak up only when something may be wrong.
fn filter(level: LogLevel) -> Targets {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        // It reports strangers' malformed requests as errors, one line each.
        .with_target("actix_http", LevelFilter::OFF)
        // It warns of each odd frame that a client or a webhook's endpoint sends.
        .with_target("h2", LevelFilter::OFF)
        .with_target(env!("CARGO_CRATE_NAME"), level)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn libraries_are_quieter_than_the_relay() {
        let own = concat!(env!("CARGO_CRATE_NAME"), "::hub");
        let debug = filter(LogLevel::Debug);
        assert!(debug.would_enable(own, &Level::DEBUG));
        assert!(debug.would_enable("actix_server", &Level::WARN));
        assert!(!debug.would_enable("actix_server", &Level::INFO));
        assert!(!debug.would_enable("h2::proto::ping_pong", &Level::ERROR));
        let error = filter(LogLevel::Error);
        assert!(!error.would_enable(own, &Level::WARN));
        assert!(!error.would_enable("actix_server", &Level::WARN));
    }
}
