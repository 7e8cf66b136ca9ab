//! An event as it comes in over HTTP.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::error::ApiError;
use super::info::Info;
use crate::apps::Limits;
use crate::auth::request::Query;
use crate::protocol::channel::Access;
use crate::protocol::event::check_event_name;
use crate::protocol::server::{EventData, EventDataError};
use crate::protocol::{ChannelRef, SocketId, json};
use crate::relay::Publication;

/// The fields of an event, in a body or in one slot of a batch.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Fields<'b> {
    #[serde(borrow)]
    name: Option<&'b RawValue>,
    #[serde(borrow)]
    data: Option<&'b RawValue>,
    #[serde(borrow)]
    channel: Option<&'b RawValue>,
    #[serde(borrow)]
    channels: Option<&'b RawValue>,
    #[serde(borrow)]
    socket_id: Option<&'b RawValue>,
    #[serde(borrow)]
    info: Option<&'b RawValue>,
    /// Not the event's own, but that of the request which it is alone in.
    #[serde(borrow)]
    pub(super) idempotency_key: Option<&'b RawValue>,
}

/// The fields of an event that is handed in without a signature. There is no other that means anything.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnsignedFields<'b> {
    #[serde(borrow)]
    name: Option<&'b RawValue>,
    #[serde(borrow)]
    data: Option<&'b RawValue>,
    #[serde(borrow)]
    channel: Option<&'b RawValue>,
    #[serde(borrow)]
    channels: Option<&'b RawValue>,
    #[serde(borrow)]
    socket_id: Option<&'b RawValue>,
}

/// A checked event, with what the publisher wants to know of its channels.
#[derive(Debug)]
pub(super) struct Event<'b> {
    name: Cow<'b, str>,
    data: EventData<'b>,
    pub(super) channels: SmallVec<[ChannelRef<'b>; 1]>,
    except: Option<SocketId>,
    pub(super) info: Info,
}

impl Event<'_> {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The data, as a JSON string token.
    pub(super) fn data(&self) -> &str {
        self.data.token()
    }

    /// The event, for the relay.
    pub(super) fn publication(&self) -> Publication<'_> {
        Publication {
            name: &self.name,
            data: &self.data,
            channels: &self.channels,
            except: self.except,
        }
    }
}

/// Reads a JSON object. serde would also read a struct from an array.
pub(super) fn parse_object<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, ApiError> {
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(ApiError::bad_request("the body must be a JSON object"));
    }
    serde_json::from_slice(body)
        .map_err(|error| ApiError::bad_request(format!("the body is not as expected: {error}")))
}

impl<'b> Fields<'b> {
    /// Reads an event that is handed in without a signature.
    pub(super) fn unsigned(body: &'b [u8]) -> Result<Self, ApiError> {
        let fields: UnsignedFields<'b> = parse_object(body)?;
        Ok(Self {
            name: fields.name,
            data: fields.data,
            channel: fields.channel,
            channels: fields.channels,
            socket_id: fields.socket_id,
            ..Self::default()
        })
    }

    /// Checks the event. What the body lacks may stand in the query.
    pub(super) fn check(
        &self,
        query: &'b Query<'b>,
        limits: &Limits,
    ) -> Result<Event<'b>, ApiError> {
        let name = text("name", self.name, query)?
            .ok_or_else(|| ApiError::bad_request("name is missing"))?;
        check_event_name(&name, limits.event_name_length)
            .map_err(|error| ApiError::bad_request(format!("name: {error}")))?;
        let data = self.data(query, limits)?;
        let channels = self.channels(query, limits)?;
        let except = text("socket_id", self.socket_id, query)?
            .map(|text| text.parse::<SocketId>())
            .transpose()
            .map_err(|error| ApiError::bad_request(format!("socket_id: {error}")))?;
        let info = Info::parse(text("info", self.info, query)?.as_deref())?;
        Ok(Event {
            name,
            data,
            channels,
            except,
            info,
        })
    }

    fn data(&self, query: &'b Query<'b>, limits: &Limits) -> Result<EventData<'b>, ApiError> {
        let data = match (json::present(self.data), query.get("data")) {
            (Some(data), _) => EventData::from_json(data),
            (None, Some(text)) => EventData::from_text(text),
            (None, None) => return Err(ApiError::bad_request("data is missing")),
        };
        data.check(limits.event_data_bytes)
            .map_err(|error| match error {
                EventDataError::NoText(_) => ApiError::bad_request(error.to_string()),
                EventDataError::TooLarge { .. } => ApiError::too_large(error.to_string()),
            })?;
        Ok(data)
    }

    fn channels(
        &self,
        query: &'b Query<'b>,
        limits: &Limits,
    ) -> Result<SmallVec<[ChannelRef<'b>; 1]>, ApiError> {
        let names = self.channel_names(query)?;
        if names.is_empty() {
            return Err(ApiError::bad_request("channels needs at least one channel"));
        }
        if names.len() > limits.channels_per_event {
            return Err(ApiError::bad_request(format!(
                "channels has {} channels, at most {} are allowed (channels_per_event)",
                names.len(),
                limits.channels_per_event
            )));
        }
        let mut channels: SmallVec<[ChannelRef<'b>; 1]> = SmallVec::with_capacity(names.len());
        for name in names {
            let channel = ChannelRef::parse(name, limits.channel_name_length)
                .map_err(|error| ApiError::bad_request(format!("channels: {error}")))?;
            if !channels.contains(&channel) {
                channels.push(channel);
            }
        }
        let encrypted = |channel: &ChannelRef<'_>| channel.kind().access == Access::Encrypted;
        if channels.len() > 1 && channels.iter().any(encrypted) {
            return Err(ApiError::bad_request(
                "channels: an encrypted channel must be the only one of an event, as each has \
                 its own key",
            ));
        }
        Ok(channels)
    }

    fn channel_names(&self, query: &'b Query<'b>) -> Result<SmallVec<[Cow<'b, str>; 1]>, ApiError> {
        let mut names = SmallVec::new();
        if let Some(channel) = json::present(self.channel) {
            names.push(text_of("channel", channel)?);
        }
        if let Some(channels) = json::present(self.channels) {
            let list: Vec<&RawValue> = serde_json::from_str(channels.get())
                .map_err(|_| ApiError::bad_request("channels must be a list of strings"))?;
            for channel in list {
                names.push(text_of("channels", channel)?);
            }
        } else if names.is_empty() {
            names.extend(query.all("channel").map(Cow::Borrowed));
            names.extend(query.all("channels[]").map(Cow::Borrowed));
        }
        Ok(names)
    }
}

