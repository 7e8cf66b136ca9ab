//! From the one form of a head to the other.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::SystemTime;

use actix_http::body::BodySize;
use actix_http::error::PayloadError;
use actix_http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use actix_http::{
    BoxedPayloadStream, HttpMessage as _, Method, Payload, Request, ResponseHead, StatusCode, Uri,
    Version,
};
use bytes::Bytes;
use futures_core::Stream;
use h2::RecvStream;
use http::header as http2;
use http::request::Parts;
use service::net::request_mark::RequestMark;

use super::host;
use super::rest::Rest;

/// As the API takes it. What the API does not read of its body is left in `rest`.
///
/// # Errors
/// A sentence, if it is not of the form that a request must have.
pub(super) fn request(
    request: http::Request<RecvStream>,
    rest: &Rest,
    mark: RequestMark,
    peer: Option<SocketAddr>,
) -> Result<Request, &'static str> {
    let (parts, body) = request.into_parts();
    host::check(&parts)?;
    converted(parts, body, rest, mark, peer)
        .ok_or("the request has no path, or one that HTTP does not allow")
}

fn converted(
    parts: Parts,
    body: RecvStream,
    rest: &Rest,
    mark: RequestMark,
    peer: Option<SocketAddr>,
) -> Option<Request> {
    let uri: Uri = parts.uri.path_and_query()?.as_str().parse().ok()?;
    let method = Method::from_bytes(parts.method.as_str().as_bytes()).ok()?;
    let payload = if body.is_end_stream() {
        Payload::None
    } else {
        let payload: BoxedPayloadStream = Box::pin(Body {
            stream: Some(body),
            rest: rest.clone(),
        });
        Payload::Stream { payload }
    };
    let mut request = Request::with_payload(payload);
    request.extensions_mut().insert(mark);
    let head = request.head_mut();
    head.uri = uri;
    head.method = method;
    head.version = Version::HTTP_2;
    head.peer_addr = peer;
    for (name, value) in &parts.headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        let value = HeaderValue::from_bytes(value.as_bytes()).ok()?;
        head.headers.append(name, value);
    }
    // Which host is meant is looked at where HTTP/1.1 says it.
    if let Some(authority) = parts.uri.authority() {
        let host = HeaderValue::from_str(authority.as_str()).ok()?;
        head.headers.insert(HOST, host);
    }
    Some(request)
}

/// As HTTP/2 has it.
pub(super) fn response(head: &ResponseHead, size: BodySize) -> http::Response<()> {
    let mut response = http::Response::new(());
    // Whatever is a status there is one here.
    *response.status_mut() = http::StatusCode::from_u16(head.status.as_u16())
        .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    for (name, value) in head.headers.iter() {
        let (Ok(name), Ok(value)) = (
            http2::HeaderName::from_bytes(name.as_str().as_bytes()),
            http2::HeaderValue::from_bytes(value.as_bytes()),
        ) else {
            continue;
        };
        // They are of a connection, not of a request (RFC 9113 §8.2.2).
        let is_connections = name == http2::CONNECTION
            || name == http2::TRANSFER_ENCODING
            || name == http2::UPGRADE
            || name == "keep-alive";
        if !is_connections && name != http2::CONTENT_LENGTH {
            headers.append(name, value);
        }
    }
    if let BodySize::Sized(length) = size
        && response.status() != http::StatusCode::NO_CONTENT
    {
        response
            .headers_mut()
            .insert(http2::CONTENT_LENGTH, length.into());
    }
    let date = httpdate::fmt_http_date(SystemTime::now());
    if let Ok(mut date) = http2::HeaderValue::from_str(&date) {
        // It is another one each second: the connection's table would hold nothing else.
        date.set_sensitive(true);
        response.headers_mut().insert(http2::DATE, date);
    }
    response
}

/// An answer of JSON in the form of the API's.
pub(super) fn refusal(status: StatusCode, text: &str) -> (http::Response<()>, Bytes) {
    let code = status.as_u16();
    let body = serde_json::json!({ "error": text, "status": code }).to_string();
    let mut head = ResponseHead::new(status);
    let json = HeaderValue::from_static("application/json");
    head.headers_mut().insert(CONTENT_TYPE, json);
    let size = BodySize::Sized(body.len() as u64);
    (response(&head, size), body.into())
}

/// A body as it comes. The client may send more of it when it was read.
struct Body {
    stream: Option<RecvStream>,
    rest: Rest,
}

impl Stream for Body {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(body) = &mut this.stream else {
            return Poll::Ready(None);
        };
        this.rest.want();
        let chunk = match ready!(body.poll_data(cx)) {
            None => return Poll::Ready(None),
            Some(Ok(chunk)) => body
                .flow_control()
                .release_capacity(chunk.len())
                .map(|()| chunk),
            Some(Err(error)) => Err(error),
        };
        let chunk = chunk.map_err(|error| PayloadError::Io(std::io::Error::other(error)));
        Poll::Ready(Some(chunk))
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if let Some(body) = self.stream.take() {
            self.rest.leave(body);
        }
    }
}
