//! Databases of the tests' own, in directories of their own, that can be made to fail.

use std::fs;
use std::io;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use protocol_tests::{eventually, within};
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};
use tempfile::TempDir;
use tokio::net::UnixStream;

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
    MariaDb,
}

/// A database, which ends with this value.
pub(super) struct DatabaseServer {
    kind: Kind,
    directory: TempDir,
    child: Option<Child>,
}

impl DatabaseServer {
    pub(super) async fn start(kind: Kind) -> DatabaseServer {
        let directory = tempfile::tempdir().expect("the temporary directory is writable");
        let mut this = DatabaseServer {
            kind,
            directory,
            child: None,
        };
        match kind {
            Kind::Sqlite => fs::create_dir(this.path("there")).expect("it is writable"),
            Kind::Postgres => init_postgres(this.directory.path()),
            Kind::MariaDb => init_mariadb(this.directory.path()),
        }
        this.start_again().await;
        if kind == Kind::MariaDb {
            this.execute_at("mysql", "CREATE DATABASE apps").await;
        }
        this
    }

    /// Where it is.
    pub(super) fn url(&self) -> String {
        self.url_of("apps")
    }

    fn url_of(&self, name: &str) -> String {
        let directory = self.directory.path().display();
        match self.kind {
            Kind::Sqlite => format!("sqlite://{directory}/there/apps.db"),
            Kind::Postgres => {
                format!("postgres://fanfare:unprinted@localhost/postgres?host={directory}")
            }
            Kind::MariaDb => format!("mysql://root@localhost/{name}?socket={directory}/m.sock"),
        }
    }

    /// Kills it: what is committed stays. A file is taken away.
    pub(super) fn kill(&mut self) {
        match self.child.take() {
            Some(child) => end(child, self.kind),
            None => fs::rename(self.path("there"), self.path("away")).expect("it is there"),
        }
    }

    /// Stops the process, which goes on with [`resume`](Self::resume): whoever asks it waits.
    pub(super) fn pause(&self) {
        self.signal(libc::SIGSTOP);
    }

    pub(super) fn resume(&self) {
        self.signal(libc::SIGCONT);
    }

    fn signal(&self, signal: i32) {
        let child = self.child.as_ref().expect("it is a process");
        send(child, signal);
    }

    /// Starts what was killed.
    pub(super) async fn start_again(&mut self) {
        let directory = self.directory.path();
        let (command, socket) = match self.kind {
            Kind::Sqlite => {
                if self.path("away").exists() {
                    fs::rename(self.path("away"), self.path("there")).expect("it is writable");
                }
                return;
            }
            Kind::Postgres => (postgres(directory), ".s.PGSQL.5432"),
            Kind::MariaDb => (mariadb(directory), "m.sock"),
        };
        let log = self.path("server.log");
        let mut command = command;
        command.stderr(fs::File::create(&log).expect("the directory is writable"));
        let mut child = command.spawn().expect("the server starts");
        let socket = self.path(socket);
        eventually("the database to accept connections", || {
            if let Ok(Some(status)) = child.try_wait() {
                let log = fs::read_to_string(&log).unwrap_or_default();
                panic!("the database ended ({status}): {log}");
            }
            let (socket, log) = (socket.clone(), log.clone());
            async move {
                UnixStream::connect(&socket).await.ok()?;
                let log = fs::read_to_string(&log).ok()?;
                let ready = ["ready to accept connections", "ready for connections"];
                ready.iter().any(|text| log.contains(text)).then_some(())
            }
        })
        .await;
        self.child = Some(child);
    }

    /// Runs statements.
    pub(super) async fn execute(&self, statement: &str) {
        self.execute_at("apps", statement).await;
    }

    async fn execute_at(&self, name: &str, statement: &str) {
        sqlx::any::install_default_drivers();
        let mut url = self.url_of(name);
        if self.kind == Kind::Sqlite {
            url.push_str("?mode=rwc");
        }
        let work = async {
            let mut connection = AnyConnection::connect(&url).await?;
            sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
                .execute(&mut connection)
                .await?;
            connection.close().await
        };
        let done = within("the database to answer", work).await;
        done.unwrap_or_else(|error| panic!("{statement:.200}: {error}"));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for DatabaseServer {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            end(child, self.kind);
        }
    }
}

