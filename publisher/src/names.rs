//! The rules that names and ids must keep, checked before anything is sent.

use crate::channel::{Channel, SERVER_TO_USER};
use crate::error::Invalid;

/// Characters of a channel name that the official libraries let pass; a server may take fewer.
const LONGEST_CHANNEL: usize = 200;
/// Characters of an event name.
const LONGEST_EVENT: usize = 200;
/// Bytes of an idempotency key.
const LONGEST_KEY: usize = 255;

/// Source: Pusher Channels, "Channel naming conventions". Events to users have a channel of their
/// own, whose name ends with any text.
pub(crate) fn check_channel(channel: &Channel) -> Result<(), Invalid> {
    let name = channel.name();
    let invalid = |reason: String| Err(Invalid::new("channel", reason));
    if let Some(user_id) = name.strip_prefix(SERVER_TO_USER) {
        return check_user_id(user_id);
    }
    if name.is_empty() {
        return invalid("a channel name must not be empty".into());
    }
    if let Some(bad) = name.chars().find(|c| !is_name_character(*c)) {
        return invalid(format!(
            "{name:?} holds {bad:?}; allowed are letters, digits and _ - = @ , . ;"
        ));
    }
    // All of it is ASCII by now.
    if name.len() > LONGEST_CHANNEL {
        return invalid(format!(
            "the name has {} characters, at most {LONGEST_CHANNEL} are allowed",
            name.len()
        ));
    }
    Ok(())
}

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '=' | '@' | ',' | '.' | ';')
}

/// Any text but for control characters.
pub(crate) fn check_user_id(user_id: &str) -> Result<(), Invalid> {
    if user_id.is_empty() {
        return Err(Invalid::new("user_id", "must not be empty"));
    }
    if user_id.chars().any(char::is_control) {
        return Err(Invalid::new("user_id", "must not hold control characters"));
    }
    Ok(())
}

/// Source: Pusher Channels HTTP API, "Trigger an event"; the prefixes are the protocol's own.
pub(crate) fn check_event_name(name: &str) -> Result<(), Invalid> {
    let length = name.chars().count();
    if length == 0 || length > LONGEST_EVENT {
        return Err(Invalid::new(
            "name",
            format!("an event name has 1 to {LONGEST_EVENT} characters, not {length}"),
        ));
    }
    if ["pusher:", "pusher_internal:"]
        .iter()
        .any(|reserved| name.starts_with(reserved))
    {
        return Err(Invalid::new(
            "name",
            format!("{name:?} begins as the protocol's own events do"),
        ));
    }
    Ok(())
}

/// What Fanfare takes as a key, and what may stand in a header.
pub(crate) fn check_idempotency_key(key: &str) -> Result<(), Invalid> {
    let visible = key.bytes().all(|byte| byte.is_ascii_graphic());
    if visible && (1..=LONGEST_KEY).contains(&key.len()) {
        return Ok(());
    }
    Err(Invalid::new(
        "idempotency_key",
        format!("must be 1 to {LONGEST_KEY} visible ASCII characters"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field_of(result: Result<(), Invalid>) -> Option<&'static str> {
        result.err().map(|invalid| invalid.field)
    }

    #[test]
    fn channel_names_keep_to_the_protocols_alphabet() {
        let check = |name: &str| field_of(check_channel(&Channel::named(name)));
        for good in ["a", "A-z_0=@,.;", "#server-to-user-u@x y", &"a".repeat(200)] {
            assert_eq!(check(good), None, "{good}");
        }
        for bad in ["", "a b", "ä", "#x", "a\0b", "a/b", &"a".repeat(201)] {
            assert_eq!(check(bad), Some("channel"), "{bad:?}");
        }
        for bad in ["#server-to-user-", "#server-to-user-a\nb"] {
            assert_eq!(check(bad), Some("user_id"), "{bad:?}");
        }
    }

    #[test]
    fn event_names_are_short_and_not_the_protocols_own() {
        for good in ["message.sent", "client-x", "pusherx", "ä", &"ä".repeat(200)] {
            assert_eq!(field_of(check_event_name(good)), None, "{good}");
        }
        for bad in ["", "pusher:ping", "pusher_internal:x", &"a".repeat(201)] {
            assert_eq!(field_of(check_event_name(bad)), Some("name"), "{bad}");
        }
    }

    #[test]
    fn idempotency_keys_may_stand_in_a_header() {
        for good in ["k", &"~".repeat(255)] {
            assert_eq!(field_of(check_idempotency_key(good)), None, "{good}");
        }
        for bad in ["", "a b", "é", "a\n", &"k".repeat(256)] {
            assert_eq!(
                field_of(check_idempotency_key(bad)),
                Some("idempotency_key"),
                "{bad}"
            );
        }
    }
}
