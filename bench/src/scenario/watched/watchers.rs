//! Those who watch the live stream: each reads whatever comes, on a thread of its own.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::ws;

const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How often one to whom nothing comes looks whether it is over.
const LOOK_EVERY: Duration = Duration::from_millis(50);
const MASK: [u8; 4] = [1, 2, 3, 4];

/// What they were shown, and of how much they were told that it was left out.
#[derive(Clone, Copy, Default)]
pub(super) struct Seen {
    pub(super) lines: u64,
    pub(super) left_out: u64,
}

impl AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.lines += other.lines;
        self.left_out += other.left_out;
    }
}

pub(super) struct Watchers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<anyhow::Result<Seen>>>,
}

impl Watchers {
    /// Returns when all of them watch.
    pub(super) fn start(admin: SocketAddrV4, app: &str, count: usize) -> anyhow::Result<Self> {
        let streams = (0..count).map(|_| open(admin, app));
        let streams = streams.collect::<anyhow::Result<Vec<_>>>()?;
        let stop = Arc::new(AtomicBool::new(false));
        let watch = |(stream, received)| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || watch(stream, received, &stop))
        };
        let threads = streams.into_iter().map(watch).collect();
        Ok(Self { stop, threads })
    }

    /// Returns when nobody watches any more, as far as the relay is concerned, too.
    pub(super) fn stop(self) -> anyhow::Result<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        let mut seen = Seen::default();
        for thread in self.threads {
            match thread.join() {
                Ok(of_one) => seen += of_one?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(seen)
    }
}

/// The stream, and what has come of it behind the answer's head.
fn open(admin: SocketAddrV4, app: &str) -> anyhow::Result<(TcpStream, Vec<u8>)> {
    let mut stream = TcpStream::connect(admin).context("connecting to the admin listener")?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    let request = format!(
        "GET /stream?app={app} HTTP/1.1\r\nHost: {admin}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let size = stream.read(&mut buffer).context("no live stream in time")?;
        ensure!(size > 0, "the admin listener ended the connection");
        received.extend_from_slice(&buffer[..size]);
        let end = received.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&received[..end]);
            let status = head.lines().next().unwrap_or_default();
            ensure!(status.contains(" 101 "), "no live stream: {status}");
            received.drain(..end + 4);
            stream.set_read_timeout(Some(LOOK_EVERY))?;
            return Ok((stream, received));
        }
    }
}

/// Reads until it is over, and then until the relay has answered the close.
fn watch(mut stream: TcpStream, mut received: Vec<u8>, stop: &AtomicBool) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    let mut buffer = vec![0; 64 << 10];
    let mut is_closing = false;
    loop {
        if !is_closing && stop.load(Ordering::Relaxed) {
            is_closing = true;
            stream.set_read_timeout(Some(ANSWER_WITHIN))?;
            send(&mut stream, ws::CLOSE, &1000u16.to_be_bytes())?;
        }
        while let Some(frame) = ws::parse(&received).map_err(anyhow::Error::msg)? {
            let payload = &received[frame.payload_at..frame.size];
            match frame.opcode {
                ws::TEXT => seen += line(payload)?,
                ws::PING => send(&mut stream, ws::PONG, payload)?,
                ws::CLOSE if is_closing => return Ok(seen),
                ws::CLOSE => bail!("the live stream was closed"),
                _ => {}
            }
            received.drain(..frame.size);
        }
        match stream.read(&mut buffer) {
            Ok(0) if is_closing => return Ok(seen),
            Ok(0) => bail!("the live stream ended"),
            Ok(size) => received.extend_from_slice(&buffer[..size]),
            Err(error) if error.kind() == ErrorKind::WouldBlock && !is_closing => {}
            Err(error) => return Err(error).context("reading the live stream"),
        }
    }
}

fn line(text: &[u8]) -> anyhow::Result<Seen> {
    if !text.starts_with(br#"{"type":"dropped""#) {
        return Ok(Seen {
            lines: 1,
            left_out: 0,
        });
    }
    let line: Value = serde_json::from_slice(text).context("a line of the live stream")?;
    Ok(Seen {
        lines: 0,
        left_out: line["count"].as_u64().unwrap_or_default(),
    })
}

fn send(stream: &mut TcpStream, opcode: u8, payload: &[u8]) -> anyhow::Result<()> {
    let mut frame = Vec::new();
    ws::encode(opcode, payload, Some(MASK), &mut frame);
    stream
        .write_all(&frame)
        .context("answering the live stream")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_and_what_was_left_out_as_it_is_reported() {
        let mut seen = line(br#"{"type":"publish","app":"1"}"#).unwrap();
        seen += line(br#"{"type":"dropped","count":17}"#).unwrap();
        assert_eq!((seen.lines, seen.left_out), (1, 17));
    }
}
