//! The extension that clients offer: compression (`permessage-deflate`, RFC 7692).
//!
//! What is agreed on is always the same, that each side compresses every message by itself. So an event is compressed
//! once for all its subscribers, and nothing is kept for a connection. A client that can look back by less than 32 KB
//! (`server_max_window_bits`) is sent compressed what is no longer than that, and all else as it is.

use crate::protocol::Window;

/// What has been agreed on with a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deflate {
    /// The window that the client has asked for.
    asked: Option<Window>,
}

/// The header is not what RFC 6455 §9.1 says: the connection is to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

const MALFORMED: Malformed = Malformed(
    "the header Sec-WebSocket-Extensions must be a list such as \
     permessage-deflate; client_max_window_bits",
);

impl Deflate {
    /// How far back the client can look.
    pub(super) fn window(self) -> Window {
        self.asked.unwrap_or(Window::LARGEST)
    }

    /// The header of the answer.
    pub(super) fn answer(self) -> String {
        let answer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
        match self.asked {
            Some(window) => format!("{answer}; server_max_window_bits={}", window.bits()),
            None => answer.into(),
        }
    }
}

/// The first of the offers that can be accepted, if there is one. Each item is the value of one header; together they
/// are one list.
pub(super) fn negotiate<'h>(
    headers: impl Iterator<Item = &'h [u8]>,
) -> Result<Option<Deflate>, Malformed> {
    let mut accepted = None;
    for header in headers {
        let mut scanner = Scanner(header);
        while let Some(offer) = scanner.extension()? {
            // What follows is read all the same: it may be malformed.
            accepted = accepted.or(offer);
        }
    }
    Ok(accepted)
}

/// What an offer of compression holds, as far as it has been read.
#[derive(Default)]
struct Offer {
    seen: [bool; 4],
    asked: Option<Window>,
    is_declined: bool,
}

impl Offer {
    /// The parameters that an offer may have (RFC 7692 §7.1).
    const NAMES: [&[u8]; 4] = [
        b"server_no_context_takeover",
        b"client_no_context_takeover",
        b"server_max_window_bits",
        b"client_max_window_bits",
    ];

    fn add(&mut self, name: &[u8], value: Option<&[u8]>) {
        let Some(which) = Self::NAMES.iter().position(|known| *known == name) else {
            self.is_declined = true;
            return;
        };
        let window = value.and_then(window);
        let is_right = match which {
            0 | 1 => value.is_none(),
            2 => window.is_some(),
            _ => value.is_none() || window.is_some(),
        };
        if which == 2 {
            self.asked = window;
        }
        self.is_declined |= !is_right || std::mem::replace(&mut self.seen[which], true);
    }

    fn judge(self) -> Option<Deflate> {
        (!self.is_declined).then_some(Deflate { asked: self.asked })
    }
}

/// A window's bits: a number from 8 to 15, without a leading zero.
fn window(value: &[u8]) -> Option<Window> {
    match value {
        b"8" | b"9" => Window::of_bits(value[0] - b'0'),
        [b'1', digit @ b'0'..=b'5'] => Window::of_bits(10 + digit - b'0'),
        _ => None,
    }
}

/// Reads a header by the grammar of RFC 6455 §9.1, from its front.
struct Scanner<'h>(&'h [u8]);

impl<'h> Scanner<'h> {
    /// The next extension of the list; None at its end. Some(None): one that is not accepted.
    fn extension(&mut self) -> Result<Option<Option<Deflate>>, Malformed> {
        // A list may have empty elements (RFC 9110 §5.6.1).
        loop {
            self.skip_blanks();
            if !self.take(b',') {
                break;
            }
        }
        if self.0.is_empty() {
            return Ok(None);
        }
        let is_deflate = self.token()? == b"permessage-deflate";
        let mut offer = Offer::default();
        loop {
            self.skip_blanks();
            if self.0.is_empty() || self.take(b',') {
                return Ok(Some(offer.judge().filter(|_| is_deflate)));
            }
            if !self.take(b';') {
                return Err(MALFORMED);
            }
            self.skip_blanks();
            let name = self.token()?;
            self.skip_blanks();
            if !self.take(b'=') {
                offer.add(name, None);
                continue;
            }
            self.skip_blanks();
            if self.take(b'"') {
                offer.add(name, Some(&self.quoted()?));
            } else {
                offer.add(name, Some(self.token()?));
            }
        }
    }

    fn skip_blanks(&mut self) {
        let blanks = self
            .0
            .iter()
            .take_while(|byte| matches!(**byte, b' ' | b'\t'));
        self.0 = &self.0[blanks.count()..];
    }

    fn take(&mut self, byte: u8) -> bool {
        let rest = self.0.strip_prefix(&[byte]);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn token(&mut self) -> Result<&'h [u8], Malformed> {
        let length = self.0.iter().take_while(|byte| is_token(**byte)).count();
        let (token, rest) = self.0.split_at(length);
        self.0 = rest;
        if token.is_empty() {
            return Err(MALFORMED);
        }
        Ok(token)
    }

