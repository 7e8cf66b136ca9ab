//! What arrives behind the head of a request: a body of JSON, bounded in size and in time, or a watcher's frames.

use std::time::Duration;

use actix_web::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use actix_web::{FromRequest as _, HttpRequest, dev, web};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use service::net::marked_body::MarkedBody;
use service::net::request_mark::{Handled, RequestMark};
use tokio::time::timeout;

use super::refusal::Refusal;
use crate::net::mark;

/// How long a body may take to arrive.
const ARRIVES_WITHIN: Duration = Duration::from_secs(10);

/// What arrives behind a head. While this is held, the connection knows that the request is handled, and reads no
/// further than that.
pub(super) struct Arriving {
    payload: web::Payload,
    handled: Option<Handled>,
}

impl Arriving {
    /// Behind this request's head.
    pub(super) fn new(request: &HttpRequest, payload: web::Payload) -> Self {
        let mark = mark::of(request);
        let handled = mark.as_ref().map(RequestMark::enter);
        let body = MarkedBody::new(payload, declared_length(request.headers()), mark);
        let mut body: dev::Payload = dev::Payload::Stream {
            payload: Box::pin(body),
        };
        let payload = web::Payload::from_request(request, &mut body).into_inner();
        Self {
            payload: payload.expect("a payload is always handed over as it is"),
            handled,
        }
    }

    /// All that arrives, as it is, and what is to be held until nobody looks at it any more.
    pub(super) fn into_parts(self) -> (web::Payload, Option<Handled>) {
        (self.payload, self.handled)
    }

    /// Reads a body of at most so many bytes.
    pub(super) async fn read(
        &mut self,
        headers: &HeaderMap,
        most: usize,
    ) -> Result<Bytes, Refusal> {
        let declared = declared_length(headers);
        if declared.is_some_and(|declared| declared > most) {
            return Err(Refusal::TooLarge(most));
        }
        // No form and no page's simple request has it: a browser asks first, and is refused then.
        let kind = headers
            .get(CONTENT_TYPE)
            .and_then(|kind| kind.to_str().ok());
        let kind = kind
            .and_then(|kind| kind.split(';').next())
            .unwrap_or_default();
        if !kind.trim().eq_ignore_ascii_case("application/json") {
            return Err(Refusal::NotJson);
        }
        timeout(ARRIVES_WITHIN, whole(&mut self.payload, most))
            .await
            .map_err(|_| Refusal::TooSlow(ARRIVES_WITHIN))?
    }
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn whole(payload: &mut web::Payload, most: usize) -> Result<Bytes, Refusal> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk
            .map_err(|error| Refusal::Invalid(format!("the body did not arrive whole: {error}")))?;
        if body.len() + chunk.len() > most {
            return Err(Refusal::TooLarge(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}
