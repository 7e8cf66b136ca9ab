//! Which pages may connect to an app.

use super::development::{address, is_of_development};
use super::page::{self, Page};
use super::pattern::{InvalidPattern, Pattern};

/// The pages that may connect, by the `Origin` of their handshakes. It protects from web pages
/// alone: browsers do not let those choose it, and everything else may send what it likes.
///
/// A pattern with a scheme (`https://*.example.com`) means that scheme, one with a port
/// (`localhost:3000`) that port; without a port, a pattern with a scheme means the scheme's own
/// port, any other (`*.example.com`) all ports. `*` stands for any number of characters of a
/// host, a scheme or a port, and at the end of a host for any port as well. `null` means pages
/// whose browser does not report where they are from. Letter case does not matter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origins {
    pages: Pages,
    allows_missing: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Pages {
    Any,
    Development,
    Listed(Vec<Pattern>),
}

/// Why a page may not connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignPage {
    /// Its origin is not listed.
    NotListed,
    /// It is no page of the developer's.
    NotOfDevelopment,
    /// It does not report where it is from, as programs that are no browsers do.
    Missing,
    /// It reports that more than once, which no browser does.
    Several,
}

impl ForeignPage {
    /// For people: what is wrong, and what would admit it.
    pub fn text(self) -> &'static str {
        match self {
            Self::NotListed => "the page's origin is not one of the app's allowed_origins",
            Self::NotOfDevelopment => {
                "the development app takes pages of this machine only: for others, set \
                 allowed_origins of an app in config.toml"
            }
            Self::Missing => {
                "without an Origin nobody connects: set allow_missing_origin = true for the app, \
                 if it has clients that are no web pages"
            }
            Self::Several => "there may be one Origin header only",
        }
    }
}

impl Origins {
    /// Every origin, and connections without one.
    pub fn any() -> Self {
        Self {
            pages: Pages::Any,
            allows_missing: true,
        }
    }

    /// Pages of this machine and of names that people develop under, and connections without an
    /// origin. For apps whose secret everybody knows: any page that the developer happens to
    /// visit could make their browser use it.
    pub fn development() -> Self {
        Self {
            pages: Pages::Development,
            allows_missing: true,
        }
    }

    /// The origins that match one of `patterns`; any, if there are none or one is `*`.
    pub fn new<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidPattern> {
        let texts: Vec<&str> = patterns.into_iter().collect();
        let patterns: Vec<Pattern> = texts
            .iter()
            .map(|text| Pattern::new(text))
            .collect::<Result<_, _>>()?;
        if texts.is_empty() || texts.contains(&"*") {
            return Ok(Self::any());
        }
        Ok(Self {
            pages: Pages::Listed(patterns),
            allows_missing: false,
        })
    }

    /// The same origins, and handshakes without one if `allowed`.
    pub fn and_missing(mut self, allowed: bool) -> Self {
        self.allows_missing |= allowed;
        self
    }

    /// The patterns as an operator would write them; none where every origin is allowed, or every page of this
    /// machine.
    pub fn patterns(&self) -> Vec<String> {
        match &self.pages {
            Pages::Any | Pages::Development => Vec::new(),
            Pages::Listed(patterns) => patterns.iter().map(Pattern::to_string).collect(),
        }
    }

    /// Whether handshakes without an origin are let in.
    pub fn allows_missing(&self) -> bool {
        self.allows_missing
    }

    /// Whether every origin is allowed.
    pub fn is_any(&self) -> bool {
        matches!(self.pages, Pages::Any)
    }

