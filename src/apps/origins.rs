//! Which pages may connect to an app.

/// Patterns of allowed origins.
///
/// A pattern with a scheme (`https://*.example.com`) is compared with the whole origin, one
/// with a port (`localhost:3000`) with host and port, any other (`*.example.com`) with the
/// host. `*` stands for any number of characters. Letter case does not matter.
#[derive(Clone, Debug, Default)]
pub struct Origins(Option<Vec<Pattern>>);

/// Why a text is no origin pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an origin such as `https://example.com`, `*.example.com` or `localhost:3000`, without a path"
)]
pub struct InvalidPattern;

#[derive(Clone, Debug)]
struct Pattern {
    text: Box<str>,
    part: Part,
}

/// The part of an origin that a pattern speaks of.
#[derive(Clone, Copy, Debug)]
enum Part {
    Whole,
    HostAndPort,
    Host,
}

impl Origins {
    /// Every origin, and connections without one.
    pub fn any() -> Self {
        Self(None)
    }

    /// The origins that match one of `patterns`; any, if there are none or one is `*`.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidPattern> {
        let patterns = patterns
            .into_iter()
            .map(Pattern::new)
            .collect::<Result<Vec<_>, _>>()?;
        let any = patterns.is_empty() || patterns.iter().any(|pattern| &*pattern.text == "*");
        Ok(Self((!any).then_some(patterns)))
    }

    /// Whether a connection whose handshake has this `Origin` header may go on. Where origins
    /// are restricted, one without the header may not.
    pub fn allows(&self, origin: Option<&str>) -> bool {
        let Some(patterns) = &self.0 else { return true };
        let Some(origin) = origin else { return false };
        let origin = origin.to_ascii_lowercase();
        patterns.iter().any(|pattern| pattern.matches(&origin))
    }
}

impl Pattern {
    fn new(text: &str) -> Result<Self, InvalidPattern> {
        let (part, after_scheme) = match text.split_once("://") {
            Some((_, rest)) => (Part::Whole, rest),
            None if port_of(text).is_some() => (Part::HostAndPort, text),
            None => (Part::Host, text),
        };
        let blank = |c: char| c.is_whitespace() || c.is_control();
        let beyond_host = ['/', '?', '#', '@'];
        if after_scheme.is_empty() || after_scheme.contains(beyond_host) || text.contains(blank) {
            return Err(InvalidPattern);
        }
        Ok(Self {
            text: text.to_ascii_lowercase().into(),
            part,
        })
    }

    fn matches(&self, origin: &str) -> bool {
        let host_and_port = origin.split_once("://").map_or(origin, |(_, rest)| rest);
        let part = match self.part {
            Part::Whole => origin,
            Part::HostAndPort => host_and_port,
            Part::Host => match port_of(host_and_port) {
                Some(port) => &host_and_port[..host_and_port.len() - port.len() - 1],
                None => host_and_port,
            },
        };
        matches_wildcard(&self.text, part)
    }
}

/// The port of `host:port`; the colons of an address in brackets are none of its.
fn port_of(host_and_port: &str) -> Option<&str> {
    let (host, port) = host_and_port.rsplit_once(':')?;
    (!host.starts_with('[') || host.ends_with(']')).then_some(port)
}

/// Whether `text` is `pattern` with each `*` replaced by some text: the pieces between the
/// stars, each at the first place after its predecessor, the outer ones at the ends.
fn matches_wildcard(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in middle.split('*') {
        match text.find(piece) {
            Some(at) => text = &text[at + piece.len()..],
            None => return false,
        }
    }
    text.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(patterns: &[&str], origin: &str) -> bool {
        Origins::new(patterns.iter().copied())
            .unwrap()
            .allows(Some(origin))
    }

    #[test]
    fn no_pattern_and_a_star_allow_everything() {
        for patterns in [&[][..], &["*"], &["example.com", "*"]] {
            let origins = Origins::new(patterns.iter().copied()).unwrap();
            assert!(origins.allows(None));
            assert!(origins.allows(Some("https://anything.test")));
        }
    }

    #[test]
    fn restricted_origins_refuse_a_handshake_without_one() {
        assert!(!Origins::new(["example.com"]).unwrap().allows(None));
    }

    #[test]
    fn a_host_matches_with_any_scheme_and_port() {
        assert!(allows(&["example.com"], "https://example.com"));
        assert!(allows(&["example.com"], "http://EXAMPLE.com:8080"));
        assert!(!allows(&["example.com"], "https://example.com.evil.test"));
        assert!(!allows(&["example.com"], "https://www.example.com"));
        assert!(allows(&["[::1]"], "http://[::1]:3000"));
    }

    #[test]
    fn a_port_in_the_pattern_must_be_that_port() {
        assert!(allows(&["localhost:3000"], "http://localhost:3000"));
        assert!(!allows(&["localhost:3000"], "http://localhost:3001"));
        assert!(!allows(&["localhost:3000"], "http://localhost"));
        assert!(allows(&["localhost:*"], "http://localhost:3001"));
    }

    #[test]
    fn a_scheme_in_the_pattern_must_be_that_scheme() {
        assert!(allows(&["https://example.com"], "https://example.com"));
        assert!(!allows(&["https://example.com"], "http://example.com"));
        assert!(!allows(
            &["https://example.com"],
            "https://example.com:8443"
        ));
    }

    #[test]
    fn stars_stand_for_any_text() {
        assert!(allows(&["*.example.com"], "https://a.b.example.com"));
        assert!(!allows(&["*.example.com"], "https://example.com"));
        assert!(!allows(&["*.example.com"], "https://evilexample.com"));
        assert!(allows(&["https://*.example.*"], "https://app.example.org"));
        assert!(allows(&["pr-*-*.test"], "https://pr-1-2.test"));
        assert!(!allows(&["pr-*-*.test"], "https://pr-1.test"));
        assert!(!allows(&["aba*ba"], "http://aba"));
    }

    #[test]
    fn paths_blanks_and_nothing_are_no_patterns() {
        for pattern in [
            "",
            "https://",
            "https://example.com/",
            "example.com/app",
            "a b",
            "a\n",
        ] {
            assert_eq!(
                Origins::new([pattern]).unwrap_err(),
                InvalidPattern,
                "{pattern:?}"
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_judged_without_panic(origin in ".*", pattern in "[a-z*:/.\\[\\]]*") {
            if let Ok(origins) = Origins::new([pattern.as_str()]) {
                origins.allows(Some(&origin));
            }
        }

        #[test]
        fn filling_the_stars_gives_a_match(pieces in proptest::collection::vec("[a-z.]{0,5}", 2..6), fill in "[a-z.-]{0,8}") {
            proptest::prop_assert!(matches_wildcard(&pieces.join("*"), &pieces.join(&fill)));
        }
    }
}
