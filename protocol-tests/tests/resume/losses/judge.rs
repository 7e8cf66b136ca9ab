//! What pages have and lack, held against what was published.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::observer::Observer;
use super::publisher::{Ledger, Sent};
use super::users::Friends;
use crate::page::{Life, Page, Stream};

/// What user ids of pages with a token begin with.
pub(crate) const KEPT: &str = "kept-";
/// The same of pages without.
pub(crate) const PLAIN: &str = "plain-";

/// How long before a cut an event may have been published that comes twice: two seconds until the relay asks, a quarter of
/// one in which it waits for an event that takes the question along, and another second because each has its turn once a
/// second.
const UNPROVEN: Duration = Duration::from_millis(3250);
/// What the measuring itself may be off by.
const TOLERANCE: Duration = Duration::from_millis(500);

/// A line of the table: what it is about, and its cell of a verdict.
type Row = (&'static str, fn(&Verdict) -> String);

/// What verdicts are based on.
pub(crate) struct Evidence<'a> {
    pub(crate) ledger: &'a Ledger,
    pub(crate) friends: &'a Friends,
    pub(crate) observers: &'a [Observer],
    /// For how long at most the machine did not run: nobody asks then, and no observer notices when nothing is on its way.
    pub(crate) standstill: Duration,
}

/// What has become of a group of pages.
#[derive(Default)]
pub(crate) struct Verdict {
    name: &'static str,
    connections: usize,
    /// Events that were for them, each counted for each page.
    due: usize,
    lost: usize,
    out_of_order: usize,
    /// Events that came to the page that they were not for.
    own: usize,
    again: usize,
    /// Events that came again although they must have been known to be received.
    again_too_old: usize,
    /// How long before the cut the oldest of those that came again was published.
    oldest: Duration,
    /// How old they may be.
    oldest_allowed: Duration,
    /// Connections with another socket id than the one before.
    new_socket_ids: usize,
    gaps: usize,
    /// How many events are missing as these have it.
    reported: u64,
    /// Events that are lost and that none of these accounts for.
    unreported: u64,
    /// What observers have seen of them.
    transitions: usize,
    /// Pages that have signed in, and users that they watch without knowing whether these are online.
    signed_in: usize,
    unknown: usize,
    /// Some of what was wrong.
    examples: Vec<String>,
}

impl Verdict {
    pub(crate) fn on(
        name: &'static str,
        pages: &Arc<Vec<Page>>,
        evidence: &Evidence<'_>,
    ) -> Verdict {
        let latencies = evidence.observers.iter().map(Observer::latency);
        let latency = latencies.max().unwrap_or_default();
        let users = if name == "without" { PLAIN } else { KEPT };
        let observers = evidence.observers.iter();
        let mut verdict = Verdict {
            name,
            oldest_allowed: UNPROVEN + latency * 2 + evidence.standstill + TOLERANCE,
            transitions: observers
                .map(|observer| observer.transitions_of(users))
                .sum(),
            ..Verdict::default()
        };
        for (number, page) in pages.iter().enumerate() {
            if page.plan.watchlist.is_some() {
                verdict.signed_in += 1;
                verdict.unknown += evidence.friends.unknown_to(page);
            }
            let diary = page.diary();
            verdict.connections += diary.lives.len();
            let pairs = diary.lives.windows(2);
            let changed = pairs.filter(|pair| pair[0].socket_id != pair[1].socket_id);
            verdict.new_socket_ids += changed.count();
            verdict.examples.extend(diary.differences.iter().cloned());
            for (channel, stream) in &diary.streams {
                let sent = evidence.ledger.all(*channel);
                let place = format!("page {number}, channel {channel}");
                verdict.stream((number, &place), stream, &sent, &diary.lives);
                verdict.repetitions(stream, &sent, &diary.lives);
            }
        }
        verdict
    }

    fn stream(
        &mut self,
        (page, place): (usize, &str),
        stream: &Stream,
        sent: &[Sent],
        lives: &[Life],
    ) {
        self.out_of_order += stream.out_of_order;
        self.gaps += stream.gaps;
        self.again += stream.again.len();
        // Only pages with a token are left out.
        let is_own = |sent: &Sent| sent.excluded == Some(page) && self.name != "without";
        let mut lost = Vec::new();
        for (number, sent) in (1..).zip(sent) {
            match (is_own(sent), stream.has(number)) {
                (false, has) => {
                    self.due += 1;
                    if !has {
                        lost.push(number);
                    }
                }
                (true, true) => self.own += 1,
                (true, false) => {}
            }
        }
        self.lost += lost.len();
        self.reported += stream.reported;
        self.unreported += (lost.len() as u64).saturating_sub(stream.reported);
        if lost.len() as u64 > stream.reported && self.name != "without" {
            let first = sent[lost[0] as usize - 1].at;
            let last = sent[lost[lost.len() - 1] as usize - 1].at;
            self.examples.push(format!(
                "{place}: lost {lost:?}, published from {} to {}, of connections {}",
                ago(first),
                ago(last),
                lives.iter().map(described).collect::<Vec<_>>().join(", ")
            ));
        }
        if stream.out_of_order > 0 {
            self.examples
                .push(format!("{place}: {} out of order", stream.out_of_order));
        }
    }

