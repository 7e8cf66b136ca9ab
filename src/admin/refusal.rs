//! What the admin listener refuses, and the JSON that says why.

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, RETRY_AFTER, UPGRADE, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};

use crate::http::Rejected;
use crate::hub::Unavailable;
use crate::metrics::AdminRefusal;
use crate::tap::{PatternError, WatchError};

/// Why a request is refused; the text is for the person who made it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("there is nothing at {0}: try /metrics, /stream, /health or /api/openapi.json")]
    NoSuchPath(String),
    #[error("this path is served with {0}")]
    Method(String),
    #[error(
        "this listener does not answer to the host name {0:?}: use its IP address, localhost, the \
         name that admin.listen binds, one of admin.hosts or, if it listens beyond loopback, a name \
         without a dot"
    )]
    ForeignHost(String),
    #[error("the page at {0:?} may not read what is here")]
    ForeignOrigin(String),
    #[error("a page of another site may not ask for what is here")]
    CrossSite,
    #[error(
        "show a token: Authorization: Bearer TOKEN, one of those of admin.token or admin.tokens_file"
    )]
    MissingToken,
    #[error("the token, or ticket, is none that opens this listener")]
    WrongToken,
    #[error("too many wrong tokens came from this address: try again later")]
    Paced(Duration),
    #[error("{what} was asked for a moment ago: try again in {} s", seconds(*.wait))]
    TooSoon { what: &'static str, wait: Duration },
    #[error("the token may only read: this takes one of the role write")]
    ReadOnlyToken,
    #[error("/stream is a WebSocket ({0}); `fanfare tail` shows it in a terminal")]
    NotAWebSocket(actix_http::ws::HandshakeError),
    #[error("the query cannot be read: {0}")]
    BadQuery(String),
    #[error("unknown filter {0:?}: expected app, channel or event")]
    UnknownFilter(String),
    #[error("the filter {0} is given twice")]
    RepeatedFilter(&'static str),
    #[error("the filter {name} is wrong: {error}")]
    BadPattern {
        name: &'static str,
        error: PatternError,
    },
    #[error(transparent)]
    Watch(#[from] WatchError),
    #[error("{0}")]
    Invalid(String),
    /// A setting of an app, by its key.
    #[error("{text}")]
    Setting { key: String, text: String },
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Conflict(String),
    #[error("{0}")]
    Away(String),
    #[error("the body is too large: at most {0} bytes are allowed here")]
    TooLarge(usize),
    #[error("the body did not come within {} seconds", .0.as_secs())]
    TooSlow(Duration),
    #[error("the body must be JSON: Content-Type: application/json")]
    NotJson,
    #[error("{0}: try again later")]
    Unavailable(#[from] Unavailable),
    #[error("a worker did not answer in time: try again later")]
    Busy,
    #[error("{}", .0.message)]
    Rejected(Rejected),
}

impl Refusal {
    /// What it is counted as, if it is for what who asked is.
    pub(super) fn counts_as(&self) -> Option<AdminRefusal> {
        Some(match self {
            Self::ForeignHost(_) => AdminRefusal::ForeignHost,
            Self::ForeignOrigin(_) | Self::CrossSite => AdminRefusal::ForeignPage,
            Self::MissingToken => AdminRefusal::MissingToken,
            Self::WrongToken => AdminRefusal::WrongToken,
            Self::Paced(_) => AdminRefusal::Paced,
            Self::ReadOnlyToken => AdminRefusal::Role,
            _ => return None,
        })
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NoSuchPath(_) | Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::ForeignHost(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::ForeignOrigin(_) | Self::CrossSite | Self::ReadOnlyToken => StatusCode::FORBIDDEN,
            Self::MissingToken | Self::WrongToken => StatusCode::UNAUTHORIZED,
            Self::Paced(_) | Self::TooSoon { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::NotAWebSocket(_) => StatusCode::UPGRADE_REQUIRED,
            Self::BadQuery(_)
            | Self::UnknownFilter(_)
            | Self::RepeatedFilter(_)
            | Self::BadPattern { .. }
            | Self::Invalid(_)
            | Self::Setting { .. } => StatusCode::BAD_REQUEST,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::NotJson => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Watch(_) | Self::Unavailable(_) | Self::Away(_) | Self::Busy => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Rejected(rejected) => rejected.status,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        match self {
            Self::NotAWebSocket(_) => {
                response.insert_header((UPGRADE, "websocket"));
            }
            Self::MissingToken | Self::WrongToken => {
                response.insert_header((WWW_AUTHENTICATE, "Bearer realm=\"fanfare\""));
            }
            Self::Method(methods) => {
                response.insert_header((ALLOW, methods.as_str()));
            }
            Self::Paced(wait) | Self::TooSoon { wait, .. } => {
                response.insert_header((RETRY_AFTER, seconds(*wait)));
            }
            _ => {}
        }
        let mut body = serde_json::json!({ "error": self.to_string() });
        if let Self::Setting { key, .. } = self {
            body["key"] = key.as_str().into();
        }
        response.json(body)
    }
}

/// Whole seconds, one at least.
fn seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}
