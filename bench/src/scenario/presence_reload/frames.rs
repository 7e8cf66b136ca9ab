//! What a presence channel's frames hold, by plain search: there are too many of them to read
//! each as JSON.

use memchr::memmem;

/// How the events of interest begin, wherever in a frame.
const EVENT: &[u8] = b"pusher_internal:";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum News {
    Added,
    Removed,
    /// The receiver has joined a channel of so many members, itself included.
    Joined(i64),
    /// None of these.
    Other,
}

pub(super) fn news(text: &[u8]) -> News {
    let Some(at) = memmem::find(text, EVENT) else {
        return News::Other;
    };
    let event = &text[at + EVENT.len()..];
    if event.starts_with(b"member_added") {
        News::Added
    } else if event.starts_with(b"member_removed") {
        News::Removed
    } else if event.starts_with(b"subscription_succeeded") {
        News::Joined(count(text).unwrap_or(0))
    } else {
        News::Other
    }
}

/// The number behind the last "count", however it is escaped.
fn count(text: &[u8]) -> Option<i64> {
    let rest = &text[memmem::rfind(text, b"count")?..];
    let digits = rest.iter().skip_while(|byte| !byte.is_ascii_digit());
    let digits = digits.take_while(|byte| byte.is_ascii_digit());
    digits.into_iter().try_fold(0i64, |number, digit| {
        number.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_distinguished_without_reading_their_data() {
        let roster = br#"{"event":"pusher_internal:subscription_succeeded","channel":"presence-a","data":"{\"presence\":{\"count\":12,\"ids\":[\"7\"],\"hash\":{\"7\":{}}}}"}"#;
        assert_eq!(news(roster), News::Joined(12));
        let data_first = br#"{"channel":"presence-a","data":{"presence":{"ids":["7"],"count": 3}},"event":"pusher_internal:subscription_succeeded"}"#;
        assert_eq!(news(data_first), News::Joined(3));
        let member = |event: &str| {
            format!(r#"{{"event":"pusher_internal:{event}","channel":"presence-a","data":"{{}}"}}"#)
        };
        assert_eq!(news(member("member_added").as_bytes()), News::Added);
        assert_eq!(news(member("member_removed").as_bytes()), News::Removed);
        assert_eq!(news(br#"{"event":"pusher:pong","data":"{}"}"#), News::Other);
    }
}
