//! What the desk announces: the events of the inbox, with their channels and payloads.
//!
//! - [`conversations`]: those of conversations themselves

pub mod conversations;

use publisher::{Broadcast, Channel as WireChannel, Invalid, SocketId};
use serde::Serialize;

use crate::channels::Channel;
use crate::clock::Timestamp;
pub use crate::message::{Direction, Sender};
use crate::message::{Failure, Media, Message, MessageType};

/// Bytes of a payload. Relays take 10 KB.
const LARGEST_PAYLOAD: usize = 10_000;

/// A new event's id, which no other event has. It is the event's idempotency key, too: an
/// ordinary number would come again when a database is made anew.
pub fn new_id() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

/// The payload of `message.sent` and `message.received`: the message as the endpoints give it.
#[derive(Debug, Serialize)]
struct NewMessage<'m> {
    #[serde(flatten)]
    message: &'m Message,
    /// Of a customer's message.
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<&'m ConversationSummary>,
    /// Whether `content` was cut, as an event has less room than a message.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

/// The payload of `message.updated`.
#[derive(Debug, Serialize)]
struct MessageUpdated<'m> {
    id: i64,
    conversation_id: i64,
    r#type: MessageType,
    /// Who wrote it, so that they learn what became of it without knowing the message.
    sender: Option<&'m Sender>,
    status: Option<&'m str>,
    error: Option<&'m Failure>,
    media: Option<&'m Media>,
    created_at: Timestamp,
    version: i64,
}

/// The conversation, as `message.received` has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConversationSummary {
    /// The conversation's id.
    pub id: i64,
    /// `open` or `closed`.
    pub status: String,
    /// The customer.
    pub contact: Contact,
    /// The department that answers.
    pub department_id: Option<i64>,
    /// Who answers in person.
    pub assignee: Option<Sender>,
    /// Until when the customer can be written to without a template.
    pub window_ends_at: Timestamp,
    /// Which state this is: of two, the one with the higher version is the newer.
    pub version: i64,
}

/// A customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Contact {
    /// The contact's id.
    pub id: i64,
    /// As the customer calls themselves.
    pub name: String,
    /// The WhatsApp number, digits only.
    pub phone: String,
}

/// `message.sent`: an agent has written. The connection `socket_id` does not get it back.
pub fn sent(
    message: &Message,
    department_id: Option<i64>,
    event_id: &str,
    socket_id: Option<SocketId>,
) -> Result<Broadcast, Invalid> {
    let broadcast = new_message("message.sent", message, None, department_id)?;
    Ok(broadcast.idempotency_id(event_id).to_others(socket_id))
}

/// `message.received`: a customer has written.
pub fn received(
    message: &Message,
    conversation: &ConversationSummary,
    event_id: &str,
) -> Result<Broadcast, Invalid> {
    let department_id = conversation.department_id;
    let broadcast = new_message(
        "message.received",
        message,
        Some(conversation),
        department_id,
    )?;
    Ok(broadcast.idempotency_id(event_id))
}

/// `message.updated`: the status of a message, its reason or its file has changed.
pub fn updated(
    message: &Message,
    department_id: Option<i64>,
    event_id: &str,
) -> Result<Broadcast, Invalid> {
    let payload = MessageUpdated {
        id: message.id,
        conversation_id: message.conversation_id,
        r#type: message.r#type,
        sender: message.sender.as_ref(),
        status: message.status.as_deref(),
        error: message.error.as_ref(),
        media: message.media.as_ref(),
        created_at: message.created_at,
        version: message.version,
    };
    let channels = channels(message.conversation_id, department_id);
    let broadcast = Broadcast::new("message.updated", channels, &payload)?;
    Ok(broadcast.idempotency_id(event_id))
}

/// A new message's event; if it is too large, with as much of the content as fits.
fn new_message(
    name: &'static str,
    message: &Message,
    conversation: Option<&ConversationSummary>,
    department_id: Option<i64>,
) -> Result<Broadcast, Invalid> {
    let broadcast = |message: &Message, truncated| {
        let payload = NewMessage {
            message,
            conversation,
            truncated,
        };
        let channels = channels(message.conversation_id, department_id);
        Broadcast::new(name, channels, &payload)
    };
    let whole = broadcast(message, false)?;
    if whole.payload().len() <= LARGEST_PAYLOAD {
        return Ok(whole);
    }
    let mut cut = Message {
        content: String::new(),
        ..message.clone()
    };
    let without = broadcast(&cut, true)?.payload().len();
    cut.content = beginning(&message.content, LARGEST_PAYLOAD.saturating_sub(without));
    broadcast(&cut, true)
}

