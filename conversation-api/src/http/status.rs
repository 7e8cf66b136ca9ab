//! `GET /` and `GET /up`.

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::Data;
use serde_json::json;

use super::error::Refusal;
use crate::store::Store;

/// What this is.
pub(super) async fn root() -> HttpResponse {
    let text = r#"{"app":"TIMS","version":"1.0.0","status":"running"}"#;
    HttpResponse::Ok()
        .content_type(ContentType::json())
        .body(text)
}

/// Whether it can work: the database answers.
pub(super) async fn up(store: Data<Store>) -> Result<HttpResponse, Refusal> {
    store.department_exists(0).await?;
    Ok(HttpResponse::Ok().json(json!({"status": "ok"})))
}
