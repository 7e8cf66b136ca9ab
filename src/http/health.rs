//! What load balancers look at. They are not signed, and say nothing that is not public.

use actix_web::http::StatusCode;
use serde_json::json;

use super::answer::Answer;
use crate::hub::{Hub, Standing, Unavailable};

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

/// `/ready`: new connections are taken, and the node can do all that it is there for.
pub(super) fn ready(hub: &Hub) -> Answer {
    let reason = match hub.standing() {
        _ if hub.is_draining() => "the relay is going away".to_owned(),
        Standing::Well => return Answer::ok(json!({ "ready": true })),
        Standing::Away => because(hub, Unavailable::Away),
        Standing::Refused => because(hub, Unavailable::Refused),
        Standing::NotYet => because(hub, Unavailable::NotYet),
    };
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Answer::Json(status, json!({ "ready": false, "reason": reason }))
}

fn because(hub: &Hub, reason: Unavailable) -> String {
    hub.trouble().unwrap_or_else(|| reason.to_string())
}
