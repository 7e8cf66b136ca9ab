//! What is acknowledged by calls of the channel's script.

use super::called::{Called, text};
use crate::cluster::redis::script;
use crate::cluster::redis::wire::{due, due_field, step};

/// A field of what is due on a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    pub(super) topic: String,
    pub(super) field: String,
}

impl Due {
    /// What is due before webhooks are sent an event of this name about the channel or the user.
    pub(super) fn before(name: &str, channel: &str, user: &str) -> Option<Self> {
        let kind = match name {
            "channel_occupied" => due::OCCUPIED,
            "channel_vacated" => due::VACATED,
            "member_added" => due::ADDED,
            "member_removed" => due::REMOVED,
            _ => return None,
        };
        Some(Self {
            topic: topic(channel),
            field: due_field(kind, user),
        })
    }
}

/// The topic of a channel.
pub(super) fn topic(channel: &str) -> String {
    format!("fanfare:{{1:{channel}}}")
}

/// What a call acknowledges as reported.
pub(super) fn acknowledged(command: &[Vec<u8>]) -> Vec<Due> {
    let Some(call) = Called::of(&script::CHANNEL, command) else {
        return Vec::new();
    };
    let steps = call.rest().chunks(2);
    steps
        .take_while(|pair| pair[0] == step::ACKNOWLEDGE.as_bytes())
        .map(|pair| Due {
            topic: text(call.argument("topic")),
            field: text(&pair[1]),
        })
        .collect()
}
