//! One notice to a backend, as the JSON that it will read.

use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::value::RawValue;

use crate::apps::WebhookEvent;
use crate::protocol::server::EventData;
use crate::protocol::{SocketId, json};

/// An event for webhooks, encoded once for all of them.
///
/// Every value is a string, but for the number of subscribers; what has no value is left out.
/// Source: Pusher Channels, "Webhooks".
#[derive(Clone, Debug)]
pub struct Notice {
    /// Which event it is.
    pub event: WebhookEvent,
    /// The JSON object.
    pub json: Arc<str>,
}

/// A client's event, as it is reported.
#[derive(Clone, Copy, Debug)]
pub struct ClientEventNotice<'a> {
    /// The channel that it was sent to.
    pub channel: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its data, if it has any: text as it is, any other JSON in its serialised form.
    pub data: Option<&'a RawValue>,
    /// The connection that sent it.
    pub sender: SocketId,
    /// Who that is; on presence channels only.
    pub user_id: Option<&'a str>,
}

impl Notice {
    /// An event that has nothing but its channel: occupied, vacated, or a cache miss.
    pub(super) fn of_channel(event: WebhookEvent, channel: &str) -> Self {
        Self::encode(event, channel, |_| {})
    }

    /// A member has come or gone.
    pub(super) fn of_member(event: WebhookEvent, channel: &str, user_id: &str) -> Self {
        Self::encode(event, channel, |out| write_field(out, "user_id", user_id))
    }

    /// The number of subscribers has changed.
    pub(super) fn of_count(channel: &str, subscribers: usize) -> Self {
        Self::encode(WebhookEvent::SubscriptionCount, channel, |out| {
            let mut field = String::new();
            write!(field, r#","subscription_count":{subscribers}"#)
                .expect("writing to a String cannot fail");
            out.extend_from_slice(field.as_bytes());
        })
    }

    /// A client has sent an event.
    pub fn of_client_event(sent: ClientEventNotice<'_>) -> Self {
        Self::encode(WebhookEvent::ClientEvent, sent.channel, |out| {
            write_field(out, "event", sent.name);
            if let Some(data) = json::present(sent.data) {
                out.extend_from_slice(br#","data":"#);
                out.extend_from_slice(EventData::from_json(data).token().as_bytes());
            }
            write_field(out, "socket_id", &sent.sender.to_string());
            if let Some(user_id) = sent.user_id {
                write_field(out, "user_id", user_id);
            }
        })
    }

    /// What an endpoint is sent that is only to show whether it takes something.
    pub(super) fn of_test() -> Arc<str> {
        r#"{"name":"test","channel":"test"}"#.into()
    }

    fn encode(event: WebhookEvent, channel: &str, rest: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut out = Vec::with_capacity(96 + channel.len());
        out.extend_from_slice(br#"{"name":""#);
        out.extend_from_slice(event.name().as_bytes());
        out.push(b'"');
        write_field(&mut out, "channel", channel);
        rest(&mut out);
        out.push(b'}');
        let json = String::from_utf8(out).expect("JSON that is made of text is text");
        Self {
            event,
            json: json.into(),
        }
    }
}

/// Which event a notice is of, by how its JSON begins.
pub(super) fn event_in(json: &str) -> Option<WebhookEvent> {
    let (name, _) = json.strip_prefix(r#"{"name":""#)?.split_once('"')?;
    WebhookEvent::of_name(name)
}

fn write_field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(br#",""#);
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(br#"":"#);
    json::write_string(out, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(notice: &Notice) -> &str {
        &notice.json
    }

    #[test]
    fn events_are_encoded_with_what_they_have() {
        assert_eq!(
            text(&Notice::of_channel(WebhookEvent::CacheMiss, "cache-a")),
            r#"{"name":"cache_miss","channel":"cache-a"}"#
        );
        assert_eq!(
            text(&Notice::of_member(
                WebhookEvent::MemberAdded,
                "presence-a",
                "ü\"1"
            )),
            r#"{"name":"member_added","channel":"presence-a","user_id":"ü\"1"}"#
        );
        assert_eq!(
            text(&Notice::of_count("a", 3)),
            r#"{"name":"subscription_count","channel":"a","subscription_count":3}"#
        );
    }

    #[test]
    fn the_data_of_a_client_event_is_always_a_string() {
        let json = |data: Option<&str>, user_id| {
            let data = data.map(|data| serde_json::from_str::<Box<RawValue>>(data).unwrap());
            let notice = Notice::of_client_event(ClientEventNotice {
                channel: "private-a",
                name: "client-x",
                data: data.as_deref(),
                sender: "1.2".parse().unwrap(),
                user_id,
            });
            text(&notice).to_owned()
        };
        let with = |data: &str| {
            format!(
                r#"{{"name":"client_event","channel":"private-a","event":"client-x"{data},"socket_id":"1.2"}}"#
            )
        };
        assert_eq!(json(None, None), with(""));
        assert_eq!(json(Some("null"), None), with(""));
        assert_eq!(json(Some(r#""a\"b""#), None), with(r#","data":"a\"b""#));
        assert_eq!(
            json(Some("{ \"a\": 1 }"), None),
            with(r#","data":"{\"a\":1}""#)
        );
        assert_eq!(json(Some("7"), None), with(r#","data":"7""#));
        assert!(json(None, Some("u")).ends_with(r#","socket_id":"1.2","user_id":"u"}"#));
    }
}
