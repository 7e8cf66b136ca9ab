//! The relay itself.

use serde_json::{Value, json};

use super::super::described::unix_seconds;
use super::super::refusal::Refusal;
use super::super::state::AdminState;
use super::super::who::Who;
use crate::hub::Standing;

pub(in crate::admin) fn who_am_i(who: &Who, needs_token: bool) -> Value {
    json!({
        "token": who.token_name(),
        "role": who.role.name(),
        "needs_token": needs_token,
    })
}

/// What this node knows of itself, and the ids of those that it shares its channels with.
pub(in crate::admin) async fn nodes(state: &AdminState) -> Result<Value, Refusal> {
    let (relay, authority) = (&state.relay, &state.relay.authority);
    let standing = match authority.standing() {
        Standing::Well => "well",
        Standing::Away => "away",
        Standing::Refused => "refused",
        Standing::NotYet => "not_yet",
    };
    let this = json!({
        "version": env!("CARGO_PKG_VERSION"),
        "started_at": unix_seconds(state.started_at),
        "connections": relay.hub.connections().get(),
        "apps": relay.hub.apps().len(),
        "draining": relay.hub.is_draining(),
        "cluster": authority.reaches_beyond(),
        "standing": standing,
        "warnings": state.apps.concern().into_iter().collect::<Vec<_>>(),
    });
    // What the others are cannot be known while Redis is away: that this node is, can.
    let cluster = match authority.standing() {
        Standing::Well => authority.nodes().get().await?,
        Standing::Away | Standing::Refused | Standing::NotYet => Vec::new(),
    };
    Ok(json!({ "this": this, "cluster": cluster }))
}

/// Stops the relay, in its own time.
pub(in crate::admin) fn drain(state: &AdminState) -> Value {
    state.stop.notify_one();
    json!({ "draining": true })
}
