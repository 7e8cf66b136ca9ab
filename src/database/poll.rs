//! Looks again and again whether the table has changed, and has the relay serve what it has.

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use sqlx::{AssertSqlSafe, Row as _};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::known::{Known, Round};
use super::link::{Columns, Link, Trouble, columns, within_time};
use super::parts::Parts;
use super::place::{Kind, Settings};
use super::reading::read_rows;
use super::statements;
use super::stored::beyond;
use crate::apps::Source;
use crate::hub::Knowledge;
use crate::metrics::DatabaseMetrics;
use crate::throttle::Throttle;

/// A database that has not answered for so long is taken for one that is away, before it is given up.
const PATIENCE: Duration = Duration::from_secs(1);
/// When one that is away is tried again, at the earliest, and at the latest.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const AGAIN_WITHIN: Duration = Duration::from_secs(10);
/// Of its time, the database spends one part in so many on this node's looking at most, unless that would have the node
/// look more rarely than [`LONGEST_PAUSE`]: until it looks, it does not know that the database is away.
const SHARE: u32 = 10;
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// A notice of another node has this one look after that at the earliest, and [`SHARE`] holds for such looks, too:
/// however many come, and whoever sends them.
const NOTICES_WAIT: Duration = Duration::from_millis(50);
/// Lines of the log about rows that a minute may have, and names that a line may.
const MOST_LINES: usize = 20;

pub(super) struct Poller<'p> {
    parts: &'p Parts,
    settings: &'p Settings,
    kind: Kind,
    link: Link,
    columns: Columns,
    known: Known,
    /// As the table was when it was last read.
    digest: Option<String>,
    /// Other nodes have changed something.
    noticed: Option<Arc<Notify>>,
    metrics: DatabaseMetrics,
    away: Throttle,
    is_away: bool,
    /// Whether the log has it that it is away.
    is_logged: bool,
    was_read: bool,
    lines: Lines,
}

impl<'p> Poller<'p> {
    pub(super) fn new(parts: &'p Parts) -> Self {
        let settings = &parts.settings;
        let known = Known::new(settings.schema.clone(), parts.read.clone());
        Self {
            parts,
            settings,
            kind: settings.place.kind(),
            link: Link::new(settings, &parts.opening),
            columns: Columns::new(),
            known,
            digest: None,
            noticed: parts.relay.authority.apps_changed_elsewhere(),
            metrics: parts.relay.hub.metrics().database(),
            away: Throttle::default(),
            is_away: false,
            is_logged: false,
            was_read: false,
            lines: Lines::default(),
        }
    }

    /// Looks for as long as it is polled; `first` is called once the first look is over.
    pub(super) async fn run(&mut self, first: impl FnOnce()) {
        let mut first = Some(first);
        let mut asked = self.parts.looks.asked.subscribe();
        loop {
            let now_asked = *asked.borrow_and_update();
            let (looked, took) = self.patiently_look().await;
            let poll = self.settings.poll;
            let pause = match looked {
                Ok(()) => {
                    self.parts.looks.done.send_replace(now_asked);
                    Pause::after(took, poll)
                }
                Err(trouble) => {
                    self.failed(&trouble);
                    Pause::after_failure(poll)
                }
            };
            if let Some(first) = first.take() {
                first();
            }
            self.wait(&pause, &mut asked).await;
        }
    }

    /// Waits until it is time to look again: at once for this node's own changes, soon for those of others.
    async fn wait(&self, pause: &Pause, asked: &mut watch::Receiver<u64>) {
        let noticed = async {
            let soon = sleep(pause.noticed);
            match &self.noticed {
                Some(noticed) => noticed.notified().await,
                None => pending().await,
            }
            soon.await;
        };
        tokio::select! {
            // Nobody but this one has the other end, so it does not end.
            _ = asked.changed() => {}
            () = noticed => {}
            () = sleep(pause.whole) => {}
        }
    }

    /// Closes the connection.
    pub(super) async fn close(&mut self) {
        self.link.close().await;
    }

