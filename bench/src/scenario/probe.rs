//! Asks a health path again and again from a thread of its own, so that an answer never waits
//! for the generator's walk over its subscribers.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::net::parse_response;
use crate::report::{Latency, Report, new_latency};
use crate::sys;

const INTERVAL_NS: u64 = 10_000_000;
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Findings>,
}

/// Latencies run from just before the request to the whole answer, on a new connection from
/// before its connect. An answer that takes longer than the interval also counts for the
/// requests that should have been sent meanwhile.
pub(super) struct Findings {
    kept: Latency,
    new: Latency,
    /// How much longer each sleep between requests was than asked for: the probe's own wait
    /// for a CPU.
    lag: Latency,
    failures: BTreeMap<String, u64>,
}

impl Probe {
    pub(super) fn start(server: SocketAddrV4, path: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, path) = (Arc::clone(&stop), path.to_string());
        Self {
            stop,
            thread: std::thread::spawn(move || ask_until(&seen, server, &path)),
        }
    }

    pub(super) fn finish(self) -> Findings {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(findings) => findings,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Findings {
    pub(super) fn report(&self, report: &mut Report) {
        report.latency("health", &self.kept);
        report.latency("health_on_new_connection", &self.new);
        report.latency("probe_lag", &self.lag);
        for (failure, count) in &self.failures {
            report.problem(format!("{count} health requests failed: {failure}"));
        }
    }
}

/// One request on a connection that stays, one on a connection made for it, every interval.
fn ask_until(stop: &AtomicBool, server: SocketAddrV4, path: &str) -> Findings {
    let mut findings = Findings {
        kept: new_latency(),
        new: new_latency(),
        lag: new_latency(),
        failures: BTreeMap::new(),
    };
    let request = |connection: &str| {
        format!("GET {path} HTTP/1.1\r\nHost: {server}\r\nConnection: {connection}\r\n\r\n")
    };
    let (keep, close) = (request("keep-alive"), request("close"));
    let mut kept = None;
    let mut due = sys::now_ns();
    while !stop.load(Ordering::Relaxed) {
        let early = due.saturating_sub(sys::now_ns());
        if early > 0 {
            sys::sleep_ns(early);
            findings.lag.saturating_record(sys::now_ns() - due);
        }
        due = sys::now_ns() + INTERVAL_NS;

        let stream = match kept.take() {
            Some(stream) => Ok(stream),
            None => connect(server),
        };
        let began = sys::now_ns();
        let answer = stream.and_then(|stream| ask(stream, &keep));
        kept = findings.note(began, answer, |findings| &mut findings.kept);

        let began = sys::now_ns();
        let answer = connect(server).and_then(|stream| ask(stream, &close));
        findings.note(began, answer, |findings| &mut findings.new);
    }
    findings
}

impl Findings {
    /// Notes one answer, and hands back the connection if it can be used again.
    fn note(
        &mut self,
        began: u64,
        answer: Result<Option<TcpStream>, String>,
        latency: impl Fn(&mut Self) -> &mut Latency,
    ) -> Option<TcpStream> {
        match answer {
            Ok(stream) => {
                let ns = (sys::now_ns() - began).min(latency(self).high());
                latency(self)
                    .record_correct(ns, INTERVAL_NS)
                    .expect("within the histogram's bounds");
                stream
            }
            Err(failure) => {
                *self.failures.entry(failure).or_default() += 1;
                None
            }
        }
    }
}

fn connect(server: SocketAddrV4) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(server).map_err(|error| format!("connect: {error}"))?;
    let set_up = || {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))
    };
    set_up().map_err(|error| format!("connect: {error}"))?;
    Ok(stream)
}

/// The connection comes back unless the server is going to close it.
fn ask(mut stream: TcpStream, request: &str) -> Result<Option<TcpStream>, String> {
    let sent = stream.write_all(request.as_bytes());
    sent.map_err(|error| format!("send: {error}"))?;
    let mut received = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let size = stream
            .read(&mut buffer)
            .map_err(|error| format!("read: {error}"))?;
        received.extend_from_slice(&buffer[..size]);
        match parse_response(&received, size == 0)? {
            Some(answer) if answer.status != 200 => return Err(answer.status.to_string()),
            Some(answer) => return Ok((!answer.closes).then_some(stream)),
            None if size == 0 => return Err("end of stream".into()),
            None => {}
        }
    }
}
