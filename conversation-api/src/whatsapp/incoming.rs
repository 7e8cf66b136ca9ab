//! A customer's message, as a webhook reports it.
//!
//! Whatever its kind, a message with an id and a sender is kept: agents see that something was
//! written, even where it cannot be shown.

use serde_json::Value;

use super::values::{clean, is_plausible_id, items};
use crate::clock::Timestamp;
use crate::message::{Location, MessageType};

/// Digits of a phone number, by E.164 with room to spare.
const LONGEST_PHONE: usize = 20;
/// Characters of a name, a title or an address that are kept.
const LONGEST_LABEL: usize = 255;
/// Characters of a caption that are kept: more than WhatsApp takes.
const LONGEST_CAPTION: usize = 4096;
/// Characters of an emoji: some are made of many.
const LONGEST_EMOJI: usize = 32;
/// Contacts whose names are shown.
const MOST_CONTACTS: usize = 5;
/// Bytes of a media type.
const LONGEST_TYPE: usize = 100;
/// When WhatsApp began, in seconds: nothing was written before.
const EARLIEST: i64 = 1_230_768_000;

/// What is not known to be anything else.
const ANY_TYPE: &str = "application/octet-stream";

/// A customer's message.
#[derive(Clone, Debug, PartialEq)]
pub struct Incoming {
    /// WhatsApp's id of the message.
    pub id: String,
    /// The customer's number, digits only.
    pub phone: String,
    /// The customer's name, if it is given.
    pub name: Option<String>,
    /// When it was written, to the second; none if that is not given, or makes no sense.
    pub written_at: Option<Timestamp>,
    /// WhatsApp's id of the message that it answers or reacts to.
    pub reply_to: Option<String>,
    /// What it is.
    pub r#type: MessageType,
    /// The text, or what can be read in place of one.
    pub content: String,
    /// Its file.
    pub media: Option<MediaReference>,
    /// The place that it names.
    pub location: Option<Location>,
}

/// A file that WhatsApp holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaReference {
    /// WhatsApp's id of it: letters, digits, `-` and `_`.
    pub id: String,
    /// What it is said to be.
    pub mime_type: String,
    /// The name that the customer gave it.
    pub filename: Option<String>,
}

/// What differs from kind to kind.
#[derive(Debug)]
struct Body {
    r#type: MessageType,
    content: String,
    media: Option<MediaReference>,
    location: Option<Location>,
}

impl Body {
    fn text(r#type: MessageType, content: String) -> Self {
        Self {
            r#type,
            content,
            media: None,
            location: None,
        }
    }
}

/// Reads a message of a change's `value`; `None` without an id and a sender.
pub(super) fn message(message: &Value, value: &Value) -> Option<Incoming> {
    let phone = message["from"].as_str()?;
    let is_number = (1..=LONGEST_PHONE).contains(&phone.len())
        && phone.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number {
        return None;
    }
    let id = message["id"].as_str().filter(|id| is_plausible_id(id))?;
    let kind = message["type"].as_str().unwrap_or_default();
    let body = body(kind, message).unwrap_or_else(|| unsupported(kind, message));
    Some(Incoming {
        id: id.into(),
        phone: phone.into(),
        name: name(value, phone),
        written_at: time(&message["timestamp"]),
        reply_to: reply_to(message),
        r#type: body.r#type,
        content: body.content,
        media: body.media,
        location: body.location,
    })
}

fn body(kind: &str, message: &Value) -> Option<Body> {
    let value = &message[kind];
    let kind = MessageType::parse(kind);
    match kind {
        MessageType::Text => {
            let text = clean(value["body"].as_str()?);
            (!text.trim().is_empty()).then(|| Body::text(kind, text))
        }
        MessageType::Image
        | MessageType::Audio
        | MessageType::Video
        | MessageType::Document
        | MessageType::Sticker => file(kind, value),
        MessageType::Location => place(value),
        MessageType::Contacts => contacts(value),
        MessageType::Reaction => {
            let emoji = label(&value["emoji"], LONGEST_EMOJI).unwrap_or_default();
            value["message_id"]
                .as_str()
                .map(|_| Body::text(kind, emoji))
        }
        MessageType::Button => Some(Body::text(kind, label(&value["text"], LONGEST_CAPTION)?)),
        MessageType::Interactive => {
            let titles = [
                &value["button_reply"]["title"],
                &value["list_reply"]["title"],
                &value["nfm_reply"]["body"],
            ];
            let title = titles
                .into_iter()
                .find_map(|title| label(title, LONGEST_CAPTION));
            Some(Body::text(kind, title?))
        }
        MessageType::Template | MessageType::Note | MessageType::Unsupported => None,
    }
}

