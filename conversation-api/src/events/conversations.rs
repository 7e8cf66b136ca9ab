//! What is announced of conversations themselves: who answers them, and what becomes of them.

use publisher::{Broadcast, Channel as WireChannel, Invalid, SocketId};
use serde::Serialize;

use super::{Contact, Sender};
use crate::channels::Channel;
use crate::clock::Timestamp;
use crate::people::User;

/// A conversation without what is particular to one user.
#[derive(Clone, Debug, Serialize)]
pub struct ConversationState {
    /// The conversation's id.
    pub id: i64,
    /// `open` or `closed`.
    pub status: String,
    /// The customer.
    pub contact: Contact,
    /// Who answers as a team.
    pub department: Option<Department>,
    /// Who answers in person.
    pub assignee: Option<Sender>,
    /// When something was written last.
    pub last_message_at: Timestamp,
    /// Until when WhatsApp takes replies that are no templates; none if the customer never wrote.
    pub window_ends_at: Option<Timestamp>,
    /// Which state this is: of two, the one with the higher version is the newer.
    pub version: i64,
}

/// A department, by name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Department {
    /// The department's id.
    pub id: i64,
    /// The department's name.
    pub name: String,
}

/// Who has done something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Author {
    /// The user's id.
    pub id: i64,
    /// The user's name.
    pub name: String,
}

impl From<&User> for Author {
    fn from(user: &User) -> Self {
        Self {
            id: user.id,
            name: user.name.clone(),
        }
    }
}

/// The payload of `conversation.assigned`: somebody else answers now, or nobody in particular.
#[derive(Debug, Serialize)]
pub struct ConversationAssigned<'c> {
    /// The conversation's id.
    pub conversation_id: i64,
    /// The conversation as it is now.
    pub conversation: &'c ConversationState,
    /// Who answers now.
    pub assignee: Option<&'c Sender>,
    /// Who did before.
    pub previous_assignee: Option<&'c Sender>,
    /// Who decided it; none when it came about by itself.
    pub by: Option<&'c Author>,
    /// When.
    pub created_at: Timestamp,
}

/// The payload of `conversation.updated`: something else of it has changed.
#[derive(Debug, Serialize)]
pub struct ConversationUpdated<'c> {
    /// The conversation's id.
    pub conversation_id: i64,
    /// What has changed.
    pub changes: &'c [Change],
    /// The conversation as it is now.
    pub conversation: &'c ConversationState,
    /// Where it was, if it has moved from one department to another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_department_id: Option<i64>,
    /// How far somebody has read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read: Option<Read>,
    /// Who changed it; none when it came about by itself.
    pub by: Option<&'c Author>,
    /// When.
    pub created_at: Timestamp,
}

/// What may change of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Whether it is open or closed.
    Status,
    /// Which department answers.
    Department,
    /// What a user has read of it.
    Read,
}

/// How far a user has read.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Read {
    /// The user.
    pub user_id: i64,
    /// The last message read.
    pub last_read_message_id: i64,
}

/// An event of a conversation: whom it is for, which connection does not get it, and its id.
#[derive(Debug)]
pub struct Envelope<'e> {
    /// The channels.
    pub channels: Vec<Channel>,
    /// The connection of whoever caused it.
    pub socket_id: Option<SocketId>,
    /// The event's id.
    pub event_id: &'e str,
}

/// Somebody else answers.
pub fn assigned(
    payload: &ConversationAssigned<'_>,
    envelope: Envelope<'_>,
) -> Result<Broadcast, Invalid> {
    envelope.wrap("conversation.assigned", payload)
}

/// Something of the conversation has changed.
pub fn updated(
    payload: &ConversationUpdated<'_>,
    envelope: Envelope<'_>,
) -> Result<Broadcast, Invalid> {
    envelope.wrap("conversation.updated", payload)
}

impl Envelope<'_> {
    fn wrap(self, name: &str, payload: &impl Serialize) -> Result<Broadcast, Invalid> {
        let channels = self.channels.into_iter().map(Channel::name);
        let channels: Vec<_> = channels.map(WireChannel::named).collect();
        let broadcast = Broadcast::new(name, channels, payload)?;
        Ok(broadcast
            .idempotency_id(self.event_id)
            .to_others(self.socket_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> ConversationState {
        ConversationState {
            id: 1,
            status: "open".into(),
            contact: Contact {
                id: 7,
                name: "Grace".into(),
                phone: "491".into(),
            },
            department: Some(Department {
                id: 2,
                name: "Sales".into(),
            }),
            assignee: None,
            last_message_at: Timestamp::from_millis(1),
            window_ends_at: None,
            version: 3,
        }
    }

    const STATE: &str = r#"{"id":1,"status":"open","contact":{"id":7,"name":"Grace","phone":"491"},"department":{"id":2,"name":"Sales"},"assignee":null,"last_message_at":"1970-01-01T00:00:00.001Z","window_ends_at":null,"version":3}"#;

    fn envelope(channels: &[Channel]) -> Envelope<'_> {
        Envelope {
            channels: channels.to_vec(),
            socket_id: SocketId::parse("1.2").ok(),
            event_id: "event",
        }
    }

    #[test]
    fn assignments_are_what_the_inbox_expects() {
        let previous = Sender {
            id: 4,
            name: "Ada".into(),
            avatar: None,
        };
        let by = Author {
            id: 3,
            name: "Mara".into(),
        };
        let payload = ConversationAssigned {
            conversation_id: 1,
            conversation: &state(),
            assignee: None,
            previous_assignee: Some(&previous),
            by: Some(&by),
            created_at: Timestamp::from_millis(1),
        };
        let channels = [Channel::User(4), Channel::Conversation(1)];
        let event = assigned(&payload, envelope(&channels)).unwrap();
        let names: Vec<_> = event.channels().iter().map(WireChannel::name).collect();
        assert_eq!(names, ["private-user.4", "private-conversation.1"]);
        assert_eq!(event.socket_id().map(SocketId::as_str), Some("1.2"));
        assert_eq!(event.id(), Some("event"));
        let expected = format!(
            r#"{{"conversation_id":1,"conversation":{STATE},"assignee":null,"previous_assignee":{{"id":4,"name":"Ada","avatar":null}},"by":{{"id":3,"name":"Mara"}},"created_at":"1970-01-01T00:00:00.001Z"}}"#
        );
        assert_eq!(event.payload(), expected);
    }

    #[test]
    fn what_does_not_apply_is_left_out_of_updates() {
        let mut payload = ConversationUpdated {
            conversation_id: 1,
            changes: &[Change::Status],
            conversation: &state(),
            previous_department_id: None,
            read: None,
            by: None,
            created_at: Timestamp::from_millis(1),
        };
        let event = updated(&payload, envelope(&[Channel::User(4)])).unwrap();
        let expected = format!(
            r#"{{"conversation_id":1,"changes":["status"],"conversation":{STATE},"by":null,"created_at":"1970-01-01T00:00:00.001Z"}}"#
        );
        assert_eq!(event.payload(), expected);
        payload.read = Some(Read {
            user_id: 4,
            last_read_message_id: 9,
        });
        payload.previous_department_id = Some(1);
        let event = updated(&payload, envelope(&[Channel::User(4)])).unwrap();
        let more = r#""previous_department_id":1,"read":{"user_id":4,"last_read_message_id":9},"#;
        assert!(event.payload().contains(more), "{}", event.payload());
    }
}
