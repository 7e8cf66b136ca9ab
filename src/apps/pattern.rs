//! Patterns of origins, as an operator writes them.

use std::borrow::Cow;
use std::fmt;

use super::page::{self, Page, Site};

/// Why a text is no origin pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "an origin such as `https://example.com`, `*.example.com` or `localhost:3000`, without a \
     path, international names as xn--…"
)]
pub struct InvalidPattern;

/// One origin, or several by what stands for its `*`: see [`super::Origins`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pattern {
    Opaque,
    Site {
        scheme: Option<Box<str>>,
        host: Box<str>,
        port: Port,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Port {
    Any,
    /// The one that browsers leave out.
    Default,
    Only(u16),
    Like(Box<str>),
}

impl Pattern {
    /// Reads a pattern.
    pub(super) fn new(text: &str) -> Result<Self, InvalidPattern> {
        let text = text.to_ascii_lowercase();
        if text == "null" {
            return Ok(Self::Opaque);
        }
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, &*text),
        };
        if scheme.is_some_and(|scheme| !page::is_scheme(&filled(scheme))) {
            return Err(InvalidPattern);
        }
        let (host, port) = page::host_and_port(rest).ok_or(InvalidPattern)?;
        let is_label = |label: &str| page::is_label(&filled(label));
        let host = page::whole_host(host, is_label).ok_or(InvalidPattern)?;
        let port = match port {
            None if scheme.is_some() && !host.ends_with('*') => Port::Default,
            None | Some("*") => Port::Any,
            Some(port) if port.contains('*') => Port::like(port)?,
            Some(port) => Port::Only(port.parse().map_err(|_| InvalidPattern)?),
        };
        Ok(Self::Site {
            scheme: scheme.map(Box::from),
            host: host.into(),
            port,
        })
    }

    /// Whether the page is of such an origin.
    pub(super) fn matches(&self, page: &Page<'_>) -> bool {
        match (self, page) {
            (Self::Opaque, Page::Opaque) => true,
            (Self::Site { scheme, host, port }, Page::Site(site)) => {
                scheme
                    .as_ref()
                    .is_none_or(|scheme| matches_wildcard(scheme, site.scheme))
                    && matches_wildcard(host, &site.host)
                    && port.matches(site)
            }
            _ => false,
        }
    }

    /// Whether a page of such an origin can have this host.
    pub(super) fn has_host(&self, name: &str) -> bool {
        match self {
            Self::Opaque => false,
            Self::Site { host, .. } => matches_wildcard(host, name),
        }
    }
}

/// As an operator would write it.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Site { scheme, host, port } = self else {
            return f.write_str("null");
        };
        if let Some(scheme) = scheme {
            write!(f, "{scheme}://")?;
        }
        f.write_str(host)?;
        match port {
            Port::Default => Ok(()),
            // Without it, a scheme would mean its own port.
            Port::Any if scheme.is_some() && !host.ends_with('*') => f.write_str(":*"),
            Port::Any => Ok(()),
            Port::Only(port) => write!(f, ":{port}"),
            Port::Like(pattern) => write!(f, ":{pattern}"),
        }
    }
}

impl Port {
    fn like(pattern: &str) -> Result<Self, InvalidPattern> {
        let fits = |byte: u8| byte.is_ascii_digit() || byte == b'*';
        if pattern.bytes().all(fits) {
            Ok(Self::Like(pattern.into()))
        } else {
            Err(InvalidPattern)
        }
    }

    fn matches(&self, site: &Site<'_>) -> bool {
        match self {
            Self::Any => true,
            Self::Default => site.port == page::default_port(site.scheme),
            Self::Only(port) => site.port == Some(*port),
            Self::Like(pattern) => site
                .port
                .is_some_and(|port| matches_wildcard(pattern, &port.to_string())),
        }
    }
}

/// A text that is good if its pattern is: what the stars stand for has to be good itself.
fn filled(pattern: &str) -> Cow<'_, str> {
    if pattern.contains('*') {
        pattern.replace('*', "x").into()
    } else {
        pattern.into()
    }
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

    proptest::proptest! {
        #[test]
        fn filling_the_stars_gives_a_match(pieces in proptest::collection::vec("[a-z.]{0,5}", 2..6), fill in "[a-z.-]{0,8}") {
            proptest::prop_assert!(matches_wildcard(&pieces.join("*"), &pieces.join(&fill)));
        }
    }
}
