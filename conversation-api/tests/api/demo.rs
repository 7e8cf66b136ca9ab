//! `make demo`: the script itself, with stand-ins for what installs and builds.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use protocol_tests::subject::{self, Endpoint};
use protocol_tests::{HttpClient, eventually};
use tempfile::TempDir;

use crate::support::graph::takes;
use crate::support::{Desk, StandIn};

/// A checkout of the project with the real scripts, in which nothing is installed and built.
struct Checkout {
    folder: TempDir,
}

impl Checkout {
    fn new() -> Checkout {
        let folder = tempfile::tempdir().unwrap();
        let checkout = Checkout { folder };
        let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        for name in ["scripts", "bin", "temporary", "conversation-api/web/dist"] {
            fs::create_dir_all(checkout.path(name)).unwrap();
        }
        for script in ["demo", "demo-config", "customer-message"] {
            let script = format!("scripts/{script}");
            symlink(project.join(&script), checkout.path(&script)).unwrap();
        }
        let stand_ins = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stand-ins");
        symlink(stand_ins.join("setup"), checkout.path("scripts/setup")).unwrap();
        symlink(stand_ins.join("cargo"), checkout.path("bin/cargo")).unwrap();
        let page = checkout.path("conversation-api/web/dist/index.html");
        fs::write(page, "the page").unwrap();
        // Where there is no openssl, the project's Node.js signs.
        symlink(project.join(".tools"), checkout.path(".tools")).unwrap();
        checkout
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The names of what is there.
    fn names(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }
}

/// The script at work. Dropping it ends it, and what it has started.
struct Demo {
    child: Child,
    stdin: Option<ChildStdin>,
    printed: Arc<Mutex<Vec<String>>>,
}

impl Demo {
    fn start(checkout: &Checkout, variables: &[(&str, String)]) -> Demo {
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(checkout.path("scripts/demo"));
        command
            .env_clear()
            .env("PATH", format!("{}:{path}", checkout.path("bin").display()))
            .env("TMPDIR", checkout.path("temporary"))
            .env("RELAY", subject::binary())
            .env("API", env!("CARGO_BIN_EXE_conversation-api"))
            .env("RELAY_PORT", "0")
            .env("API_PORT", "0")
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // The kernel asks it to end if this test is killed, and it ends what it has started.
        // SAFETY: prctl is async-signal-safe and touches nothing of the parent.
        unsafe {
            command.pre_exec(
                || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
                    0 => Ok(()),
                    _ => Err(std::io::Error::last_os_error()),
                },
            );
        }
        let mut child = command.spawn().unwrap();
        let printed = Arc::default();
        collect(child.stdout.take().unwrap(), Arc::clone(&printed));
        collect(child.stderr.take().unwrap(), Arc::clone(&printed));
        let stdin = child.stdin.take();
        Demo {
            child,
            stdin,
            printed,
        }
    }

    /// Lets the stand-in that is at work end.
    fn go_on(&mut self) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.write_all(b"\n").unwrap();
    }

    fn printed(&self) -> Vec<String> {
        self.printed.lock().unwrap().clone()
    }

    fn has_printed(&self, text: &str) -> bool {
        self.printed().iter().any(|line| line.contains(text))
    }

    /// Waits until a line with this text is printed; returns what stands behind that.
    async fn prints(&mut self, text: &str) -> String {
        eventually(&format!("{text:?} to be printed"), || {
            let lines = self.printed();
            let found = lines.iter().find_map(|line| line.split_once(text));
            let found = found.map(|(_, rest)| rest.trim().to_owned());
            if found.is_none()
                && let Some(status) = self.child.try_wait().unwrap()
            {
                panic!("it ended ({status}):\n{}", lines.join("\n"));
            }
            async { found }
        })
        .await
    }

    fn ask_to_end(&self) {
        let pid = libc::pid_t::try_from(self.child.id()).unwrap();
        // SAFETY: kill takes plain numbers; the child is not yet reaped, so the pid is its.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGTERM) }, 0);
    }

    /// Ends it, as Ctrl-C does.
    async fn stop(mut self) -> ExitStatus {
        self.ask_to_end();
        eventually("the script to end", || {
            let status = self.child.try_wait().unwrap();
            async move { status }
        })
        .await
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // Stand-ins read no more.
        self.stdin = None;
        if matches!(self.child.try_wait(), Ok(None)) {
            self.ask_to_end();
            let _reaped = self.child.wait();
        }
        if thread::panicking() {
            eprintln!("what was printed:\n{}", self.printed().join("\n"));
        }
    }
}

