//! From an HTTP request to a connection.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_codec::Framed;
use actix_http::header::{self, HeaderMap, HeaderValue};
use actix_http::ws::{hash_key, verify_handshake};
use actix_http::{Request, RequestHead, StatusCode, h1};
use bytes::Bytes;
use service::net::deadline::Deadline;
use service::net::entry::Entry;
use tokio::io::AsyncWriteExt as _;

use super::extensions::{self, Deflate, Malformed};
use super::opening::{Admitted, Opener, WebSocketSettings};
use super::refusal;
use super::returning::Returning;
use crate::admission::{self, Asker, ComesBack};
use crate::auth::request::Query;
use crate::hub::{AppHub, Shard};
use crate::metrics::ConnectionRefusal;
use crate::net::upgrades;
use crate::protocol::{CloseCode, path};
use crate::relay::Relay;
use crate::resume::Tokens;
use crate::resume::token::{self, Named};
use crate::session::{CloseReason, SignOfLife};
use crate::tls::Socket;

/// The versions of the Pusher protocol that are served, as subprotocols of the WebSocket. They mean
/// nothing but that: which version a client speaks is in its query.
const SUBPROTOCOLS: [&str; 4] = [
    "pusher-channels-protocol-4",
    "pusher-channels-protocol-5",
    "pusher-channels-protocol-6",
    "pusher-channels-protocol-7",
];

/// Makes connections of upgrade requests, on one worker thread.
#[derive(Clone)]
pub struct Upgrader(Rc<Opener>);

/// What is answered instead of a connection.
enum Refused {
    /// A plain HTTP answer.
    Http(StatusCode, &'static str),
    /// A WebSocket that says why.
    WebSocket(Bytes, CloseReason),
}

impl Upgrader {
    /// For the calling worker thread, whose connections live on the shard.
    pub fn new(
        relay: Arc<Relay>,
        shard: Shard,
        tokens: Arc<Tokens>,
        settings: WebSocketSettings,
    ) -> Self {
        Self(Rc::new(Opener {
            relay,
            shard,
            tokens,
            settings,
        }))
    }

    /// Takes over the socket of an upgrade request. Every request with `Upgrade: websocket`
    /// comes here, whatever its path.
    pub fn upgrade(&self, mut request: Request, framed: Framed<Deadline<Socket>, h1::Codec>) {
        let (named, _) = token::split(request.path(), &self.0.settings.path_prefix);
        let page = match named {
            Named::Token(token) => Some(Box::from(token)),
            Named::No | Named::Malformed => None,
        };
        upgrades::join(request.headers_mut());
        let admitted = self.admit(request.head());
        // The request pins the buffer that it was read into, and the connection may last.
        drop(request);
        let parts = framed.into_parts();
        let ((stream, entry), received) = (parts.io.into_parts(), parts.read_buf);
        let timeout = self.0.settings.timeouts.close;
        match admitted {
            Ok(admitted) => match page {
                Some(token) if admitted.app.app().app.record().resume.is_on() => {
                    let returning = Returning::new(admitted, stream, &received, &self.0);
                    returning.connect(token, &self.0);
                }
                _ => self.0.connect(admitted, stream, &received),
            },
            Err(Refused::Http(status, text)) => {
                actix_rt::spawn(close(entry, answer(stream, status, text, timeout)));
            }
            Err(Refused::WebSocket(accepted, reason)) => {
                let refusal = refusal::refuse(stream, accepted, reason, timeout);
                actix_rt::spawn(close(entry, refusal));
            }
        }
    }

    fn admit(&self, head: &RequestHead) -> Result<Admitted, Refused> {
        let http = |(status, text)| Refused::Http(status, text);
        admission::check_node(&self.0.relay, self.0.settings.served).map_err(http)?;
        verify_handshake(head).map_err(|error| {
            let process = self.0.relay.hub.metrics().process();
            let refused = &process.connections_refused;
            refused.with(ConnectionRefusal::BadHandshake).inc();
            Refused::Http(StatusCode::BAD_REQUEST, handshake_hint(error))
        })?;
        let deflate = self.compression(head.headers()).map_err(|error| {
            let process = self.0.relay.hub.metrics().process();
            let refused = &process.connections_refused;
            refused.with(ConnectionRefusal::BadHandshake).inc();
            Refused::Http(StatusCode::BAD_REQUEST, error.0)
        })?;
        let accepted = accept(head.headers(), deflate);
        let query = Query::parse(head.uri.query().unwrap_or_default());
        let (named, path) = token::split(head.uri.path(), &self.0.settings.path_prefix);
        if let Named::Malformed = named {
            let process = self.0.relay.hub.metrics().process();
            let refused = &process.connections_refused;
            refused.with(ConnectionRefusal::UnknownPath).inc();
            return Err(Refused::WebSocket(
                accepted,
                CloseReason::new(CloseCode::PathNotFound, token::EXPECTED),
            ));
        }
        let app_key = self.app_key(path);
        let comes_back = |app: &AppHub| match named {
            Named::Token(token) if app.app.record().resume.is_on() => {
                self.0.tokens.comes_back(app, token)
            }
            Named::Token(_) | Named::No | Named::Malformed => ComesBack::No,
        };
        let client = self.0.relay.clients.address(head.peer_addr, head.headers());
        let asker = Asker {
            address: client,
            headers: head.headers(),
        };
        match admission::admit(&self.0.relay, app_key, &query, asker, comes_back) {
            Ok(admitted) => Ok(Admitted {
                client,
                sign_of_life: SignOfLife::of_client(query.get("client"), admitted.protocol),
                permit: admitted.permit,
                app: admitted.app,
                accepted,
                window: deflate.map(Deflate::window),
            }),
            Err(reason) => Err(Refused::WebSocket(accepted, reason)),
        }
    }

