//! Which requests are answered at all. A web page that the operator happens to visit can make
//! their browser ask a listener on loopback; three rules keep it from reading the answers, and from
//! changing anything:
//!
//! - A request with an `Origin` must come from a page of this very listener. Browsers send one
//!   with every WebSocket, and the same-origin policy does not hold for those.
//! - The `Host` must be a name that no stranger can point here. By DNS rebinding a page makes
//!   its own domain resolve to 127.0.0.1 and is then of the same origin; but that shows in the
//!   `Host`. Nobody can register an IP address or a name at or below `localhost`; any other has
//!   to be the one that is bound, or one of `admin.hosts`. Beyond loopback, a name without a dot will
//!   do as well: it is that of a container or a service. On loopback none is, and a network may give
//!   such names out.
//! - What a browser says of itself (`Sec-Fetch-Site`) must not be that another site asks, as with
//!   images and scripts, which have no `Origin`. Links to the page itself work.

use std::net::IpAddr;

use actix_web::http::header::{HOST, HeaderMap, ORIGIN};

use super::refusal::Refusal;
use super::state::Names;

/// Browsers send it, and pages cannot change it.
const FETCH_SITE: &str = "sec-fetch-site";

/// Refuses what a web page of another site asks; of the `page` itself links may lead to.
pub(super) fn check(headers: &HeaderMap, names: &Names, page: bool) -> Result<(), Refusal> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    // No browser leaves the Host out; a plain old health check may.
    let host = headers.get(HOST).map(|value| text(value.as_bytes()));
    if let Some(host) = &host
        && !is_ours(host, names)
    {
        return Err(Refusal::ForeignHost(host.clone()));
    }
    for origin in headers.get_all(ORIGIN) {
        let origin = text(origin.as_bytes());
        if !host
            .as_deref()
            .is_some_and(|host| is_page_of(&origin, host))
        {
            return Err(Refusal::ForeignOrigin(origin));
        }
    }
    let is_own = |site: &[u8]| matches!(site, b"same-origin" | b"none");
    let mut sites = headers.get_all(FETCH_SITE);
    if !page && !sites.all(|site| is_own(site.as_bytes())) {
        return Err(Refusal::CrossSite);
    }
    Ok(())
}

fn is_ours(host: &str, names: &Names) -> bool {
    let name = without_port(host).to_ascii_lowercase();
    let name = name.strip_suffix('.').unwrap_or(&name);
    let address = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    address.unwrap_or(name).parse::<IpAddr>().is_ok()
        || name == "localhost"
        || name.ends_with(".localhost")
        || (names.without_dot && !name.is_empty() && !name.contains('.'))
        || names.own.iter().any(|own| **own == *name)
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_page_of(origin: &str, host: &str) -> bool {
    let authority = origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn checked(host: Option<&str>, origin: Option<&str>) -> Result<(), Refusal> {
        let mut headers = HeaderMap::new();
        for (name, value) in [(HOST, host), (ORIGIN, origin)] {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_str(value).unwrap());
            }
        }
        checked_by(&headers, true)
    }

    fn checked_by(headers: &HeaderMap, without_dot: bool) -> Result<(), Refusal> {
        let names = Names {
            own: ["relay.example.com".into(), "ops.example.com".into()].into(),
            without_dot,
        };
        check(headers, &names, false)
    }

    #[test]
    fn names_without_a_dot_are_none_of_loopback() {
        for (host, beyond, on_loopback) in [
            ("fanfare:9601", true, false),
            ("intranet", true, false),
            ("localhost:9601", true, true),
            ("127.0.0.1:9601", true, true),
            ("[::1]:9601", true, true),
            ("a.localhost", true, true),
            ("relay.example.com", true, true),
            ("", false, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static(host));
            assert_eq!(checked_by(&headers, true).is_ok(), beyond, "{host}");
            assert_eq!(checked_by(&headers, false).is_ok(), on_loopback, "{host}");
        }
    }

    #[test]
    fn names_that_a_stranger_can_own_are_refused() {
        for host in [
            "127.0.0.1:9601",
            "127.0.0.1",
            "10.1.2.3:80",
            "[::1]:9601",
            "[::1]",
            "localhost:9601",
            "LOCALHOST",
            "localhost.:9601",
            "a.localhost:9601",
            "fanfare:9601",
            "relay.example.com",
            "Relay.Example.COM:9601",
            "ops.example.com",
        ] {
            assert!(checked(Some(host), None).is_ok(), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:9601",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "xlocalhost.evil",
            "a.relay.example.com",
            "evil.example.",
            "127.0.0.1:9601.evil.example",
            "[::1].evil.example",
        ] {
            let refusal = checked(Some(host), None).unwrap_err();
            assert!(matches!(refusal, Refusal::ForeignHost(_)), "{host}");
        }
        assert!(checked(None, None).is_ok());
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let host = Some("localhost:9601");
        for origin in ["http://localhost:9601", "https://LOCALHOST:9601"] {
            assert!(checked(host, Some(origin)).is_ok(), "{origin}");
        }
        for origin in [
            "null",
            "",
            "http://localhost",
            "http://localhost:3000",
            "https://evil.example",
            "http://localhost:9601.evil.example",
            "file://",
        ] {
            let refusal = checked(host, Some(origin)).unwrap_err();
            assert!(matches!(refusal, Refusal::ForeignOrigin(_)), "{origin}");
        }
        assert!(checked(None, Some("http://localhost")).is_err());
    }

    #[test]
    fn what_another_site_has_a_browser_ask_is_refused() {
        let names = Names::default();
        for (site, asks, links) in [
            ("same-origin", true, true),
            ("none", true, true),
            ("cross-site", false, true),
            ("same-site", false, true),
        ] {
            let mut headers = HeaderMap::new();
            let name = actix_web::http::header::HeaderName::from_static(FETCH_SITE);
            headers.insert(name, HeaderValue::from_static(site));
            assert_eq!(check(&headers, &names, false).is_ok(), asks, "{site}");
            assert_eq!(check(&headers, &names, true).is_ok(), links, "{site}");
        }
    }
}
