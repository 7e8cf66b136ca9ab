//! Subscribers: connections from their handshake to their close, WebSockets and what stands in for them.

use std::io;
use std::mem;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use anyhow::Context;
use base64::Engine;
use rustls::ClientConnection;
use serde_json::Value;

use super::response::header;
use super::stream::Session;
use super::{Delivery, HANGUP, Handler, INTEREST, Net, flush, inner_json, source_address, tls};
use crate::sys;
use crate::ws;

/// With this a browser closes when its page is left.
const GOING_AWAY: u16 = 1001;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Connecting,
    Handshake,
    Open,
    Closed,
}

pub(super) struct WsConn {
    pub(super) socket: Option<OwnedFd>,
    pub(super) phase: Phase,
    reads: bool,
    /// Whether the close is the client's wish.
    closing: bool,
    accept: String,
    socket_id: String,
    /// Received bytes that do not yet make a whole frame.
    partial: Vec<u8>,
    /// The payload so far of a fragmented message; the line so far of a stream.
    pub(super) fragments: Vec<u8>,
    pub(super) unsent: Vec<u8>,
    tls: Option<Box<ClientConnection>>,
    /// None: a WebSocket.
    pub(super) session: Option<Session>,
}

impl WsConn {
    /// One that sends this once it is connected.
    pub(super) fn new(socket: OwnedFd, request: Vec<u8>) -> Self {
        Self {
            socket: Some(socket),
            phase: Phase::Connecting,
            reads: true,
            closing: false,
            accept: String::new(),
            socket_id: String::new(),
            partial: Vec::new(),
            fragments: Vec::new(),
            unsent: request,
            tls: None,
            session: None,
        }
    }

    fn flush(&mut self) {
        let Some(socket) = &self.socket else { return };
        let fd = socket.as_raw_fd();
        // An error shows up again at the next read, which reports the close.
        let _ = match &mut self.tls {
            None => flush(fd, &mut self.unsent),
            Some(tls) => tls::flush(tls, fd, &mut self.unsent),
        };
    }

    /// What a connection over TLS was sent.
    fn open(&mut self, received: &[u8]) -> Option<io::Result<Vec<u8>>> {
        let opened = tls::open(self.tls.as_mut()?, received);
        // What the handshake has to say.
        self.flush();
        Some(opened)
    }
}

impl Net {
    /// Starts one connection; its number is the count of those before it.
    pub(crate) fn open_ws(&mut self, receive_buffer: Option<i32>) -> anyhow::Result<usize> {
        self.open_ws_at(self.server, receive_buffer)
    }

    /// The same to another server than the net's own.
    pub(crate) fn open_ws_at(
        &mut self,
        server: SocketAddrV4,
        receive_buffer: Option<i32>,
    ) -> anyhow::Result<usize> {
        self.open_ws_behind("", server, receive_buffer)
    }

    /// A connection that names itself, so that its session outlives it.
    pub(crate) fn open_named_ws(&mut self) -> anyhow::Result<usize> {
        let (high, low) = (self.next_random(), self.next_random());
        let path = format!("/s/bench-{high:016x}{low:016x}");
        self.open_ws_behind(&path, self.server, None)
    }

    /// A connection over TLS.
    pub(crate) fn open_tls_ws(&mut self) -> anyhow::Result<usize> {
        let tls = self.tls.as_ref().context("where TLS is spoken: --tls")?;
        let (address, connection) = (tls.address, tls.connection()?);
        let conn = self.open_ws_behind("", address, None)?;
        self.ws[conn].tls = Some(connection);
        Ok(conn)
    }

