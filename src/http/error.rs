//! Answers to what is wrong.

use std::borrow::Cow;

use actix_web::http::StatusCode;

use crate::auth::request::RequestAuthError;
use crate::hub::Unavailable;
use crate::metrics::PublishRefusal;
use crate::net::rate::Empty;
use crate::relay::PublishError;

/// A request that is refused: a status, and a text for the person who reads it.
#[derive(Debug)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    pub(super) message: Cow<'static, str>,
    /// The methods of the path, with 405.
    pub(super) allow: Option<&'static str>,
    /// What it counts as when it refuses a publish, where the status does not say.
    pub(super) refusal: Option<PublishRefusal>,
    /// When it is worth another try, with 429.
    pub(super) limited: Option<Empty>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            message: message.into(),
            allow: None,
            refusal: None,
            limited: None,
        }
    }

    /// 429: more than this limit allows.
    pub(super) fn too_many(empty: Empty, limit: &str) -> Self {
        Self {
            limited: Some(empty),
            ..Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                format!("too many requests ({limit}): try again later"),
            )
        }
    }

    /// 400: a field is missing or wrong; the message names it.
    pub(super) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 413: something is over its limit.
    pub(super) fn too_large(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, message)
    }

    /// 404: no such thing.
    pub(super) fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 405: the path is served, but not with this method.
    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        Self {
            allow: Some(allow),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                format!("this path is served with {allow}"),
            )
        }
    }

    /// What it counts as when it refuses a publish.
    pub(super) fn as_refusal(&self) -> PublishRefusal {
        if let Some(refusal) = self.refusal {
            return refusal;
        }
        match self.status {
            StatusCode::UNAUTHORIZED => PublishRefusal::Unauthorized,
            StatusCode::FORBIDDEN => PublishRefusal::AppDisabled,
            StatusCode::PAYLOAD_TOO_LARGE => PublishRefusal::TooLarge,
            StatusCode::SERVICE_UNAVAILABLE => PublishRefusal::Backlog,
            StatusCode::TOO_MANY_REQUESTS => PublishRefusal::RateLimit,
            _ => PublishRefusal::Invalid,
        }
    }
}

/// A request without a signature that is refused: a status, and a text for the person who reads it.
#[derive(Debug)]
pub struct Rejected {
    /// The status that the HTTP API would answer.
    pub status: StatusCode,
    /// What is wrong.
    pub message: Cow<'static, str>,
}

impl From<ApiError> for Rejected {
    fn from(error: ApiError) -> Self {
        Self {
            status: error.status,
            message: error.message,
        }
    }
}

impl From<RequestAuthError> for ApiError {
    fn from(error: RequestAuthError) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, error.to_string())
    }
}

impl From<Unavailable> for ApiError {
    fn from(error: Unavailable) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{error}: try again later"),
        )
    }
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("{error}: nothing was published, try again later"),
        )
    }
}
