//! The apps that there are, while they come, change and go.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering, fence};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use super::app::{AppHub, disabled};
use super::mailbox::AppIndex;
use crate::apps::{App, LiveApp, Refused, Registry, Source, Sources, Taken};
use crate::metrics::Metrics;
use crate::protocol::CloseCode;
use crate::session::CloseReason;
use crate::webhooks::Webhooks;

/// So many apps are at work from the start, so that their numbers begin at zero. Of more, each is at work when
/// somebody first needs it: one that nobody uses costs its record and little more.
const AT_WORK_FROM_THE_START: usize = 256;

/// The apps that there are. Whoever looks one up waits for nobody; whoever changes them waits for others who do.
pub struct Apps {
    table: ArcSwap<Table>,
    sources: Mutex<Sources>,
    /// A [`Knowledge`].
    knowledge: AtomicU8,
    metrics: Metrics,
    webhooks: Webhooks,
}

/// Whether all apps are known that there are. While they are not, one that is not found may be there all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Knowledge {
    /// They are.
    All,
    /// Those of the database were not read yet.
    NotYet,
    /// Those of the database are as they last were: it is away.
    Away,
}

#[derive(Default)]
struct Table {
    by_id: FxHashMap<Box<str>, Arc<Slot>>,
    by_key: FxHashMap<Box<str>, Arc<Slot>>,
}

impl Table {
    /// Whether the app with this id has this key.
    fn has(&self, id: &str, key: &str) -> bool {
        let slot = self.by_key.get(key);
        slot.is_some_and(|slot| *slot.app.id == *id)
    }
}

/// An app, at work or not yet.
struct Slot {
    app: Arc<LiveApp>,
    /// Empty until somebody needs it; None once the app is gone without ever having been at work.
    hub: OnceLock<Option<Arc<AppHub>>>,
}

/// What has become of the apps.
#[derive(Debug, Default)]
pub struct Changes {
    /// Ids of apps that were not there before.
    pub added: Vec<Box<str>>,
    /// Ids of apps of which something is different.
    pub changed: Vec<Box<str>>,
    /// Ids of apps that are gone.
    pub removed: Vec<Box<str>>,
    /// Apps that are not served, as others have their ids or keys.
    pub refused: Vec<Refused>,
    /// Whose connections are to be closed.
    pub(super) closing: Vec<(AppIndex, CloseReason)>,
}

impl Changes {
    /// Whether all is as it was.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.changed.is_empty() && self.removed.is_empty()
    }
}

impl Apps {
    /// None yet.
    pub(super) fn new(metrics: Metrics, webhooks: Webhooks) -> Self {
        Self {
            table: ArcSwap::default(),
            sources: Mutex::default(),
            knowledge: AtomicU8::new(Knowledge::All as u8),
            metrics,
            webhooks,
        }
    }

    /// The app with this id, enabled or not.
    pub fn by_id(&self, id: &str) -> Option<Arc<AppHub>> {
        self.table.load().by_id.get(id)?.hub(self)
    }

    /// The app that this key belongs to, enabled or not.
    pub fn by_key(&self, key: &str) -> Option<Arc<AppHub>> {
        self.table.load().by_key.get(key)?.hub(self)
    }

    /// All of them as they are now, each with the app at work if somebody has needed it.
    pub fn all(&self) -> Vec<(Arc<App>, Option<Arc<AppHub>>)> {
        let table = self.table.load();
        table.by_id.values().map(|slot| slot.seen()).collect()
    }

    /// Whether an app is one of the configuration, of which all that have an id are served.
    pub fn is_configured(&self, id: &str) -> bool {
        self.sources.lock().has(Source::Configuration, id)
    }

    /// The ids of the configuration's apps.
    pub fn configured(&self) -> HashSet<Box<str>> {
        self.sources.lock().ids(Source::Configuration)
    }

