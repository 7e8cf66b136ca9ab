//! Requests that arrive one behind the other, before they are answered.

use memchr::memmem;

/// Bytes that the body of the last request lacks, if there is another in front of it, here or
/// (unless what was received is `alone`) before. The dispatcher of actix-http closes a connection
/// when it answers one request while another's body is on its way. What does not begin with a head
/// may be misread, for the worst of which the connection is closed just so.
pub(super) fn missing(received: &[u8], alone: bool) -> usize {
    let mut rest = received;
    while let Some(end) = memmem::find(rest, b"\r\n\r\n") {
        let length = content_length(&rest[..end]);
        let body = &rest[end + 4..];
        match body.get(length..) {
            Some(next) => rest = next,
            None if alone && rest.len() == received.len() => return 0,
            None => return length - body.len(),
        }
    }
    0
}

fn content_length(head: &[u8]) -> usize {
    let mut lines = head.split(|byte| *byte == b'\n');
    lines.find_map(length_in).unwrap_or(0)
}

fn length_in(line: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"content-length:";
    let (name, value) = line.split_at_checked(NAME.len())?;
    if !name.eq_ignore_ascii_case(NAME) {
        return None;
    }
    str::from_utf8(value.trim_ascii()).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROBE: &str = "GET /up HTTP/1.1\r\nHost: x\r\n\r\n";
    const PUBLISH: &str = "POST / HTTP/1.1\r\nContent-length: 10\r\nHost: x\r\n\r\n0123456789";

    #[test]
    fn body_behind_another_request_lacks_what_has_not_arrived() {
        for first in [PROBE, PUBLISH] {
            let all = format!("{first}{PUBLISH}");
            for missing_bytes in 0..=10 {
                let received = &all.as_bytes()[..all.len() - missing_bytes];
                assert_eq!(missing(received, true), missing_bytes);
            }
            let in_head = &all.as_bytes()[..all.len() - 12];
            assert_eq!(missing(in_head, true), 0);
        }
    }

    #[test]
    fn only_request_lacks_nothing_that_matters() {
        for received in ["", "GET", PROBE, &PUBLISH[..PUBLISH.len() - 3]] {
            assert_eq!(missing(received.as_bytes(), true), 0);
        }
    }

    #[test]
    fn body_of_a_request_that_others_came_before_lacks_what_has_not_arrived() {
        let received = &PUBLISH.as_bytes()[..PUBLISH.len() - 3];
        assert_eq!(missing(received, false), 3);
    }

    #[test]
    fn lengths_that_are_none_count_as_nothing() {
        for length in ["-1", "x", "99999999999999999999999", ""] {
            let text = format!("{PROBE}POST / HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{{}}");
            assert_eq!(missing(text.as_bytes(), true), 0);
        }
    }
}