    /// A look, and how long the database took to answer.
    async fn patiently_look(&mut self) -> (Result<(), Trouble>, Duration) {
        let start = Instant::now();
        let parts = self.parts;
        let hub = &parts.relay.hub;
        let (was_read, is_away) = (self.was_read, self.is_away);
        let mut took = Duration::ZERO;
        let looked = {
            let mut look = pin!(self.look(start, &mut took));
            match timeout(PATIENCE, &mut look).await {
                Ok(looked) => looked,
                Err(_) => {
                    if was_read && !is_away {
                        hub.apps().set_knowledge(Knowledge::Away);
                    }
                    look.await
                }
            }
        };
        if looked.is_ok() {
            self.succeeded();
        }
        (looked, took)
    }

    async fn look(&mut self, start: Instant, took: &mut Duration) -> Result<(), Trouble> {
        let looked = self.look_with_what_is_open(start, took).await;
        if looked.is_err() {
            self.link.give_up();
        }
        looked
    }

    async fn look_with_what_is_open(
        &mut self,
        start: Instant,
        took: &mut Duration,
    ) -> Result<(), Trouble> {
        let (_, is_new) = self.link.connection().await?;
        if is_new {
            self.digest = None;
            self.columns = self.find_columns().await?;
        }
        let asked = Instant::now();
        let statement = statements::digest(self.kind, &self.settings.schema, &self.columns);
        let digest = self.digest_of(statement).await?;
        *took = asked.elapsed();
        self.metrics.looks.inc();
        if self.digest.as_ref() == Some(&digest) {
            return Ok(());
        }
        let round = self.read_all().await?;
        *took = asked.elapsed();
        // What has changed since the digest was made is read once more.
        self.digest = Some(digest);
        self.serve(round, start)?;
        Ok(())
    }

    async fn find_columns(&mut self) -> Result<Columns, Trouble> {
        let (connection, _) = self.link.connection().await?;
        columns(connection, self.kind, &self.settings.schema).await
    }

    async fn digest_of(&mut self, statement: String) -> Result<String, Trouble> {
        let (connection, _) = self.link.connection().await?;
        let query = sqlx::raw_sql(AssertSqlSafe(statement)).fetch_one(connection);
        let row = within_time(query).await?;
        Ok(match self.kind {
            Kind::Sqlite => row.try_get::<i64, _>(0)?.to_string(),
            Kind::Postgres | Kind::Mysql => row.try_get(0)?,
        })
    }

    async fn read_all(&mut self) -> Result<Round, Trouble> {
        let most = self.settings.max_apps;
        let table = (self.kind, &self.settings.schema);
        self.metrics.reads.inc();
        let (connection, _) = self.link.connection().await?;
        let (known, columns) = (&mut self.known, &self.columns);
        let are_more = read_rows(connection, table, columns, most, known).await?;
        let mut round = self.known.end();
        if are_more {
            round.refused += 1;
            round.remarks.push(beyond(most));
        }
        let looks = &self.parts.looks;
        looks.are_more.store(are_more, Ordering::Relaxed);
        Ok(round)
    }

    /// Has the relay serve these apps.
    fn serve(&mut self, round: Round, start: Instant) -> Result<(), Trouble> {
        if round.apps.iter().any(|app| !app.webhooks.is_empty()) {
            let started = self.parts.webhooks.start();
            started.map_err(|error| Trouble::File(std::io::Error::other(error.to_string())))?;
        }
        let count = round.apps.len();
        let changes = self.parts.relay.hub.set_apps(Source::Database, round.apps);
        self.metrics.apps.set(count as i64);
        self.metrics.rows_refused.set(round.refused as i64);
        if !changes.is_empty() {
            tracing::info!(
                apps = count,
                added = listed(&changes.added),
                changed = listed(&changes.changed),
                removed = listed(&changes.removed),
                milliseconds = start.elapsed().as_millis() as u64,
                "the apps of the database were read"
            );
        }
        let own = changes.refused.iter();
        let own = own.filter(|refused| refused.source == Source::Database);
        let remarks = round.remarks.into_iter();
        let remarks = remarks.chain(own.map(ToString::to_string));
        self.lines.write(remarks, Instant::now());
        (self.parts.reclaim)();
        Ok(())
    }

    fn succeeded(&mut self) {
        if !self.was_read {
            self.was_read = true;
            self.parts.webhooks.all_begun();
        }
        self.parts.relay.hub.apps().set_knowledge(Knowledge::All);
        self.metrics.up.set(1);
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = since_1970.map_or(0, |time| time.as_secs());
        self.metrics.last_read.set(seconds as i64);
        self.is_away = false;
        if std::mem::take(&mut self.is_logged) {
            tracing::info!("the database of apps can be read again");
        }
    }

