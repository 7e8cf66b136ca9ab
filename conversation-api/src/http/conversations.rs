//! A conversation, and what is done to it.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};

use super::authenticated::Authenticated;
use super::error::Refusal;
use super::input::Input;
use super::path::Id;
use super::socket::socket_id;
use crate::channels::{Ownership, may_assign, may_move, may_read, may_take, may_write};
use crate::outbox::Wake;
use crate::people::User;
use crate::store::Store;
use crate::store::announcements::Actor;
use crate::store::assignments::{Assign, Assigned, Take, Taken};
use crate::store::lifecycle::{Changed, Move, SetStatus};
use crate::store::reads::MarkRead;

/// One conversation.
pub(super) async fn show(
    who: Authenticated,
    Id(id): Id,
    store: Data<Store>,
) -> Result<HttpResponse, Refusal> {
    readable(&store, &who.user, id).await?;
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
    allowed(&store, id, |ownership| may_assign(&who.user, ownership)).await?;
    let mut input = Input::read(&request, body).await?;
    let user_id = if input.has("user_id") {
        input.optional_id("user_id")
    } else {
        Some(input.id("user_id"))
    };
    input.check()?;
    let assign = Assign {
        actor: actor(&request, &who),
        conversation_id: id,
        user_id,
    };
    match store.write(assign).await? {
        Assigned::Done => {}
        Assigned::NoConversation => return Err(Refusal::NotFound),
        Assigned::Denied => return Err(Refusal::Forbidden),
        Assigned::NotTo => {
            input.unknown("user_id");
            input.check()?;
        }
    }
    wake.rights_changed();
    wake.all();
    answer(&store, &who.user, id).await
}

/// Takes a conversation that nobody has.
pub(super) async fn take(
    request: HttpRequest,
    who: Authenticated,
    Id(id): Id,
    (store, wake): (Data<Store>, Data<Wake>),
) -> Result<HttpResponse, Refusal> {
    let is_theirs = |ownership: Ownership| ownership.assigned_to == Some(who.user.id);
    allowed(&store, id, |ownership| {
        is_theirs(ownership) || may_take(&who.user, ownership)
    })
    .await?;
    let take = Take {
        actor: actor(&request, &who),
        conversation_id: id,
    };
    match store.write(take).await? {
        Taken::Done => {}
        Taken::NoConversation => return Err(Refusal::NotFound),
        Taken::Denied => return Err(Refusal::Forbidden),
        Taken::By(name) => return Err(Refusal::Taken(name)),
    }
    wake.all();
    answer(&store, &who.user, id).await
}

/// Closes a conversation.
pub(super) async fn resolve(
    request: HttpRequest,
    who: Authenticated,
    Id(id): Id,
    parts: (Data<Store>, Data<Wake>),
) -> Result<HttpResponse, Refusal> {
    set_status(&request, &who, id, parts, false).await
}

/// Opens a conversation again.
pub(super) async fn reopen(
    request: HttpRequest,
    who: Authenticated,
    Id(id): Id,
    parts: (Data<Store>, Data<Wake>),
) -> Result<HttpResponse, Refusal> {
    set_status(&request, &who, id, parts, true).await
}

async fn set_status(
    request: &HttpRequest,
    who: &Authenticated,
    id: i64,
    (store, wake): (Data<Store>, Data<Wake>),
    open: bool,
) -> Result<HttpResponse, Refusal> {
    allowed(&store, id, |ownership| may_write(&who.user, ownership)).await?;
    let set_status = SetStatus {
        actor: actor(request, who),
        conversation_id: id,
        open,
    };
    done(store.write(set_status).await?)?;
    wake.all();
    answer(&store, &who.user, id).await
}

/// Hands a conversation over: `{"department_id": 2}`.
pub(super) async fn r#move(
    request: HttpRequest,
    who: Authenticated,
    Id(id): Id,
    body: Payload,
    (store, wake): (Data<Store>, Data<Wake>),
) -> Result<HttpResponse, Refusal> {
    allowed(&store, id, |ownership| may_move(&who.user, ownership)).await?;
    let mut input = Input::read(&request, body).await?;
    let department_id = input.id("department_id");
    input.check()?;
    let r#move = Move {
        actor: actor(&request, &who),
        conversation_id: id,
        department_id,
    };
    let changed = store.write(r#move).await?;
    if changed == Changed::NoDepartment {
        input.unknown("department_id");
        input.check()?;
    }
    done(changed)?;
    wake.rights_changed();
    wake.all();
    // Also to whoever may no longer read it: it is what they made of it.
    answer(&store, &who.user, id).await
}

fn done(changed: Changed) -> Result<(), Refusal> {
    match changed {
        Changed::Done => Ok(()),
        Changed::Denied => Err(Refusal::Forbidden),
        Changed::NoConversation | Changed::NoDepartment => Err(Refusal::NotFound),
    }
}

/// Marks a conversation as read up to `{"message_id": 7}`, or to its end.
pub(super) async fn read(
    request: HttpRequest,
    who: Authenticated,
    Id(id): Id,
    body: Payload,
    (store, wake): (Data<Store>, Data<Wake>),
) -> Result<HttpResponse, Refusal> {
    readable(&store, &who.user, id).await?;
    let mut input = Input::read(&request, body).await?;
    let up_to = input.optional_id("message_id");
    input.check()?;
    let mark = MarkRead {
        actor: actor(&request, &who),
        conversation_id: id,
        up_to,
    };
    let mark = store.write(mark).await?;
    wake.all();
    Ok(HttpResponse::Ok().json(mark))
}

/// A conversation that exists and that `user` may read.
pub(super) async fn readable(store: &Store, user: &User, id: i64) -> Result<Ownership, Refusal> {
    allowed(store, id, |ownership| may_read(user, ownership)).await
}

/// A conversation that exists, if `may` allows it.
async fn allowed(
    store: &Store,
    id: i64,
    may: impl FnOnce(Ownership) -> bool,
) -> Result<Ownership, Refusal> {
    let ownership = store.ownership(id).await?.ok_or(Refusal::NotFound)?;
    if may(ownership) {
        Ok(ownership)
    } else {
        Err(Refusal::Forbidden)
    }
}

fn actor(request: &HttpRequest, who: &Authenticated) -> Actor {
    Actor {
        user: who.user.clone(),
        socket_id: socket_id(request),
    }
}

async fn answer(store: &Store, user: &User, id: i64) -> Result<HttpResponse, Refusal> {
    let conversation = store
        .conversation(user, id)
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
