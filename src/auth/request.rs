//! Signed HTTP requests.
//!
//! Source: Pusher Channels HTTP API, "Authentication". The signed string is the method, the
//! path as requested and the query without `auth_signature`: keys in lower case and sorted,
//! values decoded, one line each.

use std::borrow::Cow;
use std::fmt::Write as _;

use md5::{Digest as _, Md5};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use subtle::ConstantTimeEq as _;

use super::Signer;
use crate::protocol::path;

/// The query of a request, decoded, in the order of arrival; keys are in lower case.
#[derive(Clone, Debug, Default)]
pub struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Decodes a raw query string. `+` stands for a space.
    pub fn parse(raw: &'a str) -> Self {
        let mut pairs: Vec<_> = Vec::with_capacity(6);
        for pair in raw.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let mut key = decode(key);
            if key.bytes().any(|byte| byte.is_ascii_uppercase()) {
                key = Cow::Owned(key.to_ascii_lowercase());
            }
            pairs.push((key, decode(value)));
        }
        Self(pairs)
    }

    /// The first value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| &**value)
    }

    /// Every value of a key, in order.
    pub fn all<'k>(&'k self, key: &'k str) -> impl Iterator<Item = &'k str> {
        self.0
            .iter()
            .filter(move |(name, _)| name == key)
            .map(|(_, value)| &**value)
    }
}

fn decode(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte == b'%' || byte == b'+') {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

/// A request as far as its signature covers it.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// The method in upper case.
    pub method: &'a str,
    /// The path as requested, percent-encoding kept.
    pub path: &'a str,
    /// The decoded query.
    pub query: &'a Query<'a>,
    /// Whether a body is announced.
    pub has_body: bool,
}

/// How a request is judged.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// Unix time of the relay, in seconds.
    pub now: u64,
    /// How far `auth_timestamp` may be from `now`, in seconds.
    pub window: u64,
    /// A path prefix that the signer may or may not have seen; nor need it have seen slashes
    /// that are too many.
    pub path_prefix: &'a str,
}

/// Why a request is not authenticated; each is a 401.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestAuthError {
    /// A parameter that every request needs.
    #[error("the query parameter {0} is missing")]
    Missing(&'static str),
    /// Another scheme than 1.0.
    #[error("auth_version must be 1.0")]
    Version,
    /// The key is none of this app's.
    #[error("auth_key is not a key of this app")]
    UnknownKey,
    /// Not a number of seconds.
    #[error("auth_timestamp must be a Unix time in seconds; the time here is {now}")]
    TimestampMalformed {
        /// The relay's clock.
        now: u64,
    },
    /// Too old, or from the future.
    #[error(
        "auth_timestamp {timestamp} is more than {window} s away from the time here, {now}: \
         check the clocks"
    )]
    TimestampExpired {
        /// As sent.
        timestamp: u64,
        /// The relay's clock.
        now: u64,
        /// The tolerance.
        window: u64,
    },
    /// The body is not the one that was signed.
    #[error("body_md5 is not the MD5 of the body that arrived ({length} bytes)")]
    BodyMd5 {
        /// Bytes of the body.
        length: usize,
    },
    /// The signature is another's.
    #[error(
        "auth_signature does not match. The string to sign is {string_to_sign:?}; the time here is {now}"
    )]
    Signature {
        /// What had to be signed.
        string_to_sign: String,
        /// The relay's clock.
        now: u64,
    },
}

/// Verifies all of a request but its body against the key pairs of one app: the query, which the
/// signature covers, says what the body must be. So a stranger's body need not be read.
/// What is read then is judged by [`check_body`].
pub fn verify(
    signers: &[Signer],
    request: SignedRequest<'_>,
    rules: Rules<'_>,
) -> Result<(), RequestAuthError> {
    let parameter = |name: &'static str| {
        request
            .query
            .get(name)
            .filter(|value| !value.is_empty())
            .ok_or(RequestAuthError::Missing(name))
    };
    let key = parameter("auth_key")?;
    let timestamp = parameter("auth_timestamp")?;
    let version = parameter("auth_version")?;
    let signature = parameter("auth_signature")?;
    if version != "1.0" {
        return Err(RequestAuthError::Version);
    }
    let signer = signers
        .iter()
        .find(|signer| signer.key() == key)
        .ok_or(RequestAuthError::UnknownKey)?;
    check_timestamp(timestamp, rules)?;
    if request.has_body && request.query.get("body_md5").is_none() {
        return Err(RequestAuthError::Missing("body_md5"));
    }

    let query = canonical_query(request.query);
    let verifies = |prefix: &str, path: &str| {
        let parts: [&[u8]; 6] = [
            request.method.as_bytes(),
            b"\n",
            prefix.as_bytes(),
            path.as_bytes(),
            b"\n",
            query.as_bytes(),
        ];
        signer.verify(&parts, signature)
    };
    let prefix = rules.path_prefix;
    let bare = path::bare(request.path, prefix);
    let is_signed = verifies("", request.path)
        || (bare != request.path && verifies("", bare))
        || (!prefix.is_empty() && verifies(prefix, bare));
    if !is_signed {
        return Err(RequestAuthError::Signature {
            string_to_sign: format!("{}\n{}\n{query}", request.method, request.path),
            now: rules.now,
        });
    }
    Ok(())
}

