//! One hostile client after the other: whoever is closed comes again.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::attack::{AUDIENCE, Attack, frame, presence_subscribe};
use super::edge::{self, Secured};
use super::http2;
use super::sessions::Raider;
use crate::compare::server::APP_KEY;
use crate::{sys, ws};

const RECEIVE_BUFFER: i32 = 4096;
/// How often a blocked connection looks whether the attack is over.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(200);
/// Between two attempts on limits, and on sessions.
const PAUSE_AT_THE_EDGE: Duration = Duration::from_millis(5);
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(2);

/// How connections ended, and how often.
pub(super) type Ends = BTreeMap<String, usize>;

pub(super) struct Attackers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    server: SocketAddrV4,
    secured: Option<Secured>,
    attack: Attack,
    /// What takes time to put together: the attackers have machines of their own in truth.
    prepared: Vec<Vec<u8>>,
    stop: AtomicBool,
    batches: AtomicUsize,
    ends: Mutex<Ends>,
}

impl Attackers {
    pub(super) fn start(
        server: SocketAddrV4,
        secured: Option<Secured>,
        attack: Attack,
        count: usize,
    ) -> Self {
        let shared = Arc::new(Shared {
            server,
            secured,
            attack,
            prepared: attack.prepared(),
            stop: AtomicBool::new(false),
            batches: AtomicUsize::new(0),
            ends: Mutex::default(),
        });
        let threads = if attack == Attack::IdleHttp { 1 } else { count };
        let attackers = (0..threads).map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                if attack == Attack::IdleHttp {
                    shared.hold_idle(count);
                } else if attack.is_on_sessions() {
                    shared.attack_sessions();
                } else if attack.is_over_http2() {
                    shared.attack_over_http2();
                } else if attack.is_at_the_edge() {
                    shared.attack_the_edge();
                } else {
                    shared.attack_again_and_again();
                }
            })
        });
        let mut threads: Vec<_> = attackers.collect();
        if attack == Attack::PresencePairs {
            let shared = Arc::clone(&shared);
            threads.push(thread::spawn(move || shared.watch()));
        }
        Self { shared, threads }
    }

    /// Ends the attack and reports how its connections fared.
    pub(super) fn stop(self) -> Ends {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
        let ends = self.shared.ends.lock();
        ends.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shared {
    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn attack_again_and_again(&self) {
        while !self.is_over() {
            let end = match self.connect() {
                Ok((stream, socket_id)) => self.attack(stream, &socket_id),
                Err(error) => format!("refused: {error:#}"),
            };
            self.count(end);
            if !self.is_over() {
                thread::sleep(PAUSE);
            }
        }
    }

    /// Attempts one after the other, each of which is counted; what is to be held is.
    fn attack_the_edge(&self) {
        // Those that are to be held are many, each of which comes again.
        let pause = if self.attack.holds() {
            PAUSE
        } else {
            PAUSE_AT_THE_EDGE
        };
        while !self.is_over() {
            let attempted = edge::attempt(self.attack, self.server, self.secured.as_ref());
            let (end, held) =
                attempted.unwrap_or_else(|error| (format!("refused: {error:#}"), None));
            self.count(end);
            if let Some(mut stream) = held {
                self.hold(&mut stream);
            }
            thread::sleep(pause);
        }
    }

    fn attack_sessions(&self) {
        let mut raider = Raider::default();
        while !self.is_over() {
            let number = self.batches.fetch_add(1, Ordering::Relaxed);
            let is_over = || self.is_over();
            let end = raider.attempt(self.attack, self.server, number, &is_over);
            self.count(end.unwrap_or_else(|error| format!("refused: {error:#}")));
            thread::sleep(PAUSE_AT_THE_EDGE);
        }
    }

    /// Keeps so many connections that have sent one request each, by one thread: as many threads would take
    /// more of the machine than the attack does.
    fn hold_idle(&self, count: usize) {
        let mut held: Vec<Option<TcpStream>> = (0..count).map(|_| None).collect();
        let mut buffer = [0; 4096];
        while !self.is_over() {
            for place in &mut held {
                let ended = match place {
                    None => match self.open_idle() {
                        Ok(stream) => {
                            *place = Some(stream);
                            continue;
                        }
                        Err(error) => {
                            self.count(format!("refused: {}", error.kind()));
                            break;
                        }
                    },
                    Some(stream) => match stream.read(&mut buffer) {
                        Ok(0) => "end of stream".to_string(),
                        Ok(_) => continue,
                        Err(error) if is_timeout(&error) => continue,
                        Err(error) => error.kind().to_string(),
                    },
                };
                *place = None;
                self.count(ended);
            }
            thread::sleep(PAUSE);
        }
        for _open in held.iter().flatten() {
            self.count("open to the end".into());
        }
    }

    fn open_idle(&self) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect_timeout(&self.server.into(), PAUSE)?;
        stream.set_nonblocking(true)?;
        stream.write_all(&self.attack.batch(""))?;
        Ok(stream)
    }

    fn attack_over_http2(&self) {
        while !self.is_over() {
            let end = self.attack_http2_once();
            self.count(end.unwrap_or_else(|error| format!("refused: {error:#}")));
            if !self.is_over() {
                thread::sleep(PAUSE);
            }
        }
    }

    fn attack_http2_once(&self) -> anyhow::Result<String> {
        let secured = self.secured.as_ref().context("the server speaks no TLS")?;
        let (mut stream, mut tls) = secured.connect()?;
        edge::shake_hands(&mut stream, &mut tls)?;
        let is_over = || self.is_over();
        Ok(http2::attack(self.attack, &mut stream, &mut tls, is_over))
    }

    /// Keeps a connection until the attack is over or the server has ended it.
    fn hold(&self, stream: &mut TcpStream) {
        let _unsupported = stream.set_read_timeout(Some(LOOK_EVERY));
        let mut buffer = [0; 4096];
        while !self.is_over() {
            match stream.read(&mut buffer) {
                Ok(0) => return self.count("ended by the server".into()),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => {}
                Err(error) => return self.count(error.kind().to_string()),
            }
        }
    }

    fn count(&self, end: String) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        *ends.entry(end).or_default() += 1;
    }

    /// A connection, and its socket id if it is a WebSocket.
    fn connect(&self) -> anyhow::Result<(TcpStream, String)> {
        let stream = TcpStream::connect(self.server)?;
        if !self.attack.reads() {
            sys::set_receive_buffer(stream.as_raw_fd(), RECEIVE_BUFFER)?;
        }
        if self.attack.is_http() {
            return Ok((stream, String::new()));
        }
        upgrade(stream)
    }

    /// Sends until the attack is over or the server has ended the connection, and reports how.
    fn attack(&self, mut stream: TcpStream, socket_id: &str) -> String {
        let reader = self.attack.reads().then(|| stream.try_clone());
        let reader = reader.and_then(Result::ok).map(|stream| {
            let _unsupported = stream.set_read_timeout(Some(LOOK_EVERY));
            thread::spawn(move || read_to_the_end(stream))
        });
        let sent = self.send(&mut stream, socket_id);
        while self.attack.holds() && sent.is_ok() && !self.is_over() && !ended(reader.as_ref()) {
            thread::sleep(LOOK_EVERY);
        }
        let is_open = sent.is_ok() && !ended(reader.as_ref());
        let _ended = stream.shutdown(std::net::Shutdown::Both);
        let last = reader.and_then(|reader| reader.join().ok());
        match (is_open, last, sent) {
            (true, ..) => "open to the end".into(),
            (false, Some(last), _) if last.starts_with("close") => last,
            (false, _, Err(error)) => error.kind().to_string(),
            (false, ..) => "end of stream".into(),
        }
    }

    /// An error means that the server has ended the connection.
    fn send(&self, stream: &mut TcpStream, socket_id: &str) -> std::io::Result<()> {
        stream.set_write_timeout(Some(LOOK_EVERY))?;
        let mut batch = Vec::new();
        let mut at = 0;
        while !self.is_over() {
            if at == batch.len() {
                if self.attack.holds() && !batch.is_empty() {
                    return Ok(());
                }
                let number = self.batches.fetch_add(1, Ordering::Relaxed);
                if let Some(next) = number.checked_rem(self.prepared.len()) {
                    batch.clone_from(&self.prepared[next]);
                } else if batch.is_empty() {
                    batch = self.attack.batch(socket_id);
                }
                at = 0;
            }
            match stream.write(&batch[at..]) {
                Ok(size) => at += size,
                Err(error) if is_timeout(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Members of the presence channel who read what they are sent.
    fn watch(&self) {
        let members = (0..AUDIENCE).map(|number| {
            let (mut stream, socket_id) = upgrade(TcpStream::connect(self.server)?)?;
            let text = presence_subscribe(&socket_id, &format!("member-{number}"));
            stream.write_all(&frame(ws::TEXT, &text))?;
            stream.set_nonblocking(true)?;
            anyhow::Ok(stream)
        });
        let mut members: Vec<TcpStream> = members.filter_map(Result::ok).collect();
        let mut buffer = vec![0; 64 << 10];
        while !self.is_over() {
            members.retain_mut(|stream| match stream.read(&mut buffer) {
                Ok(size) => size > 0,
                Err(error) => is_timeout(&error),
            });
            thread::sleep(Duration::from_millis(5));
        }
    }
}

pub(super) fn is_timeout(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

fn ended<T>(reader: Option<&JoinHandle<T>>) -> bool {
    reader.is_some_and(JoinHandle::is_finished)
}

/// Opens a WebSocket and waits for its socket id.
pub(super) fn upgrade(stream: TcpStream) -> anyhow::Result<(TcpStream, String)> {
    upgrade_behind("", HANDSHAKE_WITHIN, stream)
}

/// The same behind a path, which may take so long.
pub(super) fn upgrade_behind(
    path: &str,
    within: Duration,
    mut stream: TcpStream,
) -> anyhow::Result<(TcpStream, String)> {
    stream.set_read_timeout(Some(within))?;
    let request = format!(
        "GET {path}/app/{APP_KEY}?protocol=7 HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let until = Instant::now() + within;
    let mut received = Vec::new();
    let mut buffer = [0; 1024];
    loop {
        ensure!(Instant::now() < until, "no handshake in time");
        let size = stream.read(&mut buffer)?;
        ensure!(size > 0, "end of stream");
        received.extend_from_slice(&buffer[..size]);
        let text = String::from_utf8_lossy(&received);
        if let Some((_, rest)) = text.split_once(r#"socket_id\":\""#)
            && let Some((id, _)) = rest.split_once('\\')
        {
            return Ok((stream, id.to_string()));
        }
        let head = text.lines().next().context("no answer")?;
        ensure!(head.contains(" 101 "), "{head}");
    }
}

/// Reads until the connection has ended; the close code, if the last bytes hold one.
fn read_to_the_end(mut stream: TcpStream) -> String {
    let mut buffer = vec![0; 64 << 10];
    let mut tail: Vec<u8> = Vec::new();
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(size) => {
                tail.extend_from_slice(&buffer[size.saturating_sub(128)..size]);
                tail.drain(..tail.len().saturating_sub(128));
            }
            Err(error) if is_timeout(&error) => {}
            Err(_) => break,
        }
    }
    let mut closes = tail.windows(4).rev();
    let close = closes.find(|bytes| bytes[0] == 0x80 | ws::CLOSE && bytes[1] < 126);
    close.map_or_else(
        || "end of stream".into(),
        |bytes| format!("close {}", u16::from_be_bytes([bytes[2], bytes[3]])),
    )
}
