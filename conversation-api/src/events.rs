//! What the desk announces: the events of the inbox, with their channels and payloads.
//!
//! - [`conversations`]: those of conversations themselves

pub mod conversations;

use publisher::{Broadcast, Channel as WireChannel, Invalid, SocketId};
use serde::Serialize;

use crate::channels::Channel;
use crate::clock::Timestamp;

/// A new event's id, which no other event has. It is the event's idempotency key, too: an
/// ordinary number would come again when a database is made anew.
pub fn new_id() -> String {
    hex::encode(rand::random::<[u8; 16]>())
}

/// The payload of `message.sent`: an agent has written.
#[derive(Debug, Serialize)]
pub struct MessageSent<'m> {
    /// The message's id, by which an inbox knows a repeat.
    pub id: i64,
    /// The conversation's id.
    pub conversation_id: i64,
    /// Always outbound.
    pub direction: Direction,
    /// The text.
    pub content: &'m str,
    /// Who wrote it.
    pub sender: &'m Sender,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// The payload of `message.received`: a customer has written.
#[derive(Debug, Serialize)]
pub struct MessageReceived<'m> {
    /// The message's id, by which an inbox knows a repeat.
    pub id: i64,
    /// The conversation's id.
    pub conversation_id: i64,
    /// Always inbound.
    pub direction: Direction,
    /// The text.
    pub content: &'m str,
    /// The conversation, which may be new to the inbox.
    pub conversation: ConversationSummary<'m>,
    /// When it was stored.
    pub created_at: Timestamp,
}

/// The conversation, as `message.received` has it.
#[derive(Debug, Serialize)]
pub struct ConversationSummary<'m> {
    /// The conversation's id.
    pub id: i64,
    /// `open` or `closed`.
    pub status: &'m str,
    /// The customer.
    pub contact: &'m Contact,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the customer.
    Inbound,
    /// To the customer.
    Outbound,
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

/// An agent's message, which the connection `socket_id` does not get back.
pub fn sent(
    message: &MessageSent<'_>,
    department_id: Option<i64>,
    event_id: &str,
    socket_id: Option<SocketId>,
) -> Result<Broadcast, Invalid> {
    let channels = channels(message.conversation_id, department_id);
    let broadcast = Broadcast::new("message.sent", channels, message)?;
    Ok(broadcast.idempotency_id(event_id).to_others(socket_id))
}

/// A customer's message.
pub fn received(
    message: &MessageReceived<'_>,
    department_id: Option<i64>,
    event_id: &str,
) -> Result<Broadcast, Invalid> {
    let channels = channels(message.conversation_id, department_id);
    let broadcast = Broadcast::new("message.received", channels, message)?;
    Ok(broadcast.idempotency_id(event_id))
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
    use super::*;

    #[test]
    fn payloads_are_what_the_inbox_expects() {
        let sender = Sender {
            id: 4,
            name: "Ada".into(),
            avatar: None,
        };
        let sent = MessageSent {
            id: 9,
            conversation_id: 1,
            direction: Direction::Outbound,
            content: "hello",
            sender: &sender,
            created_at: Timestamp::from_millis(1),
        };
        let socket_id = SocketId::parse("1.2").ok();
        let sent = super::sent(&sent, Some(2), "event", socket_id).unwrap();
        let names: Vec<_> = sent.channels().iter().map(WireChannel::name).collect();
        assert_eq!(names, ["private-conversation.1", "private-department.2"]);
        assert_eq!(sent.socket_id().map(SocketId::as_str), Some("1.2"));
        assert_eq!(sent.id(), Some("event"));
        assert_eq!(
            sent.payload(),
            r#"{"id":9,"conversation_id":1,"direction":"outbound","content":"hello","sender":{"id":4,"name":"Ada","avatar":null},"created_at":"1970-01-01T00:00:00.001Z"}"#
        );
        let contact = Contact {
            id: 7,
            name: "Grace".into(),
            phone: "491".into(),
        };
        let received = MessageReceived {
            id: 9,
            conversation_id: 1,
            direction: Direction::Inbound,
            content: "hi",
            conversation: ConversationSummary {
                id: 1,
                status: "open",
                contact: &contact,
            },
            created_at: Timestamp::from_millis(1),
        };
        let received = super::received(&received, None, "event").unwrap();
        assert_eq!(
            received.channels(),
            [WireChannel::private("conversation.1")]
        );
        assert_eq!(
            received.payload(),
            r#"{"id":9,"conversation_id":1,"direction":"inbound","content":"hi","conversation":{"id":1,"status":"open","contact":{"id":7,"name":"Grace","phone":"491"}},"created_at":"1970-01-01T00:00:00.001Z"}"#
        );
    }
}