/// What cannot be shown: the text that explains it, if there is one, or what it is called.
fn unsupported(kind: &str, message: &Value) -> Body {
    let texts = [&message[kind]["body"], &message["errors"][0]["title"]];
    let text = texts
        .into_iter()
        .find_map(|text| label(text, LONGEST_LABEL));
    let named = || label(&Value::from(kind), LONGEST_LABEL);
    let content = text.or_else(named).unwrap_or_default();
    Body::text(MessageType::Unsupported, content)
}

fn file(kind: MessageType, value: &Value) -> Option<Body> {
    let id = value["id"].as_str().filter(|id| is_media_id(id))?;
    let filename =
        label(&value["filename"], LONGEST_LABEL).map(|name| name.replace(['/', '\\'], "_"));
    let caption = value["caption"].as_str().map(clean).unwrap_or_default();
    let mime_type = value["mime_type"].as_str();
    let mime_type = mime_type.filter(|mime_type| is_media_type(mime_type));
    Some(Body {
        r#type: kind,
        content: caption.trim().chars().take(LONGEST_CAPTION).collect(),
        media: Some(MediaReference {
            id: id.into(),
            mime_type: mime_type.unwrap_or(ANY_TYPE).into(),
            filename,
        }),
        location: None,
    })
}

/// Ids become a part of the Graph API's addresses.
fn is_media_id(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=LONGEST_LABEL).contains(&id.len()) && id.bytes().all(is_plain)
}

/// `type/subtype`, perhaps with parameters.
fn is_media_type(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    text.len() <= LONGEST_TYPE && text.bytes().all(is_plain) && text.contains('/')
}

fn place(value: &Value) -> Option<Body> {
    let degrees = |name: &str, most: f64| {
        let degrees = value[name].as_f64();
        degrees.filter(|degrees| degrees.abs() <= most)
    };
    let location = Location {
        latitude: degrees("latitude", 90.0)?,
        longitude: degrees("longitude", 180.0)?,
        name: label(&value["name"], LONGEST_LABEL),
        address: label(&value["address"], LONGEST_LABEL),
    };
    let named = location.name.clone().or_else(|| location.address.clone());
    let content = named.unwrap_or_else(|| format!("{}, {}", location.latitude, location.longitude));
    Some(Body {
        location: Some(location),
        ..Body::text(MessageType::Location, content)
    })
}

/// Names with their first numbers.
fn contacts(value: &Value) -> Option<Body> {
    let contacts = value.as_array()?;
    let shown = |contact: &Value| {
        let name = label(&contact["name"]["formatted_name"], LONGEST_LABEL);
        let phone = label(&contact["phones"][0]["phone"], LONGEST_LABEL);
        match (name, phone) {
            (Some(name), Some(phone)) => Some(format!("{name} ({phone})")),
            (name, phone) => name.or(phone),
        }
    };
    let names: Vec<_> = contacts
        .iter()
        .filter_map(shown)
        .take(MOST_CONTACTS)
        .collect();
    let content = match contacts.len().saturating_sub(MOST_CONTACTS) {
        0 => names.join(", "),
        more => format!("{} (+{more})", names.join(", ")),
    };
    (!names.is_empty()).then(|| Body::text(MessageType::Contacts, content))
}

fn reply_to(message: &Value) -> Option<String> {
    let ids = [
        &message["reaction"]["message_id"],
        &message["context"]["id"],
    ];
    let id = ids.into_iter().find_map(Value::as_str)?;
    is_plausible_id(id).then(|| id.into())
}

fn name(value: &Value, phone: &str) -> Option<String> {
    let contact = items(value, "contacts").find(|contact| contact["wa_id"] == phone)?;
    label(&contact["profile"]["name"], LONGEST_LABEL)
}

/// Seconds since 1970, as a text or a number.
fn time(value: &Value) -> Option<Timestamp> {
    let seconds = match value {
        Value::String(text) => text.parse().ok(),
        value => value.as_i64(),
    };
    let seconds = seconds.filter(|seconds| *seconds >= EARLIEST)?;
    seconds.checked_mul(1000).map(Timestamp::from_millis)
}

/// A text of one line, if there is one.
fn label(value: &Value, longest: usize) -> Option<String> {
    let text = value.as_str()?.replace(char::is_control, "");
    let text: String = text.trim().chars().take(longest).collect();
    (!text.is_empty()).then_some(text)
}