    /// What another app has of the source's app with this id, if that one is not served for it.
    pub fn taken(&self, source: Source, id: &str) -> Option<Taken> {
        self.sources.lock().taken(source, id).cloned()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.table.load().by_id.len()
    }

    /// One of them as it is now, which is not put to work by that.
    pub fn one(&self, id: &str) -> Option<(Arc<App>, Option<Arc<AppHub>>)> {
        Some(self.table.load().by_id.get(id)?.seen())
    }

    /// Whether all apps are known that there are.
    pub fn knowledge(&self) -> Knowledge {
        let known = self.knowledge.load(Ordering::Relaxed);
        let all = [Knowledge::All, Knowledge::NotYet, Knowledge::Away];
        let mut all = all.into_iter();
        all.find(|knowledge| *knowledge as u8 == known)
            .unwrap_or(Knowledge::All)
    }

    /// Whether all apps are known is another thing from now on.
    pub fn set_knowledge(&self, knowledge: Knowledge) {
        self.knowledge.store(knowledge as u8, Ordering::Relaxed);
    }

    /// Those that somebody has needed.
    pub fn at_work(&self) -> Vec<Arc<AppHub>> {
        let table = self.table.load();
        let slots = table.by_id.values();
        slots.filter_map(|slot| slot.at_work().cloned()).collect()
    }

    /// These are the apps of the source from now on. Whoever looks an app up finds it as it is now; what is at work
    /// goes by its new record.
    pub(super) fn set(&self, source: Source, apps: Vec<Arc<App>>) -> Changes {
        let mut sources = self.sources.lock();
        // What is the same is kept once.
        let apps = apps.into_iter().map(|app| self.known(app));
        sources.set(source, apps.collect());
        let before = self.table.load_full();
        let (registry, refused) = sources.merged(|id, key| before.has(id, key));
        let mut changes = Changes {
            refused,
            ..Changes::default()
        };
        let mut table = Table::default();
        let (mut added, mut replaced) = (Vec::new(), Vec::new());
        for app in registry.iter() {
            let slot = match before.by_id.get(&app.id) {
                None => {
                    changes.added.push(app.id.clone());
                    let slot = Arc::new(Slot::new(Arc::clone(app)));
                    added.push(Arc::clone(&slot));
                    slot
                }
                Some(known) if known.goes_by(app) => Arc::clone(known),
                Some(known) => {
                    changes.changed.push(app.id.clone());
                    match known.changed(app, self, &mut changes.closing) {
                        None => Arc::clone(known),
                        Some(anew) => {
                            replaced.push(Arc::clone(known));
                            Arc::new(anew)
                        }
                    }
                }
            };
            for pair in app.keys.iter() {
                table.by_key.insert(pair.key().into(), Arc::clone(&slot));
            }
            table.by_id.insert(app.id.clone(), slot);
        }
        self.table.store(Arc::new(table));
        // From here on nobody finds those that are gone.
        for slot in replaced {
            slot.replace(&mut changes.closing);
        }
        for (id, slot) in &before.by_id {
            if registry.by_id(id).is_none() {
                changes.removed.push(id.clone());
                slot.remove(self, &mut changes.closing);
            }
        }
        self.begin(&registry, &added);
        let process = self.metrics.process();
        process.apps.set(registry.len() as i64);
        process.apps_refused.set(changes.refused.len() as i64);
        changes
    }

    /// The record that holds already, if it is the same.
    fn known(&self, app: Arc<App>) -> Arc<App> {
        let table = self.table.load();
        let known = table.by_id.get(&app.id);
        let known = known.map(|slot| slot.app.full_record());
        let is_same = |known: &Arc<App>| Arc::ptr_eq(known, &app) || **known == *app;
        known.filter(is_same).unwrap_or(app)
    }