    fn failed(&mut self, trouble: &Trouble) {
        let knowledge = if self.was_read {
            Knowledge::Away
        } else {
            Knowledge::NotYet
        };
        self.parts.relay.hub.apps().set_knowledge(knowledge);
        self.is_away = true;
        self.metrics.up.set(0);
        self.metrics.failures.inc();
        if self.away.lets_through(Instant::now()) {
            self.is_logged = true;
            let place = &self.settings.place;
            let holds = if self.was_read {
                "what was read before holds"
            } else {
                "only the apps of the configuration are served"
            };
            tracing::warn!("the apps of the database cannot be read ({place}): {trouble}; {holds}");
        }
    }
}

/// How long a node waits for its next look.
struct Pause {
    whole: Duration,
    /// For one that another node asks for.
    noticed: Duration,
}

impl Pause {
    /// After a look that came to nothing. However rarely changes are looked for, nobody is to wait long for what is back.
    fn after_failure(poll: Duration) -> Self {
        Self {
            whole: poll.clamp(AGAIN_AFTER, AGAIN_WITHIN),
            noticed: AGAIN_AFTER,
        }
    }

    /// After a look that took so long.
    fn after(took: Duration, poll: Duration) -> Self {
        let share = took.saturating_mul(SHARE - 1).min(LONGEST_PAUSE);
        Self {
            whole: poll.max(share),
            noticed: NOTICES_WAIT.max(share),
        }
    }
}

/// Lines about rows, so many a minute at most.
#[derive(Default)]
struct Lines {
    minute: Option<Instant>,
    written: usize,
    /// What was last written of apps that others stand in the way of, so that it is not written again.
    last: Vec<String>,
}

impl Lines {
    fn write(&mut self, remarks: impl Iterator<Item = String>, now: Instant) {
        let is_over = |minute: Instant| now.duration_since(minute) >= Duration::from_secs(60);
        if self.minute.is_none_or(is_over) {
            self.minute = Some(now);
            self.written = 0;
        }
        let mut left_out = 0_usize;
        let mut noted = Vec::new();
        for remark in remarks {
            let is_news = !self.last.contains(&remark);
            if noted.len() < MOST_LINES {
                noted.push(remark.clone());
            }
            if !is_news {
                continue;
            }
            if self.written < MOST_LINES {
                self.written += 1;
                tracing::warn!("in the database of apps, {remark}");
            } else {
                left_out += 1;
            }
        }
        if left_out > 0 && self.written == MOST_LINES {
            self.written += 1;
            tracing::warn!(
                "in the database of apps, more is wrong than is written here within a minute"
            );
        }
        self.last = noted;
    }
}

/// Names, and how many more there are.
fn listed(names: &[Box<str>]) -> String {
    let named: Vec<&str> = names.iter().take(MOST_LINES).map(AsRef::as_ref).collect();
    let named = named.join(", ");
    match names.len().checked_sub(MOST_LINES) {
        Some(more @ 1..) => format!("{named} and {more} more"),
        _ => named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_database_is_looked_at_more_rarely_and_not_left_out_of_sight() {
        let poll = Duration::from_millis(500);
        let after = |took| Pause::after(Duration::from_millis(took), poll);
        let pause = |took| after(took).whole.as_millis();
        assert_eq!(pause(1), 500);
        assert_eq!(pause(100), 900);
        assert_eq!(pause(4900), 2000);
        let rarely = Duration::from_secs(60);
        assert_eq!(Pause::after(Duration::from_secs(5), rarely).whole, rarely);
    }

    #[test]
    fn a_database_that_is_away_is_tried_again_soon_however_rarely_it_is_looked_at() {
        let again = |poll| {
            Pause::after_failure(Duration::from_secs(poll))
                .whole
                .as_secs()
        };
        assert_eq!([0, 5, 3600].map(again), [1, 5, 10]);
    }

    #[test]
    fn however_many_notices_come_the_database_has_its_pauses() {
        let rarely = Duration::from_secs(60);
        let noticed = |took| Pause::after(Duration::from_millis(took), rarely).noticed;
        assert_eq!(noticed(1).as_millis(), 50);
        assert_eq!(noticed(100).as_millis(), 900);
        assert_eq!(noticed(4900), LONGEST_PAUSE);
    }
}
