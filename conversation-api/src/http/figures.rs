//! The listener of the metrics, apart from the public one.

use actix_web::HttpResponse;
use actix_web::web::{self, Data, ServiceConfig};

use super::error::Refusal;
use crate::metrics::Metrics;
use crate::store::outbox::Kind;
use crate::store::{Store, StoreError};

const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /metrics`.
pub fn routes(config: &mut ServiceConfig) {
    config
        .route("/metrics", web::get().to(show))
        .default_service(web::to(async || Err::<&str, _>(Refusal::NotFound)));
}

/// Without a database the rest is shown, and that there is none.
async fn show(metrics: Data<Metrics>, store: Data<Store>) -> Result<HttpResponse, Refusal> {
    let looked = look(&metrics, &store).await;
    metrics.database(looked.is_ok());
    let text = metrics.text().map_err(|_| Refusal::Internal)?;
    Ok(HttpResponse::Ok().content_type(CONTENT_TYPE).body(text))
}

async fn look(metrics: &Metrics, store: &Store) -> Result<(), StoreError> {
    for kind in Kind::ALL {
        metrics.backlog(kind, store.backlog(kind).await?);
    }
    metrics.evictions_waiting(store.evictions_waiting().await?);
    Ok(())
}
