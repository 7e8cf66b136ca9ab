//! What is acknowledged by calls of the channel's script.

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

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What a call acknowledges as reported.
pub(super) fn acknowledged(command: &[Vec<u8>]) -> Vec<Due> {
    /// Arguments of the channel's script before its steps, and which of them is the topic.
    const ARGUMENTS: usize = 18;
    const TOPIC: usize = 5;
    let is_change = command.len() > 2
        && command[0] == b"EVALSHA"
        && command[1] == script::CHANNEL.hash().as_bytes();
    if !is_change {
        return Vec::new();
    }
    let keys: usize = text(&command[2]).parse().unwrap();
    let arguments = &command[3 + keys..];
    let steps = arguments[ARGUMENTS..].chunks(2);
    steps
        .take_while(|pair| pair[0] == step::ACKNOWLEDGE.as_bytes())
        .map(|pair| Due {
            topic: text(&arguments[TOPIC]),
            field: text(&pair[1]),
        })
        .collect()
}
