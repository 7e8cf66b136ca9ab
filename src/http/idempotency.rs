//! Publishes that carry a key, so that sending them again does no harm.

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName};
use bytes::Bytes;

use super::answer::Answer;
use super::error::ApiError;
use super::fingerprint::Fingerprint;
use crate::hub::idempotency::{Claim, SharedClaim, SharedTurn, Turn};
use crate::hub::{AppHub, Authority};
use crate::relay::Receipts;

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
/// that was given. One that fails is not remembered. Something else under the same key is refused: whoever sends it believes
/// that it is published.
///
/// `post` is done once the events are posted, and `answer` then puts the answer together. Who
/// goes away in between has published all the same: the key is remembered.
pub(super) async fn once(
    authority: &dyn Authority,
    app: &Arc<AppHub>,
    key: Option<(Key<'_>, Fingerprint)>,
    post: impl Future<Output = Result<Receipts, ApiError>>,
    answer: impl Future<Output = Answer>,
) -> Result<Answer, ApiError> {
    let claimed = match &key {
        None => None,
        Some((key, fingerprint)) => match claim(authority, app, key).await? {
            Claimed::Granted(turn, shared) => Some((turn, shared, *fingerprint)),
            Claimed::Answered(remembered) => {
                let body = fingerprint.open(remembered).ok_or_else(used_for_another)?;
                let replayed = true;
                return Ok(Answer::Remembered { body, replayed });
            }
        },
    };
    let receipts = post.await?;
    let Some(claimed) = claimed else {
        let answer = answer.await;
        receipts.settled().await?;
        return Ok(answer);
    };
    let posted = Posted(Some(claimed));
    let body = answer.await.into_body();
    if let Err(error) = receipts.settled().await {
        posted.give_back();
        return Err(error.into());
    }
    posted.answer_with(&body);
    let replayed = false;
    Ok(Answer::Remembered { body, replayed })
}

fn used_for_another() -> ApiError {
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "nothing was published: another publish was sent with this idempotency key; each needs a key of its own",
    )
}

/// What comes of asking for a key, on this node and among all.
enum Claimed<'a> {
    /// The publish is the caller's to do.
    Granted(Turn<'a>, SharedTurn),
    /// It was done before, or another publish was; with what is remembered of it.
    Answered(Bytes),
}

/// Asks for a key. Fails where it cannot be known what other nodes do under it: an event that may
/// come twice is not what the key was sent for, and whoever is refused can send it again.
async fn claim<'a>(
    authority: &dyn Authority,
    app: &'a Arc<AppHub>,
    key: &Key<'_>,
) -> Result<Claimed<'a>, ApiError> {
    let turn = match app.idempotency.claim(&key.0).await {
        Claim::Granted(turn) => turn,
        Claim::Answered(body) => return Ok(Claimed::Answered(body)),
    };
    match authority.claim(app, &key.0).get().await {
        Ok(SharedClaim::Granted(shared)) => Ok(Claimed::Granted(turn, shared)),
        Ok(SharedClaim::Answered(body)) => {
            turn.complete(body.clone());
            Ok(Claimed::Answered(body))
        }
        Err(error) => Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("nothing was published: {error}; try again with the same key"),
        )),
    }
}

/// A publish that is posted and not yet answered. Dropped, it is remembered with the answer that
/// a publish nearly always has.
struct Posted<'a>(Option<(Turn<'a>, SharedTurn, Fingerprint)>);

impl Posted<'_> {
    /// It turns out that the events are lost: whoever sends them again is to publish them.
    fn give_back(mut self) {
        self.0 = None;
    }

    fn answer_with(mut self, body: &[u8]) {
        self.complete(body);
    }

    fn complete(&mut self, body: &[u8]) {
        if let Some((turn, shared, fingerprint)) = self.0.take() {
            let remembered = fingerprint.seal(body);
            shared.complete(&remembered);
            turn.complete(remembered);
        }
    }
}

impl Drop for Posted<'_> {
    fn drop(&mut self) {
        self.complete(&Answer::Empty.into_body());
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;

    use actix_web::http::header::HeaderValue;
    use futures_util::FutureExt as _;

    use super::*;
    use crate::apps::{App, Registry};
    use crate::auth::Signer;
    use crate::cluster::Local;
    use crate::hub::Hub;
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
        let registry = Registry::new(vec![app]).unwrap();
        let hub = Hub::new(&registry, &Webhooks::none(), Metrics::new(), 10);
        hub.app("1").unwrap()
    }

    fn posted() -> impl Future<Output = Result<Receipts, ApiError>> {
        ready(Ok(Receipts::default()))
    }

    /// The key `k`, for a publish of nothing.
    fn keyed() -> Option<(Key<'static>, Fingerprint)> {
        Some((Key("k".into()), Fingerprint::of("events", &[])))
    }

    /// What is answered to a publish under the key `k`, and whether it was by an earlier one.
    fn at_once(
        app: &Arc<AppHub>,
        post: impl Future<Output = Result<Receipts, ApiError>>,
        answer: Answer,
    ) -> Result<(Bytes, bool), u16> {
        let outcome = once(&Local, app, keyed(), post, ready(answer)).now_or_never();
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
        assert_eq!(at_once(&app, refused, Answer::Empty), Err(400));
        {
            let post = pending();
            let mut cut_off = pin!(once(&Local, &app, keyed(), post, ready(Answer::Empty)));
            assert!(cut_off.as_mut().now_or_never().is_none());
        }
        let first = serde_json::json!({ "batch": [{}] });
        let body = Bytes::from(first.to_string());
        let answer = Answer::ok(first);
        assert_eq!(at_once(&app, posted(), answer), Ok((body.clone(), false)));
        assert_eq!(at_once(&app, pending(), Answer::Empty), Ok((body, true)));
    }

    #[test]
    fn who_goes_away_after_the_events_were_posted_has_published() {
        let app = app();
        {
            let mut cut_off = pin!(once(&Local, &app, keyed(), posted(), pending()));
            assert!(cut_off.as_mut().now_or_never().is_none());
        }
        let empty = Bytes::from_static(b"{}");
        assert_eq!(at_once(&app, pending(), Answer::Empty), Ok((empty, true)));
    }

    #[test]
    fn another_publish_under_a_known_key_is_refused() {
        let app = app();
        let first = at_once(&app, posted(), Answer::Empty);
        assert!(first.is_ok());
        let other = Some((Key("k".into()), Fingerprint::of("batch_events", &[])));
        let outcome = once(&Local, &app, other, pending(), ready(Answer::Empty)).now_or_never();
        let refused = outcome.expect("it is known").unwrap_err();
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        let empty = Bytes::from_static(b"{}");
        assert_eq!(at_once(&app, pending(), Answer::Empty), Ok((empty, true)));
    }

    #[test]
    fn without_a_key_nothing_is_remembered() {
        let app = app();
        for _ in 0..2 {
            let outcome = once(&Local, &app, None, posted(), ready(Answer::Empty)).now_or_never();
            assert!(matches!(outcome, Some(Ok(Answer::Empty))));
        }
    }
}
