//! The host that a request is for, of which it may say so in two places.

use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;

/// The port that clients leave out, as HTTP/2 is spoken over TLS only.
const OWN_PORT: &str = "443";

/// Whether a request is for one host, or for none: who looks at the one place must not be led to believe something else
/// than who looks at the other (RFC 9113 §8.3.1).
///
/// # Errors
/// A sentence that says what is wrong.
pub(super) fn check(parts: &Parts) -> Result<(), &'static str> {
    let authority = parts.uri.authority();
    if authority.is_some_and(has_user) {
        return Err("the :authority of the request must be a host and a port, without a user");
    }
    let hosts = parts.headers.get_all(HOST).into_iter();
    let hosts = hosts.map(http::HeaderValue::as_bytes);
    let authority = authority.map(|authority| authority.as_str().as_bytes());
    let mut named = authority.into_iter().chain(hosts);
    let Some(first) = named.next() else {
        return Ok(());
    };
    if named.all(|other| is_same(first, other)) {
        Ok(())
    } else {
        Err("the request names two hosts: its Host must be its :authority, or be left out")
    }
}

fn is_same(one: &[u8], other: &[u8]) -> bool {
    match (Authority::try_from(one), Authority::try_from(other)) {
        (Ok(one), Ok(other)) if !has_user(&one) && !has_user(&other) => {
            one.host().eq_ignore_ascii_case(other.host()) && port(&one) == port(&other)
        }
        _ => false,
    }
}

fn has_user(authority: &Authority) -> bool {
    authority.as_str().contains('@')
}

fn port(authority: &Authority) -> &str {
    let behind = &authority.as_str()[authority.host().len()..];
    match behind.strip_prefix(':') {
        None | Some("") => OWN_PORT,
        Some(port) => port,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(uri: &str, hosts: &[&'static str]) -> bool {
        let mut request = http::Request::builder().uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        check(&request.body(()).unwrap().into_parts().0).is_ok()
    }

    #[test]
    fn one_host_may_be_written_in_several_ways() {
        for (uri, hosts) in [
            ("https://relay.test/", &[][..]),
            ("https://relay.test/", &["relay.test"]),
            ("https://relay.test/", &["Relay.Test:443", "relay.test:"]),
            ("https://[::1]:6001/", &["[::1]:6001"]),
            ("/up", &["relay.test"]),
            ("/up", &["relay.test", "relay.test"]),
            ("/up", &[]),
        ] {
            assert!(checked(uri, hosts), "{uri} {hosts:?}");
        }
    }

    #[test]
    fn two_hosts_are_refused() {
        for (uri, hosts) in [
            ("https://relay.test/", &["localhost"][..]),
            ("https://relay.test/", &["relay.test", "localhost"]),
            ("https://relay.test/", &["relay.test:8443"]),
            ("https://relay.test/", &["relay.test:99999"]),
            ("https://relay.test/", &["user@relay.test"]),
            ("https://relay.test/", &[""]),
            ("https://[::1]/", &["[::1"]),
            ("https://user@relay.test/", &[]),
            ("https://user@relay.test/", &["user@relay.test"]),
            ("/up", &["relay.test", "localhost"]),
        ] {
            assert!(!checked(uri, hosts), "{uri} {hosts:?}");
        }
    }
}
