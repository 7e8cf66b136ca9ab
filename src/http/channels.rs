//! Queries about channels.

use std::io::Write as _;

use serde_json::{Value, json};

use super::answer::Answer;
use super::error::ApiError;
use super::info::Info;
use super::verified::Verified;
use crate::protocol::{ChannelKind, ChannelRef};
use crate::relay::Relay;

/// Channels of a list that are written before others have their turn.
const AT_ONCE: usize = 128;

/// `GET …/channels`: the occupied channels.
pub(super) async fn list(relay: &Relay, request: &Verified<'_>) -> Result<Answer, ApiError> {
    let prefix = request.query().get("filter_by_prefix").unwrap_or_default();
    let info = Info::parse(request.query().get("info"))?;
    if info.user_count && !ChannelKind::of(prefix).is_presence() {
        return Err(ApiError::bad_request(
            "info: user_count needs a filter_by_prefix that begins with presence-, as only \
             presence channels have users",
        ));
    }
    let app = request.app();
    let occupied = relay.authority.channels(app, prefix, info.detail());
    let occupied = occupied.get().await?;
    let mut body = br#"{"channels":{"#.to_vec();
    for (position, (name, report)) in occupied.into_iter().enumerate() {
        if position > 0 {
            body.push(b',');
        }
        if position % AT_ONCE == AT_ONCE - 1 {
            tokio::task::yield_now().await;
        }
        let attributes = Value::Object(info.describe(name.kind(), &report));
        write!(body, "{}:{attributes}", Value::from(name.as_str())).expect("a Vec takes all");
    }
    body.extend_from_slice(b"}}");
    Ok(Answer::Written(body.into()))
}

/// `GET …/channels/{channel}`: one channel, occupied or not.
pub(super) async fn one(
    relay: &Relay,
    request: &Verified<'_>,
    name: &str,
) -> Result<Answer, ApiError> {
    let channel = parse(request, name)?;
    let info = Info::parse(request.query().get("info"))?;
    info.check_applies_to(channel.kind())?;
    let app = request.app();
    let report = relay.authority.channel(app, name, info.detail());
    let report = report.get().await?;
    let mut attributes = info.describe(channel.kind(), &report);
    attributes.insert("occupied".into(), (report.state.subscribers > 0).into());
    Ok(Answer::ok(Value::Object(attributes)))
}

/// `GET …/channels/{channel}/users`: who is present.
pub(super) async fn members(
    relay: &Relay,
    request: &Verified<'_>,
    name: &str,
) -> Result<Answer, ApiError> {
    let channel = parse(request, name)?;
    if !channel.kind().is_presence() {
        return Err(ApiError::bad_request(
            "only presence channels have users: the name must begin with presence-",
        ));
    }
    let app = request.app();
    let members = relay.authority.members(app, name).get().await?;
    let users: Vec<Value> = members
        .iter()
        .map(|user_id| json!({ "id": &**user_id }))
        .collect();
    Ok(Answer::ok(json!({ "users": users })))
}

fn parse<'n>(request: &Verified<'_>, name: &'n str) -> Result<ChannelRef<'n>, ApiError> {
    let limit = request.app().app.record().limits.channel_name_length;
    ChannelRef::parse(name.into(), limit)
        .map_err(|error| ApiError::bad_request(format!("channel: {error}")))
}
