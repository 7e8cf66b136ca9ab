//! What clients send: bodies of JSON arrays of messages, each a string.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::web;
use bytes::BytesMut;
use futures_core::Stream as _;
use service::net::marked_body::MarkedBody;
use service::net::request_mark::RequestMark;
use tokio::sync::oneshot;

use crate::net::budget::{Budget, Share};
use crate::protocol::CloseCode;
use crate::session::CloseReason;

/// Messages that came in one request.
#[derive(Debug)]
pub(super) struct Sent {
    /// In order; or why the connection ends instead.
    pub(super) messages: Result<Vec<String>, CloseReason>,
    /// Notified when all of them were handled.
    pub(super) handled: oneshot::Sender<()>,
    /// What they take up.
    pub(super) share: Share,
}

/// What is wrong with a body.
#[derive(Debug)]
pub(super) enum BodyError {
    /// It is more than a client may send.
    TooLarge,
    /// There is no room for it now.
    NoRoom,
    /// It holds no messages.
    Malformed(&'static str),
}

/// Bytes of a body with a message of so many. Every quote in a message may be escaped, and a careful
/// client escapes every character.
pub(super) fn largest_body(message_bytes: usize) -> usize {
    message_bytes.saturating_mul(6).saturating_add(1024)
}

/// Reads a body of at most so many bytes, which count from when they come until the share is dropped:
/// strangers may announce as much as they like.
pub(super) async fn read(
    payload: web::Payload,
    declared: Option<usize>,
    mark: Option<RequestMark>,
    limit: usize,
    budget: &Arc<Budget>,
) -> Result<(BytesMut, Share), BodyError> {
    if declared.is_some_and(|length| length > limit) {
        return Err(BodyError::TooLarge);
    }
    let mut share = Share::of(budget);
    let mut payload = MarkedBody::new(payload, declared, mark);
    let mut body = BytesMut::new();
    while let Some(chunk) = poll_fn(|cx| Pin::new(&mut payload).poll_next(cx)).await {
        let chunk = chunk.map_err(|_| BodyError::Malformed("the body did not arrive whole"))?;
        if body.len() + chunk.len() > limit {
            return Err(BodyError::TooLarge);
        }
        hold(&mut share, body.len() + chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    Ok((body, share))
}

/// Bytes of a body for which there is room when there is none for larger ones. A subscription or a ping is
/// smaller.
const SMALL: usize = 1 << 10;

/// Takes room for so many bytes, if there is any. Whoever fills it with large bodies leaves half of it to
/// small ones.
pub(super) fn hold(share: &mut Share, bytes: usize) -> Result<(), BodyError> {
    let held = if bytes <= SMALL {
        share.grow_to(bytes)
    } else {
        share.grow_within_half_to(bytes)
    };
    held.map_err(|_full| BodyError::NoRoom)
}

/// Bytes that messages take up.
pub(super) fn cost(messages: &[String]) -> usize {
    let text: usize = messages.iter().map(String::len).sum();
    text + size_of_val(messages)
}

/// The messages of a body, of at most so many bytes each.
pub(super) fn messages(body: &[u8], most: usize) -> Result<Vec<String>, BodyError> {
    let messages: Vec<String> = serde_json::from_slice(body).map_err(|_| {
        BodyError::Malformed("the body must be a JSON array of strings, each of them a message")
    })?;
    if messages.iter().any(|message| message.len() > most) {
        Err(BodyError::TooLarge)
    } else {
        Ok(messages)
    }
}

/// Why a connection ends whose client sends too much at a time.
pub(super) fn too_large(message_bytes: usize) -> CloseReason {
    CloseReason::new(
        CloseCode::TooLarge,
        format!("a message may have at most {message_bytes} bytes (message_bytes)"),
    )
}

/// Why a connection ends whose client has sent what there is no room for.
pub(super) fn no_room() -> CloseReason {
    CloseReason::new(
        CloseCode::OverCapacity,
        "too many bodies are on their way (server.http_backlog_bytes): try again later",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_strings_in_an_array() {
        let read = |body: &str| messages(body.as_bytes(), 10).ok();
        assert_eq!(read("[]"), Some(vec![]));
        assert_eq!(read(r#"["{\"a\":1}","x"]"#).unwrap(), [r#"{"a":1}"#, "x"]);
        for body in ["", "{}", "[1]", r#""x""#, r#"["x""#, "[\"\u{0}\"]"] {
            assert_eq!(read(body), None, "{body}");
        }
        let large = messages(br#"["x","12345678901"]"#, 10);
        assert!(matches!(large, Err(BodyError::TooLarge)));
    }
}
