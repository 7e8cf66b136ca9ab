//! The name of a page in its path.

use crate::protocol::path;

/// Characters of a token at least: fewer could be guessed.
const SHORTEST: usize = 22;
/// Characters of a token at most.
const LONGEST: usize = 64;

/// What a token must be, for people.
pub const EXPECTED: &str =
    "what stands behind /s/ must be 22 to 64 letters, digits, `-` and `_`, such as a UUID";

/// What a path begins with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Named<'p> {
    /// It names no page.
    No,
    /// The page's token.
    Token(&'p str),
    /// Something that may be no token.
    Malformed,
}

/// Takes the token off a path, `/s/{token}/app/{key}`, behind the configured prefix or nothing. Returns
/// the rest, `/app/{key}`.
pub fn split<'p>(whole: &'p str, path_prefix: &str) -> (Named<'p>, &'p str) {
    let bare = path::bare(whole, path_prefix);
    let Some((token, rest)) = bare
        .strip_prefix("/s/")
        .and_then(|behind| Some(behind.split_at(behind.find('/')?)))
    else {
        return (Named::No, whole);
    };
    let is_token = (SHORTEST..=LONGEST).contains(&token.len())
        && token
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b));
    let named = if is_token {
        Named::Token(token)
    } else {
        Named::Malformed
    };
    (named, rest)
}

/// A path as it may be logged: without what is a token, or was meant to be one, wherever it stands.
pub fn hidden(path: &str) -> String {
    let mut shown = String::with_capacity(path.len());
    let mut before = "";
    for segment in path.split_inclusive('/') {
        let name = segment.strip_suffix('/').unwrap_or(segment);
        if before == "s" && name.len() >= SHORTEST {
            shown.push('…');
            shown.push_str(&segment[name.len()..]);
        } else {
            shown.push_str(segment);
        }
        before = name;
    }
    shown
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "0b0f6e0c-2f3b-4f0e-9a3c-0d7c2a9b8e11";

    fn kind(named: Named<'_>) -> &'static str {
        match named {
            Named::No => "none",
            Named::Token(token) => {
                assert_eq!(token, UUID);
                "token"
            }
            Named::Malformed => "malformed",
        }
    }

    #[test]
    fn a_token_stands_in_front_of_the_path() {
        for (path, expected, rest) in [
            (format!("/s/{UUID}/app/key"), "token", "/app/key"),
            (format!("//s/{UUID}/app/key"), "token", "/app/key"),
            (format!("/relay/s/{UUID}/app/key"), "token", "/app/key"),
            (
                format!("/s/{UUID}/pusher/app/key/1/x/xhr"),
                "token",
                "/pusher/app/key/1/x/xhr",
            ),
            ("/app/key".into(), "none", "/app/key"),
            ("/s/".into(), "none", "/s/"),
            ("/s/short/app/key".into(), "malformed", "/app/key"),
            (format!("/s/{UUID}.{UUID}/app/key"), "malformed", "/app/key"),
            (format!("/s/{UUID}{UUID}/app/key"), "malformed", "/app/key"),
        ] {
            let (named, behind) = split(&path, "/relay");
            assert_eq!((kind(named), behind), (expected, rest), "{path}");
        }
    }

    #[test]
    fn a_path_is_shown_without_what_may_be_a_token() {
        for (path, expected) in [
            (format!("/s/{UUID}/app/key"), "/s/…/app/key"),
            (format!("/relay/s/{UUID}.x/app/key"), "/relay/s/…/app/key"),
            (format!("/s/{UUID}"), "/s/…"),
            (format!("//s/{UUID}/s/{UUID}/"), "//s/…/s/…/"),
            ("/apps/s/events".to_owned(), "/apps/s/events"),
            ("/s/short/é".to_owned(), "/s/short/é"),
            ("nonsense".to_owned(), "nonsense"),
            (String::new(), ""),
        ] {
            assert_eq!(hidden(&path), expected);
        }
    }

    proptest! {
        #[test]
        fn no_path_makes_it_panic(path in "(/s/|/[a-z0-9%é-]{0,30})*", prefix in "(/[a-z]+)?") {
            let (_, rest) = split(&path, &prefix);
            prop_assert!(path.contains(rest));
        }
    }
}
