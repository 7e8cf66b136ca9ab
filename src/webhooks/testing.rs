//! Webhooks that are sent nowhere, for tests of those who notify them.

use std::sync::Arc;

use super::event::Numbers;
use super::inbox::Inbox;
use super::outlet::Backlog;
use super::{Settings, Webhooks, prepare};
use crate::apps::Registry;
use crate::metrics::Metrics;

/// What webhooks were notified of, in order.
#[derive(Debug)]
pub(crate) struct Notices {
    webhooks: Vec<(Arc<Inbox>, Arc<Backlog>)>,
}

impl Notices {
    /// The webhooks of all apps, and what they are notified of.
    pub(crate) fn of(registry: &Registry, metrics: &Metrics) -> (Webhooks, Self) {
        let (numbers, settings) = (Arc::new(Numbers::new()), Settings::default());
        let mut webhooks = Webhooks::none();
        let mut list = Vec::new();
        for app in registry.iter() {
            let (running, work) = prepare(app, &numbers, &metrics.app(&app.id), &settings);
            webhooks.apps.insert(app.id.clone(), running);
            list.extend(work.into_iter().map(|work| (work.inbox, work.backlog)));
        }
        (webhooks, Self { webhooks: list })
    }

    /// The JSON of what they were notified of since this was last asked.
    pub(crate) fn take(&self) -> Vec<String> {
        let mut notices = Vec::new();
        for (inbox, backlog) in &self.webhooks {
            for event in inbox.take() {
                backlog.release(&event);
                notices.push(event.json.to_string());
            }
        }
        notices
    }
}
