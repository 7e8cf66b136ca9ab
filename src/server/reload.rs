//! The configuration, read again while the relay runs.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::reclaim;
use crate::admin::{InUse, Keyring};
use crate::apps::Source;
use crate::config::{self, Config, LogLevel, Reread, Rereader};
use crate::hub::Changes;
use crate::metrics::Reload as Outcome;
use crate::relay::Relay;
use crate::webhooks::Webhooks;

/// How often files are looked at. One that is being written is left alone for as long.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// When files that could not be used are read again, though they have not changed: what they name may be there.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Ids and keys that a line of the log names.
const MOST_NAMED: usize = 20;
/// What decides whom the development credentials are shown to.
const LISTENERS: [&str; 3] = ["server.listen", "admin.listen", "tls.listen"];

/// The key of the app that Laravel's events are for.
const INGESTED: &str = "ingest.laravel_redis.app";

/// What it takes to read a configuration again.
#[derive(Debug)]
pub struct Reload {
    /// The files, and what they were read with.
    pub rereader: Rereader,
    /// Notified when somebody wants it to be read now.
    pub requested: Arc<Notify>,
    /// Sets the least important that is logged.
    pub set_log_level: fn(LogLevel),
}

/// What of the admin listener changes as the configuration is read again.
pub(super) struct OfAdmin {
    /// What opens it.
    pub(super) keyring: Arc<Keyring>,
    /// What it shows of the configuration.
    pub(super) config: Arc<InUse>,
}

/// Reads a configuration again, and has the relay go by it.
pub(super) struct Reloading {
    reload: Reload,
    relay: Arc<Relay>,
    webhooks: Webhooks,
    of_admin: OfAdmin,
    /// Whether others than this machine reach the admin listener.
    admin_is_exposed: bool,
    log_level: LogLevel,
    is_development: bool,
    /// The app that Laravel's events over Redis are for, if they are taken in.
    ingested: Option<Box<str>>,
    /// What is wrong with the files as they were last read.
    complaint: Option<String>,
    again_at: Option<Instant>,
    /// Keys of which it was logged that they need a restart.
    named: Vec<String>,
}

impl Reloading {
    /// A relay that runs with this configuration.
    pub(super) fn new(
        reload: Reload,
        config: &Config,
        relay: &Arc<Relay>,
        webhooks: &Webhooks,
        of_admin: OfAdmin,
    ) -> Self {
        let admin = config.admin.listen.as_ref();
        Self {
            reload,
            relay: Arc::clone(relay),
            webhooks: webhooks.clone(),
            of_admin,
            admin_is_exposed: admin.is_some_and(|listen| !listen.is_loopback()),
            log_level: config.log.level,
            is_development: config.development,
            ingested: ingested(config),
            complaint: None,
            again_at: None,
            named: Vec::new(),
        }
    }

    /// Looks at the files now and then, on a thread that may wait for them.
    pub(super) async fn run(mut self) {
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let requested = Arc::clone(&self.reload.requested);
        loop {
            let is_requested = tokio::select! {
                () = requested.notified() => true,
                _ = ticks.tick() => false,
            };
            let looked = tokio::task::spawn_blocking(move || {
                self.look(is_requested);
                self
            });
            match looked.await {
                Ok(this) => self = this,
                // The runtime is stopping.
                Err(_) => return,
            }
        }
    }

    fn look(&mut self, is_requested: bool) {
        let have_changed = self.reload.rereader.have_changed();
        let is_due = self.again_at.is_some_and(|at| at <= Instant::now());
        let is_going_away = self.relay.hub.is_draining();
        if is_going_away || !(is_requested || have_changed || is_due) {
            return;
        }
        // What is tried again by itself is complained of once.
        let is_news = is_requested || have_changed;
        let reread = self.reload.rereader.read(self.is_development);
        let reread = reread.map_err(|error| error.to_string());
        match reread.and_then(|reread| self.go_by(reread)) {
            Ok(changes) => self.succeeded(&changes),
            Err(complaint) => self.failed(complaint, is_news),
        }
        // What the reading of a large file took is of no use to this thread.
        reclaim::now();
    }

