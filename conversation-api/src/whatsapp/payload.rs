//! What a webhook of the Cloud API reports. Whatever has no id is passed over: Meta adds fields
//! without asking.

use serde_json::Value;

use super::answer::failure;
use super::delivery::Delivery;
use super::incoming::{self, Incoming};
use super::values::{is_plausible_id, items};
use crate::message::Failure;

/// Characters of another number's id that are shown.
const LONGEST_NUMBER: usize = 32;

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

/// What a webhook reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// What is about the desk's number, in order.
    pub notices: Vec<Notice>,
    /// Meta's id of another number, if something is about one.
    pub other_number: Option<String>,
}

/// Reads a webhook. An app at Meta may have several numbers; with the id of the desk's own, what
/// names another is passed over.
pub fn report(payload: &Value, own_number: Option<&str>) -> Report {
    let changes = items(payload, "entry").flat_map(|entry| items(entry, "changes"));
    let mut report = Report::default();
    for change in changes.filter(|change| change["field"] == "messages") {
        let value = &change["value"];
        let number = value["metadata"]["phone_number_id"].as_str();
        match (number, own_number) {
            (Some(number), Some(own)) if number != own => {
                report.other_number = Some(number.chars().take(LONGEST_NUMBER).collect());
            }
            _ => report.notices.extend(in_change(value)),
        }
    }
    report
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
