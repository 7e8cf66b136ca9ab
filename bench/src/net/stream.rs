//! Subscribers over the HTTP fallback: streams (`xhr_streaming`), as pusher-js reads them.

use std::mem;
use std::os::fd::AsRawFd;

use anyhow::Context;

use super::get::post;
use super::websocket::{Phase, WsConn};
use super::{Handler, INTEREST, Net, source_address};
use crate::sys;

/// Characters of an answer after which pusher-js asks for the next one. (All of these are ASCII.)
const FULL: usize = 256 << 10;

/// What a stream carries.
pub(super) struct Session {
    path: String,
    requests: u64,
    /// Characters of this answer.
    received: usize,
}

impl Session {
    fn next_path(&mut self, purpose: &str) -> String {
        self.requests += 1;
        let (path, number) = (&self.path, self.requests);
        format!("{path}/{purpose}?protocol=7&client=js&version=8.4.0&t=1&n={number}")
    }
}

impl Net {
    /// Starts one connection over a stream; its number is the count of those before it.
    pub(crate) fn open_stream(&mut self) -> anyhow::Result<usize> {
        let conn = self.ws.len();
        let name = format!("{:016x}", self.next_random());
        let mut session = Session {
            path: format!("/pusher/app/{}/0/{name}", self.credentials.key),
            requests: 0,
            received: 0,
        };
        let mut opened = self.connect_stream(conn, &mut session)?;
        opened.session = Some(session);
        self.ws.push(opened);
        Ok(conn)
    }

    fn connect_stream(&mut self, conn: usize, session: &mut Session) -> anyhow::Result<WsConn> {
        let server = self.server;
        let socket = sys::connect(source_address(conn), server, None)
            .with_context(|| format!("opening stream {conn} to {server}"))?;
        self.epoll.add(socket.as_raw_fd(), INTEREST, conn as u64)?;
        let path = session.next_path("xhr_streaming");
        let request =
            format!("POST {path} HTTP/1.1\r\nHost: {server}\r\nContent-Length: 0\r\n\r\n");
        Ok(WsConn::new(socket, request.into_bytes()))
    }

    /// Sends messages in a request of their own, and waits until they are handled.
    pub(super) fn send_to_session(&mut self, conn: usize, messages: &[&str]) {
        let Some(session) = &mut self.ws[conn].session else {
            return;
        };
        let path = session.next_path("xhr_send");
        let body = serde_json::json!(messages).to_string();
        let problem = match post(self.server, &path, &body) {
            Ok(answer) if answer.status == 204 => return,
            Ok(answer) => format!("xhr_send: HTTP {}", answer.status),
            Err(error) => format!("xhr_send: {error}"),
        };
        *self.counters.protocol_errors.entry(problem).or_default() += 1;
    }

    /// Handles the whole chunks in `input` and returns how many bytes they took.
    pub(super) fn stream_input<H: Handler>(
        &mut self,
        conn: usize,
        input: &[u8],
        now: u64,
        handler: &mut H,
    ) -> usize {
        let mut at = 0;
        while self.ws[conn].phase == Phase::Open {
            let (head, size) = match httparse::parse_chunk_size(&input[at..]) {
                Ok(httparse::Status::Complete((head, size))) => (head, size as usize),
                Ok(httparse::Status::Partial) => return at,
                Err(_) => {
                    self.close_ws(conn, "stream: bad chunk size", handler);
                    break;
                }
            };
            let Some(chunk) = input.get(at + head..at + head + size) else {
                return at;
            };
            if input.len() < at + head + size + 2 {
                return at;
            }
            at += head + size + 2;
            if size == 0 {
                self.close_ws(conn, "stream: end", handler);
                break;
            }
            self.stream_chunk(conn, chunk, now, handler);
            if self.is_full(conn) && at == input.len() {
                self.renew(conn, handler);
            }
        }
        input.len()
    }

    fn stream_chunk<H: Handler>(&mut self, conn: usize, chunk: &[u8], now: u64, handler: &mut H) {
        if let Some(session) = &mut self.ws[conn].session {
            session.received += chunk.len();
        }
        let mut line = mem::take(&mut self.ws[conn].fragments);
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(part);
            if line.pop_if(|last| *last == b'\n').is_some() {
                self.line(conn, &line, now, handler);
                line.clear();
            }
        }
        self.ws[conn].fragments = line;
    }

    fn line<H: Handler>(&mut self, conn: usize, line: &[u8], now: u64, handler: &mut H) {
        match line.split_first() {
            Some((b'a', messages)) => match serde_json::from_slice::<Vec<String>>(messages) {
                Ok(messages) => {
                    for message in messages {
                        self.message(conn, message.as_bytes(), now, handler);
                    }
                }
                Err(error) => self.close_ws(conn, &format!("stream: {error}"), handler),
            },
            // The padding is one, too; before the connection is open it is none.
            Some((b'h', [])) => self.send_to_session(conn, &[]),
            Some((b'h', _) | (b'o', _) | (b' ', [])) => {}
            Some((b'c', reason)) => {
                let reason = format!("close {}", String::from_utf8_lossy(reason));
                self.close_ws(conn, &reason, handler);
            }
            _ => self.close_ws(conn, "stream: a line of no known kind", handler),
        }
    }

    fn is_full(&self, conn: usize) -> bool {
        let session = self.ws[conn].session.as_ref();
        session.is_some_and(|session| session.received > FULL)
    }

    /// Gives up an answer for the next one.
    fn renew<H: Handler>(&mut self, conn: usize, handler: &mut H) {
        let Some(mut session) = self.ws[conn].session.take() else {
            return;
        };
        session.received = 0;
        match self.connect_stream(conn, &mut session) {
            Ok(next) => {
                let ws = &mut self.ws[conn];
                (ws.socket, ws.unsent, ws.phase) = (next.socket, next.unsent, next.phase);
                ws.session = Some(session);
            }
            Err(error) => self.close_ws(conn, &format!("stream: {error}"), handler),
        }
    }
}
