//! Why a message was not delivered: Meta's error codes and what they mean for another attempt.
//!
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>

use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

/// Characters of a title or a message that are kept.
const LONGEST: usize = 500;

/// Why a message was not delivered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Failure {
    /// Meta's code, if there is one.
    pub code: Option<i64>,
    /// What happened, in a few words.
    pub title: String,
    /// What happened, in a sentence.
    pub message: String,
}

impl Failure {
    /// With texts that are short enough to be kept, and hold nothing that cannot be stored.
    pub fn new(code: Option<i64>, title: &str, message: &str) -> Self {
        let kept = |text: &str| -> String {
            let text = text.chars().filter(|letter| !letter.is_control());
            text.take(LONGEST).collect()
        };
        Self {
            code,
            title: kept(title),
            message: kept(message),
        }
    }

    /// Of a message that may have arrived all the same.
    pub fn not_known(message: &str) -> Self {
        Self::new(
            None,
            "It is not known whether the message was sent",
            message,
        )
    }

    /// Whether the same message may be taken if it is sent again.
    pub fn can_retry(&self) -> bool {
        !self.code.is_some_and(is_final)
    }
}

/// Whether the Graph API means "later" by a code, whatever the HTTP status.
pub const fn is_temporary(code: i64) -> bool {
    matches!(
        code,
        // Unknown, service unavailable, too many calls of the app, of the business account.
        1 | 2 | 4 | 80007
        // Service unavailable, too many messages, too many to this customer.
        | 131_016 | 130_429 | 131_056
        // The account is in maintenance, the server is unavailable for now.
        | 131_057 | 133_004
        // The token has expired or was replaced, which operators put right.
        | 190
    )
}

/// Whether a temporary refusal is about one customer alone, and says nothing of the others.
pub const fn concerns_one_customer(code: i64) -> bool {
    // Too many messages to this customer.
    code == 131_056
}

/// Whether a message that a code was given for is never taken as it is, whatever the HTTP status.
pub const fn is_final(code: i64) -> bool {
    matches!(
        code,
        // A parameter that is missing, not valid or not known.
        33 | 100 | 131_008 | 131_009
        // The customer's window is over.
        | 470 | 131_047
        // To the desk's own number, to somebody who has opted out, of a type that is not taken.
        | 131_021 | 131_050 | 131_051
        // Templates: their number of parameters, their existence, their text and policy, their state.
        | 132_000..=132_999
    )
}

/// With `can_retry` beside the fields.
impl Serialize for Failure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut failure = serializer.serialize_struct("Failure", 4)?;
        failure.serialize_field("code", &self.code)?;
        failure.serialize_field("title", &self.title)?;
        failure.serialize_field("message", &self.message)?;
        failure.serialize_field("can_retry", &self.can_retry())?;
        failure.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_shown_can_be_read_again() {
        let failure = Failure::new(Some(131_026), "Message\0 undeliverable", &"é".repeat(600));
        let shown = json!(failure);
        assert_eq!(shown["title"], "Message undeliverable");
        assert_eq!(shown["can_retry"], true);
        assert_eq!(shown["message"].as_str().unwrap().chars().count(), LONGEST);
        assert_eq!(serde_json::from_value::<Failure>(shown).unwrap(), failure);
    }

    #[test]
    fn a_window_that_is_over_is_not_tried_again() {
        assert!(!Failure::new(Some(131_047), "", "").can_retry());
        assert!(Failure::new(None, "", "").can_retry());
        for code in [1, 2, 4, 190, 80007, 130_429, 131_016, 131_056] {
            assert!(is_temporary(code) && !is_final(code), "{code}");
            assert_eq!(concerns_one_customer(code), code == 131_056, "{code}");
        }
    }
}
