//! Who must not notice the attack: agents who read lists and write messages.

use std::net::{SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::net::ask;

const AGENTS: usize = 4;
const ASK_EVERY: Duration = Duration::from_millis(20);
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Agents {
    counts: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Answers>>,
}

/// Milliseconds of each answer, sorted in the end; and how many did not come, or were refusals.
#[derive(Default)]
pub(super) struct Answers {
    milliseconds: Vec<f64>,
    pub(super) failures: usize,
}

impl Answers {
    /// The answer that this share of all were not slower than.
    pub(super) fn at(&self, share: f64) -> f64 {
        let position = (self.milliseconds.len() as f64 * share) as usize;
        let last = self.milliseconds.last();
        let found = self.milliseconds.get(position).or(last);
        found.copied().unwrap_or_default()
    }
}

impl Agents {
    /// Logs them in, and has them begin.
    pub(super) fn start(server: SocketAddrV4) -> anyhow::Result<Self> {
        let token = log_in(server)?;
        let (counts, stop) = (Arc::default(), Arc::default());
        let threads = (0..AGENTS).map(|_| {
            let token = token.clone();
            let (counts, stop) = (Arc::clone(&counts), Arc::clone(&stop));
            thread::spawn(move || work(server, &token, &counts, &stop))
        });
        let threads = threads.collect();
        Ok(Self {
            counts,
            stop,
            threads,
        })
    }

    /// What was before does not count.
    pub(super) fn begin_to_count(&self) {
        self.counts.store(true, Ordering::Relaxed);
    }

    pub(super) fn finish(self) -> Answers {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Answers::default();
        for thread in self.threads {
            match thread.join() {
                Ok(answers) => {
                    all.milliseconds.extend(answers.milliseconds);
                    all.failures += answers.failures;
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all.milliseconds.sort_by(f64::total_cmp);
        all
    }
}

fn log_in(server: SocketAddrV4) -> anyhow::Result<String> {
    let body = json!({ "email": "agent@tims.local", "password": "password123" });
    let request = post("/api/auth/login", "", &body);
    let answer = ask(&mut connect(server)?, &request).context("logging in")?;
    ensure!(answer.status == 200, "the log-in: status {}", answer.status);
    let answer: Value = serde_json::from_slice(&answer.body)?;
    let token = answer["token"].as_str().context("there is no token")?;
    Ok(format!("Authorization: Bearer {token}\r\n"))
}

fn connect(server: SocketAddrV4) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    Ok(stream)
}

fn post(path: &str, headers: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nHost: a\r\n{headers}Content-Type: application/json\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Reads the list and writes a message in turn.
fn work(server: SocketAddrV4, token: &str, counts: &AtomicBool, stop: &AtomicBool) -> Answers {
    let read = format!("GET /api/conversations HTTP/1.1\r\nHost: a\r\n{token}\r\n").into_bytes();
    let message = json!({ "conversation_id": 1, "type": "text", "content": "Good morning!" });
    let write = post("/api/messages/send", token, &message);
    let mut answers = Answers::default();
    let mut stream = None;
    for request in [&read, &write].into_iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let began = Instant::now();
        let answered = exchange(server, &mut stream, request);
        if counts.load(Ordering::Relaxed) {
            match answered {
                Ok(()) => answers
                    .milliseconds
                    .push(began.elapsed().as_secs_f64() * 1e3),
                Err(_) => answers.failures += 1,
            }
        }
        thread::sleep(ASK_EVERY);
    }
    answers
}

/// On the connection that there is, or another one.
fn exchange(
    server: SocketAddrV4,
    stream: &mut Option<TcpStream>,
    request: &[u8],
) -> anyhow::Result<()> {
    let mut open = match stream.take() {
        Some(open) => open,
        None => connect(server)?,
    };
    let answer = ask(&mut open, request)?;
    if !answer.closes {
        *stream = Some(open);
    }
    let status = answer.status;
    ensure!((200..300).contains(&status), "status {status}");
    Ok(())
}
