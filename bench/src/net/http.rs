//! Publishers: keep-alive HTTP connections, each with at most one request under way.

use std::mem;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, OwnedFd};

use anyhow::Context;

use super::response::parse_response;
use super::{HANGUP, HTTP_TOKEN, Handler, INTEREST, Net, Outcome, flush, source_address};
use crate::sys;

pub(super) struct HttpConn {
    server: SocketAddrV4,
    socket: Option<OwnedFd>,
    connected: bool,
    in_flight: Option<u64>,
    received: Vec<u8>,
    unsent: Vec<u8>,
}

impl Net {
    /// Opens `count` publisher connections.
    pub(crate) fn open_http(&mut self, count: usize) -> anyhow::Result<()> {
        self.open_http_at(self.server, count)
    }

    /// The same to another server than the net's own.
    pub(crate) fn open_http_at(
        &mut self,
        server: SocketAddrV4,
        count: usize,
    ) -> anyhow::Result<()> {
        for _ in 0..count {
            let index = self.http.len();
            self.http.push(HttpConn {
                server,
                socket: None,
                connected: false,
                in_flight: None,
                received: Vec::new(),
                unsent: Vec::new(),
            });
            self.connect_http(index)?;
            self.http_idle.push(index);
        }
        Ok(())
    }

    fn connect_http(&mut self, index: usize) -> anyhow::Result<()> {
        let source = source_address(self.counters.http_connects as usize);
        let server = self.http[index].server;
        let socket = sys::connect(source, server, None).context("opening a publisher")?;
        self.epoll
            .add(socket.as_raw_fd(), INTEREST, HTTP_TOKEN | index as u64)?;
        self.counters.http_connects += 1;
        let http = &mut self.http[index];
        http.socket = Some(socket);
        http.connected = false;
        Ok(())
    }

    pub(crate) fn http_idle(&self) -> usize {
        self.http_idle.len()
    }

    /// Sends a signed POST on an idle publisher connection; the caller checked there is one.
    pub(crate) fn post(&mut self, tag: u64, endpoint: &str, body: &str) -> anyhow::Result<()> {
        let idle = self.http_idle.pop();
        self.post_on(idle, tag, endpoint, body)
    }

    pub(crate) fn is_http_idle_at(&self, server: SocketAddrV4) -> bool {
        self.http_idle
            .iter()
            .any(|index| self.http[*index].server == server)
    }

    /// The same on one to that server.
    pub(crate) fn post_at(
        &mut self,
        server: SocketAddrV4,
        tag: u64,
        endpoint: &str,
        body: &str,
    ) -> anyhow::Result<()> {
        let at = self
            .http_idle
            .iter()
            .rposition(|index| self.http[*index].server == server);
        let idle = at.map(|at| self.http_idle.remove(at));
        self.post_on(idle, tag, endpoint, body)
    }

    fn post_on(
        &mut self,
        idle: Option<usize>,
        tag: u64,
        endpoint: &str,
        body: &str,
    ) -> anyhow::Result<()> {
        let index = idle.context("no idle publisher connection")?;
        let path = self.credentials.signed_path(endpoint, body.as_bytes());
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.http[index].server,
            body.len(),
        );
        if self.http[index].socket.is_none() {
            self.connect_http(index)?;
        }
        let http = &mut self.http[index];
        http.in_flight = Some(tag);
        http.received.clear();
        http.unsent = request.into_bytes();
        if let (true, Some(socket)) = (http.connected, &http.socket) {
            let _ = flush(socket.as_raw_fd(), &mut http.unsent);
        }
        Ok(())
    }

    pub(super) fn http_event<H: Handler>(
        &mut self,
        index: usize,
        flags: u32,
        handler: &mut H,
    ) -> anyhow::Result<()> {
        let http = &mut self.http[index];
        let Some(socket) = &http.socket else {
            return Ok(());
        };
        let fd = socket.as_raw_fd();
        if !http.connected {
            if let Some(error) = sys::socket_error(fd) {
                anyhow::bail!("a publisher cannot connect to {}: {error}", http.server);
            }
            if flags & libc::EPOLLOUT as u32 == 0 {
                return Ok(());
            }
            http.connected = true;
        }
        if !http.unsent.is_empty() {
            let _ = flush(fd, &mut http.unsent);
        }
        if flags & (libc::EPOLLIN as u32 | HANGUP) == 0 {
            return Ok(());
        }
        let mut buffer = mem::take(&mut self.buffer);
        let end = loop {
            match sys::read(fd, &mut buffer) {
                Ok(0) => break Some("end of stream".to_string()),
                Ok(size) => self.http[index].received.extend_from_slice(&buffer[..size]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break None,
                Err(error) => break Some(error.kind().to_string()),
            }
            if flags & HANGUP == 0 {
                break None;
            }
        };
        self.buffer = buffer;
        self.http_input(index, end, handler);
        Ok(())
    }

    fn http_input<H: Handler>(&mut self, index: usize, end: Option<String>, handler: &mut H) {
        let now = sys::now_ns();
        let http = &mut self.http[index];
        let received = mem::take(&mut http.received);
        let answer = parse_response(&received, end.is_some());
        let finished = match &answer {
            Ok(None) => end.is_some(),
            Ok(Some(answer)) => {
                if answer.closes {
                    http.socket = None;
                }
                true
            }
            Err(_) => true,
        };
        if end.is_some() || answer.is_err() {
            http.socket = None;
        }
        if !finished {
            http.received = received;
            return;
        }
        // An idle connection that the server closes is opened again when it is needed.
        let Some(tag) = http.in_flight.take() else {
            return;
        };
        http.unsent.clear();
        self.http_idle.push(index);
        match answer {
            Ok(Some(answer)) => {
                let (status, body) = (answer.status, answer.body.as_slice());
                handler.response(self, tag, Outcome::Answer { status, body }, now);
            }
            Ok(None) => {
                let reason = end.unwrap_or_default();
                handler.response(self, tag, Outcome::Broken(&reason), now);
            }
            Err(reason) => handler.response(self, tag, Outcome::Broken(&reason), now),
        }
    }
}
