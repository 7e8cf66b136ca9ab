//! What proxies write about those for whom they ask, in `X-Forwarded-For` and `Forwarded`.
//!
//! Source: RFC 7239; `X-Forwarded-For` has no specification beyond what proxies do.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str;

/// Bytes of one value of `Forwarded` that is looked at: it is read from its beginning.
const LONGEST_VALUE: usize = 8 << 10;
/// Bytes of what may name an address.
const LONGEST_NODE: usize = 64;

/// Whom the values of `X-Forwarded-For` name, the nearest first. None: somebody whose address is
/// not said.
pub(super) fn x_forwarded_for<'h>(
    values: impl DoubleEndedIterator<Item = &'h [u8]>,
) -> impl Iterator<Item = Option<IpAddr>> {
    values
        .rev()
        .flat_map(|value| value.rsplit(|byte| *byte == b','))
        .map(node)
}

/// Whom the values of `Forwarded` name, the nearest first. None: somebody whose address is not
/// said.
pub(super) fn forwarded<'h>(
    values: impl DoubleEndedIterator<Item = &'h [u8]>,
) -> impl Iterator<Item = Option<IpAddr>> {
    values
        .rev()
        .flat_map(|value| elements(value).into_iter().rev())
}

/// The elements of one value of `Forwarded`, in their order. A quoted string that does not end, or ends in the middle
/// of a value, makes nothing of the element that it is in: whoever leaves one open has what a proxy adds become part
/// of it.
fn elements(value: &[u8]) -> Vec<Option<IpAddr>> {
    if value.len() > LONGEST_VALUE {
        return vec![None];
    }
    split(value, b',').map(element).collect()
}

/// The one `for` of an element.
fn element(element: &[u8]) -> Option<IpAddr> {
    let mut named = None;
    for pair in split(element, b';') {
        let at = pair.iter().position(|byte| *byte == b'=')?;
        let (name, value) = (pair[..at].trim_ascii(), unquoted(&pair[at + 1..])?);
        if !name.iter().all(is_in_token) {
            return None;
        }
        if name.eq_ignore_ascii_case(b"for") && named.replace(value).is_some() {
            return None;
        }
    }
    // None of what names an address needs an escape: one that has some is none.
    node(named?)
}

/// RFC 9110 §5.6.2.
fn is_in_token(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte)
}

/// A value without the quotes that it may stand in, its escapes left as they are; None if they do not enclose it.
fn unquoted(value: &[u8]) -> Option<&[u8]> {
    let value = value.trim_ascii();
    let Some(quoted) = value.strip_prefix(b"\"") else {
        return (!value.contains(&b'"')).then_some(value);
    };
    let mut is_escaped = false;
    let end = quoted.iter().position(|byte| {
        let is_end = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        is_end
    })?;
    (end + 1 == quoted.len()).then(|| &quoted[..end])
}

/// Parts between separators that stand in no quoted string.
fn split(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |byte| {
        if is_escaped {
            is_escaped = false;
            return false;
        }
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\\' if is_quoted => is_escaped = true,
            _ => {}
        }
        *byte == separator && !is_quoted
    })
}

/// An address, with or without a port; IPv6 in brackets or, without a port, as it is. What is
/// `unknown`, a made-up name or garbage names nobody.
fn node(text: &[u8]) -> Option<IpAddr> {
    let text = text.trim_ascii();
    if text.len() > LONGEST_NODE {
        return None;
    }
    let text = str::from_utf8(text).ok()?;
    let address = match text.strip_prefix('[') {
        Some(bracketed) => {
            let (address, rest) = bracketed.split_once(']')?;
            let address: Ipv6Addr = address.parse().ok()?;
            let is_end = match rest.strip_prefix(':') {
                Some(port) => is_port(port),
                None => rest.is_empty(),
            };
            is_end.then_some(IpAddr::V6(address))?
        }
        None => match text.parse::<IpAddr>() {
            Ok(address) => address,
            Err(_) => {
                let (address, port) = text.split_once(':')?;
                let address: Ipv4Addr = address.parse().ok()?;
                is_port(port).then_some(IpAddr::V4(address))?
            }
        },
    };
    Some(address.to_canonical())
}

