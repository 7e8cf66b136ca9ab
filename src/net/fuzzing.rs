//! With what a proxy begins a connection, whole and in pieces.

use super::proxy_protocol::{LONGEST_V2, parse};

/// Reads a header from what has come of the input, byte by byte.
///
/// # Panics
/// When it is read otherwise than at once, has another length than what had come as it was whole, or more than the longest
/// is waited for: that is a finding.
pub fn proxy_header(input: &[u8]) {
    let whole = parse(input);
    for end in 0..=input.len() {
        let read = parse(&input[..end]);
        if read == Ok(None) {
            assert!(end < LONGEST_V2);
            continue;
        }
        assert_eq!(read, whole);
        if let Ok(Some(header)) = read {
            assert_eq!(header.length, end);
        }
        return;
    }
    assert_eq!(whole, Ok(None));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    const STARTS: [&[u8]; 6] = [
        b"",
        b"PROXY ",
        b"PROXY TCP4 1.2.3.4 ",
        b"PROXY UNKNOWN",
        b"\r\n\r\n\0\r\nQUIT\n\x20",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0",
    ];

    proptest! {
        #[test]
        fn headers_in_pieces_are_read_as_they_are_whole(
            start in prop::sample::select(STARTS.to_vec()),
            rest in prop_oneof![
                prop::collection::vec(any::<u8>(), 0..300),
                "[0-9.: A-Z]{0,120}\r?\n?".prop_map(String::into_bytes),
            ],
        ) {
            super::proxy_header(&[start, &rest].concat());
        }
    }
}