    /// Whether a handshake with these `Origin` headers may go on.
    pub fn check<'h>(
        &self,
        headers: impl IntoIterator<Item = &'h [u8]>,
    ) -> Result<(), ForeignPage> {
        if self.is_any() {
            return Ok(());
        }
        let mut headers = headers.into_iter();
        match (headers.next(), headers.next()) {
            (None, _) if self.allows_missing => Ok(()),
            (None, _) => Err(ForeignPage::Missing),
            (Some(_), Some(_)) => Err(ForeignPage::Several),
            (Some(origin), None) => self.check_one(origin),
        }
    }

    fn check_one(&self, origin: &[u8]) -> Result<(), ForeignPage> {
        let origin = String::from_utf8_lossy(origin).to_ascii_lowercase();
        let page = Page::parse(&origin);
        match &self.pages {
            Pages::Any => Ok(()),
            Pages::Development => match page {
                Some(Page::Site(site)) if is_of_development(&site.host) => Ok(()),
                _ => Err(ForeignPage::NotOfDevelopment),
            },
            Pages::Listed(patterns) => page
                .is_some_and(|page| patterns.iter().any(|pattern| pattern.matches(&page)))
                .then_some(())
                .ok_or(ForeignPage::NotListed),
        }
    }

    /// Whether a `Host` header names a host that no foreign page can be at. A page whose own
    /// name is made to stand for this machine sends no `Origin` with what it reads, as it is of
    /// the same origin, but it sends that name. An address cannot be made to stand for another.
    pub fn knows_host(&self, header: &[u8]) -> bool {
        let header = String::from_utf8_lossy(header).to_ascii_lowercase();
        let Some((host, _)) = page::host_and_port(&header) else {
            return false;
        };
        let listed = |pattern: &Pattern| pattern.has_host(host);
        is_of_development(host)
            || address(host).is_some()
            || match &self.pages {
                Pages::Any => true,
                Pages::Development => false,
                Pages::Listed(patterns) => patterns.iter().any(listed),
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_written_as_they_were_read() {
        let written = [
            "https://example.com",
            "https://example.com:*",
            "https://*.example.com:8443",
            "*.example.com",
            "localhost:3000",
            "localhost:30*",
            "https://example.*",
            "null",
        ];
        let origins = Origins::new(written).unwrap();
        assert_eq!(origins.patterns(), written);
        assert!(Origins::any().patterns().is_empty());
    }

    fn check(patterns: &[&str], origins: &[&str]) -> Result<(), ForeignPage> {
        let allowed = Origins::new(patterns.iter().copied()).unwrap();
        allowed.check(origins.iter().map(|origin| origin.as_bytes()))
    }

    fn allows(patterns: &[&str], origin: &str) -> bool {
        check(patterns, &[origin]).is_ok()
    }

    #[test]
    fn no_pattern_and_a_star_allow_everything() {
        for patterns in [&[][..], &["*"], &["example.com", "*"]] {
            assert!(check(patterns, &[]).is_ok());
            assert!(allows(patterns, "https://anything.test"));
        }
    }

    #[test]
    fn restricted_origins_refuse_a_handshake_without_one_unless_configured() {
        assert_eq!(check(&["example.com"], &[]), Err(ForeignPage::Missing));
        let origins = Origins::new(["example.com"]).unwrap().and_missing(true);
        assert!(origins.check([]).is_ok());
        let foreign = origins.check([&b"https://example.org"[..]]);
        assert_eq!(foreign, Err(ForeignPage::NotListed));
    }

    #[test]
    fn one_good_origin_does_not_hide_another() {
        let (good, bad) = ("https://example.com", "https://evil.test");
        for origins in [[good, bad], [bad, good], [good, good]] {
            let refused = check(&["https://example.com"], &origins);
            assert_eq!(refused, Err(ForeignPage::Several));
        }
    }

    #[test]
    fn a_host_matches_with_any_scheme_and_port() {
        assert!(allows(&["example.com"], "https://example.com"));
        assert!(allows(&["example.com"], "http://EXAMPLE.com:8080"));
        assert!(!allows(&["example.com"], "https://example.com.evil.test"));
        assert!(!allows(&["example.com"], "https://www.example.com"));
        assert!(allows(&["[::1]"], "http://[::1]:3000"));
        assert!(allows(&["[0:0::1]"], "http://[::1]"));
    }

    #[test]
    fn a_port_in_the_pattern_must_be_that_port() {
        assert!(allows(&["localhost:3000"], "http://localhost:3000"));
        assert!(!allows(&["localhost:3000"], "http://localhost:3001"));
        assert!(!allows(&["localhost:3000"], "http://localhost"));
        assert!(allows(&["localhost:*"], "http://localhost:3001"));
        assert!(allows(&["localhost:30*"], "http://localhost:3001"));
        assert!(!allows(&["localhost:30*"], "http://localhost:4001"));
    }

    #[test]
    fn a_scheme_in_the_pattern_must_be_that_scheme() {
        assert!(allows(&["https://example.com"], "https://example.com"));
        assert!(!allows(&["https://example.com"], "http://example.com"));
        assert!(!allows(
            &["https://example.com"],
            "https://example.com:8443"
        ));
        assert!(allows(&["*://example.com"], "http://example.com"));
        assert!(allows(&["capacitor://localhost"], "capacitor://localhost"));
    }

    #[test]
    fn the_port_that_browsers_leave_out_may_be_written() {
        for (pattern, origin) in [
            ("https://example.com:443", "https://example.com"),
            ("https://example.com", "https://example.com:443"),
            ("http://example.com:80", "http://example.com"),
            ("example.com:443", "https://example.com"),
        ] {
            assert!(allows(&[pattern], origin), "{pattern} {origin}");
        }
        assert!(!allows(&["https://example.com:80"], "https://example.com"));
    }

    #[test]
    fn stars_stand_for_any_text_of_a_host() {
        assert!(allows(&["*.example.com"], "https://a.b.example.com"));
        assert!(!allows(&["*.example.com"], "https://example.com"));
        assert!(!allows(&["*.example.com"], "https://evilexample.com"));
        assert!(allows(&["https://*.example.*"], "https://app.example.org"));
        assert!(allows(&["https://*"], "https://app.example.org:8443"));
        assert!(allows(&["pr-*-*.test"], "https://pr-1-2.test"));
        assert!(!allows(&["pr-*-*.test"], "https://pr-1.test"));
        assert!(!allows(&["aba*ba"], "http://aba"));
    }

    #[test]
    fn nothing_but_a_host_can_fill_a_star() {
        for origin in [
            "https://evil.com/.example.com",
            "https://evil.com#.example.com",
            "https://evil.com:1.example.com",
            "https://evil.com@a.example.com",
            "https://evil.com\u{0}.example.com",
            "https://evil.com https://a.example.com",
            "evil.com/a.example.com",
        ] {
            for pattern in ["https://*.example.com", "*.example.com"] {
                assert!(!allows(&[pattern], origin), "{pattern} {origin}");
            }
        }
    }

    #[test]
    fn pages_that_do_not_report_their_origin_have_a_pattern() {
        for origin in ["null", "file://"] {
            assert!(allows(&["null"], origin));
            assert!(!allows(&["example.com"], origin));
        }
        assert!(!allows(&["null"], "https://null"));
    }

    #[test]
    fn what_can_match_nothing_is_no_pattern() {
        for pattern in [
            "",
            "https://",
            "://example.com",
            "https://example.com/",
            "example.com/app",
            "https://me@example.com",
            "example.com:",
            "example.com:x",
            "example.com:65536",
            "example.com:1:2",
            "exämple.com",
            ".example.com",
            "[::1",
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

    #[test]
    fn development_takes_pages_of_this_machine_and_programs() {
        let check = |origin: &str| Origins::development().check([origin.as_bytes()]);
        assert!(Origins::development().check([]).is_ok());
        for origin in [
            "http://localhost",
            "http://localhost:5173",
            "https://127.0.0.1:8000",
            "http://[::1]:3000",
            "https://shop.test",
            "capacitor://localhost",
        ] {
            assert!(check(origin).is_ok(), "{origin}");
        }
        for origin in [
            "null",
            "",
            "https://example.com",
            "http://evil.example:6001",
            "http://localhost.evil.example",
            "http://evil.example/.test",
            "http://192.168.1.20:5173",
            "chrome-extension://abcdefgh",
        ] {
            assert_eq!(check(origin), Err(ForeignPage::NotOfDevelopment));
        }
    }

    #[test]
    fn a_host_that_a_page_can_be_at_is_not_known() {
        let development = Origins::development();
        for host in [
            "127.0.0.1:6001",
            "localhost:6001",
            "[::1]",
            "10.0.0.1",
            "Relay.test",
        ] {
            assert!(development.knows_host(host.as_bytes()), "{host}");
        }
        for host in [
            "evil.example:6001",
            "127.0.0.1.evil.example",
            "relay",
            "",
            "[::1].x",
        ] {
            assert!(!development.knows_host(host.as_bytes()), "{host}");
        }
        let listed = Origins::new(["https://*.example.com"]).unwrap();
        assert!(listed.knows_host(b"relay.example.com"));
        assert!(listed.knows_host(b"127.0.0.1:6001"));
        assert!(!listed.knows_host(b"example.org"));
        assert!(Origins::any().knows_host(b"example.org"));
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_judged_without_panic(origin in ".*", pattern in "[a-z*:/.\\[\\]]*") {
            if let Ok(origins) = Origins::new([pattern.as_str()]) {
                let _ = origins.check([origin.as_bytes()]);
                origins.knows_host(origin.as_bytes());
            }
        }
    }
}
