//! The receiver of webhooks: counts what is reported, and does no more.
//!
//! A thread for each connection, which reads, counts and answers: as cheap as the floor, and a
//! process of its own, so that nothing of it is the relay's.

mod counts;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Context;
use clap::{Args, ValueEnum};

pub(crate) use self::counts::Counts;
use crate::http::{self, Request};
use crate::net::get;
use crate::sys::StopSignals;

#[derive(Args)]
pub(crate) struct ReceiverOptions {
    /// Port on 127.0.0.1; 0 takes a free one, which the first line on stderr names
    #[arg(long)]
    port: u16,
    /// What a POST is answered once it is counted. Any GET is answered with the counts
    #[arg(long, default_value = "ok")]
    answer: Answer,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Answer {
    /// 200
    Ok,
    /// nothing, on a connection that stays open
    Never,
}

impl Answer {
    /// As it is given to `--answer`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Answer::Ok => "ok",
            Answer::Never => "never",
        }
    }
}

const READ_BUFFER: usize = 64 << 10;
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// Counts until SIGTERM (or SIGINT), and then prints the counts as one line of JSON.
#[expect(clippy::print_stdout, reason = "the counts are this command's output")]
pub(crate) fn run(options: ReceiverOptions) -> anyhow::Result<()> {
    // Before there are other threads, so that they leave the signals alone.
    let signals = StopSignals::hold_back().context("holding back signals")?;
    let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, options.port);
    let listener = TcpListener::bind(address).with_context(|| format!("listening on {address}"))?;
    eprintln!("receiver on {}", listener.local_addr()?);
    let counts = Arc::new(Mutex::new(Counts::default()));
    let counting = Arc::clone(&counts);
    thread::spawn(move || accept(&listener, options.answer, &counting));
    signals.wait().context("waiting for a signal")?;
    println!("{}", json(&counts));
    Ok(())
}

/// What a receiver has counted so far.
pub(crate) fn ask(receiver: SocketAddrV4) -> anyhow::Result<Counts> {
    let asked = || Ok(serde_json::from_slice(&get(receiver, "/")?.body)?);
    let asked: anyhow::Result<Counts> = asked();
    asked.with_context(|| format!("asking the receiver at {receiver} for its counts"))
}

fn accept(listener: &TcpListener, answer: Answer, counts: &Arc<Mutex<Counts>>) {
    for stream in listener.incoming() {
        // One that was gone before it was accepted.
        let Ok(stream) = stream else { continue };
        let counts = Arc::clone(counts);
        // However the connection ends, what came over it is counted.
        thread::spawn(move || serve(stream, answer, &counts));
    }
}

fn serve(mut stream: TcpStream, answer: Answer, counts: &Mutex<Counts>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; READ_BUFFER];
    let mut input = Vec::new();
    loop {
        let size = stream.read(&mut buffer)?;
        if size == 0 {
            return Ok(());
        }
        input.extend_from_slice(&buffer[..size]);
        let mut used = 0;
        let invalid = |what| io::Error::new(io::ErrorKind::InvalidData, what);
        while let Some(request) = http::parse(&input[used..]).map_err(invalid)? {
            handle(&request, &mut stream, answer, counts)?;
            used += request.size;
        }
        input.drain(..used);
    }
}

fn handle(
    request: &Request<'_>,
    stream: &mut TcpStream,
    answer: Answer,
    counts: &Mutex<Counts>,
) -> io::Result<()> {
    if request.is_get {
        let body = json(counts);
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n\
             {body}"
        );
        return stream.write_all(answer.as_bytes());
    }
    lock(counts).add(request.body);
    match answer {
        Answer::Ok => stream.write_all(OK),
        Answer::Never => Ok(()),
    }
}

fn json(counts: &Mutex<Counts>) -> String {
    serde_json::json!(*lock(counts)).to_string()
}

/// Counts are whole whenever the lock is free, whoever panicked.
fn lock(counts: &Mutex<Counts>) -> std::sync::MutexGuard<'_, Counts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}