/// A field that is a string; what the body lacks may stand in the query.
pub(super) fn text<'b>(
    field: &'static str,
    value: Option<&'b RawValue>,
    query: &'b Query<'b>,
) -> Result<Option<Cow<'b, str>>, ApiError> {
    match json::present(value) {
        Some(value) => text_of(field, value).map(Some),
        None => Ok(query.get(field).map(Cow::Borrowed)),
    }
}

fn text_of<'b>(field: &'static str, value: &'b RawValue) -> Result<Cow<'b, str>, ApiError> {
    json::as_string(value).ok_or_else(|| {
        ApiError::bad_request(match field {
            "channels" => "channels must be a list of strings".to_owned(),
            _ => format!("{field} must be a string"),
        })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(body: &str, query: &str) -> Result<String, ApiError> {
        let query = Query::parse(query);
        let fields: Fields<'_> = match body {
            "" => Fields::default(),
            body => parse_object(body.as_bytes())?,
        };
        let event = fields.check(&query, &Limits::default())?;
        let channels: Vec<_> = event.channels.iter().map(ChannelRef::as_str).collect();
        Ok(format!(
            "{} {} {}",
            event.name,
            channels.join(","),
            event.data.token()
        ))
    }

    #[test]
    fn events_are_read_from_body_and_query() {
        for (body, query, expected) in [
            (r#"{"name":"e","channel":"c","data":"d"}"#, "", r#"e c "d""#),
            (
                r#"{"name":"e","channels":["a","b","a"],"data":{"x": 1},"socket_id":null}"#,
                "",
                r#"e a,b "{\"x\":1}""#,
            ),
            (
                "",
                "name=e&channels[]=a&channels[]=b&data=x+y",
                r#"e a,b "x y""#,
            ),
            (r#"{"data":""}"#, "name=e&channel=a", r#"e a """#),
        ] {
            assert_eq!(check(body, query).unwrap(), expected, "{body} {query}");
        }
    }

    #[test]
    fn what_is_wrong_names_the_field() {
        let long = format!(
            r#"{{"name":"e","channel":"c","data":"{}"}}"#,
            "x".repeat(10_241)
        );
        let many = format!(
            r#"{{"name":"e","channels":{:?},"data":""}}"#,
            vec!["c"; 101]
        );
        for (body, status, field) in [
            ("[]", 400, "JSON object"),
            ("null", 400, "JSON object"),
            ("{", 400, "body"),
            ("{}", 400, "name"),
            (r#"{"name":5,"channel":"c","data":""}"#, 400, "name"),
            (
                r#"{"name":"pusher:x","channel":"c","data":""}"#,
                400,
                "name",
            ),
            (r#"{"name":"e","channel":"c"}"#, 400, "data"),
            (r#"{"name":"e","channel":"c","data":null}"#, 400, "data"),
            (r#"{"name":"e","channel":"c","data":"\ud800"}"#, 400, "data"),
            (r#"{"name":"e","data":""}"#, 400, "channels"),
            (r#"{"name":"e","channels":[],"data":""}"#, 400, "channels"),
            (r#"{"name":"e","channels":"c","data":""}"#, 400, "channels"),
            (r#"{"name":"e","channels":[1],"data":""}"#, 400, "channels"),
            (
                r##"{"name":"e","channel":"#x","data":""}"##,
                400,
                "channels",
            ),
            (
                r#"{"name":"e","channels":["private-encrypted-a","b"],"data":""}"#,
                400,
                "channels",
            ),
            (
                r#"{"name":"e","channel":"c","data":"","socket_id":"1"}"#,
                400,
                "socket_id",
            ),
            (
                r#"{"name":"e","channel":"c","data":"","info":"x"}"#,
                400,
                "info",
            ),
            (&long, 413, "data"),
            (&many, 400, "channels"),
        ] {
            let error = check(body, "").unwrap_err();
            assert_eq!(error.status.as_u16(), status, "{body}");
            assert!(error.message.contains(field), "{body}: {}", error.message);
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_the_parser_panic(body in "\\PC*|\\{\"name\":\\PC*\\}", query in "\\PC*") {
            let _ = check(&body, &query);
        }
    }
}
