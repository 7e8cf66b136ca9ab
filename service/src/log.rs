//! The log on stderr. Whoever logs never waits: a thread of its own writes, and what it cannot
//! write in time is dropped and counted.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd as _;
use std::panic::{self, PanicHookInfo};
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt, registry, reload};

use crate::queue::Queue;

/// What waits for a stderr that takes nothing, and again as much that is being written.
const MOST_BYTES: usize = 512 << 10;

/// How long the end of the process waits for a stderr that takes nothing.
const LAST_LINES: Duration = Duration::from_millis(500);

static LOG: OnceLock<Queue> = OnceLock::new();

/// Exchanges what is logged.
static SET_FILTER: OnceLock<Box<dyn Fn(Targets) + Send + Sync>> = OnceLock::new();

/// What a line looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people, in colours on a terminal.
    Human,
    /// One JSON object a line.
    Json,
}

/// Starts logging what passes the filter; once a process. Panics are logged, too.
///
/// # Errors
/// When the system refuses a thread or a descriptor.
pub fn start(format: Format, filter: Targets) -> io::Result<()> {
    // A descriptor of its own: the lock of `io::stderr` would be held while stderr is stuck.
    let stderr = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let queue = LOG.get_or_init(|| Queue::new(MOST_BYTES));
    thread::Builder::new()
        .name("log".into())
        .spawn(move || queue.write_for_ever(stderr, report_dropped))?;
    panic::set_hook(Box::new(log_panic));
    let output = fmt::layer().with_writer(|| Line);
    let output = match format {
        Format::Human => output.with_ansi(colours()).with_target(false).boxed(),
        Format::Json => output
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .boxed(),
    };
    let (filter, handle) = reload::Layer::new(filter);
    registry().with(output).with(filter).init();
    SET_FILTER.get_or_init(|| {
        Box::new(move |filter| {
            // It fails when nobody logs any more.
            let _ = handle.reload(filter);
        })
    });
    Ok(())
}

/// From now on, what passes this filter is logged. Before [`start`] it does nothing.
pub fn set_filter(filter: Targets) {
    if let Some(set) = SET_FILTER.get() {
        set(filter);
    }
}

/// Prints text as it is, behind what was logged before. Before [`start`] it is written at once.
pub fn print(text: &str) {
    match LOG.get() {
        Some(queue) => queue.push(text.as_bytes()),
        // There is nowhere else to report that stderr takes nothing.
        None => drop(io::stderr().write_all(text.as_bytes())),
    }
}

/// Waits until what was logged is written, though not long for a stderr that takes nothing. To
/// be called before the process ends.
pub fn finish() {
    if let Some(queue) = LOG.get() {
        queue.wait_until_written(LAST_LINES);
    }
}

/// Lines that were dropped since the start: stderr did not take them in time, or not at all.
pub fn lines_dropped() -> u64 {
    LOG.get().map_or(0, Queue::dropped)
}

/// Where one line goes. It is written in one piece.
struct Line;

impl Write for Line {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Some(queue) = LOG.get() {
            queue.push(line);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn report_dropped(lines: u64) {
    tracing::warn!(
        lines,
        "lines of the log were dropped: stderr did not take them in time"
    );
}

/// The default hook writes to stderr itself, and would wait for it.
fn log_panic(info: &PanicHookInfo<'_>) {
    let thread = thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    let backtrace = Backtrace::capture();
    print(&match backtrace.status() {
        BacktraceStatus::Captured => format!("thread '{name}' {info}\n{backtrace}\n"),
        _ => format!("thread '{name}' {info}\n"),
    });
    if name == "main" {
        // Nothing comes after it.
        finish();
    }
}

fn colours() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    io::stderr().is_terminal() && !unwanted
}
