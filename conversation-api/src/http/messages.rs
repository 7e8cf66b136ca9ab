//! `GET /api/conversations/{id}/messages` and `GET /api/messages/{id}`.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use serde::Deserialize;
use serde_json::json;

use super::authenticated::Authenticated;
use super::conversations::{number, readable};
use super::error::Refusal;
use super::path::Id;
use crate::message::Message;
use crate::store::Store;

/// Which messages of the conversation.
#[derive(Debug, Deserialize)]
pub(super) struct Paging {
    before: Option<String>,
    per_page: Option<String>,
}

/// The messages before one of them, or the newest; the oldest of them first.
pub(super) async fn list(
    who: Authenticated,
    Id(id): Id,
    paging: Query<Paging>,
    store: Data<Store>,
) -> Result<HttpResponse, Refusal> {
    readable(&store, &who.user, id).await?;
    let before = paging.before.as_deref();
    let before = before.and_then(|before| before.parse().ok());
    let per_page = number(paging.per_page.as_deref(), 50, 200);
    // One more than a page shows whether there is another.
    let mut messages = store.messages(id, before, per_page + 1).await?;
    let has_more = i64::try_from(messages.len()).is_ok_and(|number| number > per_page);
    if has_more {
        messages.pop();
    }
    messages.reverse();
    let next_before = messages
        .first()
        .filter(|_| has_more)
        .map(|message| message.id);
    Ok(HttpResponse::Ok().json(json!({
        "data": messages,
        "meta": {"per_page": per_page, "next_before": next_before},
    })))
}

/// One message.
pub(super) async fn show(
    who: Authenticated,
    Id(id): Id,
    store: Data<Store>,
) -> Result<HttpResponse, Refusal> {
    let message = visible_message(&store, &who, id).await?;
    Ok(HttpResponse::Ok().json(message))
}

/// A message that exists and whose conversation the user may see.
pub(super) async fn visible_message(
    store: &Store,
    who: &Authenticated,
    id: i64,
) -> Result<Message, Refusal> {
    let message = store.message(id).await?.ok_or(Refusal::NotFound)?;
    readable(store, &who.user, message.conversation_id).await?;
    Ok(message)
}