/// As much of a text's beginning as takes `room` bytes in a JSON string.
fn beginning(text: &str, room: usize) -> String {
    let mut taken = 0;
    let fits = |letter: &char| {
        taken += json_length(*letter);
        taken <= room
    };
    text.chars().take_while(fits).collect()
}

/// Bytes that a letter takes in a JSON string.
const fn json_length(letter: char) -> usize {
    match letter {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        letter => letter.len_utf8(),
    }
}

/// Where the messages of a conversation are announced.
fn channels(conversation_id: i64, department_id: Option<i64>) -> Vec<WireChannel> {
    let conversation = Some(Channel::Conversation(conversation_id));
    let department = department_id.map(Channel::Department);
    let channels = conversation.into_iter().chain(department);
    channels
        .map(|channel| WireChannel::named(channel.name()))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn message(content: &str) -> Message {
        Message {
            id: 9,
            conversation_id: 1,
            direction: Direction::Outbound,
            r#type: MessageType::Text,
            content: content.into(),
            media: None,
            location: None,
            reply_to: None,
            sender: Some(Sender {
                id: 4,
                name: "Ada".into(),
                avatar: None,
            }),
            status: Some("sent".into()),
            error: None,
            client_id: Some("c1".into()),
            created_at: Timestamp::from_millis(1),
            version: 3,
        }
    }

    fn payload(broadcast: &Broadcast) -> Value {
        serde_json::from_str(broadcast.payload()).unwrap()
    }

    #[test]
    fn a_message_is_announced_as_the_endpoints_give_it() {
        let message = message("hello");
        let socket_id = SocketId::parse("1.2").ok();
        let sent = sent(&message, Some(2), "event", socket_id).unwrap();
        let names: Vec<_> = sent.channels().iter().map(WireChannel::name).collect();
        assert_eq!(names, ["private-conversation.1", "private-department.2"]);
        assert_eq!(sent.socket_id().map(SocketId::as_str), Some("1.2"));
        assert_eq!(sent.id(), Some("event"));
        assert_eq!(payload(&sent), json!(message));
        assert_eq!(
            payload(&sent),
            json!({
                "id": 9, "conversation_id": 1, "direction": "outbound", "type": "text",
                "content": "hello", "media": null, "location": null, "reply_to": null,
                "sender": {"id": 4, "name": "Ada", "avatar": null}, "status": "sent",
                "error": null, "client_id": "c1", "created_at": "1970-01-01T00:00:00.001Z",
                "version": 3,
            })
        );
    }

    #[test]
    fn a_customers_message_comes_with_its_conversation() {
        let conversation = ConversationSummary {
            id: 1,
            status: "open".into(),
            contact: Contact {
                id: 7,
                name: "Grace".into(),
                phone: "491".into(),
            },
            department_id: None,
            assignee: None,
            window_ends_at: Timestamp::from_millis(86_400_001),
            version: 3,
        };
        let received = received(&message("hi"), &conversation, "event").unwrap();
        assert_eq!(
            received.channels(),
            [WireChannel::private("conversation.1")]
        );
        assert_eq!(
            payload(&received)["conversation"],
            json!({
                "id": 1, "status": "open", "contact": {"id": 7, "name": "Grace", "phone": "491"},
                "department_id": null, "assignee": null,
                "window_ends_at": "1970-01-02T00:00:00.001Z", "version": 3,
            })
        );
    }

    proptest! {
        #[test]
        fn an_event_never_has_more_than_a_relay_takes(
            letters in prop::collection::vec(any::<char>(), 1..20),
            length in 1000..12_000_usize,
        ) {
            let content: String = letters.iter().cycle().take(length).collect();
            let sent = sent(&message(&content), Some(2), "event", None).unwrap();
            let payload = payload(&sent);
            prop_assert!(sent.payload().len() <= LARGEST_PAYLOAD);
            let shown = payload["content"].as_str().unwrap();
            prop_assert!(content.starts_with(shown));
            if payload["truncated"] == true {
                prop_assert!(sent.payload().len() > LARGEST_PAYLOAD - 6, "as much as fits");
            } else {
                prop_assert_eq!(shown, content);
            }
        }
    }
}