fn end(mut child: Child, kind: Kind) {
    send(&child, libc::SIGCONT);
    // PostgreSQL ends its own children at an immediate shutdown.
    let signal = match kind {
        Kind::Postgres => libc::SIGQUIT,
        Kind::Sqlite | Kind::MariaDb => libc::SIGKILL,
    };
    send(&child, signal);
    let _reaped = child.wait();
}

fn send(child: &Child, signal: i32) {
    let pid = libc::pid_t::try_from(child.id()).expect("a pid fits pid_t");
    // SAFETY: kill takes plain numbers; the child is not yet reaped, so the pid is its.
    unsafe { libc::kill(pid, signal) };
}

fn init_postgres(directory: &Path) {
    let account = account();
    let data = directory.join("data");
    fs::create_dir(&data).expect("the temporary directory is writable");
    if let Some((user, group)) = account {
        for path in [directory, &data] {
            chown(path, Some(user), Some(group)).expect("root may give things away");
        }
    }
    let mut init = command(postgres_programs().join("initdb"), account);
    init.args([
        "--auth=trust",
        "--username=fanfare",
        "--no-sync",
        "--encoding=UTF8",
        "--pgdata",
    ]);
    succeed(init.arg(&data));
}

fn postgres(directory: &Path) -> Command {
    let mut server = command(postgres_programs().join("postgres"), account());
    server.arg("-D").arg(directory.join("data"));
    server.arg("-k").arg(directory);
    for setting in ["listen_addresses=", "fsync=off", "shared_buffers=16MB"] {
        server.args(["-c", setting]);
    }
    server
}

/// Where Debian has them, the newest first, or else wherever PATH leads.
fn postgres_programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql");
    let versions = versions.into_iter().flatten().flatten();
    let mut folders: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    folders.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let others = std::env::split_paths(&path);
    let mut folders = folders.into_iter().rev().chain(others);
    let found = folders.find(|folder| folder.join("initdb").is_file());
    found.expect("PostgreSQL is installed: run `make setup`")
}

fn init_mariadb(directory: &Path) {
    let mut init = command("mariadb-install-db", None);
    // At its start MariaDB deletes what others have there.
    init.env("TMPDIR", directory)
        .arg("--no-defaults")
        .arg(format!("--datadir={}", directory.join("data").display()))
        .args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
    if is_root() {
        init.arg("--user=root");
    }
    succeed(&mut init);
}

fn mariadb(directory: &Path) -> Command {
    let folder = ["/usr/sbin", "/usr/bin", "/usr/local/bin"].map(Path::new);
    let program = folder.into_iter().map(|folder| folder.join("mariadbd"));
    let program = program.into_iter().find(|program| program.is_file());
    let mut server = command(
        program.expect("MariaDB is installed: run `make setup`"),
        None,
    );
    let path = |option: &str, name: &str| format!("--{option}={}", directory.join(name).display());
    server
        .env("TMPDIR", directory)
        .arg("--no-defaults")
        .arg(path("datadir", "data"))
        .arg(path("socket", "m.sock"))
        .arg(path("pid-file", "m.pid"))
        .args([
            "--skip-networking",
            "--innodb-buffer-pool-size=16M",
            "--innodb-flush-log-at-trx-commit=2",
            "--skip-log-bin",
        ]);
    if is_root() {
        server.arg("--user=root");
    }
    server
}

fn is_root() -> bool {
    // SAFETY: it takes nothing and returns a number.
    unsafe { libc::geteuid() == 0 }
}

/// The account that PostgreSQL runs under: it refuses to be root.
fn account() -> Option<(u32, u32)> {
    if !is_root() {
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

fn succeed(command: &mut Command) {
    let output = command
        .stdout(Stdio::piped())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}: run `make setup`"));
    let texts = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{}{}", texts[0], texts[1]);
}

fn command(program: impl AsRef<Path>, account: Option<(u32, u32)>) -> Command {
    let mut command = Command::new(program.as_ref());
    command
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    if let Some((user, group)) = account {
        command.uid(user).gid(group);
    }
    // A test run that is itself killed runs no destructors: the kernel then ends the process with the thread that
    // started it, which is the test's own.
    // SAFETY: prctl is async-signal-safe and touches nothing of the parent.
    unsafe {
        command.pre_exec(
            || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            },
        );
    }
    command
}