    /// Puts apps to work that are to be from the start.
    fn begin(&self, registry: &Registry, added: &[Arc<Slot>]) {
        if registry.len() <= AT_WORK_FROM_THE_START {
            for slot in added {
                slot.hub(self);
            }
        }
        if self.webhooks.has_left() {
            // It may be for webhooks of any of them.
            let table = self.table.load();
            let slots = table.by_id.values();
            for slot in slots.filter(|slot| !slot.app.record().webhooks.is_empty()) {
                slot.hub(self);
            }
        }
    }

    /// What an earlier process has left for webhooks that no app has is forgotten, unless there are apps that nobody
    /// knows yet.
    pub(super) fn forget_left(&self) {
        if self.knowledge() != Knowledge::NotYet {
            self.webhooks.all_begun();
        }
    }
}

impl Slot {
    fn new(record: Arc<App>) -> Self {
        Self {
            app: Arc::new(LiveApp::new(record)),
            hub: OnceLock::new(),
        }
    }

    /// The app at work, which it is from now on; None if it is gone.
    fn hub(&self, apps: &Apps) -> Option<Arc<AppHub>> {
        if let Some(hub) = self.hub.get() {
            return hub.clone();
        }
        let hub = self.hub.get_or_init(|| {
            let metrics = apps.metrics.app(&self.app.id);
            let webhooks = apps.webhooks.of(&self.app, &metrics);
            let app = Arc::clone(&self.app);
            Some(Arc::new(AppHub::new(app, metrics, webhooks)))
        });
        // Whoever has changed the record meanwhile has seen no app at work, or else this sees the change.
        fence(Ordering::SeqCst);
        if let Some(hub) = hub {
            hub.settle(&apps.webhooks);
        }
        hub.clone()
    }

    fn goes_by(&self, record: &Arc<App>) -> bool {
        let own = self.app.record();
        Arc::ptr_eq(&own, record) || **own == **record
    }

    fn seen(&self) -> (Arc<App>, Option<Arc<AppHub>>) {
        (self.app.full_record(), self.at_work().cloned())
    }

    fn at_work(&self) -> Option<&Arc<AppHub>> {
        self.hub.get()?.as_ref()
    }

    /// Another record holds from now on. Returns the app anew if it cannot go on with that as it is at work.
    fn changed(
        &self,
        record: &Arc<App>,
        apps: &Apps,
        closing: &mut Vec<(AppIndex, CloseReason)>,
    ) -> Option<Self> {
        let before = self.app.full_record();
        self.app.set_record(Arc::clone(record));
        fence(Ordering::SeqCst);
        let hub = self.at_work()?;
        hub.settle(&apps.webhooks);
        if before.enabled && !record.enabled {
            closing.push((hub.index, disabled()));
        }
        (before.watchlist != record.watchlist).then(|| Self {
            app: Arc::clone(&self.app),
            hub: OnceLock::from(Some(Arc::new(hub.anew()))),
        })
    }

    /// Another one stands in for the app at work: its connections are to come back.
    fn replace(&self, closing: &mut Vec<(AppIndex, CloseReason)>) {
        if let Some(hub) = self.at_work() {
            let reason = CloseReason::new(
                CloseCode::Reconnect,
                "the app's settings have changed: connect again",
            );
            hub.retire(reason.clone());
            closing.push((hub.index, reason));
        }
    }

    /// The app is gone.
    fn remove(&self, apps: &Apps, closing: &mut Vec<(AppIndex, CloseReason)>) {
        // Whoever still knows the slot puts it to work no more.
        let Some(hub) = self.hub.get_or_init(|| None) else {
            return;
        };
        let reason = CloseReason::new(CloseCode::UnknownApp, "the app was removed");
        hub.retire(reason.clone());
        apps.webhooks.remove(hub.webhooks_shared(), &self.app);
        apps.metrics.forget_app(&self.app.id);
        closing.push((hub.index, reason));
    }
}

impl fmt::Debug for Apps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Apps").finish_non_exhaustive()
    }
}
