//! Messages from clients.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::event::CLIENT_EVENT_PREFIX;
use super::json;

/// What a client asks for.
#[derive(Debug)]
pub enum ClientMessage<'a> {
    /// `pusher:ping`
    Ping,
    /// `pusher:pong`: an answer to the relay's ping; anything received counts as activity.
    Pong,
    /// `pusher:subscribe`
    Subscribe(Subscribe<'a>),
    /// `pusher:unsubscribe`
    Unsubscribe {
        /// The channel to leave.
        channel: Cow<'a, str>,
    },
    /// `pusher:signin`
    Signin {
        /// `KEY:SIGNATURE`
        auth: Cow<'a, str>,
        /// The JSON text that the app signed.
        user_data: Cow<'a, str>,
    },
    /// `client-…`
    ClientEvent(ClientEvent<'a>),
}

/// A subscription as asked for. `auth` and `channel_data` are looked at only where the kind
/// of the channel needs them: on public channels they may be anything.
#[derive(Debug)]
pub struct Subscribe<'a> {
    /// The channel's name, unchecked.
    pub channel: Cow<'a, str>,
    auth: Option<&'a RawValue>,
    channel_data: Option<&'a RawValue>,
}

impl Subscribe<'_> {
    /// `KEY:SIGNATURE`, if given.
    pub fn auth(&self) -> Result<Option<Cow<'_, str>>, NotText> {
        optional_text("auth", self.auth)
    }

    /// The JSON text that the signature covers, if given.
    pub fn channel_data(&self) -> Result<Option<Cow<'_, str>>, NotText> {
        optional_text("channel_data", self.channel_data)
    }
}

/// A field that must be a JSON string is something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" must be a string")]
pub struct NotText(pub &'static str);

/// An event that a client sends to the others on a channel.
#[derive(Debug)]
pub struct ClientEvent<'a> {
    /// The name, `client-` included.
    pub event: Cow<'a, str>,
    /// The channel's name, unchecked; empty if none was given.
    pub channel: Cow<'a, str>,
    /// Any JSON; it keeps its type.
    pub data: Option<&'a RawValue>,
}

/// Why a message cannot be understood. The connection stays open.
#[derive(Debug, thiserror::Error)]
pub enum ClientMessageError {
    /// Not a JSON object.
    #[error("the message is not a JSON object: {0}")]
    NotJson(String),
    /// No event name.
    #[error("the message needs an \"event\" that is a string")]
    NoEvent,
    /// An event that the protocol does not have.
    #[error(
        "unknown event {0:?}: a client may send pusher:ping, pusher:pong, pusher:subscribe, \
         pusher:unsubscribe, pusher:signin and names beginning with client-"
    )]
    UnknownEvent(String),
    /// The data of a `pusher:` event is not as it must be.
    #[error("{event}: {reason}")]
    BadData {
        /// The event.
        event: &'static str,
        /// What is wrong with its data.
        reason: String,
    },
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct SubscribeData<'a> {
    #[serde(borrow)]
    channel: Option<&'a RawValue>,
    #[serde(borrow)]
    auth: Option<&'a RawValue>,
    #[serde(borrow)]
    channel_data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct SigninData<'a> {
    #[serde(borrow)]
    auth: Option<&'a RawValue>,
    #[serde(borrow)]
    user_data: Option<&'a RawValue>,
}

/// Reads one text message and hands it to `handle`. (A callback, because data that came as a
/// JSON string has to be unpacked into a buffer that the message borrows from.)
pub fn parse<R>(
    text: &str,
    handle: impl FnOnce(Result<ClientMessage<'_>, ClientMessageError>) -> R,
) -> R {
    let envelope: Envelope<'_> = match parse_object(text) {
        Ok(envelope) => envelope,
        Err(reason) => return handle(Err(ClientMessageError::NotJson(reason))),
    };
    let Some(event) = envelope.event.and_then(json::as_string) else {
        return handle(Err(ClientMessageError::NoEvent));
    };
    match &*event {
        "pusher:ping" => handle(Ok(ClientMessage::Ping)),
        "pusher:pong" => handle(Ok(ClientMessage::Pong)),
        "pusher:subscribe" => with_data(envelope.data, |data| {
            handle(
                data.and_then(subscribe)
                    .map_err(|reason| bad_data("pusher:subscribe", reason)),
            )
        }),
        "pusher:unsubscribe" => with_data(envelope.data, |data| {
            handle(
                data.and_then(unsubscribe)
                    .map_err(|reason| bad_data("pusher:unsubscribe", reason)),
            )
        }),
        "pusher:signin" => with_data(envelope.data, |data| {
            handle(
                data.and_then(signin)
                    .map_err(|reason| bad_data("pusher:signin", reason)),
            )
        }),
        name if name.starts_with(CLIENT_EVENT_PREFIX) => {
            handle(Ok(ClientMessage::ClientEvent(ClientEvent {
                channel: envelope
                    .channel
                    .and_then(json::as_string)
                    .unwrap_or_default(),
                data: envelope.data,
                event,
            })))
        }
        name => {
            // A name may be as long as the message; the answer is not.
            let shown = name.chars().take(64).collect();
            handle(Err(ClientMessageError::UnknownEvent(shown)))
        }
    }
}

