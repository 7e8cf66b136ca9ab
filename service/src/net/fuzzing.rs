//! What requests have in their heads, of proxies and of whoever wants another protocol.

use std::net::{IpAddr, Ipv6Addr};

use memchr::memmem;

use super::forwarded;
use super::upgrade::offer_plainly;

/// What a proxy of ours adds.
const NEAREST: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// Reads whom the input names, each of its lines the value of a header.
///
/// # Panics
/// When there are more than it has room for, or it hides whom a proxy has added: that is a finding.
pub fn forwarded(input: &[u8]) {
    let lines = || input.split(|byte| *byte == b'\n');
    assert!(forwarded::x_forwarded_for(lines()).count() <= input.len() + 1);
    assert!(forwarded::forwarded(lines()).count() <= input.len() + 1);
    let mut written = lines();
    let last = written.next_back().unwrap_or_default();
    let nearest = Some(IpAddr::V6(NEAREST));
    let added = [last, format!(", {NEAREST}").as_bytes()].concat();
    let values = written.clone().chain([&added[..]]);
    assert_eq!(forwarded::x_forwarded_for(values).next(), Some(nearest));
    // A quoted string that does not end makes nothing of it.
    let added = [last, format!(", for=\"[{NEAREST}]:80\"").as_bytes()].concat();
    let mut hops = forwarded::forwarded(written.chain([&added[..]]));
    assert!(
        hops.next()
            .is_some_and(|hop| hop.is_none() || hop == nearest)
    );
}

/// Takes the input as what has come of a request.
///
/// # Panics
/// When anything is changed but the values of Upgrade headers, or one that was rewritten is again: that is a finding.
pub fn upgrade(input: &[u8]) {
    let mut rewritten = input.to_vec();
    offer_plainly(&mut rewritten);
    assert_eq!(rewritten.len(), input.len());
    let head = memmem::find(input, b"\r\n\r\n").unwrap_or_default();
    assert_eq!(rewritten[head..], input[head..]);
    let mut at = 0;
    for end in memmem::find_iter(&input[..head], b"\r\n").chain([head]) {
        let (before, after) = (&input[at..end], &rewritten[at..end]);
        if before != after {
            let (name, value) = after.split_at(b"upgrade:".len());
            assert!(name.eq_ignore_ascii_case(b"upgrade:"));
            assert_eq!(value.trim_ascii(), b"websocket");
        }
        at = (end + 2).min(head);
    }
    let once = rewritten.clone();
    offer_plainly(&mut rewritten);
    assert_eq!(rewritten, once);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nobody_hides_whom_a_proxy_has_added(
            written in "[a-z0-9.,;:=\"\\\\ \\[\\]\n]{0,80}",
            bytes: Vec<u8>,
        ) {
            super::forwarded(written.as_bytes());
            super::forwarded(&bytes);
        }

        #[test]
        fn nobody_hides_it_in_a_quote_that_is_left_open(
            written in "(for=1\\.1\\.1\\.1[;,])?((for|by|x)=)?\"?[a-z,;= \"\\\\]{0,6}",
        ) {
            super::forwarded(written.as_bytes());
        }

        #[test]
        fn nothing_is_rewritten_but_upgrade_headers(
            head in "((\r\n)?[uU]pgrade:|websocket|h2c|,|\r\n| |x|\r|\n){0,40}",
        ) {
            super::upgrade(head.as_bytes());
            super::upgrade(format!("GET / HTTP/1.1\r\n{head}\r\n\r\n{head}").as_bytes());
        }
    }
}
