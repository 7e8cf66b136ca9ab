//! Publishes that carry a key, so that sending them again does no harm.

use std::borrow::Cow;
use std::future::Future;

use actix_web::http::header::{HeaderMap, HeaderName};
use bytes::Bytes;

use super::error::ApiError;
use super::service::Answer;
use crate::hub::AppHub;
use crate::hub::idempotency::Claim;

/// The parameter, in the body or in the query.
pub(super) const PARAMETER: &str = "idempotency_key";

/// The headers that may hold the key instead, as messages name them. They are not signed.
const HEADERS: [(&str, HeaderName); 2] = [
    (
        "Idempotency-Key",
        HeaderName::from_static("idempotency-key"),
    ),
    (
        "X-Idempotency-Key",
        HeaderName::from_static("x-idempotency-key"),
    ),
];

/// A checked key.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key<'r>(Cow<'r, str>);

impl<'r> Key<'r> {
    const MAX_LENGTH: usize = 255;

    /// The key of a request, if it has one; every place that holds one must hold the same.
    pub(super) fn of(
        parameter: Option<Cow<'r, str>>,
        headers: &'r HeaderMap,
    ) -> Result<Option<Self>, ApiError> {
        let mut found = match parameter {
            Some(text) => Some((PARAMETER, Self::check(PARAMETER, text)?)),
            None => None,
        };
        for (field, name) in &HEADERS {
            for value in headers.get_all(name) {
                let key = Self::check(field, String::from_utf8_lossy(value.as_bytes()))?;
                match &found {
                    Some((other, known)) if *known != key => {
                        return Err(ApiError::bad_request(format!(
                            "{other} and {field} differ: a request has one key"
                        )));
                    }
                    _ => found = Some((field, key)),
                }
            }
        }
        Ok(found.map(|(_, key)| key))
    }

    fn check(field: &str, text: Cow<'r, str>) -> Result<Self, ApiError> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible || !(1..=Self::MAX_LENGTH).contains(&text.len()) {
            return Err(ApiError::bad_request(format!(
                "{field} must be 1 to {} visible ASCII characters",
                Self::MAX_LENGTH
            )));
        }
        Ok(Self(text))
    }
}

