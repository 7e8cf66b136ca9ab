//! The apps.

use std::sync::Arc;

use serde_json::{Value, json};

use super::super::described;
use super::super::listing;
use super::super::query::Query;
use super::super::refusal::Refusal;
use super::super::routes::Found;
use crate::apps::Source;
use crate::hub::AppHub;
use crate::relay::Relay;

pub(in crate::admin) fn list(relay: &Relay, query: &Query) -> Value {
    let prefix = query.text("prefix").unwrap_or_default();
    let mut apps = relay.hub.apps().all();
    apps.retain(|(app, _)| app.id.starts_with(prefix));
    let total = apps.len();
    let (after, most) = (query.text("after"), query.number("limit"));
    let (apps, next) = listing::part(apps, |(app, _)| &app.id, after, most);
    let configured = relay.hub.apps().configured();
    let apps = apps.iter().map(|(app, at_work)| {
        described::brief(app, at_work.as_deref(), configured.contains(&app.id))
    });
    json!({ "apps": apps.collect::<Vec<_>>(), "total": total, "next": next })
}

pub(in crate::admin) fn one(relay: &Relay, found: &Found<'_>) -> Result<Value, Refusal> {
    let id = found.value("app");
    let found = relay.hub.apps().one(id);
    let (app, at_work) = found.ok_or_else(|| unknown(relay, id))?;
    let is_configured = relay.hub.apps().is_configured(id);
    Ok(described::app(&app, at_work.as_deref(), is_configured))
}

/// The app that the path names, at work.
pub(in crate::admin) fn named(relay: &Relay, found: &Found<'_>) -> Result<Arc<AppHub>, Refusal> {
    let id = found.value("app");
    relay.hub.app(id).ok_or_else(|| unknown(relay, id))
}

fn unknown(relay: &Relay, id: &str) -> Refusal {
    let taken = relay.hub.apps().taken(Source::Database, id);
    Refusal::NotFound(match taken {
        Some(taken) => format!("the app {id:?} of the database is not served: {taken}"),
        None => format!("no app has the id {id:?}"),
    })
}
