//! A log that is not read, or cannot be written, holds nothing up.

#![allow(clippy::unwrap_used, reason = "in a test, the panic is the report")]

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, ErrorKind, PipeReader, Read as _, Write as _, pipe};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use protocol_tests::Port;
use protocol_tests::wait::PATIENCE;

/// A relay whose stderr the test has in its hands.
struct Relay {
    child: Child,
    _directory: tempfile::TempDir,
}

impl Relay {
    fn start(args: &[&str], stderr: impl Into<Stdio>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
        command.args(args).env_clear().current_dir(directory.path());
        command.stdin(Stdio::null()).stderr(stderr);
        Self {
            child: command.spawn().unwrap(),
            _directory: directory,
        }
    }

    fn signal(&self, signal: i32) {
        let pid = i32::try_from(self.child.id()).unwrap();
        // SAFETY: kill takes plain numbers; the child is not yet reaped, so the pid is its.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    fn ended(&mut self) -> ExitStatus {
        eventually("the relay to end", || self.child.try_wait().unwrap())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn eventually<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = probe() {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Opens a WebSocket, up to the first message.
fn connect(address: SocketAddr) -> TcpStream {
    let mut stream = eventually("the relay to listen", || TcpStream::connect(address).ok());
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let handshake = "GET /app/local?protocol=7 HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\n\
                     Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                     Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(handshake.as_bytes()).unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"\"}") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        received.push(byte[0]);
    }
    stream
}

/// Reads the log up to the line with the public address, and not a byte further.
fn public_address(log: &mut PipeReader) -> SocketAddr {
    loop {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') {
            let mut byte = [0];
            log.read_exact(&mut byte).unwrap();
            line.push(byte[0]);
        }
        let line = String::from_utf8(line).unwrap();
        if line.contains("listening") && line.contains("public") {
            let (_, port) = line
                .trim_end()
                .trim_end_matches('"')
                .rsplit_once(':')
                .unwrap();
            let port: String = port.chars().take_while(char::is_ascii_digit).collect();
            return SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()));
        }
    }
}

/// Fills a pipe through a file of its own, so that the relay's is not made non-blocking.
fn fill(log: &PipeReader) {
    let path = format!("/proc/self/fd/{}", log.as_raw_fd());
    let mut options = OpenOptions::new();
    let mut pipe = options
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .unwrap();
    loop {
        match pipe.write(&[b'\n'; 512]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_log_that_nobody_reads_keeps_nobody_waiting() {
    for level in ["info", "debug"] {
        let (mut log, writer) = pipe().unwrap();
        let args = [
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "",
            "--log-level",
            level,
        ];
        let mut relay = Relay::start(&args, writer);
        let address = public_address(&mut log);
        fill(&log);
        let clients: Vec<_> = (0..20).map(|_| connect(address)).collect();
        drop(clients);
        drop(connect(address));
        relay.signal(libc::SIGTERM);
        assert_eq!(relay.ended().code(), Some(0), "{level}");
    }
}

#[test]
fn a_log_that_cannot_be_written_ends_nothing_and_its_lines_are_counted() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    // It cannot print where it listens.
    let held = [Port::hold(), Port::hold()];
    let [public, admin] = held.each_ref().map(Port::address);
    let args = [
        "--listen",
        &public.to_string(),
        "--admin-listen",
        &admin.to_string(),
    ];
    let mut relay = Relay::start(&args, full);
    drop(connect(public));
    let dropped = eventually("lines to be dropped", || {
        let mut stream = TcpStream::connect(admin).ok()?;
        let request = "GET /metrics HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let page = std::io::read_to_string(stream).unwrap();
        let name = "fanfare_log_lines_dropped_total ";
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        let dropped: u64 = line.expect("the metric is exported").parse().unwrap();
        (dropped > 10).then_some(dropped)
    });
    // The banner alone has more.
    assert!(dropped > 10, "{dropped}");
    relay.signal(libc::SIGTERM);
    assert_eq!(relay.ended().code(), Some(0));
}

#[test]
fn a_mistake_that_cannot_be_printed_has_its_exit_code() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut relay = Relay::start(&["--workers", "many"], full);
    assert_eq!(relay.ended().code(), Some(64));
}

#[test]
fn lines_that_were_dropped_are_reported_once_the_log_is_read_again() {
    let (log, writer) = pipe().unwrap();
    let args = [
        "--listen",
        "127.0.0.1:0",
        "--admin-listen",
        "",
        "--log-level",
        "debug",
    ];
    let relay = Relay::start(&args, writer);
    let mut reader = log.try_clone().unwrap();
    let address = public_address(&mut reader);
    fill(&log);
    // Each is logged with what is wrong with it, until more waits than may.
    let message = [&[0x81, 0x81, 0, 0, 0, 0][..], b"?"].concat();
    for _ in 0..60 {
        let mut client = connect(address);
        client.write_all(&message.repeat(150)).unwrap();
        let mut answers = 0;
        while answers < 150 {
            let mut buffer = [0; 4096];
            let count = client.read(&mut buffer).unwrap();
            assert_ne!(count, 0);
            answers += buffer[..count].iter().filter(|byte| **byte == 0x81).count();
        }
    }
    let lines = BufReader::new(log).lines().map(|line| line.unwrap());
    let report = "lines of the log were dropped";
    assert!(lines.into_iter().any(|line| line.contains(report)));
    drop(relay);
}

#[test]
fn sighup_has_the_configuration_read_again_and_ends_nothing() {
    let (mut log, writer) = pipe().unwrap();
    let args = ["--listen", "127.0.0.1:0", "--admin-listen", ""];
    let mut relay = Relay::start(&args, writer);
    let address = public_address(&mut log);
    relay.signal(libc::SIGHUP);
    let mut lines = BufReader::new(log).lines().map(|line| line.unwrap());
    assert!(lines.any(|line| line.contains("the configuration was read again")));
    connect(address);
    let rest = thread::spawn(move || lines.count());
    relay.signal(libc::SIGTERM);
    assert_eq!(relay.ended().code(), Some(0));
    rest.join().unwrap();
}