fn bad_data(event: &'static str, reason: String) -> ClientMessageError {
    ClientMessageError::BadData { event, reason }
}

/// The data object's text, also where it came as a JSON string that holds it.
fn with_data<R>(data: Option<&RawValue>, handle: impl FnOnce(Result<&str, String>) -> R) -> R {
    match json::present(data) {
        None => handle(Err("\"data\" is missing".into())),
        Some(data) if json::is_string(data) => match json::as_string(data) {
            Some(text) => handle(Ok(&text)),
            None => handle(Err("\"data\" is not valid text".into())),
        },
        Some(data) => handle(Ok(data.get())),
    }
}

fn subscribe(data: &str) -> Result<ClientMessage<'_>, String> {
    let data: SubscribeData<'_> = parse_object(data)?;
    Ok(ClientMessage::Subscribe(Subscribe {
        channel: required_text("channel", data.channel)?,
        auth: data.auth,
        channel_data: data.channel_data,
    }))
}

fn unsubscribe(data: &str) -> Result<ClientMessage<'_>, String> {
    let data: SubscribeData<'_> = parse_object(data)?;
    Ok(ClientMessage::Unsubscribe {
        channel: required_text("channel", data.channel)?,
    })
}

fn signin(data: &str) -> Result<ClientMessage<'_>, String> {
    let data: SigninData<'_> = parse_object(data)?;
    Ok(ClientMessage::Signin {
        auth: required_text("auth", data.auth)?,
        user_data: required_text("user_data", data.user_data)?,
    })
}

fn parse_object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    // serde would also read a struct from an array.
    if !text.trim_start().starts_with('{') {
        return match serde_json::from_str::<&RawValue>(text) {
            Ok(_) => Err("it is another kind of value".into()),
            Err(error) => Err(error.to_string()),
        };
    }
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn required_text<'a>(
    field: &'static str,
    value: Option<&'a RawValue>,
) -> Result<Cow<'a, str>, String> {
    match optional_text(field, value) {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err(format!("\"{field}\" is missing")),
        Err(error) => Err(error.to_string()),
    }
}

fn optional_text<'a>(
    field: &'static str,
    value: Option<&'a RawValue>,
) -> Result<Option<Cow<'a, str>>, NotText> {
    match json::present(value) {
        None => Ok(None),
        Some(value) => json::as_string(value).map(Some).ok_or(NotText(field)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outcome(text: &str) -> String {
        parse(text, |message| match message {
            Ok(message) => format!("{message:?}"),
            Err(error) => format!("error: {error}"),
        })
    }

    #[test]
    fn data_may_come_as_an_object_or_as_a_string() {
        for text in [
            r#"{"event":"pusher:subscribe","data":{"channel":"a"}}"#,
            r#"{"event":"pusher:subscribe","data":"{\"channel\":\"a\"}"}"#,
        ] {
            assert!(outcome(text).starts_with("Subscribe"), "{}", outcome(text));
        }
    }

    #[test]
    fn odd_messages_are_errors_that_name_what_is_wrong() {
        for (text, mistake) in [
            ("", "not a JSON object"),
            ("[]", "not a JSON object"),
            (r#"["pusher:ping",null,null]"#, "not a JSON object"),
            ("{", "not a JSON object"),
            ("{}", "\"event\""),
            (r#"{"event":5}"#, "\"event\""),
            (r#"{"event":"pusher:subscribe"}"#, "\"data\" is missing"),
            (
                r#"{"event":"pusher:subscribe","data":null}"#,
                "\"data\" is missing",
            ),
            (
                r#"{"event":"pusher:subscribe","data":"x"}"#,
                "pusher:subscribe",
            ),
            (
                r#"{"event":"pusher:subscribe","data":{}}"#,
                "\"channel\" is missing",
            ),
            (
                r#"{"event":"pusher:subscribe","data":{"channel":1}}"#,
                "must be a string",
            ),
            (
                r#"{"event":"pusher:signin","data":{"auth":"a"}}"#,
                "\"user_data\" is missing",
            ),
            (r#"{"event":"pusher:nonsense"}"#, "unknown event"),
            (r#"{"event":"Client-x"}"#, "unknown event"),
            (r#"{"event":"pusher_internal:x"}"#, "unknown event"),
        ] {
            let outcome = outcome(text);
            assert!(
                outcome.starts_with("error") && outcome.contains(mistake),
                "{text}: {outcome}"
            );
        }
    }

    #[test]
    fn deep_json_is_no_deep_recursion() {
        let deep = "[".repeat(30_000) + &"]".repeat(30_000);
        let text = format!(r#"{{"event":"client-x","channel":"c","data":{deep}}}"#);
        assert!(outcome(&text).starts_with("ClientEvent"));
        let text = format!(r#"{{"event":"pusher:subscribe","data":{{"channel":"c","x":{deep}}}}}"#);
        assert!(outcome(&text).starts_with("Subscribe"));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC*") {
            outcome(&text);
        }

        #[test]
        fn no_json_makes_the_parser_panic(
            event in "pusher:(subscribe|unsubscribe|signin|ping)|client-x|\\PC*",
            data in "\\PC*|\\{\"channel\":[0-9a-z\"]*\\}|null",
        ) {
            outcome(&format!("{{\"event\":{event:?},\"data\":{data}}}"));
        }
    }
}
