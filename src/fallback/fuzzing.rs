//! Bodies of what clients send.

use super::upstream::{cost, messages};

/// Bytes of a message at most.
const LARGEST: usize = 300;

/// Takes the input as the body of a request.
///
/// # Panics
/// When a message is larger than it may be, all are larger than the body, or they are not the same once they are written
/// and read again: that is a finding.
pub fn fallback_body(input: &[u8]) {
    let Ok(read) = messages(input, LARGEST) else {
        return;
    };
    assert!(read.iter().all(|message| message.len() <= LARGEST));
    // Each has two quotes and a comma or a bracket besides.
    assert!(cost(&read) <= input.len() * size_of::<String>());
    let written = serde_json::to_vec(&read).expect("strings become JSON");
    let again = messages(&written, LARGEST).ok();
    assert_eq!(again, Some(read));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bodies_are_read_or_refused(body in r#"[\[\]",\\u0-9a-f {}]{0,60}"#) {
            super::fallback_body(body.as_bytes());
        }

        #[test]
        fn messages_of_any_text_come_as_they_were_sent(sent: Vec<String>) {
            super::fallback_body(&serde_json::to_vec(&sent).unwrap());
        }

        #[test]
        fn no_bytes_are_more_than_a_body(body: Vec<u8>) {
            super::fallback_body(&body);
        }
    }
}
