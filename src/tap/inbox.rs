//! The bounded queue between those who emit and one who watches.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::time::Instant;

use super::event::TapEvent;
use super::filter::Filter;

/// Bytes that wait for a watcher before more is left out.
const MAX_QUEUED: usize = 1024 * 1024;

/// How long left-out events are added up before their number is reported.
const REPORT_AFTER: Duration = Duration::from_secs(1);

/// The emitting side of one watcher.
#[derive(Debug)]
pub(super) struct Inbox {
    filter: Filter,
    state: Mutex<State>,
    /// For the one watcher: something came into `state`.
    changed: Notify,
}

#[derive(Debug)]
struct State {
    lines: VecDeque<Arc<str>>,
    queued: usize,
    /// The second that `admitted` counts in.
    second: Instant,
    admitted: usize,
    left_out: Option<LeftOut>,
    closed: bool,
}

#[derive(Clone, Copy, Debug)]
struct LeftOut {
    count: u64,
    report_at: Instant,
}

impl Inbox {
    pub(super) fn new(filter: Filter) -> Self {
        Self {
            filter,
            state: Mutex::new(State {
                lines: VecDeque::new(),
                queued: 0,
                second: Instant::now(),
                admitted: 0,
                left_out: None,
                closed: false,
            }),
            changed: Notify::new(),
        }
    }

    pub(super) fn filter(&self) -> &Filter {
        &self.filter
    }

    /// Ready when something has come since this was called.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    pub(super) fn wants(&self, event: &TapEvent<'_>) -> bool {
        self.filter.matches(event)
    }

    /// Whether one more event may be queued now; if not, it is counted as left out.
    pub(super) fn admits(&self, now: Instant, per_second: usize) -> bool {
        let mut state = self.state.lock();
        if now.duration_since(state.second) >= Duration::from_secs(1) {
            state.second = now;
            state.admitted = 0;
        }
        if state.admitted < per_second && state.queued < MAX_QUEUED {
            state.admitted += 1;
            return true;
        }
        match &mut state.left_out {
            Some(left_out) => left_out.count += 1,
            None => {
                let report_at = now + REPORT_AFTER;
                state.left_out = Some(LeftOut {
                    count: 1,
                    report_at,
                });
                drop(state);
                self.changed.notify_one();
            }
        }
        false
    }

    pub(super) fn push(&self, line: Arc<str>) {
        let mut state = self.state.lock();
        let was_empty = state.lines.is_empty();
        state.queued += line.len();
        state.lines.push_back(line);
        drop(state);
        if was_empty {
            self.changed.notify_one();
        }
    }

    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_one();
    }

    pub(super) fn take(&self, now: Instant) -> Taken {
        let mut state = self.state.lock();
        let due = |left_out: &mut LeftOut| now >= left_out.report_at;
        if let Some(left_out) = state.left_out.take_if(due) {
            return Taken::Line(report(left_out.count));
        }
        if let Some(line) = state.lines.pop_front() {
            state.queued -= line.len();
            return Taken::Line(line);
        }
        match state.left_out {
            None if state.closed => Taken::End,
            None => Taken::Nothing { until: None },
            Some(left_out) if state.closed => {
                state.left_out = None;
                Taken::Line(report(left_out.count))
            }
            Some(left_out) => Taken::Nothing {
                until: Some(left_out.report_at),
            },
        }
    }
}

/// What there is for a watcher.
pub(super) enum Taken {
    Line(Arc<str>),
    /// Nothing now; at this time, if any, there is something to report.
    Nothing {
        until: Option<Instant>,
    },
    End,
}

fn report(left_out: u64) -> Arc<str> {
    format!(r#"{{"type":"dropped","count":{left_out}}}"#).into()
}
