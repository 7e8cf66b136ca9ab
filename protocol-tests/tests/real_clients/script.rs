//! Programs of `protocol-tests/clients/` as child processes.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use protocol_tests::names::unique;
use protocol_tests::{App, Secured, TestServer, within};
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

/// How long a program may take to end after SIGTERM; Chromium is ended by its program.
const GRACE: Duration = Duration::from_secs(10);

/// A language's interpreter, as `make setup` installs it: inside the project, but for PHP.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Interpreter {
    Node,
    Python,
    Php,
}

impl Interpreter {
    pub(crate) fn path(self) -> PathBuf {
        let path = match self {
            Interpreter::Node => project().join(".tools/bin/node"),
            Interpreter::Python => project().join(".tools/python/bin/python"),
            Interpreter::Php => PathBuf::from("/usr/bin/php"),
        };
        assert!(
            path.exists(),
            "{} is missing: run `make setup` first",
            path.display()
        );
        path
    }
}

/// A running program, and its standard input and output. Dropping it ends it.
pub(crate) struct Script {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    errors: JoinHandle<String>,
}

/// How a program ended.
pub(crate) struct Ended {
    pub(crate) succeeded: bool,
    pub(crate) stderr: String,
}

impl Script {
    /// Starts a program of `protocol-tests/clients/`. CLIENT_TEST names the server, where there is one.
    pub(crate) fn start(
        interpreter: Interpreter,
        arguments: &[&str],
        server: Option<&TestServer>,
    ) -> Script {
        let settings = server.map(|server| {
            let endpoint = server.endpoint();
            assert_eq!(
                endpoint.prefix, "",
                "Pusher's server libraries know no path prefix"
            );
            settings(server.app(), &endpoint.authority)
        });
        Script::start_with(interpreter, arguments, settings)
    }

    /// The same, with what [`settings`] says of the server.
    pub(crate) fn start_with(
        interpreter: Interpreter,
        arguments: &[&str],
        settings: Option<String>,
    ) -> Script {
        Script::start_trusting(interpreter, arguments, settings, None)
    }

    /// The same, of a program that trusts the certificates of a file.
    pub(crate) fn start_trusting(
        interpreter: Interpreter,
        arguments: &[&str],
        settings: Option<String>,
        certificates: Option<&Path>,
    ) -> Script {
        let mut command = Command::new(interpreter.path());
        command
            .args(arguments)
            .current_dir(project().join("protocol-tests/clients"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(settings) = settings {
            command.env("CLIENT_TEST", settings);
        }
        if let Some(certificates) = certificates {
            // As Node, Python's requests and everything on OpenSSL have it.
            command
                .env("NODE_EXTRA_CA_CERTS", certificates)
                .env("REQUESTS_CA_BUNDLE", certificates)
                .env("SSL_CERT_FILE", certificates);
        }
        // A test run that is itself killed runs no destructors: the kernel then ends the program with its test.
        // SAFETY: prctl is async-signal-safe and touches nothing of the parent.
        unsafe {
            command.pre_exec(
                || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                },
            );
        }
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {arguments:?}: {error}"));
        let output = child.stdout.take().expect("stdout is piped");
        let mut stderr = child.stderr.take().expect("stderr is piped");
        Script {
            input: child.stdin.take(),
            output: BufReader::new(output).lines(),
            errors: tokio::spawn(async move {
                let mut text = String::new();
                stderr
                    .read_to_string(&mut text)
                    .await
                    .expect("the program writes UTF-8");
                text
            }),
            child,
        }
    }

    /// The next line of output; `None` at its end. No time limit.
    pub(crate) async fn line(&mut self) -> Option<String> {
        self.output
            .next_line()
            .await
            .expect("the program writes UTF-8")
    }

    /// Writes a line to the program's input.
    pub(crate) async fn write_line(&mut self, line: &str) {
        let input = self.input.as_mut().expect("the input is still open");
        input
            .write_all(format!("{line}\n").as_bytes())
            .await
            .unwrap_or_else(|error| panic!("the program does not read: {error}"));
    }

    /// Closes the program's input and waits for its end.
    pub(crate) async fn ended(&mut self) -> Ended {
        self.input = None;
        let status = within("the program's end", self.child.wait())
            .await
            .expect("the child is ours to wait for");
        let errors = within("the end of the program's errors", &mut self.errors);
        Ended {
            succeeded: status.success(),
            stderr: errors.await.expect("the reader does not panic"),
        }
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // None: the program has ended and been waited for.
        let Some(id) = self.child.id() else { return };
        let pid = libc::pid_t::try_from(id).expect("a pid fits pid_t");
        // SAFETY: kill takes plain numbers; the child is not yet reaped, so the pid is its.
        unsafe { libc::kill(pid, libc::SIGTERM) };
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        // An error means that it has ended already.
        let _ended = self.child.start_kill();
    }
}

fn project() -> PathBuf {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    package
        .parent()
        .expect("the package is a directory of the project")
        .to_path_buf()
}

/// What programs are given of a server, or of what stands in front of it: `host:port`.
pub(crate) fn settings(app: &App, authority: &str) -> String {
    described(app, authority, false)
}

/// The same of a server that speaks TLS there.
pub(crate) fn settings_over_tls(secured: &Secured) -> String {
    described(secured.server.app(), secured.authority(), true)
}

fn described(app: &App, authority: &str, tls: bool) -> String {
    let (host, port) = authority.rsplit_once(':').expect("an authority has a port");
    let port: u16 = port.parse().expect("a port is a number");
    let app = json!({"id": app.id, "key": app.key, "secret": app.secret});
    json!({"host": host, "port": port, "tls": tls, "app": app, "tag": unique("")}).to_string()
}
