//! What Laravel publishes to Redis.

use super::message::{Message, Refusal};
use crate::apps::Limits;

/// A refusal may be logged, and so must not be as long as what was sent.
const LONGEST_REFUSAL: usize = 1000;

/// Reads a message.
///
/// # Panics
/// When what is read is not fit to be sent to clients: that is a finding.
pub fn message(payload: &[u8]) {
    let limits = Limits::default();
    match Message::read(payload, &limits) {
        Ok(message) => {
            assert!(!message.event.is_empty());
            assert!(message.event.chars().count() <= limits.event_name_length);
            let data: String =
                serde_json::from_str(message.data.token()).expect("the data is a JSON string");
            assert!(data.len() <= limits.event_data_bytes);
        }
        Err(refusal @ Refusal::NotJson(_)) => {
            assert!(refusal.to_string().len() < LONGEST_REFUSAL);
        }
        Err(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn whatever_is_read_of_laravel_can_be_sent_to_clients(
            event in "[a-zA-Z\\\\\\\\.:]{0,20}",
            data in "[\\[\\]{}\",:\\\\a0 ]{0,40}|\\{\"socket\":\\PC{0,20},\"a\":[0-9eE.+-]{1,8}\\}|\"(\\\\u[0-9a-f]{4}|\\PC)*\"",
            socket in "null|\"[0-9]{1,5}\\.[0-9]{1,5}\"|[0-9\\[\\]{}\"]{0,6}",
        ) {
            let payload = format!(r#"{{"event":"{event}","data":{data},"socket":{socket}}}"#);
            super::message(payload.as_bytes());
        }
    }
}
