//! A client's WebSocket, as far as the protocol needs it.

use std::io::{self, Write as _};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use actix_http::ws::hash_key;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::address::PublicUrl;
use super::http::{Answer, head_of, read_more};
use super::stream::{self, Stream};

/// How long an answer may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a message that are read.
const MOST_MESSAGE: u64 = 256 << 10;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;

/// A WebSocket that is open.
pub(super) struct WebSocket {
    stream: Stream,
    received: Vec<u8>,
    /// When something last went over it, either way.
    pub(super) last: Instant,
}

/// What came of asking for one.
pub(super) enum Opened {
    Yes(Box<WebSocket>),
    /// Another answer than 101, or one that does not fit the request.
    No(Answer),
}

/// Why nothing more comes.
#[derive(Debug)]
pub(super) enum Ended {
    /// The time was up; the connection is still there.
    TimedOut,
    /// Closed in good order, with this code and text.
    Closed(u16, String),
    /// It is gone.
    Cut(String),
    /// What was asked for is refused; in the relay's words.
    Refused(String),
}

impl std::fmt::Display for Ended {
    /// For people. It may be the words of others.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TimedOut => f.write_str("no answer in time"),
            Self::Closed(code, words) => write!(f, "closed with {code}: {words}"),
            Self::Cut(reason) | Self::Refused(reason) => f.write_str(reason),
        }
    }
}

/// Asks for a WebSocket with an app's key.
pub(super) fn open(
    url: &PublicUrl,
    address: IpAddr,
    key: &str,
    origin: Option<&str>,
) -> io::Result<Opened> {
    let mut stream = stream::open(url, address)?;
    let nonce = BASE64_STANDARD.encode(rand::random::<[u8; 16]>());
    let origin = origin.map(|origin| format!("Origin: {origin}\r\n"));
    let request = format!(
        "GET {}/app/{key}?protocol=7&client=doctor&version={} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {nonce}\r\n{}\r\n",
        url.prefix,
        env!("CARGO_PKG_VERSION"),
        url.authority(),
        origin.unwrap_or_default(),
    );
    let started = Instant::now();
    stream.write_all(request.as_bytes())?;
    stream.flush()?;
    let (mut answer, received) = head_of(&mut stream, started, started + PATIENCE)?;
    let accepted = answer.header("sec-websocket-accept").unwrap_or_default();
    let expected = hash_key(nonce.as_bytes());
    if answer.status != 101 || accepted.as_bytes() != expected {
        answer.body = String::from_utf8_lossy(&received).into_owned();
        return Ok(Opened::No(answer));
    }
    Ok(Opened::Yes(Box::new(WebSocket {
        stream,
        received,
        last: Instant::now(),
    })))
}

impl WebSocket {
    /// Sends an event of the protocol.
    pub(super) fn send(&mut self, name: &str, data: &Value) -> Result<(), Ended> {
        let message = json!({ "event": name, "data": data }).to_string();
        self.write(TEXT, message.as_bytes())
    }

    /// The next event of the protocol before the deadline. Pings of either kind are answered meanwhile.
    pub(super) fn next(&mut self, deadline: Instant) -> Result<Value, Ended> {
        loop {
            let Some((opcode, payload)) = self.frame()? else {
                self.read(deadline)?;
                continue;
            };
            self.last = Instant::now();
            match opcode {
                TEXT => {
                    let event: Value = serde_json::from_slice(&payload).unwrap_or_default();
                    if event["event"] == "pusher:ping" {
                        self.send("pusher:pong", &json!({}))?;
                        continue;
                    }
                    return Ok(event);
                }
                PING => self.write(10, &payload)?,
                CLOSE => {
                    let code = payload
                        .first_chunk()
                        .copied()
                        .map_or(1005, u16::from_be_bytes);
                    let text = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
                    return Err(Ended::Closed(code, text.into_owned()));
                }
                _ => {}
            }
        }
    }

    /// The next event of this name; others are passed over, but for errors.
    pub(super) fn expect(&mut self, name: &str) -> Result<Value, Ended> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let event = self.next(deadline)?;
            match event["event"].as_str() {
                Some(found) if found == name => return Ok(event),
                Some("pusher:error" | "pusher:subscription_error") => {
                    return Err(Ended::Refused(event["data"].to_string()));
                }
                _ => {}
            }
        }
    }

    fn read(&mut self, deadline: Instant) -> Result<(), Ended> {
        match read_more(&mut self.stream, &mut self.received, deadline) {
            Ok(0) => Err(Ended::Cut("the connection ended without a goodbye".into())),
            Ok(_) => Ok(()),
            Err(error) if stream::is_timeout(&error) => Err(Ended::TimedOut),
            Err(error) => Err(Ended::Cut(error.to_string())),
        }
    }

    /// A whole frame, if one has come.
    fn frame(&mut self) -> Result<Option<(u8, Vec<u8>)>, Ended> {
        let broken = || Ended::Cut("what came is no WebSocket".into());
        let bytes = &self.received;
        let (Some(first), Some(second)) = (bytes.first(), bytes.get(1)) else {
            return Ok(None);
        };
        if second & 0x80 != 0 {
            return Err(broken());
        }
        let (length, start) = match second & 0x7f {
            126 => match bytes.get(2..4).and_then(<[u8]>::first_chunk) {
                Some(length) => (u64::from(u16::from_be_bytes(*length)), 4),
                None => return Ok(None),
            },
            127 => match bytes.get(2..10).and_then(<[u8]>::first_chunk) {
                Some(length) => (u64::from_be_bytes(*length), 10),
                None => return Ok(None),
            },
            length => (u64::from(length), 2),
        };
        if length > MOST_MESSAGE {
            return Err(broken());
        }
        let opcode = first & 0x0f;
        let end = start + length as usize;
        let Some(payload) = bytes.get(start..end) else {
            return Ok(None);
        };
        let payload = payload.to_vec();
        self.received.drain(..end);
        Ok(Some((opcode, payload)))
    }

    /// Clients mask what they send.
    fn write(&mut self, opcode: u8, payload: &[u8]) -> Result<(), Ended> {
        let mask = rand::random::<[u8; 4]>();
        let mut frame = vec![0x80 | opcode];
        match u16::try_from(payload.len()) {
            Ok(length) if length < 126 => frame.push(0x80 | length as u8),
            Ok(length) => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&length.to_be_bytes());
            }
            Err(_) => return Err(Ended::Cut("a message that is too long".into())),
        }
        frame.extend_from_slice(&mask);
        let masked = payload.iter().zip(mask.iter().cycle());
        frame.extend(masked.map(|(byte, mask)| byte ^ mask));
        let written = self.stream.write_all(&frame);
        let written = written.and_then(|()| self.stream.flush());
        self.last = Instant::now();
        written.map_err(|error| Ended::Cut(error.to_string()))
    }
}