/// Whether a body is the one that a query was signed for.
pub fn check_body(query: &Query<'_>, body: &[u8]) -> Result<(), RequestAuthError> {
    let sent = match query.get("body_md5") {
        Some(sent) => sent,
        None if body.is_empty() => return Ok(()),
        None => return Err(RequestAuthError::Missing("body_md5")),
    };
    let mut hex = [0; 32];
    hex::encode_to_slice(Md5::digest(body), &mut hex).expect("an MD5 is 16 bytes");
    if bool::from(hex.ct_eq(sent.as_bytes())) {
        Ok(())
    } else {
        Err(RequestAuthError::BodyMd5 { length: body.len() })
    }
}

fn check_timestamp(timestamp: &str, rules: Rules<'_>) -> Result<(), RequestAuthError> {
    let Rules { now, window, .. } = rules;
    let timestamp: u64 = timestamp
        .parse()
        .map_err(|_| RequestAuthError::TimestampMalformed { now })?;
    if timestamp.abs_diff(now) > window {
        return Err(RequestAuthError::TimestampExpired {
            timestamp,
            now,
            window,
        });
    }
    Ok(())
}

fn canonical_query(query: &Query<'_>) -> String {
    let mut pairs: Vec<_> = query
        .0
        .iter()
        .filter(|(key, _)| key != "auth_signature")
        .collect();
    // Stable: values of one key keep their order.
    pairs.sort_by(|a, b| a.0.cmp(&b.0));
    let mut text = String::with_capacity(pairs.iter().map(|(k, v)| k.len() + v.len() + 2).sum());
    for (index, (key, value)) in pairs.into_iter().enumerate() {
        if index > 0 {
            text.push('&');
        }
        text.push_str(key);
        text.push('=');
        text.push_str(value);
    }
    text
}

/// What a value in a query must have escaped.
const QUERY_VALUE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'<')
    .add(b'=')
    .add(b'>');

