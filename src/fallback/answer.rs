//! What requests are answered. Pages of any origin may read all of it: whether a page may connect is
//! decided where a session is opened, as for a WebSocket, and a page that may not is to read why.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_http::header::{self, HeaderName, HeaderValue};
use actix_http::{ConnectionType, StatusCode, Version};
use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use service::net::request_mark::Held;

use super::pipe::Reader;

/// Its lines are not events of that kind. But it is what proxies neither compress nor collect.
const STREAM: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const NOT_STORED: HeaderValue = HeaderValue::from_static("no-store, no-transform");
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// An answer that does not end before its connection does, or the client asks for the next one. `version`
/// is that of the request.
pub(super) fn stream(reader: Reader, held: Option<Held>, version: Version) -> HttpResponse {
    let body = Streamed {
        reader,
        _held: held,
    };
    let mut response = with_headers(HttpResponse::with_body(StatusCode::OK, body), STREAM);
    let no = HeaderValue::from_static("no");
    response.headers_mut().insert(UNBUFFERED, no);
    if version < Version::HTTP_11 {
        // Whoever speaks it knows no chunks (RFC 9112 §6.1): what ends the answer is the connection's end.
        let head = response.head_mut();
        head.no_chunking(true);
        head.set_connection_type(ConnectionType::Close);
    }
    response.map_into_boxed_body()
}

/// The answer to a poll. The reader ends with it, which shows that it was written.
pub(super) fn polled(chunk: Bytes, reader: Reader, held: Option<Held>) -> HttpResponse {
    let body = Polled {
        chunk,
        _reader: reader,
        _held: held,
    };
    with_headers(HttpResponse::with_body(StatusCode::OK, body), TEXT).map_into_boxed_body()
}

/// A request that is not done.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    text: Bytes,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, text: impl Into<Bytes>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }

    pub(super) fn into_response(self) -> HttpResponse {
        whole(self.status, self.text)
    }
}

/// A whole answer.
pub(super) fn whole(status: StatusCode, text: impl Into<Bytes>) -> HttpResponse {
    let body = HttpResponse::with_body(status, text.into());
    with_headers(body, TEXT).map_into_boxed_body()
}

/// What was sent was taken.
pub(super) fn taken() -> HttpResponse {
    let mut response = HttpResponse::NoContent().finish();
    allow_pages(&mut response);
    response
}

/// A browser asks whether a page may make the request at all.
pub(super) fn preflight() -> HttpResponse {
    let mut response = HttpResponse::NoContent().finish();
    allow_pages(&mut response);
    let headers = response.headers_mut();
    for (name, value) in [
        (header::ALLOW, "POST, OPTIONS"),
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST"),
        (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
        (header::ACCESS_CONTROL_MAX_AGE, "86400"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The path is served with POST only.
pub(super) fn method_not_allowed() -> HttpResponse {
    let mut response = whole(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path is served with POST, OPTIONS\n",
    );
    let allow = HeaderValue::from_static("POST, OPTIONS");
    response.headers_mut().insert(header::ALLOW, allow);
    response
}

fn with_headers<B>(mut response: HttpResponse<B>, content_type: HeaderValue) -> HttpResponse<B> {
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, NOT_STORED);
    let no_sniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, no_sniff);
    allow_pages(&mut response);
    response
}

fn allow_pages<B>(response: &mut HttpResponse<B>) {
    let any = HeaderValue::from_static("*");
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
}

struct Streamed {
    reader: Reader,
    _held: Option<Held>,
}

impl MessageBody for Streamed {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Poll::Ready(ready!(self.reader.poll_next(cx)).map(Ok))
    }
}

struct Polled {
    chunk: Bytes,
    _reader: Reader,
    _held: Option<Held>,
}

impl MessageBody for Polled {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.chunk.len() as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        match std::mem::take(&mut self.chunk) {
            chunk if chunk.is_empty() => Poll::Ready(None),
            chunk => Poll::Ready(Some(Ok(chunk))),
        }
    }
}
