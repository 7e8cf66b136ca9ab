//! `GET /api/user`, `GET /api/users` and `GET /api/departments`.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::json;

use super::authenticated::Authenticated;
use super::error::Refusal;
use crate::channels::Scope;
use crate::store::Store;

/// Who is logged in.
pub(super) async fn show(who: Authenticated) -> HttpResponse {
    HttpResponse::Ok().json(who.user)
}

/// Whom one may assign conversations to; nobody for agents.
pub(super) async fn list(who: Authenticated, store: Data<Store>) -> Result<HttpResponse, Refusal> {
    let colleagues = store.colleagues(Scope::of(&who.user)).await?;
    Ok(HttpResponse::Ok().json(json!({"data": colleagues})))
}

/// The departments, which everybody may know.
pub(super) async fn departments(
    _who: Authenticated,
    store: Data<Store>,
) -> Result<HttpResponse, Refusal> {
    let departments = store.departments().await?;
    Ok(HttpResponse::Ok().json(json!({"data": departments})))
}
