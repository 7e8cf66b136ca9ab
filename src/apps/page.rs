//! Where a page comes from, as its browser reports it.

use std::borrow::Cow;
use std::net::Ipv6Addr;

/// The origin of a page. Source: RFC 6454, sections 6.2 and 7.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Page<'o> {
    /// One that its browser does not report: a file, a sandboxed frame, a page behind a redirect.
    Opaque,
    /// One with a host.
    Site(Site<'o>),
}

/// The three parts of an origin, in lower case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site<'o> {
    pub(super) scheme: &'o str,
    /// A name, an IPv4 address, or an IPv6 address in brackets and in its shortest form.
    pub(super) host: Cow<'o, str>,
    /// The one that is written, or else the scheme's own.
    pub(super) port: Option<u16>,
}

impl<'o> Page<'o> {
    /// Reads a header in lower case: `scheme://host` or `scheme://host:port`, and nothing else.
    pub(super) fn parse(origin: &'o str) -> Option<Self> {
        if matches!(origin, "null" | "file://") {
            return Some(Self::Opaque);
        }
        let (scheme, authority) = origin.split_once("://")?;
        if !is_scheme(scheme) {
            return None;
        }
        let (host, port) = host_and_port(authority)?;
        let port = match port {
            Some(port) => Some(port.parse().ok()?),
            None => default_port(scheme),
        };
        let host = whole_host(host, is_label)?;
        Some(Self::Site(Site { scheme, host, port }))
    }
}

/// The host and the port of `host:port`, which are not looked into; None if the port is empty.
/// The colons of an address in brackets are none of it.
pub(super) fn host_and_port(text: &str) -> Option<(&str, Option<&str>)> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.starts_with('[') || host.ends_with(']') => {
            (!port.is_empty()).then_some((host, Some(port)))
        }
        _ => Some((text, None)),
    }
}

/// A host whose labels are all good, or an IPv6 address in its shortest form.
pub(super) fn whole_host(host: &str, is_label: impl Fn(&str) -> bool) -> Option<Cow<'_, str>> {
    if let Some(address) = host.strip_prefix('[') {
        let address: Ipv6Addr = address.strip_suffix(']')?.parse().ok()?;
        return Some(format!("[{address}]").into());
    }
    host.split('.').all(is_label).then_some(Cow::Borrowed(host))
}

/// The port that browsers leave out.
pub(super) fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

pub(super) fn is_scheme(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}

/// Whether a text stands between two dots of a host's name. International ones are in their
/// `xn--` form when browsers send them.
pub(super) fn is_label(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(origin: &str) -> Option<(String, String, Option<u16>)> {
        match Page::parse(origin)? {
            Page::Site(site) => Some((site.scheme.into(), site.host.into(), site.port)),
            Page::Opaque => None,
        }
    }

    #[test]
    fn scheme_host_and_port_are_distinguished() {
        for (origin, scheme, host, port) in [
            ("https://example.com", "https", "example.com", Some(443)),
            ("http://example.com:80", "http", "example.com", Some(80)),
            ("http://127.0.0.1:5173", "http", "127.0.0.1", Some(5173)),
            ("http://[::1]:3000", "http", "[::1]", Some(3000)),
            ("http://[0:0:0:0:0:0:0:1]", "http", "[::1]", Some(80)),
            ("capacitor://localhost", "capacitor", "localhost", None),
        ] {
            let expected = Some((scheme.to_owned(), host.to_owned(), port));
            assert_eq!(site(origin), expected, "{origin}");
        }
        for opaque in ["null", "file://"] {
            assert_eq!(Page::parse(opaque), Some(Page::Opaque));
        }
    }

    #[test]
    fn whatever_else_stands_in_a_header_is_no_origin() {
        for text in [
            "",
            "example.com",
            "://example.com",
            "https://",
            "https://example.com/",
            "https://evil.com/.example.com",
            "https://evil.com?.example.com",
            "https://evil.com#.example.com",
            "https://evil.com\\.example.com",
            "https://me@example.com",
            "https://example.com:",
            "https://example.com:x",
            "https://example.com:65536",
            "https://example.com:1:2",
            "https://a.example.com https://b.example.com",
            "https://a.example.com, https://b.example.com",
            "https://.example.com",
            "https://example..com",
            "https://[::1",
            "https://[example.com]",
            "https://[::1].example.com",
            "https://exämple.com",
        ] {
            assert_eq!(Page::parse(text), None, "{text:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_read_without_panic(origin in ".*|[a-z]*://[a-z:.\\[\\]0-9/]*") {
            Page::parse(&origin);
        }
    }
}
