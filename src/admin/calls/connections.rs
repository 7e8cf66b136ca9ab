//! The connections of an app to this node, and their ends.

use serde_json::{Value, json};

use super::super::described;
use super::super::query::Query;
use super::super::refusal::Refusal;
use super::super::routes::Found;
use super::apps::named;
use crate::hub::{NoAnswer, Position};
use crate::protocol::{CloseCode, SocketId};
use crate::relay::Relay;
use crate::session::CloseReason;

impl From<NoAnswer> for Refusal {
    fn from(_: NoAnswer) -> Self {
        Self::Busy
    }
}

pub(in crate::admin) async fn list(
    relay: &Relay,
    found: &Found<'_>,
    query: &Query,
) -> Result<Value, Refusal> {
    let app = named(relay, found)?;
    let after = query.text("after").map(str::parse::<Position>);
    let after = after.transpose().map_err(|_| {
        Refusal::Invalid("the parameter after must be `next` of the part before".into())
    })?;
    let inspector = relay.hub.inspect(&app);
    let page = inspector.list(after, query.number("limit")).await?;
    let connections: Vec<Value> = page.connections.iter().map(described::connection).collect();
    Ok(json!({
        "connections": connections,
        "total": app.metrics.connections.get(),
        "next": page.next.map(|next| next.to_string()),
    }))
}

pub(in crate::admin) async fn one(relay: &Relay, found: &Found<'_>) -> Result<Value, Refusal> {
    let app = named(relay, found)?;
    let socket_id = socket_id(found)?;
    let report = relay.hub.inspect(&app).find(socket_id).await?;
    let report = report.ok_or_else(|| nowhere(socket_id))?;
    Ok(described::connection(&report))
}

pub(in crate::admin) async fn close_one(
    relay: &Relay,
    found: &Found<'_>,
    query: &Query,
) -> Result<(), Refusal> {
    let app = named(relay, found)?;
    let socket_id = socket_id(found)?;
    let is_here = relay
        .hub
        .inspect(&app)
        .close(socket_id, reason(query))
        .await?;
    is_here.then_some(()).ok_or_else(|| nowhere(socket_id))
}

/// On all nodes. There may be none.
pub(in crate::admin) async fn close_user(
    relay: &Relay,
    found: &Found<'_>,
    query: &Query,
) -> Result<(), Refusal> {
    let app = named(relay, found)?;
    let user = query.text("user").unwrap_or_else(|| found.value("user"));
    let closed = relay.authority.close_user(&app, user, reason(query));
    Ok(closed.settled().await?)
}

pub(in crate::admin) fn close_all(
    relay: &Relay,
    found: &Found<'_>,
    query: &Query,
) -> Result<Value, Refusal> {
    let app = named(relay, found)?;
    let connections = app.metrics.connections.get();
    relay.hub.close_app(&app, reason(query));
    Ok(json!({ "closing": connections }))
}

/// As the HTTP API ends a user's connections, unless clients are to connect again.
fn reason(query: &Query) -> CloseReason {
    if query.switch("reconnect") {
        let text = "the relay's operator asks the client to connect again";
        return CloseReason::new(CloseCode::Reconnect, text);
    }
    CloseReason::new(
        CloseCode::Unauthorized,
        "the relay's operator has ended the connection",
    )
}

fn socket_id(found: &Found<'_>) -> Result<SocketId, Refusal> {
    let parsed = found.value("socket_id").parse::<SocketId>();
    parsed.map_err(|error| Refusal::Invalid(error.to_string()))
}

fn nowhere(socket_id: SocketId) -> Refusal {
    Refusal::NotFound(format!(
        "no connection of the app to this node has the socket id {socket_id}"
    ))
}
