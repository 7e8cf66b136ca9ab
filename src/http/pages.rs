//! Web pages that make the browser of whoever looks at them ask.
//!
//! The HTTP API is for backends. A page cannot sign, unless everybody knows the secret, as that of
//! the development app. Browsers send such a request before they ask whether they may, and name
//! the page; what they do not name the page for is of the same origin, and goes to the page's own
//! host.

use std::borrow::Cow;

use actix_web::http::StatusCode;
use actix_web::http::header::{HOST, HeaderMap, ORIGIN};

use super::error::ApiError;
use crate::apps::{App, ForeignPage};
use crate::metrics::PublishRefusal;

/// Refuses what a foreign page asks of an app whose secret everybody knows.
pub(super) fn keep_out(app: &App, headers: &HeaderMap) -> Result<(), ApiError> {
    if !app.secret_is_known {
        return Ok(());
    }
    let origins = headers.get_all(ORIGIN).map(|origin| origin.as_bytes());
    match app.allowed_origins.check(origins) {
        Ok(()) | Err(ForeignPage::Missing) => {}
        Err(foreign) => return Err(refusal(StatusCode::FORBIDDEN, foreign.text())),
    }
    let host = headers.get(HOST).map(|host| host.as_bytes());
    app.check_host(host)
        .map_err(|unknown| refusal(StatusCode::MISDIRECTED_REQUEST, unknown.to_string()))
}

fn refusal(status: StatusCode, message: impl Into<Cow<'static, str>>) -> ApiError {
    ApiError {
        refusal: Some(PublishRefusal::ForeignPage),
        ..ApiError::new(status, message)
    }
}
