//! The floor: a single-threaded epoll server that does the least a Pusher server can do.
//!
//! No signatures, limits, history or webhooks. An event becomes one frame, built once, and
//! one non-blocking send per subscriber; with --io-uring the sends of an event go to the
//! kernel together. What a real server costs above this is its own.

mod broadcast;
mod http;
mod messages;
mod uring;

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::{io, mem};

use anyhow::Context;
use clap::{Args, ValueEnum};

use self::broadcast::Channel;
use self::uring::Uring;
use crate::sys::{self, Epoll};

#[derive(Args)]
pub(crate) struct FloorOptions {
    /// Port on 127.0.0.1; 0 takes a free one, which the first line on stderr names
    #[arg(long)]
    port: u16,
    /// Submit the sends of an event as io_uring batches
    #[arg(long)]
    io_uring: bool,
    /// Pin the server to this CPU
    #[arg(long)]
    cpu: Option<usize>,
    /// Unsent bytes after which a subscriber is dropped
    #[arg(long, default_value_t = 4 << 20)]
    max_unsent: usize,
    /// Do this to one in a thousand deliveries: for testing the generator itself
    #[arg(long, conflicts_with = "io_uring")]
    fault: Option<Fault>,
}

/// Misbehaviour on demand, to try the generator's checks (not with --io-uring).
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Fault {
    Drop,
    Duplicate,
    Corrupt,
}

const READ_BUFFER: usize = 64 << 10;
const INTEREST: i32 = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;

struct Conn {
    socket: OwnedFd,
    websocket: bool,
    socket_id: String,
    input: Vec<u8>,
    unsent: Vec<u8>,
    subscriptions: Vec<String>,
}

struct Server {
    epoll: Epoll,
    listener: OwnedFd,
    uring: Option<Uring>,
    /// By file descriptor.
    conns: Vec<Option<Box<Conn>>>,
    channels: HashMap<String, Channel>,
    max_unsent: usize,
    /// Subscribers to drop once the present event is handled.
    doomed: Vec<RawFd>,
    accepted: u64,
    fault: Option<Fault>,
    deliveries: u64,
}

pub(crate) fn run(options: FloorOptions) -> anyhow::Result<()> {
    let nofile = sys::raise_nofile()?;
    if let Some(cpu) = options.cpu {
        sys::pin_to_cpu(cpu)?;
    }
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, options.port);
    let listener = sys::listen(address, 4096).with_context(|| format!("listening on {address}"))?;
    let address = sys::local_addr(listener.as_raw_fd())?;
    let uring = options
        .io_uring
        .then(|| Uring::new(nofile as u32))
        .transpose()?;
    let epoll = Epoll::new()?;
    epoll.add(
        listener.as_raw_fd(),
        libc::EPOLLIN,
        listener.as_raw_fd() as u64,
    )?;
    eprintln!("floor server on {address}, at most {nofile} descriptors");
    let mut server = Server {
        epoll,
        listener,
        uring,
        conns: Vec::new(),
        channels: HashMap::new(),
        max_unsent: options.max_unsent,
        doomed: Vec::new(),
        accepted: 0,
        fault: options.fault,
        deliveries: 0,
    };
    server.serve()
}

