//! `GET /api/conversations/{id}/messages` and `POST /api/messages/send`.

use actix_web::web::{Data, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;

use super::authenticated::Authenticated;
use super::conversations::{number, readable};
use super::error::Refusal;
use super::input::Input;
use super::path::Id;
use super::socket::socket_id;
use crate::outbox::Wake;
use crate::store::Store;
use crate::store::messages::{SendMessage, Sent};

/// Characters of a message: what WhatsApp takes.
const LONGEST: usize = 4096;

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
    let before = number(paging.before.as_deref(), i64::MAX, i64::MAX);
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

/// Writes to the customer.
pub(super) async fn send(
    request: HttpRequest,
    who: Authenticated,
    body: Payload,
    store: Data<Store>,
    wake: Data<Wake>,
) -> Result<HttpResponse, Refusal> {
    let mut input = Input::read(&request, body).await?;
    let conversation_id = input.id("conversation_id");
    let kind = input.text("type", 20);
    if !kind.is_empty() && kind != "text" {
        input.unknown("type");
    }
    let content = input.text("content", LONGEST);
    input.check()?;
    let send = SendMessage {
        author: who.user,
        conversation_id,
        content,
        socket_id: socket_id(&request),
        to_customer: wake.replies(),
        event_id: crate::events::new_id(),
    };
    match store.write(send).await? {
        Sent::Stored(message) => {
            wake.all();
            Ok(HttpResponse::Created().json(message))
        }
        Sent::Denied => Err(Refusal::Forbidden),
        Sent::NoConversation => {
            input.unknown("conversation_id");
            input.check()?;
            Err(Refusal::NotFound)
        }
    }
}