    fn open_ws_behind(
        &mut self,
        path: &str,
        server: SocketAddrV4,
        receive_buffer: Option<i32>,
    ) -> anyhow::Result<usize> {
        let conn = self.ws.len();
        let socket = sys::connect(source_address(conn), server, receive_buffer)
            .with_context(|| format!("opening connection {conn} to {server}"))?;
        self.epoll.add(socket.as_raw_fd(), INTEREST, conn as u64)?;
        let nonce: [u64; 2] = [self.next_random(), self.next_random()];
        let nonce: Vec<u8> = nonce.iter().flat_map(|word| word.to_le_bytes()).collect();
        let key = base64::engine::general_purpose::STANDARD.encode(nonce);
        let request = format!(
            "GET {path}/app/{}?protocol=7&client=js&version=8.4.0&flash=false HTTP/1.1\r\n\
             Host: {server}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n",
            self.credentials.key,
        );
        self.ws.push(WsConn {
            accept: ws::accept_for(&key),
            ..WsConn::new(socket, request.into_bytes())
        });
        Ok(conn)
    }

    pub(crate) fn ws_count(&self) -> usize {
        self.ws.len()
    }

    pub(crate) fn is_open(&self, conn: usize) -> bool {
        self.ws[conn].phase == Phase::Open
    }

    pub(crate) fn local_addr(&self, conn: usize) -> Option<SocketAddrV4> {
        sys::local_addr(self.ws[conn].socket.as_ref()?.as_raw_fd()).ok()
    }

    /// Stops reading from a connection, as a stuck client would. What happens to it shows
    /// only once it reads again.
    pub(crate) fn stop_reading(&mut self, conn: usize) -> anyhow::Result<()> {
        let hangup_only = libc::EPOLLRDHUP | libc::EPOLLET;
        self.set_reading(conn, false, hangup_only)
    }

    /// Reads from a stuck connection again: first what was sent to it meanwhile.
    pub(crate) fn resume_reading(&mut self, conn: usize) -> anyhow::Result<()> {
        self.set_reading(conn, true, INTEREST)
    }

    fn set_reading(&mut self, conn: usize, reads: bool, interest: i32) -> anyhow::Result<()> {
        let ws = &mut self.ws[conn];
        ws.reads = reads;
        let socket = ws.socket.as_ref();
        let socket = socket.context("a connection to stall is closed already")?;
        Ok(self
            .epoll
            .modify(socket.as_raw_fd(), interest, conn as u64)?)
    }

    /// Drops all WebSocket connections without a close frame, as clients that are gone do.
    /// Connections opened later are numbered from 0 again.
    pub(crate) fn drop_all_ws(&mut self) {
        self.ws.clear();
    }

    /// Sends one text message; on a closed connection it does nothing.
    pub(crate) fn send_text(&mut self, conn: usize, text: &str) {
        if self.ws[conn].session.is_some() {
            return self.send_to_session(conn, &[text]);
        }
        self.send_frame(conn, ws::TEXT, text.as_bytes());
    }

    fn send_frame(&mut self, conn: usize, opcode: u8, payload: &[u8]) {
        let mask = (self.next_random() as u32).to_le_bytes();
        let ws = &mut self.ws[conn];
        if ws.socket.is_some() {
            ws::encode(opcode, payload, Some(mask), &mut ws.unsent);
            ws.flush();
        }
    }

    pub(crate) fn subscribe(&mut self, conn: usize, channel: &str, member: Option<&str>) {
        let message = self
            .credentials
            .subscribe(&self.ws[conn].socket_id, channel, member);
        self.send_text(conn, &message);
    }

    pub(crate) fn unsubscribe(&mut self, conn: usize, channel: &str) {
        let data = serde_json::json!({ "channel": channel });
        let message = serde_json::json!({ "event": "pusher:unsubscribe", "data": data });
        self.send_text(conn, &message.to_string());
    }

    /// Closes a connection in good order. The server's answer, or the end that it makes instead,
    /// is reported as its close, but counted nowhere.
    pub(crate) fn close(&mut self, conn: usize) {
        self.ws[conn].closing = true;
        self.send_frame(conn, ws::CLOSE, &GOING_AWAY.to_be_bytes());
    }

