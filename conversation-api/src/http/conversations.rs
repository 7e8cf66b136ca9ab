//! `GET /api/conversations`, and what is done to one of them.

use actix_web::web::{Data, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::json;

use super::authenticated::Authenticated;
use super::error::Refusal;
use super::input::Input;
use super::path::Id;
use crate::channels::{Ownership, Scope, may_assign, may_be_assigned, may_see};
use crate::outbox::Wake;
use crate::people::User;
use crate::store::Store;
use crate::store::assignments::Assign;
use crate::store::reads::MarkRead;

/// Which page of the list.
#[derive(Debug, Deserialize)]
pub(super) struct Paging {
    page: Option<String>,
    per_page: Option<String>,
}

/// The conversations that the user may see, the one with the newest message first.
pub(super) async fn list(
    who: Authenticated,
    paging: Query<Paging>,
    store: Data<Store>,
) -> Result<HttpResponse, Refusal> {
    let page = number(paging.page.as_deref(), 1, 1_000_000);
    let per_page = number(paging.per_page.as_deref(), 20, 100);
    let scope = Scope::of(&who.user);
    let listed = store
        .conversations(who.user.id, scope, per_page, (page - 1) * per_page)
        .await?;
    Ok(HttpResponse::Ok().json(json!({
        "data": listed.conversations,
        "meta": {
            "current_page": page,
            "last_page": pages(listed.total, per_page),
            "per_page": per_page,
            "total": listed.total,
        },
    })))
}

/// How many pages that is; at least one.
fn pages(total: i64, per_page: i64) -> i64 {
    ((total + per_page - 1) / per_page).max(1)
}

/// One conversation.
pub(super) async fn show(
    who: Authenticated,
    Id(id): Id,
    store: Data<Store>,
) -> Result<HttpResponse, Refusal> {
    visible(&store, &who.user, id).await?;
    answer(&store, &who.user, id).await
}

/// Decides who answers a conversation: `{"user_id": 5}`, or null for nobody in particular.
pub(super) async fn assign(
    request: HttpRequest,
    who: Authenticated,
    Id(id): Id,
    body: Payload,
    (store, wake): (Data<Store>, Data<Wake>),
) -> Result<HttpResponse, Refusal> {
    let ownership = store.ownership(id).await?.ok_or(Refusal::NotFound)?;
    if !may_assign(&who.user, ownership) {
        return Err(Refusal::Forbidden);
    }
    let mut input = Input::read(&request, body).await?;
    let user_id = if input.has("user_id") {
        input.optional_id("user_id")
    } else {
        Some(input.id("user_id"))
    };
    input.check()?;
    if let Some(user_id) = user_id {
        let user = store.user(user_id).await?;
        if !user.is_some_and(|user| may_be_assigned(&user, ownership)) {
            input.unknown("user_id");
            input.check()?;
        }
    }
    let assign = Assign {
        conversation_id: id,
        user_id,
    };
    store.write(assign).await?;
    wake.rights_changed();
    answer(&store, &who.user, id).await
}

/// Marks a conversation as read up to `{"message_id": 7}`, or to its end.
pub(super) async fn read(
    request: HttpRequest,
    who: Authenticated,
    Id(id): Id,
    body: Payload,
    store: Data<Store>,
) -> Result<HttpResponse, Refusal> {
    visible(&store, &who.user, id).await?;
    let mut input = Input::read(&request, body).await?;
    let up_to = input.optional_id("message_id");
    input.check()?;
    let mark = MarkRead {
        user_id: who.user.id,
        conversation_id: id,
        up_to,
    };
    Ok(HttpResponse::Ok().json(store.write(mark).await?))
}

/// A conversation that exists and that `user` may see.
pub(super) async fn visible(store: &Store, user: &User, id: i64) -> Result<Ownership, Refusal> {
    let ownership = store.ownership(id).await?.ok_or(Refusal::NotFound)?;
    if may_see(user, ownership) {
        Ok(ownership)
    } else {
        Err(Refusal::Forbidden)
    }
}

async fn answer(store: &Store, user: &User, id: i64) -> Result<HttpResponse, Refusal> {
    let conversation = store
        .conversation(user.id, id)
        .await?
        .ok_or(Refusal::NotFound)?;
    Ok(HttpResponse::Ok().json(conversation))
}

/// A number of a query, from 1 to `most`; nonsense is as good as nothing, as with Laravel.
pub(super) fn number(text: Option<&str>, otherwise: i64, most: i64) -> i64 {
    let number = text.and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    match number {
        1.. => number.min(most),
        _ => otherwise,
    }
}
