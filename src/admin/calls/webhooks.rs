//! The webhooks of an app: how they get on, and whether they take a test.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Value, json};

use super::super::described;
use super::super::query::Query;
use super::super::refusal::Refusal;
use super::super::routes::Found;
use super::super::turns::Turns;
use super::apps::named;
use crate::apps::Webhook;
use crate::relay::Relay;
use crate::webhooks::{Settings, Tester};

/// How long an endpoint may take to answer a test.
const PATIENCE: Duration = Duration::from_secs(10);
/// Tests that are under way at the same time.
const AT_ONCE: usize = 16;
/// Webhooks that are tested in one call: all that answer in time do so within twice the patience.
const MOST_TESTED: usize = 2 * AT_ONCE;

pub(in crate::admin) fn list(relay: &Relay, found: &Found<'_>) -> Result<Value, Refusal> {
    let mut described = described::webhooks(&*named(relay, found)?);
    described["cluster"] = relay.authority.reaches_beyond().into();
    Ok(described)
}

pub(in crate::admin) async fn test(
    relay: &Relay,
    settings: &Settings,
    turns: &Turns,
    found: &Found<'_>,
    query: &Query,
) -> Result<Value, Refusal> {
    let hub = named(relay, found)?;
    let app = hub.app.full_record();
    let webhooks = match query.number("webhook") {
        0 => &app.webhooks[..],
        place => {
            let wanted = app.webhooks.get(place - 1);
            let none = || Refusal::NotFound(format!("the app has no webhook at place {place}"));
            std::slice::from_ref(wanted.ok_or_else(none)?)
        }
    };
    if webhooks.is_empty() {
        return Err(Refusal::Conflict("the app has no webhooks".into()));
    }
    if webhooks.len() > MOST_TESTED {
        let text = format!(
            "the app has more than {MOST_TESTED} webhooks: name one of them with `webhook`"
        );
        return Err(Refusal::Invalid(text));
    }
    let _turn = turns.take(Instant::now())?;
    let tester =
        Tester::new(settings, PATIENCE).map_err(|error| Refusal::Away(error.to_string()))?;
    let test = async |webhook: &Webhook| {
        let tested = tester.send(webhook, app.keys.signing().clone()).await;
        json!({
            "url": webhook.url.to_string(),
            "taken": tested.error.is_none(),
            "status": tested.status,
            "took": tested.took.as_secs_f64(),
            "error": tested.error,
        })
    };
    let tests = stream::iter(webhooks).map(test).buffered(AT_ONCE);
    let tests: Vec<Value> = tests.collect().await;
    Ok(json!({ "tests": tests }))
}
