//! What load balancers look at. They are not signed, and say nothing that is not public.

use actix_web::http::StatusCode;
use serde_json::json;

use super::service::Answer;
use crate::hub::Hub;

/// `/`
pub(super) fn root() -> Answer {
    Answer::ok(
        json!({ "app": "Fanfare", "version": env!("CARGO_PKG_VERSION"), "status": "running" }),
    )
}

/// `/up` and `/health`: the process answers. The text is what Reverb's users look for.
pub(super) fn alive() -> Answer {
    Answer::ok(json!({ "health": "OK" }))
}

/// `/ready`: new connections are taken.
pub(super) fn ready(hub: &Hub) -> Answer {
    if hub.is_draining() {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Answer::Json(
            status,
            json!({ "ready": false, "reason": "the relay is going away" }),
        );
    }
    Answer::ok(json!({ "ready": true }))
}