    pub(super) fn close_ws<H: Handler>(&mut self, conn: usize, reason: &str, handler: &mut H) {
        let ws = &mut self.ws[conn];
        if ws.phase == Phase::Closed {
            return;
        }
        ws.phase = Phase::Closed;
        ws.socket = None;
        if !ws.closing {
            let closed = &mut self.counters.ws_closed;
            *closed.entry(reason.to_string()).or_default() += 1;
        }
        handler.closed(self, conn, reason);
    }

    pub(super) fn ws_event<H: Handler>(&mut self, conn: usize, flags: u32, handler: &mut H) {
        let ws = &mut self.ws[conn];
        let Some(socket) = &ws.socket else { return };
        let fd = socket.as_raw_fd();
        if ws.phase == Phase::Connecting {
            if let Some(error) = sys::socket_error(fd) {
                return self.close_ws(conn, &format!("connect: {error}"), handler);
            }
            if flags & libc::EPOLLOUT as u32 == 0 {
                return;
            }
            ws.phase = Phase::Handshake;
        }
        if flags & libc::EPOLLOUT as u32 != 0 {
            ws.flush();
        }
        if ws.reads && flags & (libc::EPOLLIN as u32 | HANGUP) != 0 {
            self.ws_read(conn, fd, flags & HANGUP != 0, handler);
        }
    }

