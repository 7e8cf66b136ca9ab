//! Attacks on sessions: those of the HTTP fallback, and those that outlive their connections.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use anyhow::{Context, bail};

use super::attack::Attack;
use super::connection::{LOOK_EVERY, is_timeout, upgrade_behind};
use crate::compare::server::APP_KEY;
use crate::net::parse_response;
use crate::sys;

/// Bytes of a message, and of a body with one, at most (`limits.message_bytes`).
const MESSAGE_BYTES: usize = 65_536;
const BODY_BYTES: usize = 6 * MESSAGE_BYTES + 1024;
/// The token that all want to have.
const CONTESTED: &str = "hostile-contested-token";
/// Streams that each client has open at one time.
const STREAMS: usize = 50;
/// Longer than a client that has a session may take to show that it is there.
const TAKEN_WITHIN: Duration = Duration::from_secs(5);
/// An owner in so many does not go before the next one comes.
const STAYS: usize = 64;

/// One hostile client.
#[derive(Default)]
pub(super) struct Raider {
    /// A connection for requests.
    requests: Option<TcpStream>,
    /// The session that it has opened for itself, if it is there.
    own: Option<String>,
    streams: VecDeque<TcpStream>,
    /// The connection that has the contested session, and its socket id.
    owner: Option<(TcpStream, String)>,
}

impl Raider {
    /// One attempt, and how it ended. `number` counts those of all.
    pub(super) fn attempt(
        &mut self,
        attack: Attack,
        server: SocketAddrV4,
        number: usize,
        is_over: &dyn Fn() -> bool,
    ) -> anyhow::Result<String> {
        match attack {
            Attack::GuessedTokens => guess(server, number),
            Attack::ContestedToken => self.contest(server, number),
            Attack::HalfOpenSessions if number.is_multiple_of(2) => {
                self.open_stream(server, number)
            }
            Attack::HalfOpenSessions => self.open_session(server, number, is_over),
            Attack::SendsToNobody => self.send_to_nobody(server, number, is_over),
            _ => self.send_to_own(server, number, is_over),
        }
    }

    /// Takes the session from whoever has it, who may be itself.
    fn contest(&mut self, server: SocketAddrV4, number: usize) -> anyhow::Result<String> {
        let mut before = self.owner.take();
        let id_before = before.as_ref().map(|(_, id)| id.clone());
        if !number.is_multiple_of(STAYS)
            && let Some((stream, _)) = before.take()
        {
            vanish(stream);
        }
        let path = format!("/s/{CONTESTED}");
        let stream = TcpStream::connect(server)?;
        let (stream, id) = upgrade_behind(&path, TAKEN_WITHIN, stream)?;
        if let Some((stream, _)) = before {
            vanish(stream);
        }
        let is_same = id_before.is_none_or(|before| before == id);
        self.owner = Some((stream, id));
        Ok(if is_same { "taken" } else { "another session" }.into())
    }

    /// Opens a session that is carried by a stream, of which nothing more is read.
    fn open_stream(&mut self, server: SocketAddrV4, number: usize) -> anyhow::Result<String> {
        let mut stream = connect(server)?;
        let request = post(&invented(number), "xhr_streaming", b"");
        stream.write_all(&request)?;
        self.streams.push_back(stream);
        if self.streams.len() > STREAMS
            && let Some(oldest) = self.streams.pop_front()
        {
            vanish(oldest);
        }
        Ok("stream opened".into())
    }

    /// Opens a session by a poll, and asks for nothing more.
    fn open_session(
        &mut self,
        server: SocketAddrV4,
        number: usize,
        is_over: &dyn Fn() -> bool,
    ) -> anyhow::Result<String> {
        let request = post(&invented(number), "xhr", b"");
        self.exchange(server, &request, is_over)
            .map(|status| format!("poll: {status}"))
    }

    fn send_to_nobody(
        &mut self,
        server: SocketAddrV4,
        number: usize,
        is_over: &dyn Fn() -> bool,
    ) -> anyhow::Result<String> {
        let request = post(&invented(number), "xhr_send", &largest_body());
        self.exchange(server, &request, is_over)
    }

