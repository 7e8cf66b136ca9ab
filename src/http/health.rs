//! What load balancers look at. They are not signed, and say nothing that is not public.

use std::sync::atomic::Ordering;

use actix_web::http::StatusCode;
use serde_json::{Value, json};

use super::answer::Answer;
use crate::acme;
use crate::hub::{Authority, Knowledge, Standing, Unavailable};
use crate::relay::Relay;

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
pub(super) fn ready(relay: &Relay, acme: Option<&acme::Shown>) -> Answer {
    let authority = &*relay.authority;
    let reason = match authority.standing() {
        _ if relay.hub.is_draining() => "the relay is going away".to_owned(),
        _ if relay.memory.is_reached() => {
            "the relay has used up its memory (server.memory_bytes)".to_owned()
        }
        Standing::Well if relay.hub.apps().knowledge() == Knowledge::NotYet => {
            "the database of apps (apps_database.url) could not be read yet".to_owned()
        }
        Standing::Well => match acme.and_then(acme::Shown::trouble) {
            None => return Answer::ok(well(relay)),
            Some(trouble) => trouble,
        },
        Standing::Away => because(authority, Unavailable::Away),
        Standing::Refused => because(authority, Unavailable::Refused),
        Standing::NotYet => because(authority, Unavailable::NotYet),
    };
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Answer::Json(status, json!({ "ready": false, "reason": reason }))
}

/// A configuration that cannot be used, or a database that is away, is no reason to send clients elsewhere. What is wrong with it is for the log
/// alone.
fn well(relay: &Relay) -> Value {
    if relay.is_outdated.load(Ordering::Relaxed) {
        let note = "the configuration has changed and cannot be used: the one before it holds, and the log has \
                    what is wrong";
        return json!({ "ready": true, "note": note });
    }
    if relay.hub.apps().knowledge() == Knowledge::Away {
        let note = "the database of apps cannot be read at the moment: those that are known are served, and the log \
                    has what is wrong";
        return json!({ "ready": true, "note": note });
    }
    json!({ "ready": true })
}

fn because(authority: &dyn Authority, reason: Unavailable) -> String {
    authority.trouble().unwrap_or_else(|| reason.to_string())
}
