//! The client side of every connection: one thread, one edge-triggered epoll, subscribers over
//! WebSockets and over streams of the HTTP fallback, and keep-alive HTTP publishers.

mod get;
mod http;
mod response;
mod stream;
mod tls;
mod websocket;

use std::collections::BTreeMap;
use std::mem;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;
use std::os::fd::RawFd;

use anyhow::Context;
use serde_json::Value;

pub(crate) use self::get::{ask, get};
use self::http::HttpConn;
pub(crate) use self::response::parse_response;
pub(crate) use self::tls::Tls;
use self::websocket::WsConn;
use crate::pusher::{Credentials, Mark, MarkFinder};
use crate::sys::{self, Epoll};

const READ_BUFFER: usize = 256 << 10;
/// Few enough that a due publish never waits long behind a batch of reads.
const EVENTS_PER_POLL: usize = 64;
const HTTP_TOKEN: u64 = 1 << 63;
const INTEREST: i32 = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
const HANGUP: u32 = (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32;
/// Source addresses 127.0.0.2 and on: each has about 28,000 ports of its own.
const SOURCE_ADDRESSES: usize = 8;

fn source_address(count: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, 2 + (count % SOURCE_ADDRESSES) as u8)
}

/// What a scenario is called with. `conn` counts subscribers' connections from 0 as opened.
pub(crate) trait Handler {
    /// A frame that carries a mark: one delivered event. `now` is just after its read.
    fn delivery(&mut self, _net: &mut Net, _conn: usize, _event: Delivery<'_>, _now: u64) {}
    /// Any other message, before it is read as JSON; true: that is not needed any more.
    fn text(&mut self, _conn: usize, _text: &[u8], _now: u64) -> bool {
        false
    }
    /// A message that came compressed: it is counted, and not inflated.
    fn deflated(&mut self, _conn: usize, _now: u64) {}
    /// Any other protocol message but a ping, which is already answered.
    fn control(&mut self, _net: &mut Net, _conn: usize, _event: &str, _message: &Value) {}
    fn closed(&mut self, _net: &mut Net, _conn: usize, _reason: &str) {}
    /// The end of the HTTP request that was sent with `tag`.
    fn response(&mut self, _net: &mut Net, _tag: u64, _outcome: Outcome<'_>, _now: u64) {}
}

pub(crate) struct Delivery<'a> {
    pub(crate) mark: Mark,
    pub(crate) text: &'a [u8],
    pub(crate) mark_at: Range<usize>,
}

pub(crate) enum Outcome<'a> {
    Answer {
        status: u16,
        body: &'a [u8],
    },
    /// The connection ended without a whole answer.
    Broken(&'a str),
}

impl Outcome<'_> {
    /// What went wrong; None for a publish that was accepted. A 200 alone is not enough:
    /// soketi 1.6 answers 200 to everything and puts its refusals into the body.
    pub(crate) fn refusal(&self) -> Option<String> {
        match self {
            Outcome::Answer { status: 200, body } if !body.starts_with(b"{\"error\"") => None,
            Outcome::Answer { status, body } => {
                let body = String::from_utf8_lossy(&body[..body.len().min(120)]);
                Some(format!("{status} {body}"))
            }
            Outcome::Broken(reason) => Some(reason.to_string()),
        }
    }
}

#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) pings_answered: u64,
    pub(crate) ws_closed: BTreeMap<String, u64>,
    pub(crate) protocol_errors: BTreeMap<String, u64>,
    pub(crate) http_connects: u64,
    pub(crate) bytes_read: u64,
    pub(crate) reads: u64,
}

pub(crate) struct Net {
    epoll: Epoll,
    pub(crate) server: SocketAddrV4,
    pub(crate) credentials: Credentials,
    pub(crate) counters: Counters,
    /// For the connections that are opened over TLS.
    pub(crate) tls: Option<Tls>,
    ws: Vec<WsConn>,
    http: Vec<HttpConn>,
    http_idle: Vec<usize>,
    buffer: Vec<u8>,
    finder: MarkFinder,
    random: u64,
    /// See `RunOptions::pause_us`.
    pause_ns: u64,
    had_events: bool,
}

impl Net {
    pub(crate) fn new(
        server: SocketAddrV4,
        credentials: Credentials,
        pause_ns: u64,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            pause_ns,
            had_events: false,
            epoll: Epoll::new().context("epoll")?,
            server,
            credentials,
            counters: Counters::default(),
            tls: None,
            ws: Vec::new(),
            http: Vec::new(),
            http_idle: Vec::new(),
            buffer: vec![0; READ_BUFFER],
            finder: MarkFinder::new(),
            random: sys::now_ns() | 1,
        })
    }

    fn next_random(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }

    /// Waits at most `timeout_ns` for events and handles one batch of them.
    pub(crate) fn poll<H: Handler>(
        &mut self,
        timeout_ns: u64,
        handler: &mut H,
    ) -> anyhow::Result<()> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; EVENTS_PER_POLL];
        if self.pause_ns > 0 && mem::take(&mut self.had_events) {
            // Nobody waits in epoll_wait now, so what arrives meanwhile wakes no one.
            sys::sleep_ns(self.pause_ns.min(timeout_ns));
        }
        let ready = self
            .epoll
            .wait(&mut events, Some(timeout_ns))
            .context("epoll_wait")?;
        // A full batch means that more is waiting.
        self.had_events = ready > 0 && ready < EVENTS_PER_POLL;
        for event in &events[..ready] {
            let (token, flags) = (event.u64, event.events);
            if token & HTTP_TOKEN != 0 {
                self.http_event((token & !HTTP_TOKEN) as usize, flags, handler)?;
            } else {
                self.ws_event(token as usize, flags, handler);
            }
        }
        Ok(())
    }
}

fn flush(fd: RawFd, unsent: &mut Vec<u8>) -> std::io::Result<()> {
    while !unsent.is_empty() {
        match sys::send(fd, unsent) {
            Ok(size) => drop(unsent.drain(..size)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Protocol messages carry their data as JSON inside a string; some servers as an object.
pub(crate) fn inner_json(data: &Value) -> Value {
    match data.as_str() {
        Some(text) => serde_json::from_str(text).unwrap_or(Value::Null),
        None => data.clone(),
    }
}
