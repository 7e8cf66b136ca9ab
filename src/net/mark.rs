//! What a request's handlers mark their progress on.

use actix_web::{HttpMessage as _, HttpRequest};
use service::net::request_mark::RequestMark;

/// That of the connection, or, where a connection carries several requests at a time, the request's own.
pub fn of(request: &HttpRequest) -> Option<RequestMark> {
    if let Some(mark) = request.conn_data::<RequestMark>() {
        return Some(mark.clone());
    }
    request.extensions().get::<RequestMark>().cloned()
}
