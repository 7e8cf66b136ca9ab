//! WhatsApp's Cloud API: what it sends by webhook, and what is sent through it.
//!
//! - [`signature`]: whether a webhook comes from Meta
//! - [`payload`], [`incoming`], [`delivery`]: what a webhook reports; [`values`]: how its JSON is read
//! - [`graph`]: sending messages; [`templates`]: those that Meta has approved
//! - [`media`]: fetching files; [`answer`]: what the Graph API answers

pub mod answer;
pub mod delivery;
pub mod graph;
pub mod incoming;
pub mod media;
pub mod payload;
pub mod signature;
pub mod templates;
mod values;

pub use delivery::Delivery;
use serde::{Deserialize, Serialize};

/// An agent's reply on its way to the customer, as the outbox keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The message that is sent.
    pub message_id: i64,
    /// The customer's number.
    pub to: String,
    /// The text.
    pub text: String,
    /// The template that is sent in place of the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<Template>,
}

/// A template with what is filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template {
    /// Its name at Meta.
    pub name: String,
    /// Its language at Meta, such as `de` or `en_US`.
    pub language: String,
    /// What takes the place of `{{1}}`, `{{2}}` and so on.
    pub parameters: Vec<String>,
}
