//! WhatsApp's Cloud API: what it sends by webhook, and what is sent through it.
//!
//! - [`signature`]: whether a webhook comes from Meta
//! - [`payload`], [`delivery`]: what a webhook reports
//! - [`graph`]: sending messages

pub mod delivery;
pub mod graph;
pub mod payload;
pub mod signature;

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
}
