//! Every answer that is a refusal, in the shapes of Laravel.

use std::fmt;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde_json::json;

use super::field_errors::Errors;
use crate::auth::attempts::TooMany;
use crate::auth::password::PasswordError;
use crate::store::StoreError;

/// Why a request is refused.
#[derive(Debug)]
pub(super) enum Refusal {
    /// 400: the body is not what its headers declare.
    Malformed,
    /// 401: no token, or one that is worth nothing.
    Unauthenticated,
    /// 401: the e-mail address or the password is wrong; which of them is not revealed.
    WrongCredentials,
    /// 401: a webhook that Meta has not signed.
    WrongSignature,
    /// 403: not for this user.
    Forbidden,
    /// 404: there is no such thing.
    NotFound,
    /// 405: the path is right, the method is not one of these.
    MethodNotAllowed(&'static str),
    /// 408: the body did not arrive in time.
    TooSlow,
    /// 409: somebody of this name has taken the conversation.
    Taken(String),
    /// 409: it is not in the state for that.
    Conflict(String),
    /// 413: the body is larger than is read.
    TooLarge,
    /// 422: fields are missing or wrong.
    Invalid(Errors),
    /// 429: too many attempts to log in.
    TooManyAttempts(Duration),
    /// 503: too much is going on.
    Busy,
    /// 503: the database does not answer.
    NoDatabase,
    /// 503: the database has not answered a write in time, which it may carry out all the same.
    Late,
    /// 503: it is not set up.
    NotSetUp(&'static str),
    /// 500: it is not the client's fault.
    Internal,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Taken(name) => return write!(formatter, "{name} has taken this conversation."),
            Self::Malformed => "The request body is malformed.",
            Self::Unauthenticated => "Unauthenticated.",
            Self::WrongCredentials => "These credentials do not match our records.",
            Self::WrongSignature => "Invalid signature.",
            Self::Forbidden => "This action is unauthorized.",
            Self::NotFound => "Not found.",
            Self::MethodNotAllowed(_) => "The method is not supported for this route.",
            Self::TooSlow => "The request body did not arrive in time.",
            Self::Conflict(text) => text,
            Self::TooLarge => "The request body is too large.",
            Self::Invalid(_) => "The given data was invalid.",
            Self::TooManyAttempts(_) => "Too Many Attempts.",
            Self::Busy => "Service Unavailable",
            Self::NoDatabase => "The database is not available.",
            Self::Late => {
                "The database did not answer in time. The change may have been made all the same."
            }
            Self::NotSetUp(what) => what,
            Self::Internal => "Server Error",
        })
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::Unauthenticated | Self::WrongCredentials | Self::WrongSignature => {
                StatusCode::UNAUTHORIZED
            }
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Taken(_) => StatusCode::CONFLICT,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Invalid(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooManyAttempts(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Busy | Self::NoDatabase | Self::Late | Self::NotSetUp(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        match self {
            Self::Invalid(errors) => return response.json(errors),
            Self::MethodNotAllowed(allowed) => response.insert_header((ALLOW, *allowed)),
            Self::TooManyAttempts(wait) => {
                let seconds = wait.as_secs_f64().ceil();
                response.insert_header((RETRY_AFTER, format!("{seconds}")))
            }
            Self::Busy | Self::NoDatabase | Self::Late => {
                response.insert_header((RETRY_AFTER, "5"))
            }
            _ => &mut response,
        };
        response.json(json!({"message": self.to_string()}))
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Busy => Self::Busy,
            StoreError::Late => Self::Late,
            // It is logged once, not for each request.
            error if error.is_outage() => Self::NoDatabase,
            error => {
                tracing::error!(%error, "a request failed");
                Self::Internal
            }
        }
    }
}

impl From<PasswordError> for Refusal {
    fn from(error: PasswordError) -> Self {
        match error {
            PasswordError::Busy => Self::Busy,
            PasswordError::Hash(_) => {
                tracing::error!(%error, "a password could not be checked");
                Self::Internal
            }
        }
    }
}

impl From<TooMany> for Refusal {
    fn from(too_many: TooMany) -> Self {
        Self::TooManyAttempts(too_many.retry_after)
    }
}
