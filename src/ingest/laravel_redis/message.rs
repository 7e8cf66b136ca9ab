//! One event, as Laravel writes it.
//!
//! Source: laravel/framework, `RedisBroadcaster::broadcast`:
//! `{"event": NAME, "data": PAYLOAD, "socket": SOCKET ID or null}`.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::payload;
use crate::apps::Limits;
use crate::hub::broadcast::BacklogFull;
use crate::metrics::IngestRefusal;
use crate::protocol::channel::ChannelNameError;
use crate::protocol::event::{EventNameError, check_event_name};
use crate::protocol::server::{EventData, EventDataError};
use crate::protocol::{SocketId, json};

/// An event that may be published.
#[derive(Debug)]
pub(super) struct Message<'b> {
    /// Its name.
    pub(super) event: Cow<'b, str>,
    /// Its data, as the `pusher` driver would have sent it.
    pub(super) data: EventData<'b>,
    /// The connection that does not get it.
    pub(super) except: Option<SocketId>,
}

/// Why a message is not delivered.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("expected a JSON object with event and data, as Laravel's redis driver sends it: {0}")]
    NotJson(Cow<'static, str>),
    #[error("expected a text as event, the event's name")]
    NoEventName,
    #[error("event: {0}")]
    EventName(#[from] EventNameError),
    #[error("expected a channel's name behind ingest.laravel_redis.prefix: {0}")]
    ChannelName(#[from] ChannelNameError),
    #[error("expected data, the event's payload")]
    NoData,
    #[error("{0}")]
    Data(#[from] EventDataError),
    #[error("too many events are waiting to be delivered")]
    Backlog,
}

impl From<BacklogFull> for Refusal {
    fn from(_: BacklogFull) -> Self {
        Self::Backlog
    }
}

impl Refusal {
    /// What it is counted as.
    pub(super) fn reason(&self) -> IngestRefusal {
        match self {
            Self::NotJson(_) => IngestRefusal::NotJson,
            Self::NoEventName | Self::EventName(_) => IngestRefusal::EventName,
            Self::ChannelName(_) => IngestRefusal::ChannelName,
            Self::NoData | Self::Data(EventDataError::NoText(_)) => IngestRefusal::Data,
            Self::Data(EventDataError::TooLarge { .. }) => IngestRefusal::TooLarge,
            Self::Backlog => IngestRefusal::Backlog,
        }
    }
}

#[derive(Deserialize)]
struct Fields<'b> {
    #[serde(borrow)]
    event: Option<&'b RawValue>,
    #[serde(borrow)]
    data: Option<&'b RawValue>,
    #[serde(borrow)]
    socket: Option<&'b RawValue>,
}

impl<'b> Message<'b> {
    /// Reads and checks a message.
    pub(super) fn read(payload: &'b [u8], limits: &Limits) -> Result<Self, Refusal> {
        let fields = parse(payload)?;
        let event = json::present(fields.event).and_then(json::as_string);
        let event = event.ok_or(Refusal::NoEventName)?;
        check_event_name(&event, limits.event_name_length)?;
        let data = json::present(fields.data).ok_or(Refusal::NoData)?;
        let data = payload::as_sent_to_pusher(data);
        data.check(limits.event_data_bytes)?;
        Ok(Self {
            event,
            data,
            except: fields.socket.and_then(socket_id),
        })
    }
}

fn parse(payload: &[u8]) -> Result<Fields<'_>, Refusal> {
    // serde would also read a struct from an array.
    if !payload.trim_ascii_start().starts_with(b"{") {
        return Err(Refusal::NotJson("it is no object".into()));
    }
    serde_json::from_slice(payload).map_err(|error| Refusal::NotJson(error.to_string().into()))
}

/// The id of a connection. One that no connection here can have, such as that of a client of
/// laravel-echo-server that runs beside the relay, excludes nobody.
fn socket_id(value: &RawValue) -> Option<SocketId> {
    json::as_string(value)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(payload: &str) -> Result<(String, String, Option<String>), IngestRefusal> {
        let message = Message::read(payload.as_bytes(), &Limits::default());
        let message = message.map_err(|refusal| refusal.reason())?;
        let data: String = serde_json::from_str(message.data.token()).unwrap();
        let except = message.except.map(|socket_id| socket_id.to_string());
        Ok((message.event.into_owned(), data, except))
    }

    #[test]
    fn what_laravel_writes_is_read() {
        for (payload, event, data, except) in [
            (
                r#"{"event":"App\\Events\\Sent","data":{"id":7,"socket":null},"socket":null}"#,
                r"App\Events\Sent",
                r#"{"id":7}"#,
                None,
            ),
            (
                r#" { "event": "e", "socket": "1.2", "data": { "a": "\u00fc", "socket": "1.2" } }"#,
                "e",
                r#"{"a":"\u00fc"}"#,
                Some("1.2"),
            ),
            (r#"{"event":"e","data":"text"}"#, "e", "text", None),
            (r#"{"event":"e","data":[1],"more":{}}"#, "e", "[1]", None),
        ] {
            let read = read(payload).unwrap();
            let expected = (event.into(), data.into(), except.map(str::to_owned));
            assert_eq!(read, expected, "{payload}");
        }
    }

    #[test]
    fn sockets_of_other_servers_exclude_nobody() {
        for socket in [r#""qRZ2bBbF8YAAAB""#, "7", "{}", r#""""#] {
            let payload = format!(r#"{{"event":"e","data":{{}},"socket":{socket}}}"#);
            assert_eq!(read(&payload).unwrap().2, None, "{socket}");
        }
    }

    #[test]
    fn what_is_wrong_is_counted_by_its_reason() {
        let long_name = format!(r#"{{"event":"{}","data":{{}}}}"#, "x".repeat(201));
        let long_data = format!(r#"{{"event":"e","data":"{}"}}"#, "x".repeat(10_241));
        for (payload, reason) in [
            ("", IngestRefusal::NotJson),
            ("x", IngestRefusal::NotJson),
            ("null", IngestRefusal::NotJson),
            (r#"["e",{},null]"#, IngestRefusal::NotJson),
            (r#"{"event":"e","data":{}"#, IngestRefusal::NotJson),
            (r#"{"event":"e","data":{}} x"#, IngestRefusal::NotJson),
            (
                r#"{"event":"e","event":"f","data":{}}"#,
                IngestRefusal::NotJson,
            ),
            (r#"{"data":{}}"#, IngestRefusal::EventName),
            (r#"{"event":null,"data":{}}"#, IngestRefusal::EventName),
            (r#"{"event":5,"data":{}}"#, IngestRefusal::EventName),
            (r#"{"event":"","data":{}}"#, IngestRefusal::EventName),
            (
                r#"{"event":"pusher:x","data":{}}"#,
                IngestRefusal::EventName,
            ),
            (&long_name, IngestRefusal::EventName),
            (r#"{"event":"e"}"#, IngestRefusal::Data),
            (r#"{"event":"e","data":null}"#, IngestRefusal::Data),
            (r#"{"event":"e","data":"\ud800"}"#, IngestRefusal::Data),
            (&long_data, IngestRefusal::TooLarge),
        ] {
            assert_eq!(read(payload), Err(reason), "{payload}");
        }
    }

    #[test]
    fn the_limit_is_that_of_the_data_without_the_socket() {
        let text = "x".repeat(10_240 - r#"{"t":""}"#.len());
        let payload =
            format!(r#"{{"event":"e","data":{{"t":"{text}","socket":"1.2"}},"socket":"1.2"}}"#);
        assert_eq!(read(&payload).unwrap().1.len(), 10_240);
    }

    proptest! {
        #[test]
        fn no_payload_makes_the_reader_panic(
            text in "\\PC*|\\{\"event\":\"e\",\"data\":\\PC*\\}|\\{\"event\":\"e\",\"data\":[\\[\\]{}\",:\\\\ a0]*\\}",
            bytes in any::<Vec<u8>>(),
        ) {
            for payload in [text.as_bytes(), &bytes] {
                let _ = Message::read(payload, &Limits::default());
            }
        }
    }
}