fn collect(output: impl Read + Send + 'static, printed: Arc<Mutex<Vec<String>>>) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            printed.lock().unwrap().push(line);
        }
    });
}

/// Settings of a desk with real customers, and some that nothing could start with.
fn foreign_settings(graph: &StandIn) -> Vec<(&'static str, String)> {
    let graph = format!("http://{}", graph.authority);
    [
        ("WHATSAPP_TOKEN", graph.as_str()),
        ("WHATSAPP_PHONE_NUMBER_ID", "15550100"),
        ("WHATSAPP_GRAPH_URL", graph.as_str()),
        ("DATABASE_URL", "sqlite://production.db"),
        ("BROADCAST_DRIVER", "redis"),
        ("BROADCAST_CONNECTION", "redis"),
        ("PUSHER_URL", "nonsense"),
        ("PUSHER_APP_KEY", "production"),
        ("METRICS_LISTEN", "nowhere"),
        ("TRUSTED_PROXIES", "nobody"),
        ("MEDIA", "files"),
        ("LOG_FORMAT", "json"),
        ("LOG_LEVEL", "error"),
        ("FANFARE_SERVER__LISTEN", "nowhere"),
        ("FANFARE_LOG__LEVEL", "error"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into()
}

#[tokio::test]
async fn the_demonstration_says_what_it_does_while_it_does_it() {
    let checkout = Checkout::new();
    let mut demo = Demo::start(&checkout, &[("CARGO_TERM_QUIET", "true".into())]);
    demo.prints("demo: 1 of 3: the inbox.").await;
    demo.prints("setup: at work").await;
    assert!(!demo.has_printed("2 of 3"));
    demo.go_on();
    demo.prints("demo: 2 of 3: the relay and the API are built.")
        .await;
    // Whatever its own settings, cargo is not silent for minutes.
    demo.prints("Compiling with quiet=false").await;
    assert!(!demo.has_printed("built after") && !demo.has_printed("3 of 3"));
    demo.go_on();
    demo.prints("demo: built after").await;
    demo.prints("demo: 3 of 3: starting both").await;
    demo.prints("  Inbox   ").await;
    demo.prints("  agent@tims.local").await;
    demo.prints("Ctrl-C stops all of it.").await;
    let status = demo.stop().await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn the_demonstration_reaches_no_customer_whatever_is_set_where_it_is_started() {
    let checkout = Checkout::new();
    let graph = StandIn::start(takes).await;
    let settings = foreign_settings(&graph);
    let lines = settings
        .iter()
        .map(|(name, value)| format!("{name}={value}\n"));
    fs::write(checkout.path(".env"), lines.collect::<String>()).unwrap();
    let before = checkout.names("");
    let mut demo = Demo::start(&checkout, &settings);
    demo.go_on();
    demo.go_on();
    let address = demo.prints("  API     ").await;
    let log = PathBuf::from(demo.prints("  Logs    ").await);
    demo.prints("Ctrl-C stops all of it.").await;
    let log_text = fs::read_to_string(&log).unwrap();
    assert!(
        log_text.contains("what agents write is not sent to customers"),
        "{log_text}"
    );
    let mut agent = Desk::new(HttpClient::new(Endpoint::parse(&address)));
    agent.log_in("agent@tims.local").await;
    agent.write(1, "I have put it aside.").await;
    // Replies that are under way are waited for.
    let status = demo.stop().await;
    assert!(status.success(), "{status}");
    assert!(graph.arrived().is_empty(), "{:?}", graph.arrived());
    let mut expected = before;
    expected.push("target".into());
    expected.sort();
    assert_eq!(checkout.names(""), expected, "nothing is left behind");
    assert_eq!(
        checkout.names("temporary"),
        [""; 0],
        "what it stored is gone"
    );
}
