//! Hostile clients of conversation-api, each with a thread of its own that comes again when it is closed.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::attack::{self, Attack};
use crate::net::parse_response;
use crate::sys;

const RECEIVE_BUFFER: i32 = 4096;
/// How often a blocked connection looks whether the attack is over.
const LOOK_EVERY: Duration = Duration::from_millis(100);
const PAUSE: Duration = Duration::from_millis(5);
/// Addresses that strangers come from: 127.0.66.1 and on.
const ADDRESSES: usize = 250;

/// How connections ended, and how often.
pub(super) type Ends = BTreeMap<String, usize>;

pub(super) struct Attackers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    server: SocketAddrV4,
    attack: Attack,
    prepared: Vec<u8>,
    stop: AtomicBool,
    attempts: AtomicUsize,
    ends: Mutex<Ends>,
}

impl Attackers {
    pub(super) fn start(server: SocketAddrV4, attack: Attack, count: usize) -> Self {
        let shared = Arc::new(Shared {
            server,
            attack,
            prepared: attack.prepared(),
            stop: AtomicBool::new(false),
            attempts: AtomicUsize::new(0),
            ends: Mutex::default(),
        });
        let threads = (0..count).map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || shared.attack_again_and_again())
        });
        let threads = threads.collect();
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
            let number = self.attempts.fetch_add(1, Ordering::Relaxed);
            let end = self
                .attempt(number)
                .unwrap_or_else(|error| match error.kind() {
                    ErrorKind::Interrupted => "open to the end".into(),
                    kind => kind.to_string(),
                });
            let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
            *ends.entry(end).or_default() += 1;
            drop(ends);
            thread::sleep(PAUSE);
        }
    }

    fn attempt(&self, number: usize) -> std::io::Result<String> {
        let last = 1 + (number % ADDRESSES) as u8;
        let source = Ipv4Addr::new(127, 0, 66, last);
        let buffer = (self.attack == Attack::PipelinedUnread).then_some(RECEIVE_BUFFER);
        let mut stream = TcpStream::from(sys::connect(source, self.server, buffer)?);
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(LOOK_EVERY))?;
        stream.set_write_timeout(Some(LOOK_EVERY))?;
        // Else the addresses' ports are used up by connections that have ended.
        sys::reset_on_close(stream.as_raw_fd())?;
        match self.attack {
            Attack::PipelinedUnread => loop {
                self.send(&mut stream, &self.prepared)?;
            },
            Attack::LogIns | Attack::LogInsToOne => {
                self.send(&mut stream, &attack::log_in(self.attack, number))?;
            }
            Attack::UnsignedWebhooks | Attack::HalfWebhooks => {
                // A refusal may come before all of it is sent.
                if let Err(error) = self.send(&mut stream, &self.prepared)
                    && error.kind() == ErrorKind::Interrupted
                {
                    return Err(error);
                }
            }
        }
        self.answer(&mut stream)
    }

    /// Interrupted: the attack is over.
    fn send(&self, stream: &mut TcpStream, mut bytes: &[u8]) -> std::io::Result<()> {
        while !bytes.is_empty() {
            match stream.write(bytes) {
                Ok(size) => bytes = &bytes[size..],
                Err(error) => self.go_on_after(error)?,
            }
        }
        Ok(())
    }

    fn answer(&self, stream: &mut TcpStream) -> std::io::Result<String> {
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let size = match stream.read(&mut buffer) {
                Ok(size) => size,
                Err(error) => {
                    self.go_on_after(error)?;
                    continue;
                }
            };
            received.extend_from_slice(&buffer[..size]);
            match parse_response(&received, size == 0) {
                Ok(Some(answer)) => return Ok(format!("status {}", answer.status)),
                Ok(None) if size == 0 => return Ok("end of stream".into()),
                Ok(None) => {}
                Err(error) => return Ok(error),
            }
        }
    }

    fn go_on_after(&self, error: std::io::Error) -> std::io::Result<()> {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut if self.is_over() => {
                Err(ErrorKind::Interrupted.into())
            }
            ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted => Ok(()),
            _ => Err(error),
        }
    }
}
