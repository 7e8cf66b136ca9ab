//! The program, and what it prints.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, thread};

const BAD_CONFIGURATION: Option<i32> = Some(64);
pub(crate) const FAILURE: Option<i32> = Some(1);

/// A working directory that is gone when the test is over, and the program in it, with nothing
/// of this process's environment.
pub(crate) struct Directory(pub(crate) PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("fanfare-cli-{}-{number}", std::process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn with(name: &str, text: &str) -> Self {
        let directory = Self::new();
        fs::write(directory.0.join(name), text).unwrap();
        directory
    }

    pub(crate) fn fanfare(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
        command.args(args).env_clear().current_dir(&self.0);
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.fanfare(args).output().unwrap()
    }

    /// What is printed on stderr, after checking that this is a mistake of configuration.
    pub(crate) fn mistake(&self, args: &[&str]) -> String {
        mistake(self.run(args))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

pub(crate) fn mistake(output: Output) -> String {
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), BAD_CONFIGURATION, "{stderr}");
    assert_eq!(stdout, "");
    stderr
}

pub(crate) fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// A relay that runs until the test is over. `printed` is what it printed before it was ready.
pub(crate) struct Relay {
    child: Child,
    stderr: Option<BufReader<ChildStderr>>,
    pub(crate) printed: Vec<String>,
    pub(crate) url: String,
}

impl Relay {
    /// Starts a relay on free ports and waits until its public listener is bound, and until it
    /// has printed `last`.
    pub(crate) fn start(directory: &Directory, args: &[&str], last: &str) -> Self {
        let ports = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let mut command = directory.fanfare(&[args, &ports].concat());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut printed = Vec::new();
        let mut url = None;
        while url.is_none() || !printed.iter().any(|line: &String| line.contains(last)) {
            let mut line = String::new();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "{printed:?}");
            if line.contains("listening") && line.contains("public") {
                let address = line.split("127.0.0.1:").nth(1).unwrap();
                let port: String = address.chars().take_while(char::is_ascii_digit).collect();
                url = Some(format!("http://127.0.0.1:{port}"));
            }
            printed.push(line);
        }
        Self {
            child,
            stderr: Some(stderr),
            printed,
            url: url.unwrap(),
        }
    }

    /// Opens a WebSocket, up to the first message.
    pub(crate) fn connect(&self) -> TcpStream {
        self.connect_at("")
    }

    /// The same where paths begin with `prefix`.
    pub(crate) fn connect_at(&self, prefix: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.url.strip_prefix("http://").unwrap()).unwrap();
        let handshake = format!(
            "GET {prefix}/app/local?protocol=7 HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(handshake.as_bytes()).unwrap();
        let mut received = Vec::new();
        while !received.ends_with(b"\"}") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            received.push(byte[0]);
        }
        stream
    }

    /// Reads on until the relay prints a line with this in it.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let stderr = self.stderr.as_mut().unwrap();
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "no {text}");
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(status.success());
    }

    /// Asks the relay to stop, and returns its exit code and what else it printed.
    pub(crate) fn stop(&mut self, signal: &str) -> (Option<i32>, String) {
        let mut stderr = self.stderr.take().unwrap();
        let rest = thread::spawn(move || std::io::read_to_string(&mut stderr).unwrap());
        self.signal(signal);
        (self.child.wait().unwrap().code(), rest.join().unwrap())
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

pub(crate) const APP: &str = "[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = \"s3cr3t\"\n";