    /// Reads until the socket is empty. A short read means just that, unless the peer has
    /// hung up: then the end of the stream has to be read too.
    fn ws_read<H: Handler>(&mut self, conn: usize, fd: RawFd, hung_up: bool, handler: &mut H) {
        let mut buffer = mem::take(&mut self.buffer);
        loop {
            let size = match sys::read(fd, &mut buffer) {
                Ok(0) => {
                    self.close_ws(conn, "end of stream", handler);
                    break;
                }
                Ok(size) => size,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.close_ws(conn, &format!("read: {}", error.kind()), handler);
                    break;
                }
            };
            let now = sys::now_ns();
            self.counters.reads += 1;
            self.counters.bytes_read += size as u64;
            match self.ws[conn].open(&buffer[..size]) {
                None => self.ws_received(conn, &buffer[..size], now, handler),
                Some(Ok(plain)) => self.ws_received(conn, &plain, now, handler),
                Some(Err(error)) => self.close_ws(conn, &format!("TLS: {error}"), handler),
            }
            if self.ws[conn].phase == Phase::Closed || (size < buffer.len() && !hung_up) {
                break;
            }
        }
        self.buffer = buffer;
    }

    fn ws_received<H: Handler>(&mut self, conn: usize, input: &[u8], now: u64, handler: &mut H) {
        if self.ws[conn].partial.is_empty() {
            let used = self.ws_input(conn, input, now, handler);
            self.ws[conn].partial.extend_from_slice(&input[used..]);
        } else {
            let mut whole = mem::take(&mut self.ws[conn].partial);
            whole.extend_from_slice(input);
            let used = self.ws_input(conn, &whole, now, handler);
            whole.drain(..used);
            self.ws[conn].partial = whole;
        }
    }

    /// Handles the whole frames in `input` and returns how many bytes they took.
    fn ws_input<H: Handler>(
        &mut self,
        conn: usize,
        input: &[u8],
        now: u64,
        handler: &mut H,
    ) -> usize {
        let mut at = 0;
        if self.ws[conn].phase == Phase::Handshake {
            match self.check_handshake(conn, input) {
                Ok(None) => return 0,
                Ok(Some(size)) => {
                    self.ws[conn].phase = Phase::Open;
                    at = size;
                }
                Err(reason) => {
                    self.close_ws(conn, &reason, handler);
                    return input.len();
                }
            }
        }
        if self.ws[conn].session.is_some() {
            return at + self.stream_input(conn, &input[at..], now, handler);
        }
        while self.ws[conn].phase == Phase::Open {
            let frame = match ws::parse(&input[at..]) {
                Ok(None) => return at,
                Ok(Some(frame)) if frame.mask.is_none() => frame,
                Ok(Some(_)) => {
                    self.close_ws(conn, "bad frame: masked by the server", handler);
                    break;
                }
                Err(reason) => {
                    self.close_ws(conn, &format!("bad frame: {reason}"), handler);
                    break;
                }
            };
            let payload = &input[at + frame.payload_at..at + frame.size];
            at += frame.size;
            match frame.opcode {
                ws::TEXT | ws::BINARY if frame.fin => self.message(conn, payload, now, handler),
                ws::TEXT | ws::BINARY | ws::CONTINUATION => {
                    self.ws[conn].fragments.extend_from_slice(payload);
                    if frame.fin {
                        let message = mem::take(&mut self.ws[conn].fragments);
                        self.message(conn, &message, now, handler);
                    }
                }
                ws::PING => self.send_frame(conn, ws::PONG, payload),
                ws::CLOSE => {
                    let code = payload.get(..2).map(|c| u16::from_be_bytes([c[0], c[1]]));
                    let text = String::from_utf8_lossy(payload.get(2..).unwrap_or_default());
                    let reason = format!("close {} {text}", code.unwrap_or(0));
                    self.close_ws(conn, reason.trim_end(), handler);
                }
                _ => {}
            }
        }
        input.len()
    }

    fn check_handshake(&self, conn: usize, input: &[u8]) -> Result<Option<usize>, String> {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let size = match response.parse(input) {
            Ok(httparse::Status::Complete(size)) => size,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(format!("handshake: {error}")),
        };
        if self.ws[conn].session.is_some() {
            return match response.code {
                Some(200) => Ok(Some(size)),
                code => Err(format!("stream: HTTP {}", code.unwrap_or(0))),
            };
        }
        if response.code != Some(101) {
            return Err(format!("handshake: HTTP {}", response.code.unwrap_or(0)));
        }
        let accept = header(&response, "sec-websocket-accept");
        if accept != Some(self.ws[conn].accept.as_bytes()) {
            return Err("handshake: wrong Sec-WebSocket-Accept".into());
        }
        if header(&response, "sec-websocket-extensions").is_some_and(|value| !value.is_empty()) {
            return Err("handshake: an extension nobody offered".into());
        }
        Ok(Some(size))
    }

    pub(super) fn message<H: Handler>(
        &mut self,
        conn: usize,
        text: &[u8],
        now: u64,
        handler: &mut H,
    ) {
        if let Some((mark, mark_at)) = self.finder.find(text) {
            return handler.delivery(
                self,
                conn,
                Delivery {
                    mark,
                    text,
                    mark_at,
                },
                now,
            );
        }
        if handler.text(conn, text, now) {
            return;
        }
        let Ok(message) = serde_json::from_slice::<Value>(text) else {
            *self
                .counters
                .protocol_errors
                .entry("message is not JSON".into())
                .or_default() += 1;
            return;
        };
        let event = message["event"].as_str().unwrap_or_default();
        match event {
            "pusher:ping" => {
                self.counters.pings_answered += 1;
                return self.send_text(conn, r#"{"event":"pusher:pong","data":{}}"#);
            }
            "pusher:connection_established" => {
                let data = inner_json(&message["data"]);
                let socket_id = data["socket_id"].as_str().unwrap_or_default();
                self.ws[conn].socket_id = socket_id.to_string();
            }
            "pusher:error" | "pusher:subscription_error" => {
                let data = inner_json(&message["data"]);
                let code = data
                    .get("code")
                    .or(data.get("status"))
                    .unwrap_or(&Value::Null);
                let what = data
                    .get("message")
                    .or(data.get("error"))
                    .and_then(Value::as_str);
                let key = format!("{event} {code} {}", what.unwrap_or_default());
                *self.counters.protocol_errors.entry(key).or_default() += 1;
            }
            _ => {}
        }
        handler.control(self, conn, event, &message);
    }
}
