//! What becomes of the messages that are handed to WhatsApp.

/// What became of a message at WhatsApp.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Delivery {
    /// WhatsApp has it.
    Sent,
    /// It will not arrive.
    Failed,
    /// The customer's phone has it.
    Delivered,
    /// The customer has seen it.
    Read,
}

impl Delivery {
    /// Reads WhatsApp's word for it; `None` for words that are not known.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "sent" => Some(Self::Sent),
            "failed" => Some(Self::Failed),
            "delivered" => Some(Self::Delivered),
            "read" => Some(Self::Read),
            _ => None,
        }
    }

    /// As it is stored and shown.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
            Self::Read => "read",
        }
    }
}
