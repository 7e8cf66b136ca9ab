//! The channels of an app: in a cluster as all nodes have them.

use serde_json::{Value, json};

use super::super::described;
use super::super::listing;
use super::super::query::Query;
use super::super::refusal::Refusal;
use super::super::routes::Found;
use super::apps::named;
use crate::hub::{AppHub, Detail};
use crate::protocol::ChannelRef;
use crate::relay::Relay;

pub(in crate::admin) async fn list(
    relay: &Relay,
    found: &Found<'_>,
    query: &Query,
) -> Result<Value, Refusal> {
    let app = named(relay, found)?;
    let prefix = query.text("prefix").unwrap_or_default();
    let channels = relay.authority.channels(&app, prefix, Detail::State);
    let channels = channels.get().await?;
    let total = channels.len();
    let (after, most) = (query.text("after"), query.number("limit"));
    let (channels, next) = listing::part(channels, |(name, _)| name.as_str(), after, most);
    let channels = channels
        .iter()
        .map(|(name, report)| described::channel(name.as_str(), name.kind(), &report.state));
    Ok(json!({ "channels": channels.collect::<Vec<_>>(), "total": total, "next": next }))
}

pub(in crate::admin) async fn one(relay: &Relay, found: &Found<'_>) -> Result<Value, Refusal> {
    let app = named(relay, found)?;
    let name = parse(&app, found.value("channel"))?;
    let report = relay
        .authority
        .channel(&app, name.as_str(), Detail::StateAndLastEvent);
    let report = report.get().await?;
    let mut channel = described::channel(name.as_str(), name.kind(), &report.state);
    let is_occupied = report.state.subscribers > 0;
    channel.insert("occupied".into(), is_occupied.into());
    if name.kind().cache {
        channel.insert("has_event".into(), report.cached.is_some().into());
    }
    Ok(channel.into())
}

pub(in crate::admin) async fn members(
    relay: &Relay,
    found: &Found<'_>,
    query: &Query,
) -> Result<Value, Refusal> {
    let app = named(relay, found)?;
    let name = parse(&app, found.value("channel"))?;
    if !name.kind().is_presence() {
        let message = "only presence channels have members: their names begin with presence-";
        return Err(Refusal::Invalid(message.into()));
    }
    let members = relay.authority.members(&app, name.as_str()).get().await?;
    let total = members.len();
    let (after, most) = (query.text("after"), query.number("limit"));
    let (members, next) = listing::part(members, |user_id| user_id, after, most);
    let members = members
        .iter()
        .map(|user_id| json!({ "user_id": &**user_id }));
    Ok(json!({ "members": members.collect::<Vec<_>>(), "total": total, "next": next }))
}

fn parse<'n>(app: &AppHub, name: &'n str) -> Result<ChannelRef<'n>, Refusal> {
    let limit = app.app.record().limits.channel_name_length;
    ChannelRef::parse(name.into(), limit)
        .map_err(|error| Refusal::Invalid(format!("channel: {error}")))
}