impl Server {
    fn serve(&mut self) -> anyhow::Result<()> {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 256];
        let mut buffer = vec![0; READ_BUFFER];
        loop {
            let ready = self.epoll.wait(&mut events, None)?;
            for event in &events[..ready] {
                let (fd, flags) = (event.u64 as RawFd, event.events);
                if fd == self.listener.as_raw_fd() {
                    self.accept()?;
                } else {
                    self.event(fd, flags, &mut buffer);
                }
                for fd in mem::take(&mut self.doomed) {
                    self.close(fd);
                }
            }
        }
    }

    fn accept(&mut self) -> anyhow::Result<()> {
        loop {
            let socket = match sys::accept(self.listener.as_raw_fd()) {
                Ok(Some(socket)) => socket,
                Ok(None) => return Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::ECONNABORTED) => continue,
                Err(error) => return Err(error).context("accept"),
            };
            let fd = socket.as_raw_fd();
            self.epoll.add(fd, INTEREST, fd as u64)?;
            if let Some(uring) = &mut self.uring {
                uring.register(fd, true)?;
            }
            self.accepted += 1;
            if self.conns.len() <= fd as usize {
                self.conns.resize_with(fd as usize + 1, || None);
            }
            self.conns[fd as usize] = Some(Box::new(Conn {
                socket,
                websocket: false,
                socket_id: format!("{}.{}", self.accepted, fd),
                input: Vec::new(),
                unsent: Vec::new(),
                subscriptions: Vec::new(),
            }));
        }
    }

    fn conn(&mut self, fd: RawFd) -> Option<&mut Conn> {
        self.conns.get_mut(fd as usize)?.as_deref_mut()
    }

    fn event(&mut self, fd: RawFd, flags: u32, buffer: &mut [u8]) {
        let Some(conn) = self.conn(fd) else { return };
        if !conn.unsent.is_empty() && flags & libc::EPOLLOUT as u32 != 0 {
            flush(conn);
        }
        let hung_up = flags & (libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR) as u32 != 0;
        if flags & libc::EPOLLIN as u32 == 0 && !hung_up {
            return;
        }
        loop {
            let size = match sys::read(fd, buffer) {
                Ok(0) => return self.close(fd),
                Ok(size) => size,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.close(fd),
            };
            let Some(conn) = self.conn(fd) else { return };
            let mut input = mem::take(&mut conn.input);
            input.extend_from_slice(&buffer[..size]);
            let Some(used) = self.input(fd, &mut input) else {
                return self.close(fd);
            };
            input.drain(..used);
            let Some(conn) = self.conn(fd) else { return };
            conn.input = input;
            if size < buffer.len() && !hung_up {
                return;
            }
        }
    }

    /// Handles what is whole in `input` and returns its size; None ends the connection.
    fn input(&mut self, fd: RawFd, input: &mut [u8]) -> Option<usize> {
        let mut at = 0;
        loop {
            let used = if self.conn(fd)?.websocket {
                self.frame(fd, &mut input[at..])?
            } else {
                self.http_request(fd, &input[at..])?
            };
            if used == 0 {
                return Some(at);
            }
            at += used;
        }
    }

    /// Sends what the socket takes and keeps the rest until it is writable again.
    fn send(&mut self, fd: RawFd, bytes: &[u8]) {
        let Some(conn) = self.conn(fd) else { return };
        let sent = if conn.unsent.is_empty() {
            match sys::send(fd, bytes) {
                Ok(sent) => sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(_) => return,
            }
        } else {
            0
        };
        if sent < bytes.len() {
            self.queue(fd, &bytes[sent..]);
        }
    }

    fn queue(&mut self, fd: RawFd, bytes: &[u8]) {
        let limit = self.max_unsent;
        let Some(conn) = self.conn(fd) else { return };
        conn.unsent.extend_from_slice(bytes);
        if conn.unsent.len() > limit {
            self.doomed.push(fd);
        }
    }

    fn close(&mut self, fd: RawFd) {
        let Some(conn) = self.conns.get_mut(fd as usize).and_then(Option::take) else {
            return;
        };
        if let Some(uring) = &mut self.uring {
            let _ = uring.register(fd, false);
        }
        drop(conn.socket);
        for name in conn.subscriptions {
            self.leave(fd, &name);
        }
    }
}

fn flush(conn: &mut Conn) {
    let mut sent = 0;
    while sent < conn.unsent.len() {
        match sys::send(conn.socket.as_raw_fd(), &conn.unsent[sent..]) {
            Ok(size) => sent += size,
            Err(_) => break,
        }
    }
    conn.unsent.drain(..sent);
}
