//! `GET /`, `GET /up` and `GET /ready`.

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::Data;
use serde_json::json;

use super::error::Refusal;
use crate::store::{Store, StoreError};

/// What this is.
pub(super) async fn root() -> HttpResponse {
    let text = r#"{"app":"TIMS","version":"1.0.0","status":"running"}"#;
    HttpResponse::Ok()
        .content_type(ContentType::json())
        .body(text)
}

/// That the process answers, whatever else does not: restarting it would help nobody.
pub(super) async fn up() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

/// Whether it can work: the database can be read and written.
pub(super) async fn ready(store: Data<Store>) -> Result<HttpResponse, Refusal> {
    match store.probe().await {
        // It changes nothing.
        Err(StoreError::Late) => return Err(Refusal::NoDatabase),
        probed => probed?,
    }
    Ok(HttpResponse::Ok().json(json!({"status": "ok"})))
}
