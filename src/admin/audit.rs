//! Who has changed what over the API, or has seen secrets, for whoever reads the log later; and what came of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::http::StatusCode;
use actix_web::{HttpRequest, ResponseError as _};
use parking_lot::Mutex;

use super::refusal::Refusal;
use super::who::Who;
use crate::terminal::safe;

/// Characters of a path that a line has.
const MOST_SHOWN: usize = 300;
/// Lines about what was refused that a minute may have. What was done is always logged.
const MOST_REFUSED: usize = 60;
const MINUTE: Duration = Duration::from_secs(60);

/// What is looked back at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Something was to be changed.
    Change,
    /// An app's secrets were to be seen.
    Secrets,
}

/// Writes it down.
#[derive(Clone, Debug, Default)]
pub(super) struct Audit {
    refused: Arc<Mutex<Refused>>,
}

/// How many lines there were about what was refused, in the minute that began then.
#[derive(Debug, Default)]
struct Refused {
    since: Option<Instant>,
    lines: usize,
}

/// Whether a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Written,
    /// It is the last one of the minute.
    Last,
    LeftOut,
}

impl Refused {
    fn turn(&mut self, now: Instant) -> Turn {
        let is_over = |since| now.saturating_duration_since(since) >= MINUTE;
        if self.since.is_none_or(is_over) {
            self.since = Some(now);
            self.lines = 0;
        }
        self.lines = self.lines.saturating_add(1);
        match self.lines {
            ..MOST_REFUSED => Turn::Written,
            MOST_REFUSED => Turn::Last,
            _ => Turn::LeftOut,
        }
    }
}

impl Audit {
    /// Somebody who may has asked for this; the query was found to be of parameters that are known, none of which is secret.
    pub(super) fn begin(&self, what: What, who: &Who, request: &HttpRequest) -> Entry {
        Entry {
            audit: self.clone(),
            what,
            who: who.clone(),
            method: request.method().to_string(),
            path: safe(asked_for(request), MOST_SHOWN),
            is_closed: false,
        }
    }
}

/// The path, and what the query adds to it.
fn asked_for(request: &HttpRequest) -> &str {
    let uri = request.uri();
    let whole = uri.path_and_query();
    whole.map_or(uri.path(), |whole| whole.as_str())
}

/// One request. If nobody says what came of it, as whoever asked went away before, that is what is logged.
pub(super) struct Entry {
    audit: Audit,
    what: What,
    who: Who,
    method: String,
    path: String,
    is_closed: bool,
}

impl Entry {
    /// It was done.
    pub(super) fn done(mut self, status: StatusCode) {
        self.is_closed = true;
        let sentence = match self.what {
            What::Change => "changed over the admin API",
            What::Secrets => "secrets were shown by the admin API",
        };
        self.write(status.as_u16(), None, sentence);
    }

    /// It was not done, or nobody knows whether it was.
    pub(super) fn refused(mut self, refusal: &Refusal) {
        self.is_closed = true;
        let status = refusal.error_response().status().as_u16();
        let reason = safe(&refusal.to_string(), MOST_SHOWN);
        let sentence = match (self.what, refusal) {
            (What::Change, Refusal::Away(_) | Refusal::Unavailable(_) | Refusal::Busy) => {
                "a change over the admin API failed, and may have been made all the same; asked for"
            }
            (What::Change, _) => "a change over the admin API was refused; asked for",
            (What::Secrets, _) => "secrets were not shown by the admin API; asked for",
        };
        self.write_in_turn(status, Some(&reason), sentence);
    }

    fn write_in_turn(&self, status: u16, reason: Option<&str>, sentence: &str) {
        let turn = self.audit.refused.lock().turn(Instant::now());
        if turn != Turn::LeftOut {
            self.write(status, reason, sentence);
        }
        if turn == Turn::Last {
            tracing::warn!("more was refused by the admin API than is logged here within a minute");
        }
    }

    fn write(&self, status: u16, reason: Option<&str>, sentence: &str) {
        let (token, role) = (self.who.token_name(), self.who.role.name());
        let address = self.who.address.map(tracing::field::display);
        let (method, path, who) = (&*self.method, &*self.path, &self.who);
        tracing::info!(
            token,
            role,
            address,
            method,
            path,
            status,
            reason,
            "{sentence}, by {who}"
        );
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if self.is_closed {
            return;
        }
        let sentence = match self.what {
            What::Change => {
                "whoever asked for a change over the admin API went away before it was answered, and it may have been \
                 made; asked for"
            }
            What::Secrets => {
                "whoever asked for secrets went away before the admin API answered; asked for"
            }
        };
        // As proxies log it.
        self.write_in_turn(499, None, sentence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_is_logged_so_often_a_minute_and_no_more() {
        let (mut refused, start) = (Refused::default(), Instant::now());
        let turns: Vec<Turn> = (0..200).map(|_| refused.turn(start)).collect();
        let written = turns.iter().filter(|turn| **turn != Turn::LeftOut);
        assert_eq!(written.count(), MOST_REFUSED);
        assert_eq!(turns.iter().filter(|turn| **turn == Turn::Last).count(), 1);
        assert_eq!(refused.turn(start + MINUTE), Turn::Written);
    }
}
