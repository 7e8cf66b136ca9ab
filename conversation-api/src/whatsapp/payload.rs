//! What a webhook of the Cloud API reports. Whatever has no id is passed over: Meta adds fields
//! without asking.

use serde_json::Value;

use super::answer::failure;
use super::delivery::Delivery;
use super::incoming::{self, Incoming};
use super::values::{is_plausible_id, items};
use crate::message::Failure;

/// Something that a webhook reports.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// A customer has written.
    Message(Box<Incoming>),
    /// Something became of a message of the desk's.
    Status {
        /// WhatsApp's id of the message.
        id: String,
        /// What became of it.
        delivery: Delivery,
        /// Why it failed, if it did.
        failure: Option<Failure>,
    },
}

/// Reads the notices of a webhook, in order.
pub fn notices(payload: &Value) -> Vec<Notice> {
    let changes = items(payload, "entry").flat_map(|entry| items(entry, "changes"));
    changes
        .filter(|change| change["field"] == "messages")
        .flat_map(|change| in_change(&change["value"]))
        .collect()
}

fn in_change(value: &Value) -> impl Iterator<Item = Notice> {
    let messages = items(value, "messages").filter_map(|message| incoming::message(message, value));
    let messages = messages.map(|message| Notice::Message(Box::new(message)));
    messages.chain(items(value, "statuses").filter_map(status))
}

fn status(status: &Value) -> Option<Notice> {
    let delivery = Delivery::parse(status["status"].as_str()?)?;
    let unexplained = || Failure::new(None, "Message not delivered", "WhatsApp gave no reason.");
    let failure = match delivery {
        Delivery::Failed => Some(failure(&status["errors"][0]).unwrap_or_else(unexplained)),
        Delivery::Sent | Delivery::Delivered | Delivery::Read => None,
    };
    Some(Notice::Status {
        id: status["id"]
            .as_str()
            .filter(|id| is_plausible_id(id))?
            .into(),
        delivery,
        failure,
    })
}

#[cfg(test)]
mod tests;
