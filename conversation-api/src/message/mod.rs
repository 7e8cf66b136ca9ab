//! What a message is, as the endpoints and the events show it.
//!
//! - [`failure`]: why a message was not delivered

pub mod failure;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
pub use failure::Failure;

/// A message.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Message {
    /// The message's id, by which an inbox knows a repeat.
    pub id: i64,
    /// The conversation's id.
    pub conversation_id: i64,
    /// Which way it went.
    pub direction: Direction,
    /// What it is.
    pub r#type: MessageType,
    /// The text, the caption, or a short rendering that can be read: a place's name, the emoji of a
    /// reaction, the title of a button.
    pub content: String,
    /// The file that belongs to it.
    pub media: Option<Media>,
    /// The place that it names.
    pub location: Option<Location>,
    /// The message that it answers, or reacts to.
    pub reply_to: Option<ReplyTo>,
    /// Who wrote it at the desk; none for the customer's.
    pub sender: Option<Sender>,
    /// What became of it at WhatsApp; none for the customer's, and for notes.
    pub status: Option<String>,
    /// Why it was not delivered, if it failed.
    pub error: Option<Failure>,
    /// The id that its sender's client gave it.
    pub client_id: Option<String>,
    /// When it was written.
    pub created_at: Timestamp,
    /// Which state of the message this is: of two, the one with the higher version is the newer.
    /// The place in the conversation's sequence of what changed it last.
    pub version: i64,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the customer.
    Inbound,
    /// To the customer, or a note that stays at the desk.
    Outbound,
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageType {
    /// Plain text.
    Text,
    /// A picture.
    Image,
    /// A recording or music.
    Audio,
    /// A film.
    Video,
    /// A file.
    Document,
    /// A sticker.
    Sticker,
    /// A place.
    Location,
    /// One or more contacts.
    Contacts,
    /// An emoji on another message; without one, it was taken back.
    Reaction,
    /// A button of a template was pressed.
    Button,
    /// A button or a line of a list was chosen.
    Interactive,
    /// A template that the desk sent.
    Template,
    /// What agents write for each other.
    Note,
    /// What is not understood.
    Unsupported,
}

impl MessageType {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Text,
        Self::Image,
        Self::Audio,
        Self::Video,
        Self::Document,
        Self::Sticker,
        Self::Location,
        Self::Contacts,
        Self::Reaction,
        Self::Button,
        Self::Interactive,
        Self::Template,
        Self::Note,
        Self::Unsupported,
    ];

    /// As it is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Document => "document",
            Self::Sticker => "sticker",
            Self::Location => "location",
            Self::Contacts => "contacts",
            Self::Reaction => "reaction",
            Self::Button => "button",
            Self::Interactive => "interactive",
            Self::Template => "template",
            Self::Note => "note",
            Self::Unsupported => "unsupported",
        }
    }

    /// Reads the name; what is not known is [`Self::Unsupported`].
    pub fn parse(name: &str) -> Self {
        let named = Self::ALL.into_iter().find(|kind| kind.name() == name);
        named.unwrap_or(Self::Unsupported)
    }
}

/// The file of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Media {
    /// What is in it: as WhatsApp has it, and once it is here as its bytes have it.
    pub mime_type: String,
    /// The name that the customer gave it.
    pub filename: Option<String>,
    /// Its size in bytes, once that is known.
    pub size: Option<i64>,
    /// Where it is served, once it is here.
    pub url: Option<String>,
    /// Whether it is here.
    pub state: MediaState,
}

/// Whether a file is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum MediaState {
    /// It is being fetched.
    Pending,
    /// It is here.
    Ready,
    /// It will not come.
    Unavailable,
}

impl MediaState {
    /// As it is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Ready => "ready",
            Self::Unavailable => "unavailable",
        }
    }

    /// Reads the name.
    pub fn parse(name: &str) -> Self {
        match name {
            "pending" => Self::Pending,
            "ready" => Self::Ready,
            _ => Self::Unavailable,
        }
    }
}

/// A place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// What it is called.
    pub name: Option<String>,
    /// Its address.
    pub address: Option<String>,
}

/// The message that another one answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplyTo {
    /// WhatsApp's id of it.
    pub whatsapp_id: String,
    /// Its id here, if it is known.
    pub message_id: Option<i64>,
}

/// Who wrote a message at the desk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sender {
    /// The user's id.
    pub id: i64,
    /// The user's name.
    pub name: String,
    /// The address of the user's picture.
    pub avatar: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_shown_by_the_names_that_they_are_stored_under() {
        for kind in MessageType::ALL {
            assert_eq!(MessageType::parse(kind.name()), kind);
            assert_eq!(serde_json::json!(kind), kind.name());
        }
        assert_eq!(MessageType::parse("order"), MessageType::Unsupported);
    }
}