    fn repetitions(&mut self, stream: &Stream, sent: &[Sent], lives: &[Life]) {
        for (number, connection) in &stream.again {
            let sent = sent[*number as usize - 1].at;
            let Some(cut) = cut_before(lives, *connection, self.oldest_allowed) else {
                continue;
            };
            let age = cut.saturating_duration_since(sent);
            self.oldest = self.oldest.max(age);
            self.again_too_old += usize::from(age > self.oldest_allowed);
        }
    }

    /// The verdicts as a table in Markdown.
    pub(crate) fn table(verdicts: &[Verdict]) -> String {
        let mut table = String::from("| pages |");
        for verdict in verdicts {
            write!(table, " {} |", verdict.name).expect("a String takes all that is written");
        }
        let rows: [Row; 15] = [
            ("connections", |verdict| verdict.connections.to_string()),
            ("events due", |verdict| verdict.due.to_string()),
            ("lost", |verdict| verdict.lost.to_string()),
            ("out of order", |verdict| verdict.out_of_order.to_string()),
            ("came to their sender", |verdict| verdict.own.to_string()),
            ("came twice", |verdict| verdict.again.to_string()),
            ("of these published before their time", |verdict| {
                verdict.again_too_old.to_string()
            }),
            ("oldest of these before its cut", |verdict| {
                format!("{:?} of {:?}", verdict.oldest, verdict.oldest_allowed)
            }),
            ("changes of socket id", |verdict| {
                verdict.new_socket_ids.to_string()
            }),
            ("events fanfare:gap", |verdict| verdict.gaps.to_string()),
            ("missing according to these", |verdict| {
                verdict.reported.to_string()
            }),
            ("lost, and not among these", |verdict| {
                verdict.unreported.to_string()
            }),
            ("members seen to come or go", |verdict| {
                verdict.transitions.to_string()
            }),
            ("pages that had signed in", |verdict| {
                verdict.signed_in.to_string()
            }),
            ("users watched, and not known as they are", |verdict| {
                verdict.unknown.to_string()
            }),
        ];
        let separator = format!("\n| --- |{}", " --- |".repeat(verdicts.len()));
        table.push_str(&separator);
        for (title, cell) in rows {
            let cells: Vec<String> = verdicts.iter().map(cell).collect();
            write!(table, "\n| {title} | {} |", cells.join(" | "))
                .expect("a String takes all that is written");
        }
        table
    }

    pub(crate) fn expect_nothing_lost(&self) {
        self.expect_none(&[
            ("lost", self.lost),
            ("came twice and were too old for that", self.again_too_old),
            ("events fanfare:gap", self.gaps),
        ]);
    }

    /// That what was lost was reported to those who lost it.
    pub(crate) fn expect_losses_to_be_reported(&self) {
        self.expect_none(&[("lost and not reported", self.unreported as usize)]);
        assert!(self.gaps > 0, "nobody missed more than is kept");
    }

    /// That there is none of these, and nothing of what must not be in any case.
    fn expect_none(&self, of_this_run: &[(&str, usize)]) {
        let in_any_case = [
            ("out of order", self.out_of_order),
            ("came to their sender", self.own),
            ("changes of socket id", self.new_socket_ids),
            ("members seen to come or go", self.transitions),
            ("users not known as they are", self.unknown),
        ];
        let wrong = of_this_run.iter().chain(&in_any_case);
        let wrong: Vec<_> = wrong.filter(|(_, count)| *count > 0).collect();
        let examples = &self.examples[..self.examples.len().min(10)];
        assert!(
            wrong.is_empty() && examples.is_empty(),
            "{}: {wrong:?}, such as {examples:#?}",
            self.name
        );
    }

    /// That the faults of this run cost those events who have no token.
    pub(crate) fn expect_losses(&self) {
        assert!(self.lost > 0, "nothing was lost without a token either");
        let examples = &self.examples[..self.examples.len().min(10)];
        assert!(
            self.out_of_order + self.again + self.gaps == 0 && examples.is_empty(),
            "without a token: {examples:#?}"
        );
    }
}

/// How many milliseconds ago that was.
fn ago(at: Instant) -> String {
    format!("-{}", at.elapsed().as_millis())
}

/// A connection: when it began, when it was cut, and when its page knew.
fn described(life: &Life) -> String {
    let [cut, ended] = [life.disturbed, life.ended].map(|at| at.map_or("?".to_owned(), ago));
    format!("{} {cut} {ended}", ago(life.began))
}

/// When the fault began that lies before this connection. One that came soon after the start of its own connection counts
/// together with the one before. `None` when a connection has ended without one.
fn cut_before(lives: &[Life], connection: usize, unproven: Duration) -> Option<Instant> {
    let mut before = connection.checked_sub(1)?;
    loop {
        let life = &lives[before];
        let cut = life.disturbed?;
        if before == 0 || cut.saturating_duration_since(life.began) > unproven {
            return Some(cut);
        }
        before -= 1;
    }
}
