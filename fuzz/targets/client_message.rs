//! What a client sends over its WebSocket.

#![no_main]

use fanfare::fuzzing::{ClientMessage, parse_client_message};
use libfuzzer_sys::fuzz_target;

/// Bytes that an answer to a mistake may have; a message may have far more.
const LONGEST_ANSWER: usize = 1000;

fuzz_target!(|text: &str| {
    parse_client_message(text, |parsed| match parsed {
        Ok(ClientMessage::Subscribe(subscribe)) => {
            if let Ok(Some(auth)) = subscribe.auth() {
                assert!(auth.len() <= text.len());
            }
            if let Ok(Some(channel_data)) = subscribe.channel_data() {
                assert!(channel_data.len() <= text.len());
            }
        }
        Ok(ClientMessage::ClientEvent(event)) => {
            assert!(event.event.starts_with("client-"));
            if let Some(data) = event.data {
                assert!(text.contains(data.get()), "data is passed on as it came");
            }
        }
        Ok(_) => {}
        Err(error) => assert!(error.to_string().len() < LONGEST_ANSWER),
    });
});
