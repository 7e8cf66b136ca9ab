//! What is answered.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use bytes::Bytes;

use super::error::ApiError;
use crate::net::rate::{Empty, Left};

/// What an answer says.
#[derive(Debug)]
pub(super) enum Answer {
    /// `{}`
    Empty,
    /// Any other JSON.
    Json(StatusCode, serde_json::Value),
    /// 200 with JSON that is written already.
    Written(Bytes),
    /// 200 with the text that an authority asks for.
    Proof(Arc<str>),
    /// 204 with the methods that the path is served with. It allows no page of another origin
    /// anything.
    Methods(&'static str),
    /// 200, as the first request with the same idempotency key is or was answered.
    Remembered {
        /// JSON.
        body: Bytes,
        /// Whether it was an earlier request that published.
        replayed: bool,
    },
}

impl Answer {
    /// 200 with this JSON.
    pub(super) fn ok(value: serde_json::Value) -> Self {
        Self::Json(StatusCode::OK, value)
    }

    fn status(&self) -> StatusCode {
        match self {
            Self::Json(status, _) => *status,
            Self::Methods(_) => StatusCode::NO_CONTENT,
            Self::Empty | Self::Written(_) | Self::Proof(_) | Self::Remembered { .. } => {
                StatusCode::OK
            }
        }
    }

    /// What it says, JSON but for a proof. `{}`, which it nearly always is after a publish, is not allocated.
    pub(super) fn into_body(self) -> Bytes {
        match self {
            Self::Empty => Bytes::from_static(b"{}"),
            Self::Methods(_) => Bytes::new(),
            Self::Proof(text) => Bytes::copy_from_slice(text.as_bytes()),
            Self::Json(_, value) => value.to_string().into(),
            Self::Written(body) | Self::Remembered { body, .. } => body,
        }
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const RATE_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const RATE_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RATE_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
/// As RFC 8555, 8.3, has it in its example.
const PROOF: HeaderValue = HeaderValue::from_static("application/octet-stream");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The answer to a request that is done.
pub(super) fn respond(answer: Answer) -> HttpResponse {
    if let Answer::Methods(methods) = answer {
        let allow = (header::ALLOW, HeaderValue::from_static(methods));
        return HttpResponse::NoContent().insert_header(allow).finish();
    }
    let is_proof = matches!(answer, Answer::Proof(_));
    let replayed = matches!(answer, Answer::Remembered { replayed: true, .. });
    let response = HttpResponse::with_body(answer.status(), answer.into_body());
    let mut response = with_headers(response.map_into_boxed_body());
    if is_proof {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, PROOF);
    }
    if replayed {
        let yes = HeaderValue::from_static("true");
        response.headers_mut().insert(REPLAYED, yes);
    }
    response
}

/// The answer to a request that is refused.
pub(super) fn refuse(error: ApiError) -> HttpResponse {
    let body = serde_json::json!({ "error": error.message, "status": error.status.as_u16() });
    let response = HttpResponse::with_body(error.status, body.to_string());
    let mut response = with_headers(response.map_into_boxed_body());
    if let Some(allow) = error.allow {
        let allow = HeaderValue::from_static(allow);
        response.headers_mut().insert(header::ALLOW, allow);
    }
    if error.status == StatusCode::UPGRADE_REQUIRED {
        let websocket = HeaderValue::from_static("websocket");
        response.headers_mut().insert(header::UPGRADE, websocket);
    }
    if error.status == StatusCode::SERVICE_UNAVAILABLE {
        let seconds = HeaderValue::from_static("1");
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    if let Some(Empty { left, wait }) = error.limited {
        let seconds = whole_seconds(wait).max(1).into();
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
        show_limit(&mut response, left);
    }
    response
}

/// Says what is left of a limit: how many at once it allows, how many are left, and in how many seconds
/// none will be missing.
pub(super) fn show_limit(response: &mut HttpResponse, left: Left) {
    let headers = response.headers_mut();
    headers.insert(RATE_LIMIT, left.limit.into());
    headers.insert(RATE_REMAINING, left.remaining.into());
    headers.insert(RATE_RESET, whole_seconds(left.full_in).into());
}

/// As many as have begun.
fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

fn with_headers(mut response: HttpResponse) -> HttpResponse {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    response
}
