//! Messages to clients. Double encoding (data as a string that holds JSON) happens only here.

use std::borrow::Cow;
use std::io::Write as _;
use std::sync::{Arc, LazyLock};

use serde_json::value::RawValue;

use super::frame::Frame;
use super::json;
use super::member::Member;
use super::socket_id::SocketId;

/// The data of an event as it goes onto the wire: the token of a JSON string.
#[derive(Clone, Debug)]
pub struct EventData<'a>(Cow<'a, str>);

impl<'a> EventData<'a> {
    /// From the value that a publisher sent: a string goes through as it was written, and any
    /// other JSON is serialised into a string.
    pub fn from_json(value: &'a RawValue) -> Self {
        if json::is_string(value) {
            Self(Cow::Borrowed(value.get()))
        } else {
            Self::from_text(&json::compact(value))
        }
    }

    /// From plain text, such as a query parameter.
    pub fn from_text(text: &str) -> Self {
        let mut token = Vec::with_capacity(text.len() + text.len() / 8 + 2);
        json::write_string(&mut token, text);
        Self(Cow::Owned(
            String::from_utf8(token).expect("an escaped str is UTF-8"),
        ))
    }

    /// The JSON string token.
    pub fn token(&self) -> &str {
        &self.0
    }

    /// Fails if the data stands for no text, or for one of more than `limit` bytes.
    pub fn check(&self, limit: usize) -> Result<(), EventDataError> {
        self.check_text()?;
        if !self.is_surely_within(limit) {
            let length = self.decoded_len();
            if length > limit {
                return Err(EventDataError::TooLarge { length, limit });
            }
        }
        Ok(())
    }

    /// Fails if the data stands for no text.
    pub fn check_text(&self) -> Result<(), json::LoneSurrogate> {
        json::check_surrogates(&self.0)
    }

    /// Bytes of the text that clients will see.
    pub fn decoded_len(&self) -> usize {
        json::decoded_len(&self.0)
    }

    /// Whether the text is surely within `limit` bytes, without looking at it closely.
    /// (Escapes only ever make a token longer.)
    pub fn is_surely_within(&self, limit: usize) -> bool {
        self.0.len() - 2 <= limit
    }
}

/// Why data cannot be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventDataError {
    /// It stands for no text.
    #[error("data: {0}")]
    NoText(#[from] json::LoneSurrogate),
    /// It is longer than the app allows.
    #[error("data has {length} bytes, at most {limit} are allowed (event_data_bytes)")]
    TooLarge {
        /// Bytes of the text.
        length: usize,
        /// The app's limit.
        limit: usize,
    },
}

/// `pusher:connection_established`; `activity_timeout` in seconds.
pub fn connection_established(socket_id: SocketId, activity_timeout: u64) -> Frame {
    Frame::text(160, |out| {
        write_to(
            out,
            format_args!(
                r#"{{"event":"pusher:connection_established","data":"{{\"socket_id\":\"{socket_id}\",\"activity_timeout\":{activity_timeout}}}"}}"#
            ),
        );
    })
}

