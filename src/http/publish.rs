//! `POST …/events` and `POST …/batch_events`.

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::error::{ApiError, Rejected};
use super::event::{Event, Fields, parse_object, text};
use super::fingerprint::Fingerprint;
use super::idempotency::{self, Key};
use super::verified::Verified;
use crate::hub::AppHub;
use crate::protocol::{ChannelRef, json as protocol_json};
use crate::relay::Relay;

/// Publishes one event to one or more channels.
///
/// With an idempotency key, an extension: once, however often the request comes. For two
/// minutes the same key of the app is answered as it was the first time, and another publish under it is refused.
pub(super) async fn events(
    relay: &Relay,
    request: &Verified<'_>,
    headers: &HeaderMap,
) -> Result<Answer, ApiError> {
    let fields: Fields<'_> = if request.body().trim_ascii().is_empty() {
        Fields::default()
    } else {
        parse_object(request.body())?
    };
    let event = fields.check(request.query(), &request.app().app.record().limits)?;
    let key = key(request, fields.idempotency_key, headers)?;
    let key = key.map(|key| (key, Fingerprint::of("events", std::slice::from_ref(&event))));
    let app = request.app();
    let post = async { Ok(relay.publish(app, &[event.publication()]).await?) };
    let answer = answer_one(relay, app, &event);
    idempotency::once(&*relay.authority, app, key, post, answer).await
}

/// Publishes one event to one or more channels, of somebody who was authorised otherwise than by a signature.
/// All that is checked of a signed one is checked of it; fields that mean nothing are refused.
pub async fn publish_unsigned(
    relay: &Relay,
    app: &Arc<AppHub>,
    body: &[u8],
) -> Result<(), Rejected> {
    let publish = async {
        let record = app.app.full_record();
        if !record.enabled {
            return Err(ApiError::new(StatusCode::FORBIDDEN, "the app is disabled"));
        }
        let query = crate::auth::request::Query::default();
        let fields = Fields::unsigned(body)?;
        let event = fields.check(&query, &record.limits)?;
        let receipts = relay.publish(app, &[event.publication()]).await?;
        Ok(receipts.settled().await?)
    };
    Ok(publish.await?)
}

async fn answer_one(relay: &Relay, app: &Arc<AppHub>, event: &Event<'_>) -> Answer {
    if !event.info.any() {
        return Answer::Empty;
    }
    let mut channels = Map::with_capacity(event.channels.len());
    for channel in &event.channels {
        let attributes = describe(relay, app, event, channel).await;
        channels.insert(channel.as_str().to_owned(), Value::Object(attributes));
    }
    Answer::ok(json!({ "channels": channels }))
}

#[derive(Deserialize)]
struct Batch<'b> {
    #[serde(borrow)]
    batch: Option<&'b RawValue>,
    #[serde(borrow)]
    idempotency_key: Option<&'b RawValue>,
}

/// Publishes several events, all of them or none; with an idempotency key, which stands beside
/// `batch`, once, as for [`events`].
pub(super) async fn batch_events(
    relay: &Relay,
    request: &Verified<'_>,
    headers: &HeaderMap,
) -> Result<Answer, ApiError> {
    let record = request.app().app.full_record();
    let limits = &record.limits;
    let (slots, given_key): (Vec<&RawValue>, _) = if request.body().trim_ascii().is_empty() {
        (list(request.query().get("batch"))?, None)
    } else {
        let batch: Batch<'_> = parse_object(request.body())?;
        let slots = list(protocol_json::present(batch.batch).map(RawValue::get))?;
        (slots, batch.idempotency_key)
    };
    if slots.is_empty() {
        return Err(ApiError::bad_request("batch needs at least one event"));
    }
    if slots.len() > limits.batch_events {
        return Err(ApiError::bad_request(format!(
            "batch has {} events, at most {} are allowed (batch_events)",
            slots.len(),
            limits.batch_events
        )));
    }
    let fields = each(&slots, |slot| {
        parse_object::<Fields<'_>>(slot.get().as_bytes())
    })?;
    // Nothing of an event stands in the query of a batch.
    let query = crate::auth::request::Query::default();
    let events = each(&fields, |fields| {
        refuse_key(fields)?;
        fields.check(&query, limits)
    })?;
    let key = key(request, given_key, headers)?;
    let key = key.map(|key| (key, Fingerprint::of("batch_events", &events)));
    let app = request.app();
    let publications: Vec<_> = events.iter().map(Event::publication).collect();
    let post = async { Ok(relay.publish(app, &publications).await?) };
    let answer = answer_all(relay, app, &events);
    idempotency::once(&*relay.authority, app, key, post, answer).await
}

async fn answer_all(relay: &Relay, app: &Arc<AppHub>, events: &[Event<'_>]) -> Answer {
    if !events.iter().any(|event| event.info.any()) {
        return Answer::Empty;
    }
    let mut slots = Vec::with_capacity(events.len());
    for event in events {
        slots.push(match event.channels.first() {
            Some(channel) => Value::Object(describe(relay, app, event, channel).await),
            None => json!({}),
        });
    }
    Answer::ok(json!({ "batch": slots }))
}

fn key<'r>(
    request: &'r Verified<'_>,
    given: Option<&'r RawValue>,
    headers: &'r HeaderMap,
) -> Result<Option<Key<'r>>, ApiError> {
    let parameter = text(idempotency::PARAMETER, given, request.query())?;
    Key::of(parameter, headers)
}

/// One who sends a key for a single event of a batch would believe in it.
fn refuse_key(fields: &Fields<'_>) -> Result<(), ApiError> {
    if protocol_json::present(fields.idempotency_key).is_none() {
        return Ok(());
    }
    Err(ApiError::bad_request(
        "idempotency_key belongs beside batch, not into an event: a batch is published as a \
         whole",
    ))
}

fn list(batch: Option<&str>) -> Result<Vec<&RawValue>, ApiError> {
    let batch = batch.ok_or_else(|| ApiError::bad_request("batch is missing"))?;
    serde_json::from_str(batch).map_err(|_| ApiError::bad_request("batch must be a list of events"))
}

/// Maps the slots of a batch; an error names the slot.
fn each<'s, S, T>(
    slots: &'s [S],
    map: impl Fn(&'s S) -> Result<T, ApiError>,
) -> Result<Vec<T>, ApiError> {
    let in_slot = |(index, slot)| {
        map(slot).map_err(|error| ApiError {
            message: format!("batch[{index}]: {}", error.message).into(),
            ..error
        })
    };
    slots.iter().enumerate().map(in_slot).collect()
}

/// What the publisher asked to know. It is left out if it cannot be had: the event is on its way
/// already, and an error would have it sent again.
async fn describe(
    relay: &Relay,
    app: &Arc<AppHub>,
    event: &Event<'_>,
    channel: &ChannelRef<'_>,
) -> Map<String, Value> {
    let detail = event.info.detail();
    let report = relay.authority.channel(app, channel.as_str(), detail);
    match report.get().await {
        Ok(report) => event.info.describe(channel.kind(), &report),
        Err(_) => Map::new(),
    }
}
