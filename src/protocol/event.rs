//! Event names.

/// Prefix that an event sent by a client must have.
pub const CLIENT_EVENT_PREFIX: &str = "client-";

/// Why a name cannot be that of a published event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventNameError {
    /// The empty string.
    #[error("an event name must not be empty")]
    Empty,
    /// Longer than the app allows.
    #[error(
        "the event name has {length} characters, at most {limit} are allowed (event_name_length)"
    )]
    TooLong {
        /// Characters of the name.
        length: usize,
        /// The app's limit.
        limit: usize,
    },
    /// The protocol's own events can only be made by the relay.
    #[error("event names beginning with \"pusher:\" or \"pusher_internal:\" are reserved")]
    Reserved,
}

/// Checks the name of an event that a backend publishes. Names are free text apart from the
/// reserved prefixes; `client-…` is allowed.
pub fn check_event_name(name: &str, max_length: usize) -> Result<(), EventNameError> {
    if name.is_empty() {
        return Err(EventNameError::Empty);
    }
    if name.starts_with("pusher:") || name.starts_with("pusher_internal:") {
        return Err(EventNameError::Reserved);
    }
    // No name has more characters than bytes.
    if name.len() > max_length {
        let length = name.chars().count();
        if length > max_length {
            return Err(EventNameError::TooLong {
                length,
                limit: max_length,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_and_long_names_are_refused() {
        assert!(check_event_name("client-x", 200).is_ok());
        assert!(check_event_name("App\\Events\\ü", 200).is_ok());
        assert_eq!(check_event_name("", 200), Err(EventNameError::Empty));
        for reserved in ["pusher:x", "pusher_internal:x"] {
            assert_eq!(
                check_event_name(reserved, 200),
                Err(EventNameError::Reserved)
            );
        }
        assert!(check_event_name(&"ü".repeat(200), 200).is_ok());
        assert!(check_event_name(&"x".repeat(201), 200).is_err());
    }
}
