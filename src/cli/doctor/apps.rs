//! The apps that a relay of this configuration serves: its own, and those of its database.

use std::sync::Arc;

use super::super::Failure;
use super::super::target::{self, NoApp};
use crate::apps::App;
use crate::config::{Config, Records};
use crate::database;
use crate::doctor::{Finding, shown};

/// The apps that are known.
pub(super) struct Apps {
    all: Vec<Arc<App>>,
    /// Why those of the database are not among them.
    pub(super) trouble: Option<Finding>,
}

impl Apps {
    /// The configuration's, and unless `wanted` is one of these, the database's, which is asked.
    pub(super) fn of(config: &Config, wanted: Option<&str>) -> Result<Self, Failure> {
        let mut all: Vec<Arc<App>> = config.apps.iter().map(Arc::clone).collect();
        let is_configured = wanted.is_some_and(|id| config.apps.by_id(id).is_some());
        let settings = &config.apps_database;
        if is_configured || !settings.place.is_there() {
            return Ok(Self { all, trouble: None });
        }
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(Failure::other)?;
        let records = Records::new(config);
        let read = Arc::new(move |settings: &_| records.read(settings));
        let trouble = match runtime.block_on(database::look_once(settings, read)) {
            Ok(more) => {
                let more = more.into_iter();
                all.extend(more.filter(|app| config.apps.by_id(&app.id).is_none()));
                None
            }
            Err(reason) => Some(Finding::error(
                "apps_database",
                format!(
                    "the apps of {} cannot be read: {}",
                    settings.place,
                    shown(&reason)
                ),
                "start the database, or correct apps_database.url, its password, schema and table",
            )),
        };
        Ok(Self { all, trouble })
    }

    /// The one of this id.
    pub(super) fn by_id(&self, id: &str) -> Option<&Arc<App>> {
        self.all.iter().find(|app| &*app.id == id)
    }

    /// The one that was asked for, or the only one. `None`: it may be in the database, which cannot be read.
    pub(super) fn choose(&self, id: Option<&str>) -> Result<Option<&Arc<App>>, Failure> {
        match target::choose(self.all.iter(), id) {
            Ok(app) => Ok(Some(app)),
            Err(NoApp::Unknown { .. } | NoApp::Nobody) if self.trouble.is_some() => Ok(None),
            Err(error @ NoApp::Several { .. }) => {
                Err(Failure::Usage(format!("{error}; --app says which")))
            }
            Err(error) => Err(Failure::Usage(format!(
                "{error}; the doctor needs the configuration that the relay runs with: --config says which"
            ))),
        }
    }
}