    fn send_to_own(
        &mut self,
        server: SocketAddrV4,
        number: usize,
        is_over: &dyn Fn() -> bool,
    ) -> anyhow::Result<String> {
        let session = match &self.own {
            Some(own) => own.clone(),
            None => {
                let own = invented(number);
                self.exchange(server, &post(&own, "xhr", b""), is_over)?;
                self.own.insert(own).clone()
            }
        };
        let status = self.exchange(
            server,
            &post(&session, "xhr_send", &largest_body()),
            is_over,
        );
        let is_there = matches!(&status, Ok(status) if status != "status 404");
        self.own = self.own.take().filter(|_| is_there);
        status
    }

    /// The status of a request's answer, on the connection that there is if there is one.
    fn exchange(
        &mut self,
        server: SocketAddrV4,
        request: &[u8],
        is_over: &dyn Fn() -> bool,
    ) -> anyhow::Result<String> {
        let mut stream = match self.requests.take() {
            Some(stream) => stream,
            None => connect(server)?,
        };
        // An answer may come, and the connection end, before all of it is sent.
        let is_sent = send(&mut stream, request, is_over).is_ok();
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let size = match stream.read(&mut buffer) {
                Ok(size) => size,
                Err(error) if is_timeout(&error) && !is_over() => continue,
                Err(error) if is_timeout(&error) => return Ok("open to the end".into()),
                Err(error) => bail!("{}", error.kind()),
            };
            received.extend_from_slice(&buffer[..size]);
            let answer = parse_response(&received, size == 0).map_err(anyhow::Error::msg)?;
            if let Some(answer) = answer {
                if !answer.closes && is_sent {
                    self.requests = Some(stream);
                }
                return Ok(format!("status {}", answer.status));
            }
            if size == 0 {
                bail!("end of stream");
            }
        }
    }
}

/// A session of a token that nobody has, which is left without a goodbye and so waits for its client.
fn guess(server: SocketAddrV4, number: usize) -> anyhow::Result<String> {
    let path = format!("/s/hostile-{:032x}", scattered(number));
    let stream = TcpStream::connect(server)?;
    let (stream, _) = upgrade_behind(&path, TAKEN_WITHIN, stream)?;
    vanish(stream);
    Ok("opened".into())
}

fn scattered(number: usize) -> u64 {
    (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// A session that nobody has opened.
fn invented(number: usize) -> String {
    format!("{:03}/{:016x}", number % 1000, scattered(number))
}

fn post(session: &str, purpose: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /pusher/app/{APP_KEY}/{session}/{purpose}?protocol=7 HTTP/1.1\r\nHost: a\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// One message of the largest size, every character of which is escaped.
fn largest_body() -> Vec<u8> {
    let start = r#"{"event":"pusher:ping","data":{},"more":""#;
    let message = format!("{start}{}\"}}", "x".repeat(MESSAGE_BYTES - start.len() - 2));
    let mut body = String::with_capacity(BODY_BYTES);
    body.push_str("[\"");
    for byte in message.bytes() {
        body.push_str("\\u00");
        body.push_str(&hex::encode([byte]));
    }
    body.push_str("\"]");
    body.into_bytes()
}

fn connect(server: SocketAddrV4) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(server)?;
    stream.set_read_timeout(Some(LOOK_EVERY))?;
    stream.set_write_timeout(Some(LOOK_EVERY))?;
    Ok(stream)
}

fn send(
    stream: &mut TcpStream,
    mut bytes: &[u8],
    is_over: &dyn Fn() -> bool,
) -> anyhow::Result<()> {
    while !bytes.is_empty() {
        match stream.write(bytes) {
            Ok(size) => {
                bytes = bytes
                    .get(size..)
                    .context("more was written than there is")?
            }
            Err(error) if is_timeout(&error) && !is_over() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Ends a connection without a goodbye.
fn vanish(stream: TcpStream) {
    // One that cannot be reset ends in another way.
    let _ended = sys::reset_on_close(stream.as_raw_fd());
    drop(stream);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_body_holds_a_message_of_the_largest_size() {
        let body = largest_body();
        assert!(body.len() <= BODY_BYTES);
        let messages: Vec<String> = serde_json::from_slice(&body).unwrap();
        assert_eq!(messages[0].len(), MESSAGE_BYTES);
        serde_json::from_str::<serde_json::Value>(&messages[0]).unwrap();
    }
}
