//! An app whose record may change while it is served.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::App;

/// An app that there is, with the record that holds at the moment. Whoever serves it keeps this, and looks at the
/// record anew for everything that comes.
#[derive(Debug)]
pub struct LiveApp {
    /// Its id, which never changes.
    pub id: Box<str>,
    record: ArcSwap<App>,
}

impl LiveApp {
    /// An app with this record.
    pub fn new(record: Arc<App>) -> Self {
        Self {
            id: record.id.clone(),
            record: ArcSwap::new(record),
        }
    }

    /// The record that holds now. It costs no lock, and is not to be kept.
    pub fn record(&self) -> Guard<Arc<App>> {
        self.record.load()
    }

    /// The record that holds now, to be kept.
    pub fn full_record(&self) -> Arc<App> {
        self.record.load_full()
    }

    /// Another record holds from now on, of the same app.
    pub fn set_record(&self, record: Arc<App>) {
        debug_assert_eq!(self.id, record.id, "an app keeps its id");
        self.record.store(record);
    }
}

impl From<App> for LiveApp {
    fn from(record: App) -> Self {
        Self::new(Arc::new(record))
    }
}
