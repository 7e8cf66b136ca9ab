//! A PostgreSQL server of the test's own, on a Unix socket in a directory of its own.

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use protocol_tests::eventually;
use tokio::net::UnixStream;

/// A server that ends with this value.
pub(crate) struct Postgres {
    child: Child,
    sockets: PathBuf,
}

impl Postgres {
    /// Makes a cluster in `directory` and starts it.
    pub(crate) async fn start(directory: &Path) -> Postgres {
        let programs = programs();
        let account = account();
        let data = directory.join("data");
        fs::create_dir(&data).expect("the temporary directory is writable");
        if let Some((user, group)) = account {
            for path in [directory, &data] {
                chown(path, Some(user), Some(group)).expect("root may give things away");
            }
        }
        let mut init = as_account(Command::new(programs.join("initdb")), account);
        init.args([
            "--auth=trust",
            "--username=tims",
            "--no-sync",
            "--encoding=UTF8",
            "--pgdata",
        ]);
        let output = init.arg(&data).output().expect("initdb starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut postgres = Postgres {
            child: launch(directory),
            sockets: directory.to_owned(),
        };
        postgres.is_up().await;
        postgres
    }

    /// Stops all of its processes where they are: connections stay open and nothing answers.
    pub(crate) fn freeze(&self) {
        self.signal_all(libc::SIGSTOP);
    }

    /// Lets them go on.
    pub(crate) fn thaw(&self) {
        self.signal_all(libc::SIGCONT);
    }

    /// Ends it without notice.
    pub(crate) fn kill(&mut self) {
        self.signal_all(libc::SIGKILL);
        let _reaped = self.child.wait();
    }

    /// Starts it again, with what it had.
    pub(crate) async fn restart(&mut self) {
        fs::remove_file(self.sockets.join("postgres.log")).unwrap();
        let _left = fs::remove_file(self.sockets.join(".s.PGSQL.5432"));
        self.child = launch(&self.sockets);
        self.is_up().await;
    }

    /// The server first, so that it starts nothing in the meantime.
    fn signal_all(&self, signal: libc::c_int) {
        let server = self.child.id();
        let mut pids = vec![server];
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
            if status.contains(&format!("\nPPid:\t{server}\n")) {
                pids.extend(
                    entry
                        .file_name()
                        .to_str()
                        .and_then(|pid| pid.parse::<u32>().ok()),
                );
            }
        }
        for pid in pids {
            let pid = libc::pid_t::try_from(pid).expect("a pid fits pid_t");
            // SAFETY: kill takes plain numbers. The server is not yet reaped, so the pid is its, and
            // its children are its to reap.
            unsafe { libc::kill(pid, signal) };
        }
    }

    /// Where it is.
    pub(crate) fn url(&self) -> String {
        format!(
            "postgres://tims@localhost/postgres?host={}",
            self.sockets.display()
        )
    }

    async fn is_up(&mut self) {
        let socket = self.sockets.join(".s.PGSQL.5432");
        let log = self.sockets.join("postgres.log");
        let child = &mut self.child;
        eventually("PostgreSQL to accept connections", || {
            if let Ok(Some(status)) = child.try_wait() {
                panic!(
                    "PostgreSQL ended ({status}): {}",
                    fs::read_to_string(&log).unwrap()
                );
            }
            let (socket, log) = (socket.clone(), log.clone());
            async move {
                UnixStream::connect(&socket).await.ok()?;
                let log = fs::read_to_string(&log).ok()?;
                log.contains("ready to accept connections").then_some(())
            }
        })
        .await;
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Ok(Some(_)) = self.child.try_wait() {
            return;
        }
        let pid = libc::pid_t::try_from(self.child.id()).expect("a pid fits pid_t");
        self.thaw();
        // SAFETY: kill takes plain numbers; the child is not yet reaped, so the pid is its. SIGQUIT
        // asks for an immediate shutdown, in which the server ends its own children first.
        unsafe { libc::kill(pid, libc::SIGQUIT) };
        let _reaped = self.child.wait();
    }
}

fn launch(directory: &Path) -> Child {
    let mut server = as_account(Command::new(programs().join("postgres")), account());
    let settings = [
        "listen_addresses=",
        "fsync=off",
        "max_connections=60",
        "shared_buffers=16MB",
    ];
    server.arg("-D").arg(directory.join("data"));
    server.arg("-k").arg(directory);
    for setting in settings {
        server.args(["-c", setting]);
    }
    let log = fs::File::create(directory.join("postgres.log")).unwrap();
    server.stderr(log).spawn().expect("postgres starts")
}

/// Where Debian has them, the newest first, or else wherever PATH leads.
fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut folders: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    folders.retain(|folder| folder.join("initdb").is_file());
    folders.sort();
    folders.pop().unwrap_or_else(|| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut folders = std::env::split_paths(&path);
        let found = folders.find(|folder| folder.join("initdb").is_file());
        found.expect("PostgreSQL is installed: run `make setup`")
    })
}

/// The account that the server runs under: it refuses to be root.
fn account() -> Option<(u32, u32)> {
    // SAFETY: it takes nothing and returns a number.
    if unsafe { libc::geteuid() } != 0 {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").expect("there are accounts");
    ["postgres", "nobody"].into_iter().find_map(|name| {
        let line = passwd
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2);
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    })
}

fn as_account(mut command: Command, account: Option<(u32, u32)>) -> Command {
    command
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    if let Some((user, group)) = account {
        command.uid(user).gid(group);
    }
    ends_with_its_test(&mut command);
    command
}

/// A test run that is itself killed runs no destructors: the kernel then ends the process with
/// the thread that started it, which is the test's own.
pub(crate) fn ends_with_its_test(command: &mut Command) {
    // SAFETY: prctl is async-signal-safe and touches nothing of the parent.
    unsafe {
        command.pre_exec(
            || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            },
        );
    }
}