/// A number or, in `Forwarded`, a made-up name.
fn is_port(text: &str) -> bool {
    let is_number = (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    let is_in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    is_number || (text.len() > 1 && text.starts_with('_') && text.bytes().all(is_in_name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(hops: impl Iterator<Item = Option<IpAddr>>) -> Vec<String> {
        hops.map(|hop| hop.map_or("?".into(), |address| address.to_string()))
            .collect()
    }

    fn in_x_forwarded_for(values: &[&str]) -> Vec<String> {
        shown(x_forwarded_for(values.iter().map(|value| value.as_bytes())))
    }

    fn in_forwarded(values: &[&str]) -> Vec<String> {
        shown(forwarded(values.iter().map(|value| value.as_bytes())))
    }

    #[test]
    fn lists_are_read_from_their_end() {
        assert_eq!(
            in_x_forwarded_for(&["1.1.1.1, 2.2.2.2", "3.3.3.3"]),
            ["3.3.3.3", "2.2.2.2", "1.1.1.1"]
        );
        assert_eq!(
            in_forwarded(&[
                "for=1.1.1.1, for=2.2.2.2;by=9.9.9.9",
                "proto=http;For=3.3.3.3"
            ]),
            ["3.3.3.3", "2.2.2.2", "1.1.1.1"]
        );
    }

    #[test]
    fn addresses_come_in_many_forms() {
        for (text, address) in [
            ("1.2.3.4", "1.2.3.4"),
            (" 1.2.3.4\t", "1.2.3.4"),
            ("1.2.3.4:80", "1.2.3.4"),
            ("::ffff:1.2.3.4", "1.2.3.4"),
            ("[::ffff:1.2.3.4]:80", "1.2.3.4"),
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:DB8::1]", "2001:db8::1"),
            ("[2001:db8::1]:65535", "2001:db8::1"),
            ("1.2.3.4:_port", "1.2.3.4"),
            ("unknown", "?"),
            ("_hidden", "?"),
            ("", "?"),
            ("1.2.3", "?"),
            ("01.2.3.4", "?"),
            ("1.2.3.4:", "?"),
            ("1.2.3.4:port", "?"),
            ("1.2.3.4:_", "?"),
            ("1.2.3.4:123456", "?"),
            ("[1.2.3.4]", "?"),
            ("[::1", "?"),
            ("[::1]80", "?"),
            ("fe80::1%eth0", "?"),
            ("\"1.2.3.4\"", "?"),
            ("unix:", "?"),
            ("localhost", "?"),
        ] {
            assert_eq!(in_x_forwarded_for(&[text]), [address], "{text:?}");
        }
        assert_eq!(in_x_forwarded_for(&[&"1".repeat(65)]), ["?"]);
    }

    #[test]
    fn elements_of_forwarded_follow_its_grammar() {
        for (text, hops) in [
            ("for=1.2.3.4", &["1.2.3.4"][..]),
            ("for=\"1.2.3.4:80\"", &["1.2.3.4"]),
            (
                "FOR = \"[2001:db8::1]:4711\" ; proto=https",
                &["2001:db8::1"],
            ),
            ("by=\"a,b;c\";for=1.2.3.4", &["1.2.3.4"]),
            ("by=\"a\\\",\";for=1.2.3.4", &["1.2.3.4"]),
            ("for=unknown", &["?"]),
            ("for=_mystery", &["?"]),
            ("proto=https", &["?"]),
            ("for", &["?"]),
            ("", &["?"]),
            ("for=1.2.3.4;for=5.6.7.8", &["?"]),
            ("for=\"1.2.3.4", &["?"]),
            ("for=\"1.2.3.4\"x", &["?"]),
            ("for=\"1.2.3.\\4\"", &["?"]),
            ("for=1.2.3.4,", &["?", "1.2.3.4"]),
            // What a proxy adds is not hidden by a quote that was left open before it.
            ("for=1.2.3.4;by=\"x, for=\"[2001:db8::1]:80\"", &["?"]),
            ("for=1.2.3.4;by=\"x, for=\"5.6.7.8\";by=y", &["?"]),
            ("for=1.2.3.4;\", for=\"[2001:db8::1]:80\"", &["?"]),
        ] {
            assert_eq!(in_forwarded(&[text]), hops, "{text:?}");
        }
        let long = format!("for=1.2.3.4;by=\"{}\"", "x".repeat(LONGEST_VALUE));
        assert_eq!(in_forwarded(&[&long]), ["?"]);
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read(bytes: Vec<u8>) {
            x_forwarded_for([&bytes[..]].into_iter()).for_each(drop);
            forwarded([&bytes[..]].into_iter()).for_each(drop);
        }

        #[test]
        fn what_a_client_wrote_never_hides_what_the_proxy_added(
            written in "[a-z0-9.,;:=\"\\\\ \\[\\]]{0,40}",
            address: Ipv6Addr,
        ) {
            let shown = address.to_canonical();
            let added = format!("{written}, for=\"[{address}]:80\"");
            let nearest = forwarded([added.as_bytes()].into_iter()).next().unwrap();
            prop_assert!(nearest.is_none() || nearest == Some(shown), "{added}");
            let added = format!("{written}, {address}");
            let nearest = x_forwarded_for([added.as_bytes()].into_iter()).next().unwrap();
            prop_assert_eq!(nearest, Some(shown));
        }

        #[test]
        fn addresses_are_found_as_they_were_written(addresses in proptest::collection::vec(any::<IpAddr>(), 1..6)) {
            let value = addresses.iter().map(|address| match address {
                IpAddr::V4(address) => format!("for={address}"),
                IpAddr::V6(address) => format!("for=\"[{address}]\""),
            });
            let value = value.collect::<Vec<_>>().join(", ");
            let found = forwarded([value.as_bytes()].into_iter());
            let expected = addresses.iter().rev().map(|address| Some(address.to_canonical()));
            prop_assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        }
    }
}
