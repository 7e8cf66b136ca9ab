//! What the admin listener refuses, and the JSON that says why.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};

use crate::tap::{PatternError, WatchError};

/// Why a request is refused; the text is for the person who made it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("there is nothing at {0}: try /metrics, /stream or /health")]
    NotFound(String),
    #[error(
        "this listener does not answer to the host name {0:?}: use its IP address, localhost, the \
         name that admin.listen binds or, if it listens beyond loopback, a name without a dot"
    )]
    ForeignHost(String),
    #[error("the page at {0:?} may not read what is here")]
    ForeignOrigin(String),
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
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::ForeignHost(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::ForeignOrigin(_) => StatusCode::FORBIDDEN,
            Self::NotAWebSocket(_) => StatusCode::UPGRADE_REQUIRED,
            Self::BadQuery(_)
            | Self::UnknownFilter(_)
            | Self::RepeatedFilter(_)
            | Self::BadPattern { .. } => StatusCode::BAD_REQUEST,
            Self::Watch(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        if let Self::NotAWebSocket(_) = self {
            response.insert_header(("Upgrade", "websocket"));
        }
        response.json(serde_json::json!({ "error": self.to_string() }))
    }
}