/// Publishes, unless the same was done under the same key before: then the answer is the one
/// that was given. One that fails is not remembered.
pub(super) async fn once(
    app: &AppHub,
    key: Option<Key<'_>>,
    publish: impl Future<Output = Result<Answer, ApiError>>,
) -> Result<Answer, ApiError> {
    let turn = match key {
        None => None,
        Some(Key(key)) => match app.idempotency.claim(&key).await {
            Claim::Granted(turn) => Some(turn),
            Claim::Answered(body) => {
                let replayed = true;
                return Ok(Answer::Remembered { body, replayed });
            }
        },
    };
    let answer = publish.await?;
    let Some(turn) = turn else {
        return Ok(answer);
    };
    // Since the events were posted nothing was awaited: they are never without their answer,
    // even if the caller goes away.
    let body = match answer {
        // What was just written has room to spare, which is not to be kept.
        Answer::Json(..) => Bytes::copy_from_slice(&answer.into_body()),
        _ => answer.into_body(),
    };
    turn.complete(body.clone());
    let replayed = false;
    Ok(Answer::Remembered { body, replayed })
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::sync::Arc;

    use actix_web::http::header::HeaderValue;
    use futures_util::FutureExt as _;

    use super::*;
    use crate::apps::{App, Registry};
    use crate::auth::Signer;
    use crate::cluster::Local;
    use crate::hub::{Authority, Hub};
    use crate::metrics::Metrics;
    use crate::webhooks::Webhooks;

    fn key(parameter: Option<&str>, headers: &[(usize, &[u8])]) -> Result<Option<String>, String> {
        let mut map = HeaderMap::new();
        for (header, value) in headers {
            let value = HeaderValue::from_bytes(value).unwrap();
            map.append(HEADERS[*header].1.clone(), value);
        }
        let key = Key::of(parameter.map(Cow::Borrowed), &map);
        key.map(|key| key.map(|key| key.0.into_owned()))
            .map_err(|error| error.message.into_owned())
    }

    #[test]
    fn keys_stand_in_any_of_three_places() {
        assert_eq!(key(None, &[]), Ok(None));
        for (parameter, headers) in [
            (Some("k"), &[][..]),
            (None, &[(0, &b"k"[..])]),
            (None, &[(1, b"k")]),
            (Some("k"), &[(0, b"k"), (0, b"k"), (1, b"k")]),
        ] {
            assert_eq!(key(parameter, headers), Ok(Some("k".to_owned())));
        }
        let longest = "~".repeat(255);
        assert_eq!(key(Some(&longest), &[]), Ok(Some(longest)));
    }

    #[test]
    fn what_is_wrong_names_the_place() {
        for (parameter, headers, names) in [
            (Some(""), &[][..], &["idempotency_key"][..]),
            (Some("a b"), &[], &["idempotency_key"]),
            (Some("é"), &[], &["idempotency_key"]),
            (Some("\u{7f}"), &[], &["idempotency_key"]),
            (Some(&"k".repeat(256)), &[], &["idempotency_key"]),
            (None, &[(0, &b""[..])], &["Idempotency-Key"]),
            (None, &[(1, b"\xff")], &["X-Idempotency-Key"]),
            (Some("k"), &[(0, b"")], &["Idempotency-Key"]),
            (
                Some("k"),
                &[(0, b"l")],
                &["idempotency_key", "Idempotency-Key"],
            ),
            (
                None,
                &[(0, b"k"), (1, b"l")],
                &["Idempotency-Key", "X-Idem"],
            ),
            (None, &[(0, b"k"), (0, b"l")], &["Idempotency-Key"]),
        ] {
            let message = key(parameter, headers).unwrap_err();
            for name in names {
                assert!(message.contains(name), "{message}");
            }
        }
    }

    fn app() -> Arc<AppHub> {
        let app = App::new("1", Signer::new("key", b"secret"));
        let authority: Arc<dyn Authority> = Arc::new(Local);
        let registry = Registry::new(vec![app]).unwrap();
        let hub = Hub::new(registry, &authority, &Webhooks::none(), Metrics::new(), 10);
        Arc::clone(hub.app("1").unwrap())
    }

    /// What is answered to a publish under the key `k`, and whether it was by an earlier one.
    fn at_once(
        app: &AppHub,
        publish: impl Future<Output = Result<Answer, ApiError>>,
    ) -> Result<(Bytes, bool), u16> {
        let outcome = once(app, Some(Key("k".into())), publish).now_or_never();
        match outcome.expect("nobody else is publishing") {
            Ok(Answer::Remembered { body, replayed }) => Ok((body, replayed)),
            Ok(other) => panic!("{other:?}"),
            Err(error) => Err(error.status.as_u16()),
        }
    }

    #[test]
    fn only_what_was_published_is_remembered() {
        let app = app();
        let refused = ready(Err(ApiError::bad_request("no")));
        assert_eq!(at_once(&app, refused), Err(400));
        {
            let mut cut_off = pin!(once(&app, Some(Key("k".into())), pending()));
            assert!(cut_off.as_mut().now_or_never().is_none());
        }
        let first = serde_json::json!({ "batch": [{}] });
        let body = Bytes::from(first.to_string());
        let published = ready(Ok(Answer::ok(first)));
        assert_eq!(at_once(&app, published), Ok((body.clone(), false)));
        assert_eq!(at_once(&app, pending()), Ok((body, true)));
    }

    #[test]
    fn without_a_key_nothing_is_remembered() {
        let app = app();
        for _ in 0..2 {
            let outcome = once(&app, None, ready(Ok(Answer::Empty))).now_or_never();
            assert!(matches!(outcome, Some(Ok(Answer::Empty))));
        }
    }
}