/// Signs a request and returns its whole query string, as a client sends it. `parameters`
/// are those of the call itself, in plain text.
pub fn sign(
    signer: &Signer,
    method: &str,
    path: &str,
    parameters: &[(&str, &str)],
    body: &[u8],
    now: u64,
) -> String {
    let mut pairs: Vec<(Cow<'_, str>, Cow<'_, str>)> = parameters
        .iter()
        .map(|(key, value)| (Cow::Owned(key.to_ascii_lowercase()), Cow::Borrowed(*value)))
        .collect();
    pairs.push(("auth_key".into(), signer.key().into()));
    pairs.push(("auth_timestamp".into(), now.to_string().into()));
    pairs.push(("auth_version".into(), "1.0".into()));
    if !body.is_empty() {
        pairs.push(("body_md5".into(), hex::encode(Md5::digest(body)).into()));
    }
    let query = Query(pairs);
    let string_to_sign = format!("{method}\n{path}\n{}", canonical_query(&query));
    let mut encoded = String::new();
    for (key, value) in &query.0 {
        let value = utf8_percent_encode(value, QUERY_VALUE);
        write!(encoded, "{key}={value}&").expect("writing to a String cannot fail");
    }
    encoded + "auth_signature=" + &signer.sign(&[string_to_sign.as_bytes()])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BODY: &[u8] = br#"{"name":"foo","channels":["project-3"],"data":"{\"some\":\"data\"}"}"#;
    const NOW: u64 = 1_353_088_179;

    fn signers() -> [Signer; 1] {
        [Signer::new("278d425bdf160c739803", b"7ad3773142a6692b25b8")]
    }

    fn check(path: &str, query: &str, body: &[u8], prefix: &str) -> Result<(), RequestAuthError> {
        let query = Query::parse(query);
        let request = SignedRequest {
            method: "POST",
            path,
            query: &query,
            has_body: !body.is_empty(),
        };
        let rules = Rules {
            now: NOW,
            window: 600,
            path_prefix: prefix,
        };
        verify(&signers(), request, rules)?;
        check_body(&query, body)
    }

    #[test]
    fn the_documented_request_is_signed_and_verified() {
        let query = sign(&signers()[0], "POST", "/apps/3/events", &[], BODY, NOW);
        assert_eq!(
            query,
            "auth_key=278d425bdf160c739803&auth_timestamp=1353088179&auth_version=1.0\
             &body_md5=ec365a775a4cd0599faeb73354201b6f\
             &auth_signature=da454824c97ba181a32ccc17a72625ba02771f50b50e1e7430e47a1f3f457e6c"
        );
        assert_eq!(check("/apps/3/events", &query, BODY, ""), Ok(()));
        assert!(matches!(
            check("/apps/4/events", &query, BODY, ""),
            Err(RequestAuthError::Signature { .. })
        ));
        assert_eq!(
            check("/apps/3/events", &query, b"{}", ""),
            Err(RequestAuthError::BodyMd5 { length: 2 })
        );
    }

    #[test]
    fn each_part_that_fails_is_named() {
        let good = sign(&signers()[0], "POST", "/p", &[], b"", NOW);
        for name in [
            "auth_key",
            "auth_timestamp",
            "auth_version",
            "auth_signature",
        ] {
            let without: Vec<_> = good
                .split('&')
                .filter(|pair| !pair.starts_with(name))
                .collect();
            assert_eq!(
                check("/p", &without.join("&"), b"", ""),
                Err(RequestAuthError::Missing(name))
            );
        }
        let body = check("/p", &good, b"x", "");
        assert_eq!(body, Err(RequestAuthError::Missing("body_md5")));
        let other = good.replace("278d425bdf160c739803", "x");
        assert_eq!(
            check("/p", &other, b"", ""),
            Err(RequestAuthError::UnknownKey)
        );
        for (time, expired) in [
            (NOW - 600, false),
            (NOW - 601, true),
            (NOW + 601, true),
            (NOW * 1000, true),
        ] {
            let query = sign(&signers()[0], "POST", "/p", &[], b"", time);
            let outcome = check("/p", &query, b"", "");
            assert_eq!(
                matches!(outcome, Err(RequestAuthError::TimestampExpired { .. })),
                expired,
                "{outcome:?}"
            );
        }
    }

    #[test]
    fn signatures_hold_with_and_without_the_path_prefix() {
        let signed = |path| sign(&signers()[0], "POST", path, &[], b"", NOW);
        for signed_path in ["/apps/3/events", "/ws/apps/3/events"] {
            for path in ["/apps/3/events", "/ws/apps/3/events"] {
                assert_eq!(
                    check(path, &signed(signed_path), b"", "/ws"),
                    Ok(()),
                    "{signed_path} {path}"
                );
            }
        }
        assert!(check("/apps/3/events", &signed("/x/apps/3/events"), b"", "/ws").is_err());
    }

    #[test]
    fn signatures_hold_whether_or_not_the_signer_saw_the_slashes_that_are_too_many() {
        let signed = |path| sign(&signers()[0], "POST", path, &[], b"", NOW);
        for path in ["//apps/3/events", "/apps/3/events/", "/ws//apps/3/events/"] {
            for signed_path in [path, "/apps/3/events", "/ws/apps/3/events"] {
                assert_eq!(
                    check(path, &signed(signed_path), b"", "/ws"),
                    Ok(()),
                    "{signed_path} {path}"
                );
            }
        }
        assert!(check("//apps/3/events", &signed("/apps/4/events"), b"", "").is_err());
    }

    #[test]
    fn a_body_is_judged_only_once_the_rest_is_signed() {
        let query = Query::parse("auth_key=278d425bdf160c739803&auth_signature=x&auth_version=1.0");
        let request = SignedRequest {
            method: "POST",
            path: "/p",
            query: &query,
            has_body: true,
        };
        let rules = Rules {
            now: NOW,
            window: 600,
            path_prefix: "",
        };
        let missing = RequestAuthError::Missing("auth_timestamp");
        assert_eq!(verify(&signers(), request, rules).err(), Some(missing));
    }

    #[test]
    fn values_are_signed_decoded_and_keys_in_lower_case() {
        let signer = &signers()[0];
        let query = sign(
            signer,
            "POST",
            "/p",
            &[("Filter_By_Prefix", "a b+c/ü&=%")],
            b"",
            NOW,
        );
        assert!(!query.contains(' '));
        assert_eq!(check("/p", &query, b"", ""), Ok(()));
        let parsed = Query::parse("INFO=a+b%2Bc&info=2&flag");
        assert_eq!(parsed.all("info").collect::<Vec<_>>(), ["a b+c", "2"]);
        assert_eq!(parsed.get("flag"), Some(""));
    }

    proptest! {
        #[test]
        fn any_parameter_survives_signing(key in "[a-z_]{1,12}", value in any::<String>()) {
            prop_assume!(!key.starts_with("auth_") && key != "body_md5");
            let query = sign(&signers()[0], "POST", "/p", &[(&key, &value)], b"b", NOW);
            prop_assert_eq!(check("/p", &query, b"b", ""), Ok(()));
        }

        #[test]
        fn no_query_makes_the_parser_panic(query in "\\PC*") {
            let _ = check("/p", &query, b"", "/x");
        }
    }
}
