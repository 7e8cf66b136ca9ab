//! The body of a request.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use futures_core::Stream as _;
use service::net::marked_body::MarkedBody;
use service::net::request_mark::RequestMark;

use super::error::ApiError;
use crate::net::budget::{Budget, Share};

/// A body that may not have arrived. How long that may take is watched by the connection.
pub(super) struct Body {
    payload: MarkedBody<web::Payload>,
    /// What Content-Length says.
    declared: Option<u64>,
    ended: bool,
    share: Share,
}

impl Body {
    pub(super) fn new(
        request: &HttpRequest,
        payload: web::Payload,
        mark: Option<RequestMark>,
        budget: &Arc<Budget>,
    ) -> Self {
        let declared = request
            .headers()
            .get(header::CONTENT_LENGTH)
            .and_then(|length| length.to_str().ok())
            .and_then(|length| length.parse().ok());
        let length = declared.and_then(|length| usize::try_from(length).ok());
        Self {
            payload: MarkedBody::new(payload, length, mark),
            declared,
            ended: false,
            share: Share::of(budget),
        }
    }

    /// Whether it is known to have any bytes.
    pub(super) fn is_announced(&self) -> bool {
        self.declared.is_some_and(|declared| declared > 0)
    }

    /// Fails if it is known to have more than so many bytes.
    pub(super) fn check_announced(&self, limit: usize) -> Result<(), ApiError> {
        match self.declared {
            Some(declared) if declared > limit as u64 => Err(too_large(limit)),
            _ => Ok(()),
        }
    }

    /// The whole body, if it has at most so many bytes. What is declared to have more is not
    /// waited for.
    pub(super) async fn read(&mut self, limit: usize) -> Result<Bytes, ApiError> {
        self.check_announced(limit)?;
        let Some(first) = self.next().await? else {
            return Ok(Bytes::new());
        };
        if self.declared == Some(first.len() as u64) {
            // The usual case: all of it came at once, and nothing is copied.
            return Ok(first);
        }
        let declared = self
            .declared
            .and_then(|length| usize::try_from(length).ok());
        self.hold(declared.unwrap_or(first.len()))?;
        let mut body = BytesMut::from(&first[..]);
        while let Some(chunk) = self.next().await? {
            if body.len() + chunk.len() > limit {
                return Err(too_large(limit));
            }
            self.hold(body.len() + chunk.len())?;
            body.extend_from_slice(&chunk);
        }
        if body.len() > limit {
            return Err(too_large(limit));
        }
        Ok(body.freeze())
    }

    /// Takes room for so many bytes, until the request is answered.
    fn hold(&mut self, bytes: usize) -> Result<(), ApiError> {
        self.share.grow_to(bytes).map_err(|_| {
            ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many bodies are on their way (server.http_backlog_bytes): nothing was \
                 published, try again later",
            )
        })
    }

    /// Reads what is left, for whoever wants to see what was refused. None, if it is more than so many bytes, or
    /// there is no room for it.
    pub(super) async fn read_refused(&mut self, most: usize) -> Option<Bytes> {
        if self.check_announced(most).is_err() || self.ended {
            return None;
        }
        self.read(most).await.ok().filter(|body| !body.is_empty())
    }

    /// Reads what nobody wants to know, so that a connection of HTTP/1.1 can go on to its next request;
    /// unless it is so much that closing the connection is cheaper.
    pub(super) async fn skip(&mut self) {
        const MOST: usize = 64 << 10;
        if self.declared.is_some_and(|declared| declared > MOST as u64) {
            return;
        }
        let mut skipped = 0;
        while skipped <= MOST {
            match self.next().await {
                Ok(Some(chunk)) => skipped += chunk.len(),
                Ok(None) | Err(_) => return,
            }
        }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        if self.ended {
            return Ok(None);
        }
        match poll_fn(|cx| Pin::new(&mut self.payload).poll_next(cx)).await {
            Some(Ok(chunk)) => Ok(Some(chunk)),
            None => {
                self.ended = true;
                Ok(None)
            }
            Some(Err(error)) => {
                self.ended = true;
                Err(ApiError::bad_request(format!(
                    "the body did not arrive whole: {error}"
                )))
            }
        }
    }
}

fn too_large(limit: usize) -> ApiError {
    ApiError::too_large(format!(
        "the body is too large: at most {limit} bytes are allowed (http_body_bytes)"
    ))
}