/// `pusher:error`: the client's mistake, or why it is closed.
pub fn error(code: Option<u16>, message: &str) -> Frame {
    Frame::text(64 + message.len(), |out| {
        out.extend_from_slice(br#"{"event":"pusher:error","data":{"code":"#);
        match code {
            Some(code) => write_to(out, format_args!("{code}")),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(br#","message":"#);
        json::write_string(out, message);
        out.extend_from_slice(b"}}");
    })
}

/// `pusher:ping`: is anybody there?
pub fn ping() -> Frame {
    static PING: LazyLock<Frame> =
        LazyLock::new(|| fixed(r#"{"event":"pusher:ping","data":"{}"}"#));
    PING.clone()
}

/// `pusher:pong`
pub fn pong() -> Frame {
    static PONG: LazyLock<Frame> =
        LazyLock::new(|| fixed(r#"{"event":"pusher:pong","data":"{}"}"#));
    PONG.clone()
}

fn fixed(text: &str) -> Frame {
    Frame::text(text.len(), |out| out.extend_from_slice(text.as_bytes()))
}

/// `pusher_internal:subscription_succeeded` of a channel without members.
pub fn subscription_succeeded(channel: &str) -> Frame {
    Frame::text(96 + channel.len(), |out| {
        open(out, "pusher_internal:subscription_succeeded", channel);
        out.extend_from_slice(br#","data":"{}"}"#);
    })
}

/// `pusher_internal:subscription_succeeded` with the roster.
pub fn presence_subscription_succeeded(channel: &str, roster: &[Arc<Member>]) -> Frame {
    let members: usize = roster
        .iter()
        .map(|member| 2 * member.escaped_id().len() + member.escaped_info().len() + 3)
        .sum();
    Frame::text(160 + channel.len() + members, |out| {
        open(out, "pusher_internal:subscription_succeeded", channel);
        out.extend_from_slice(br#","data":"{\"presence\":{\"ids\":["#);
        for (index, member) in roster.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(member.escaped_id().as_bytes());
        }
        out.extend_from_slice(br#"],\"hash\":{"#);
        for (index, member) in roster.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            out.extend_from_slice(member.escaped_id().as_bytes());
            out.push(b':');
            out.extend_from_slice(member.escaped_info().as_bytes());
        }
        write_to(out, format_args!(r#"}},\"count\":{}}}}}"}}"#, roster.len()));
    })
}

/// `pusher:subscription_error`: the connection stays open.
pub fn subscription_error(channel: &str, kind: &str, message: &str, status: u16) -> Frame {
    Frame::text(128 + channel.len() + message.len(), |out| {
        open(out, "pusher:subscription_error", channel);
        write_to(out, format_args!(r#","data":{{"type":"{kind}","error":"#));
        json::write_string(out, message);
        write_to(out, format_args!(r#","status":{status}}}}}"#));
    })
}

/// `pusher:cache_miss`: the cache channel holds no event.
pub fn cache_miss(channel: &str) -> Frame {
    Frame::text(48 + channel.len(), |out| {
        open(out, "pusher:cache_miss", channel);
        out.push(b'}');
    })
}

/// Whether a frame is one of [`subscription_count`].
pub fn is_subscription_count(frame: &[u8]) -> bool {
    let head = &frame[..frame.len().min(64)];
    memchr::memmem::find(head, br#"{"event":"pusher_internal:subscription_count""#).is_some()
}

/// Whether the frame is `pusher_internal:watchlist_events`, and no event of that name: an event's name is
/// not the relay's to give.
pub fn is_watchlist_events(frame: &[u8]) -> bool {
    let head = &frame[..frame.len().min(64)];
    memchr::memmem::find(head, br#"{"event":"pusher_internal:watchlist_events""#).is_some()
}

/// `fanfare:gap`, an ordinary event: the client has missed something on the channel while it was
/// away, so many events, or nobody knows how many. The relay's own; no client knows it by itself.
pub fn gap(channel: &str, missed: Option<u64>) -> Frame {
    Frame::text(72 + channel.len(), |out| {
        open(out, "fanfare:gap", channel);
        match missed {
            Some(missed) => write_to(out, format_args!(r#","data":"{{\"missed\":{missed}}}"}}"#)),
            None => out.extend_from_slice(br#","data":"{\"missed\":null}"}"#),
        }
    })
}

/// `pusher_internal:member_added`
pub fn member_added(channel: &str, member: &Member) -> Frame {
    let size = member.escaped_id().len() + member.escaped_info().len();
    Frame::text(96 + channel.len() + size, |out| {
        open(out, "pusher_internal:member_added", channel);
        out.extend_from_slice(br#","data":"{\"user_id\":"#);
        out.extend_from_slice(member.escaped_id().as_bytes());
        out.extend_from_slice(br#",\"user_info\":"#);
        out.extend_from_slice(member.escaped_info().as_bytes());
        out.extend_from_slice(br#"}"}"#);
    })
}

/// `pusher_internal:member_removed`
pub fn member_removed(channel: &str, member: &Member) -> Frame {
    Frame::text(80 + channel.len() + member.escaped_id().len(), |out| {
        open(out, "pusher_internal:member_removed", channel);
        out.extend_from_slice(br#","data":"{\"user_id\":"#);
        out.extend_from_slice(member.escaped_id().as_bytes());
        out.extend_from_slice(br#"}"}"#);
    })
}

/// `pusher_internal:subscription_count`
pub fn subscription_count(channel: &str, count: usize) -> Frame {
    Frame::text(112 + channel.len(), |out| {
        open(out, "pusher_internal:subscription_count", channel);
        write_to(
            out,
            format_args!(r#","data":"{{\"subscription_count\":{count}}}"}}"#),
        );
    })
}

/// Whether a user has a signed-in connection, by the name of the event that reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// At least one.
    Online,
    /// None.
    Offline,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Offline => "offline",
        }
    }
}

/// `pusher_internal:watchlist_events`: who is online and who is not; a status without users is
/// left out.
pub fn watchlist_events<U: AsRef<[Arc<str>]>>(
    statuses: impl IntoIterator<Item = (Status, U)>,
) -> Frame {
    Frame::text(160, |out| {
        out.extend_from_slice(
            br#"{"event":"pusher_internal:watchlist_events","data":"{\"events\":["#,
        );
        let mut separator = "";
        for (status, users) in statuses {
            let users = users.as_ref();
            if users.is_empty() {
                continue;
            }
            let name = status.name();
            write_to(
                out,
                format_args!(r#"{separator}{{\"name\":\"{name}\",\"user_ids\":"#),
            );
            let ids: Vec<&str> = users.iter().map(|user_id| &**user_id).collect();
            let ids = serde_json::to_string(&ids).expect("texts are valid JSON");
            json::write_escaped(out, &ids);
            out.push(b'}');
            separator = ",";
        }
        out.extend_from_slice(br#"]}"}"#);
    })
}

/// A published event.
pub fn event(name: &str, channel: &str, data: &EventData<'_>) -> Frame {
    let size = name.len() + channel.len() + data.token().len();
    Frame::text(48 + size, |out| {
        open(out, name, channel);
        out.extend_from_slice(br#","data":"#);
        out.extend_from_slice(data.token().as_bytes());
        out.push(b'}');
    })
}

/// A client's event for the others on the channel: event, channel and data, and on a presence
/// channel the sender's user id.
pub fn client_event(
    name: &str,
    channel: &str,
    data: Option<&RawValue>,
    sender: Option<&Member>,
) -> Frame {
    let size = name.len() + channel.len() + data.map_or(0, |data| data.get().len());
    Frame::text(160 + size, |out| {
        open(out, name, channel);
        if let Some(data) = data {
            out.extend_from_slice(br#","data":"#);
            out.extend_from_slice(data.get().as_bytes());
        }
        if let Some(member) = sender {
            out.extend_from_slice(br#","user_id":"#);
            json::write_string(out, member.user_id());
        }
        out.push(b'}');
    })
}

/// `pusher:signin_success`; here data is an object, and its user_data the text as received.
pub fn signin_success(user_data: &str) -> Frame {
    Frame::text(72 + user_data.len() + user_data.len() / 4, |out| {
        out.extend_from_slice(br#"{"event":"pusher:signin_success","data":{"user_data":"#);
        json::write_string(out, user_data);
        out.extend_from_slice(b"}}");
    })
}

/// `{"event":NAME,"channel":CHANNEL`
fn open(out: &mut Vec<u8>, event: &str, channel: &str) {
    out.extend_from_slice(br#"{"event":"#);
    json::write_string(out, event);
    out.extend_from_slice(br#","channel":"#);
    json::write_string(out, channel);
}

fn write_to(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("writing to a Vec cannot fail");
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn parsed(frame: &Frame) -> Value {
        serde_json::from_slice(frame.payload()).unwrap()
    }

    /// The message with its data string unpacked.
    fn unpacked(frame: &Frame) -> Value {
        let mut message = parsed(frame);
        let data = message["data"].as_str().expect("data is a string");
        message["data"] = serde_json::from_str(data).unwrap();
        message
    }

    #[test]
    fn established_carries_data_as_a_string() {
        let id: SocketId = "12.34".parse().unwrap();
        assert_eq!(
            unpacked(&connection_established(id, 120))["data"],
            json!({"socket_id": "12.34", "activity_timeout": 120})
        );
    }

    #[test]
    fn rosters_are_valid_json_whatever_the_members_are_called() {
        let roster = [
            Arc::new(Member::new("a\"\\ü\n", Some(r#"{"n":"\"x\\"}"#))),
            Arc::new(Member::new("2", None)),
        ];
        assert_eq!(
            unpacked(&presence_subscription_succeeded("presence-x", &roster))["data"],
            json!({"presence": {
                "ids": ["a\"\\ü\n", "2"],
                "hash": {"a\"\\ü\n": {"n": "\"x\\"}, "2": {}},
                "count": 2,
            }})
        );
        assert_eq!(
            unpacked(&presence_subscription_succeeded("presence-x", &[]))["data"],
            json!({"presence": {"ids": [], "hash": {}, "count": 0}})
        );
        assert_eq!(
            unpacked(&member_added("presence-x", &roster[0]))["data"],
            json!({"user_id": "a\"\\ü\n", "user_info": {"n": "\"x\\"}})
        );
        assert_eq!(
            unpacked(&member_removed("presence-x", &roster[0]))["data"],
            json!({"user_id": "a\"\\ü\n"})
        );
    }

    #[test]
    fn published_strings_pass_as_written_and_other_json_becomes_a_string() {
        for (sent, seen) in [
            (r#""{\"a\": 1}""#, "{\"a\": 1}"),
            (r#""\u00fc\/""#, "ü/"),
            ("{ \"a\" : [1, 2.50] }", r#"{"a":[1,2.50]}"#),
            ("true", "true"),
            (r#""""#, ""),
        ] {
            let value: Box<RawValue> = serde_json::from_str(sent).unwrap();
            let frame = event("e\"", "c", &EventData::from_json(&value));
            assert_eq!(
                parsed(&frame),
                json!({"event": "e\"", "channel": "c", "data": seen})
            );
        }
    }

    #[test]
    fn client_events_keep_the_type_of_their_data() {
        let data: Box<RawValue> = serde_json::from_str(r#"{"x":[1]}"#).unwrap();
        let member = Member::new("7", None);
        assert_eq!(
            parsed(&client_event(
                "client-x",
                "presence-c",
                Some(&data),
                Some(&member)
            )),
            json!({"event": "client-x", "channel": "presence-c", "data": {"x": [1]}, "user_id": "7"})
        );
        assert_eq!(
            parsed(&client_event("client-x", "private-c", None, None)),
            json!({"event": "client-x", "channel": "private-c"})
        );
    }

    #[test]
    fn the_remaining_messages_are_valid_json() {
        assert_eq!(
            parsed(&error(None, "no \"x\"")),
            json!({"event": "pusher:error", "data": {"code": null, "message": "no \"x\""}})
        );
        assert_eq!(parsed(&error(Some(4301), ""))["data"]["code"], 4301);
        assert_eq!(
            parsed(&subscription_error("c", "AuthError", "no", 401))["data"],
            json!({"type": "AuthError", "error": "no", "status": 401})
        );
        assert_eq!(
            parsed(&cache_miss("c")),
            json!({"event": "pusher:cache_miss", "channel": "c"})
        );
        assert_eq!(
            unpacked(&subscription_count("c", 3))["data"],
            json!({"subscription_count": 3})
        );
        assert_eq!(
            parsed(&signin_success("{\"id\":\"1\"}"))["data"],
            json!({"user_data": "{\"id\":\"1\"}"})
        );
        let ids = |ids: &[&str]| ids.iter().map(|id| Arc::from(*id)).collect::<Vec<_>>();
        let changes = [
            (Status::Online, ids(&["a", "\"ü\""])),
            (Status::Offline, ids(&["b"])),
        ];
        assert_eq!(
            unpacked(&watchlist_events(changes))["data"],
            json!({"events": [
                {"name": "online", "user_ids": ["a", "\"ü\""]},
                {"name": "offline", "user_ids": ["b"]},
            ]})
        );
        assert_eq!(
            unpacked(&watchlist_events([
                (Status::Online, ids(&[])),
                (Status::Offline, ids(&["b"]))
            ]))["data"],
            json!({"events": [{"name": "offline", "user_ids": ["b"]}]})
        );
        assert_eq!(unpacked(&subscription_succeeded("c"))["data"], json!({}));
        assert_eq!(parsed(&ping())["event"], "pusher:ping");
        assert_eq!(parsed(&pong())["event"], "pusher:pong");
    }
}