    /// What stands between quotes, of which the first is taken: it must be a token, too.
    fn quoted(&mut self) -> Result<Vec<u8>, Malformed> {
        let mut value = Vec::new();
        loop {
            let (byte, rest) = match self.0 {
                [b'"', rest @ ..] => {
                    self.0 = rest;
                    return if value.is_empty() {
                        Err(MALFORMED)
                    } else {
                        Ok(value)
                    };
                }
                [b'\\', byte, rest @ ..] | [byte, rest @ ..] => (*byte, rest),
                [] => return Err(MALFORMED),
            };
            if !is_token(byte) {
                return Err(MALFORMED);
            }
            value.push(byte);
            self.0 = rest;
        }
    }
}

/// Whether the byte may be part of a token (RFC 9110 §5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(headers: &[&str]) -> Option<String> {
        let negotiated = negotiate(headers.iter().map(|header| header.as_bytes()));
        negotiated.unwrap().map(Deflate::answer)
    }

    const PLAIN: &str =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

    #[test]
    fn offers_are_accepted() {
        for offer in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate;client_max_window_bits=8",
            "permessage-deflate; client_max_window_bits=\"15\"",
            "permessage-deflate ; client_max_window_bits = \"1\\0\" ; server_no_context_takeover",
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
            " , ,permessage-deflate,, ",
            "permessage-deflate, permessage-deflate; server_max_window_bits=10",
            "x-webkit-deflate-frame, permessage-deflate; client_max_window_bits",
            "foo; a=b; c=\"d\"; a, permessage-deflate",
        ] {
            assert_eq!(answer(&[offer]).as_deref(), Some(PLAIN), "{offer}");
        }
    }

    #[test]
    fn a_smaller_window_is_agreed_to() {
        for bits in 8..=15 {
            for offer in [
                format!("permessage-deflate; server_max_window_bits={bits}"),
                format!(
                    "permessage-deflate; server_max_window_bits=\"{bits}\"; client_max_window_bits=9"
                ),
            ] {
                let deflate = negotiate([offer.as_bytes()].into_iter()).unwrap().unwrap();
                assert_eq!(deflate.window().bits(), bits);
                let expected = format!("{PLAIN}; server_max_window_bits={bits}");
                assert_eq!(deflate.answer(), expected);
            }
        }
    }

    #[test]
    fn offers_are_declined() {
        for parameters in [
            "unknown",
            "unknown=1",
            "server_no_context_takeover=1",
            "client_no_context_takeover=true",
            "server_max_window_bits",
            "server_max_window_bits=7",
            "server_max_window_bits=16",
            "server_max_window_bits=08",
            "server_max_window_bits=010",
            "server_max_window_bits=+9",
            "client_max_window_bits=16",
            "client_max_window_bits=1",
            "client_max_window_bits=15x",
            "client_max_window_bits; client_max_window_bits",
            "client_max_window_bits; client_max_window_bits=15",
            "server_no_context_takeover; server_no_context_takeover",
            "server_max_window_bits=10; server_max_window_bits=10",
            "Server_no_context_takeover",
        ] {
            let offer = format!("permessage-deflate; {parameters}");
            assert_eq!(answer(&[&offer]), None, "{offer}");
            // The next one is looked at.
            let two = format!("{offer}, permessage-deflate");
            assert_eq!(answer(&[&two]).as_deref(), Some(PLAIN), "{two}");
            assert_eq!(
                answer(&[&offer, "permessage-deflate"]).as_deref(),
                Some(PLAIN)
            );
        }
        for other in [
            "",
            " ",
            ",",
            "permessage-bzip2",
            "deflate-frame",
            "permessage-deflate2",
        ] {
            assert_eq!(answer(&[other]), None, "{other}");
        }
        assert_eq!(answer(&[]), None);
    }

    #[test]
    fn what_is_malformed_fails() {
        for header in [
            ";",
            "permessage-deflate;",
            "permessage-deflate; ;client_max_window_bits",
            "permessage-deflate; client_max_window_bits=",
            "permessage-deflate; client_max_window_bits=\"\"",
            "permessage-deflate; client_max_window_bits=\"15",
            "permessage-deflate; client_max_window_bits=\"1 5\"",
            "permessage-deflate; client_max_window_bits=\"15\\",
            "permessage-deflate; client_max_window_bits=15=15",
            "permessage-deflate; =15",
            "permessage-deflate client_max_window_bits",
            "permessage-deflate, \"permessage-deflate\"",
            "permessage-deflate, foo@bar",
            "permessage-d\u{e9}flate",
            "permessage-deflate=1",
        ] {
            let negotiated = negotiate([header.as_bytes()].into_iter());
            assert_eq!(negotiated, Err(MALFORMED), "{header}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(header in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = negotiate([&header[..]].into_iter());
        }

        #[test]
        fn what_is_nearly_right_does_not_either(
            header in "(permessage-deflate|client_max_window_bits|server_max_window_bits|[;,=\"\\\\ a189]){0,12}",
        ) {
            super::super::fuzzing::extensions(header.as_bytes());
        }
    }
}