    /// Has the relay go by another configuration, or returns what is wrong with it.
    fn go_by(&mut self, reread: Reread) -> Result<Changes, String> {
        let Reread {
            config,
            mut needs_restart,
        } = reread;
        let is_ingested_elsewhere = self.ingested.is_some() && self.ingested != ingested(&config);
        if is_ingested_elsewhere && !needs_restart.iter().any(|key| key == INGESTED) {
            // The file need not name it where there is one app.
            needs_restart.push(INGESTED.into());
        }
        self.check_development(&config, &needs_restart)?;
        self.check_tokens(&config)?;
        if config.apps.iter().any(|app| !app.webhooks.is_empty()) {
            self.webhooks.start().map_err(|error| error.to_string())?;
        }
        if config.log.level != self.log_level {
            self.log_level = config.log.level;
            (self.reload.set_log_level)(config.log.level);
        }
        self.is_development = config.development;
        self.take_tokens(&config);
        let shown = config::shown(&config);
        self.of_admin.config.was_read(&shown, &needs_restart);
        self.name(needs_restart);
        let apps = config.apps.iter().map(Arc::clone).collect();
        Ok(self.relay.hub.set_apps(Source::Configuration, apps))
    }

    /// Whoever has served apps of their own does not mean to serve the one that everybody knows; and listeners that
    /// the file moves stay where they are.
    fn check_development(&self, config: &Config, needs_restart: &[String]) -> Result<(), String> {
        if config.development && !self.is_development {
            return Err(
                "no app is configured any more: to serve the development app, start the relay again"
                    .into(),
            );
        }
        let is_known = config.apps.iter().any(|app| app.secret_is_known);
        let moved = LISTENERS
            .iter()
            .find(|key| needs_restart.iter().any(|other| other == *key));
        match moved {
            Some(key) if is_known => Err(format!(
                "the development credentials (secret `local`) are in use, and {key} is another one than the relay \
                 listens on: start it again"
            )),
            _ => Ok(()),
        }
    }

    /// A listener that the file moves to loopback stays where it is, and needs tokens there.
    fn check_tokens(&self, config: &Config) -> Result<(), String> {
        if self.admin_is_exposed && config.admin.tokens.is_empty() {
            return Err(
                "no admin token is configured any more, and others than this machine reach the admin listener: \
                 set admin.token or admin.tokens_file, or start the relay again with another admin.listen"
                    .into(),
            );
        }
        Ok(())
    }

    /// From now on the admin listener is opened by what the file has now.
    fn take_tokens(&self, config: &Config) {
        let tokens = &config.admin.tokens;
        if self.of_admin.keyring.replace(tokens.clone()) {
            let names: Vec<_> = tokens.iter().map(|token| token.name()).collect();
            tracing::info!(
                tokens = listed(&names),
                "the admin listener is opened by other tokens from now on"
            );
        }
    }

    /// Names keys that hold only from the next start on, once.
    fn name(&mut self, needs_restart: Vec<String>) {
        if needs_restart == self.named {
            return;
        }
        if !needs_restart.is_empty() {
            let keys = listed(&needs_restart);
            tracing::warn!(
                keys,
                "these settings are others than the relay runs with: they hold when it is started again"
            );
        }
        self.named = needs_restart;
    }

    fn succeeded(&mut self, changes: &Changes) {
        let is_over = self.complaint.take().is_some();
        self.again_at = None;
        self.relay.is_outdated.store(false, Ordering::Relaxed);
        let outcome = if changes.is_empty() {
            Outcome::Unchanged
        } else {
            Outcome::Applied
        };
        self.count(outcome);
        if changes.is_empty() && !is_over {
            tracing::info!("the configuration was read again: no app has changed");
        } else {
            tracing::info!(
                added = listed(&changes.added),
                changed = listed(&changes.changed),
                removed = listed(&changes.removed),
                "the configuration was read again"
            );
        }
        for refused in changes.refused.iter().take(MOST_NAMED) {
            tracing::warn!("{refused}");
        }
    }

    fn failed(&mut self, complaint: String, is_news: bool) {
        self.again_at = Some(Instant::now() + AGAIN_AFTER);
        self.of_admin.config.was_not_read(&complaint);
        self.relay.is_outdated.store(true, Ordering::Relaxed);
        if is_news || self.complaint.as_ref() != Some(&complaint) {
            self.count(Outcome::Failed);
            tracing::warn!("{complaint}; what was read before holds");
        }
        self.complaint = Some(complaint);
    }

    fn count(&self, outcome: Outcome) {
        let process = self.relay.hub.metrics().process();
        process.config_reloads.with(outcome).inc();
    }
}

fn ingested(config: &Config) -> Option<Box<str>> {
    let laravel = &config.laravel_redis;
    laravel.enabled.then(|| laravel.app.clone())
}

/// Names, and how many more there are.
fn listed(names: &[impl AsRef<str>]) -> String {
    let named: Vec<&str> = names.iter().take(MOST_NAMED).map(AsRef::as_ref).collect();
    let named = named.join(", ");
    match names.len().checked_sub(MOST_NAMED) {
        Some(more @ 1..) => format!("{named} and {more} more"),
        _ => named,
    }
}
