//! The WebSocket to the live stream: a handshake, then text messages. It speaks with the codec
//! that the relay itself uses, turned to the client's side.

use std::io;
use std::time::Duration;

use actix_codec::{Framed, FramedParts};
use actix_http::ws::{Codec, Frame, Message, ProtocolError, hash_key};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::{Buf, Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::address::{Address, Place};
use crate::terminal::safe;

/// How long connecting and the handshake may take together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Silence after which the relay counts as gone: it pings every 20 seconds.
const SILENT_FOR: Duration = Duration::from_secs(60);

/// How long the relay may take to receive a pong.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an answer's head, and of the body of a refusal.
const MAX_ANSWER: usize = 16 * 1024;

/// Bytes of a message; the relay cuts what it shows well below.
const MAX_MESSAGE: usize = 256 * 1024;

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No connection, or it broke during the handshake.
    #[error("cannot connect: {0}")]
    Io(#[from] io::Error),
    /// The handshake took too long.
    #[error("no answer within {} seconds", CONNECT_TIMEOUT.as_secs())]
    Timeout,
    /// Whoever answers is no live stream.
    #[error("the answer is not that of a relay: {0}")]
    NotAStream(String),
    /// The relay refused, with this HTTP status and these words.
    #[error("{reason} ({status})")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Why.
        reason: String,
    },
}

impl ConnectError {
    /// Whether trying again later can help.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Io(_) | Self::Timeout => true,
            Self::NotAStream(_) => false,
            Self::Refused { status, .. } => *status >= 500,
        }
    }
}

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("the relay closed the stream: {0}")]
    Closed(String),
    #[error("the connection ended")]
    Disconnected,
    #[error("the connection broke: {0}")]
    Broken(#[from] ProtocolError),
    #[error("nothing was received for {} seconds", SILENT_FOR.as_secs())]
    Silent,
    #[error("the relay sent something other than text")]
    NotText,
}

/// What carries a stream.
trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// A live stream, connected.
pub(super) struct StreamClient {
    framed: Framed<Box<dyn Socket>, Codec>,
}

impl StreamClient {
    /// Connects; `query` holds the filters, percent-encoded, and `token` what opens the listener, if anything does.
    pub(super) async fn connect(
        address: &Address,
        query: &str,
        token: Option<&str>,
    ) -> Result<Self, ConnectError> {
        let handshake = handshake(address, query, token);
        let opened = timeout(CONNECT_TIMEOUT, handshake).await;
        let (socket, read_ahead) = opened.map_err(|_| ConnectError::Timeout)??;
        let codec = Codec::new().client_mode().max_size(MAX_MESSAGE);
        let parts = FramedParts::with_read_buf(socket, codec, read_ahead);
        Ok(Self {
            framed: Framed::from_parts(parts),
        })
    }

    /// The next message; answers pings meanwhile.
    pub(super) async fn next(&mut self) -> Result<String, Ended> {
        loop {
            let frame = timeout(SILENT_FOR, self.framed.next()).await;
            let frame = frame.map_err(|_| Ended::Silent)?;
            match frame.ok_or(Ended::Disconnected)?? {
                Frame::Text(text) => {
                    return String::from_utf8(text.into()).map_err(|_| Ended::NotText);
                }
                Frame::Ping(payload) => self.send(Message::Pong(payload)).await?,
                Frame::Pong(_) => {}
                Frame::Close(reason) => {
                    let text = reason.and_then(|reason| reason.description);
                    let text = text.unwrap_or_else(|| "no reason given".to_owned());
                    return Err(Ended::Closed(text));
                }
                Frame::Binary(_) | Frame::Continuation(_) => return Err(Ended::NotText),
            }
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), Ended> {
        let sent = timeout(SEND_TIMEOUT, self.framed.send(message)).await;
        sent.map_err(|_| Ended::Silent)?.map_err(Ended::Broken)
    }
}

/// Opens the WebSocket. Returns what was received beyond the handshake, too.
async fn handshake(
    address: &Address,
    query: &str,
    token: Option<&str>,
) -> Result<(Box<dyn Socket>, BytesMut), ConnectError> {
    let mut socket: Box<dyn Socket> = match &address.place {
        Place::Tcp { host, port } => Box::new(TcpStream::connect((host.as_str(), *port)).await?),
        Place::Unix(path) => Box::new(UnixStream::connect(path).await?),
    };
    let authorization = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
    let key = BASE64_STANDARD.encode(rand::random::<[u8; 16]>());
    let request = format!(
        "GET {prefix}/stream?{query} HTTP/1.1\r\n\
         Host: {host}\r\n\
         Connection: Upgrade\r\n\
         Upgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: {key}\r\n\
         {authorization}\r\n",
        prefix = address.prefix,
        host = address.authority(),
        authorization = authorization.unwrap_or_default(),
    );
    socket.write_all(request.as_bytes()).await?;

    let mut received = BytesMut::new();
    let answer = loop {
        if let Some(answer) = Answer::parse(&received)? {
            break answer;
        }
        read_more(&mut socket, &mut received).await?;
    };
    received.advance(answer.head_length);
    if answer.status == 101 {
        if answer.accept.as_deref() != Some(&hash_key(key.as_bytes())) {
            return Err(not_a_stream("Sec-WebSocket-Accept does not match"));
        }
        return Ok((socket, received));
    }
    while received.len() < answer.body_length.min(MAX_ANSWER) {
        read_more(&mut socket, &mut received).await?;
    }
    Err(ConnectError::Refused {
        status: answer.status,
        reason: answer.reason(&received),
    })
}

async fn read_more(
    socket: &mut Box<dyn Socket>,
    received: &mut BytesMut,
) -> Result<(), ConnectError> {
    if received.len() >= 2 * MAX_ANSWER {
        return Err(not_a_stream("it has no end"));
    }
    match socket.read_buf(received).await? {
        0 => Err(not_a_stream("it breaks off")),
        _ => Ok(()),
    }
}

fn not_a_stream(what: impl ToString) -> ConnectError {
    ConnectError::NotAStream(what.to_string())
}

/// What matters of the head of an HTTP response.
struct Answer {
    status: u16,
    accept: Option<Bytes>,
    head_length: usize,
    body_length: usize,
}

impl Answer {
    /// `None` while the head is incomplete.
    fn parse(received: &[u8]) -> Result<Option<Self>, ConnectError> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        let head_length = match response.parse(received).map_err(not_a_stream)? {
            httparse::Status::Partial => return Ok(None),
            httparse::Status::Complete(length) => length,
        };
        let value_of = |name: &str| {
            let mut headers = response.headers.iter();
            let header = headers.find(|header| header.name.eq_ignore_ascii_case(name));
            header.map(|header| header.value)
        };
        let length = value_of("Content-Length").and_then(|value| str::from_utf8(value).ok());
        Ok(Some(Self {
            status: response.code.unwrap_or_default(),
            accept: value_of("Sec-WebSocket-Accept").map(Bytes::copy_from_slice),
            head_length,
            body_length: length.and_then(|text| text.parse().ok()).unwrap_or(0),
        }))
    }

    /// The words of a refusal: the `error` of a JSON body, else the body.
    fn reason(&self, body: &[u8]) -> String {
        let body = String::from_utf8_lossy(body);
        let json: Option<serde_json::Value> = serde_json::from_str(&body).ok();
        let error = json.as_ref().and_then(|json| json["error"].as_str());
        match error.unwrap_or(body.trim()) {
            "" => format!("HTTP status {}", self.status),
            words => safe(words, 300),
        }
    }
}
