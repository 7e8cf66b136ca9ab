//! The driver `log`.

use std::fmt;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use tracing::subscriber::NoSubscriber;

use super::log_file::LogFile;
use super::{Broadcast, BroadcastFuture, Broadcaster};
use crate::json::to_pretty_php;
use crate::{Channel, Error, Invalid};

/// Where the driver [`log`](LogBroadcaster) writes: to `tracing`, or to a file as Laravel's.
///
/// ```
/// use publisher::LogConfig;
///
/// let config = LogConfig::new().path("storage/logs/laravel.log").environment("local");
/// ```
#[derive(Clone, Debug)]
#[must_use = "a configuration does nothing until a driver is made of it"]
pub struct LogConfig {
    path: Option<PathBuf>,
    environment: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            path: None,
            environment: "production".into(),
        }
    }
}

impl LogConfig {
    /// To `tracing`.
    pub fn new() -> Self {
        Self::default()
    }

    /// To the end of this file, which is made with its folder where there is none; a relative path
    /// begins at the working directory. Lines begin as Laravel's do,
    /// `[2026-01-31 23:59:59] local.INFO:`, with the time in UTC.
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// The name of the environment that lines of the file begin with: Laravel's `APP_ENV`;
    /// default: `production`.
    pub fn environment(mut self, name: impl Into<String>) -> Self {
        self.environment = name.into();
        self
    }
}

/// Writes to the log what would be broadcast, in the words of Laravel's `LogBroadcaster`. The
/// payload is in it: a driver for development.
///
/// It logs with `tracing`, at info, with the target `publisher`. Where no subscriber is set, it
/// writes to stderr; where the subscriber leaves such events out, it says so once, as a warning.
#[derive(Clone)]
pub struct LogBroadcaster {
    sink: Sink,
}

#[derive(Clone)]
enum Sink {
    /// And whether it was said that events are left out.
    Tracing(Arc<AtomicBool>),
    File(Arc<LogFile>),
    Function(Arc<dyn Fn(&str) + Send + Sync>),
}

impl Default for LogBroadcaster {
    fn default() -> Self {
        Self::new()
    }
}

impl LogBroadcaster {
    /// Logs with `tracing`.
    pub fn new() -> Self {
        let sink = Sink::Tracing(Arc::default());
        Self { sink }
    }

    /// Logs to where this says. The error names `LOG_PATH`, a file that cannot be written.
    pub fn with(config: LogConfig) -> Result<Self, Invalid> {
        let Some(path) = config.path else {
            return Ok(Self::new());
        };
        let file = LogFile::open(path, config.environment)?;
        let sink = Sink::File(Arc::new(file));
        Ok(Self { sink })
    }

    /// Hands over the text of each event instead: of several lines, without a newline at the end.
    pub fn to(sink: impl Fn(&str) + Send + Sync + 'static) -> Self {
        let sink = Sink::Function(Arc::new(sink));
        Self { sink }
    }

    fn log(&self, broadcast: &Broadcast) -> Result<(), Error> {
        if broadcast.channels().is_empty() {
            return Ok(());
        }
        let channels: Vec<_> = broadcast.channels().iter().map(Channel::name).collect();
        let payload = to_pretty_php(&broadcast.payload_with_socket()?);
        let text = format!(
            "Broadcasting [{}] on channels [{}] with payload:\n{payload}",
            broadcast.event(),
            channels.join(", "),
        );
        match &self.sink {
            Sink::Tracing(said) => trace(&text, said),
            Sink::File(file) => file.append(&text, SystemTime::now())?,
            Sink::Function(function) => function(&text),
        }
        Ok(())
    }
}

/// Hands an event to `tracing`, or to stderr where nobody listens.
fn trace(text: &str, said: &AtomicBool) {
    if tracing::dispatcher::get_default(|dispatch| dispatch.is::<NoSubscriber>()) {
        // Where stderr is closed, there is nowhere left to say so.
        let _ = writeln!(std::io::stderr().lock(), "{text}");
    } else if tracing::enabled!(target: "publisher", tracing::Level::INFO) {
        tracing::info!(target: "publisher", "{text}");
    } else if !said.swap(true, Ordering::Relaxed) {
        tracing::warn!(
            target: "publisher",
            "the driver log shows nothing: tracing's subscriber leaves out events at info of the target publisher",
        );
    }
}

impl Broadcaster for LogBroadcaster {
    fn name(&self) -> &'static str {
        "log"
    }

    fn broadcast<'a>(&'a self, broadcast: &'a Broadcast) -> BroadcastFuture<'a> {
        Box::pin(std::future::ready(self.log(broadcast)))
    }
}

impl fmt::Debug for LogBroadcaster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to: &dyn fmt::Debug = match &self.sink {
            Sink::Tracing(_) => &"tracing",
            Sink::File(file) => file,
            Sink::Function(_) => &"a function",
        };
        f.debug_struct("LogBroadcaster").field("to", to).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tracing::field::{Field, Visit};
    use tracing::{Event, Level, Metadata, Subscriber, span};

    use super::*;

    /// Keeps what is logged at a level or above.
    #[derive(Clone)]
    struct Kept {
        level: Level,
        lines: Arc<Mutex<Vec<String>>>,
    }

    impl Subscriber for Kept {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            *metadata.level() <= self.level
        }

        fn event(&self, event: &Event<'_>) {
            event.record(&mut self.clone());
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }

        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
    }

    impl Visit for Kept {
        fn record_debug(&mut self, _: &Field, value: &dyn fmt::Debug) {
            self.lines.lock().unwrap().push(format!("{value:?}"));
        }
    }

    /// What a subscriber for this level gets to see of two events.
    fn logged_at(level: Level) -> Vec<String> {
        let lines = Arc::default();
        let kept = Kept {
            level,
            lines: Arc::clone(&lines),
        };
        let broadcast = Broadcast::new("e", [Channel::public("c")], &serde_json::json!({}));
        let broadcast = broadcast.unwrap();
        let log = LogBroadcaster::new();
        tracing::subscriber::with_default(kept, || {
            log.log(&broadcast).unwrap();
            log.clone().log(&broadcast).unwrap();
        });
        std::mem::take(&mut *lines.lock().unwrap())
    }

    #[test]
    fn a_subscriber_gets_every_event() {
        let lines = logged_at(Level::INFO);
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("Broadcasting [e] on channels [c] with payload:\n{"));
    }

    #[test]
    fn a_subscriber_that_leaves_events_out_is_told_once() {
        let lines = logged_at(Level::WARN);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].starts_with("the driver log shows nothing"),
            "{lines:?}"
        );
    }

    #[test]
    fn where_it_writes_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let config = LogConfig::new().path(folder.path().join("laravel.log"));
        let shown = [
            format!("{:?}", LogBroadcaster::new()),
            format!("{:?}", LogBroadcaster::with(config).unwrap()),
            format!("{:?}", LogBroadcaster::to(|_| ())),
        ];
        for (shown, expected) in shown.iter().zip(["tracing", "laravel.log", "a function"]) {
            assert!(shown.contains(expected), "{shown}");
        }
    }
}