    /// What is agreed on with a client that offers compression.
    fn compression(&self, headers: &HeaderMap) -> Result<Option<Deflate>, Malformed> {
        if !self.0.settings.compresses {
            return Ok(None);
        }
        let offers = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS);
        extensions::negotiate(offers.map(HeaderValue::as_bytes))
    }

    /// The key in `/app/{key}`, with or without the path prefix.
    fn app_key<'p>(&self, path: &'p str) -> Option<&'p str> {
        path::bare(path, &self.0.settings.path_prefix)
            .strip_prefix("/app/")
            .filter(|key| !key.is_empty() && !key.contains('/'))
    }
}

/// Gives the last answer, unless others need the room: until it has been given, the connection
/// counts among those of HTTP.
async fn close(entry: Entry, last_answer: impl Future<Output = ()>) {
    entry.close();
    tokio::select! {
        () = last_answer => {}
        () = entry.evicted() => {}
    }
}

/// The first of the subprotocols offered that is served. Some clients give up unless theirs is
/// chosen.
fn subprotocol(headers: &HeaderMap) -> Option<&'static str> {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|offered| {
            let offered = offered.trim_matches([' ', '\t']);
            SUBPROTOCOLS.into_iter().find(|served| *served == offered)
        })
}

/// The answer that makes a WebSocket of the connection.
fn accept(headers: &HeaderMap, deflate: Option<Deflate>) -> Bytes {
    let key = headers.get(header::SEC_WEBSOCKET_KEY);
    let key = key.map(|key| key.as_bytes()).unwrap_or_default();
    let mut answer = Vec::with_capacity(352);
    answer.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\n\
          Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ",
    );
    answer.extend_from_slice(&hash_key(key));
    if let Some(chosen) = subprotocol(headers) {
        answer.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
        answer.extend_from_slice(chosen.as_bytes());
    }
    if let Some(deflate) = deflate {
        answer.extend_from_slice(b"\r\nSec-WebSocket-Extensions: ");
        answer.extend_from_slice(deflate.answer().as_bytes());
    }
    answer.extend_from_slice(b"\r\n\r\n");
    Bytes::from(answer)
}

fn handshake_hint(error: actix_http::ws::HandshakeError) -> &'static str {
    use actix_http::ws::HandshakeError as Error;
    match error {
        Error::GetMethodRequired => "a WebSocket is opened with GET",
        Error::NoWebsocketUpgrade => "the header Upgrade must be websocket",
        Error::NoConnectionUpgrade => {
            "the header Connection must hold Upgrade: is there a proxy that drops it?"
        }
        Error::NoVersionHeader | Error::UnsupportedVersion => {
            "the header Sec-WebSocket-Version must be 13"
        }
        Error::BadWebsocketKey => "the header Sec-WebSocket-Key must be 16 bytes in Base64",
    }
}

/// A plain HTTP answer, after which the connection ends.
async fn answer(mut stream: Socket, status: StatusCode, text: &'static str, timeout: Duration) {
    let retry = match status {
        StatusCode::SERVICE_UNAVAILABLE => "Retry-After: 1\r\n",
        _ => "",
    };
    let answer = format!(
        "HTTP/1.1 {} {}\r\nContent-Type: text/plain; charset=utf-8\r\nSec-WebSocket-Version: 13\r\n\
         {retry}Content-Length: {}\r\nConnection: close\r\n\r\n{text}\n",
        status.as_u16(),
        status.canonical_reason().unwrap_or_default(),
        text.len() + 1,
    );
    let exchange = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await
    };
    // A client that goes away or does not listen is of no interest any more.
    let _ = tokio::time::timeout(timeout, exchange).await;
}
