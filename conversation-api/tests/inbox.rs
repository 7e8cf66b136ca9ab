//! The inbox in headless Chromium, with a real relay and the real API behind it.
//!
//! The tests themselves are in `web/tests/`; `make setup` installs what they need and builds the page.
//! They take turns: each of them measures how soon something is seen.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

static TURN: Mutex<()> = Mutex::new(());

#[test]
fn what_is_fetched_and_what_is_received_come_together() {
    run("lists");
}

#[test]
fn what_people_write_is_shown_and_kept() {
    run("texts");
}

#[test]
fn messages_are_sent_in_order_and_once() {
    run("sending");
}

#[test]
fn messages_reach_those_who_may_listen() {
    run("messages");
}

#[test]
fn messages_of_every_kind_are_shown() {
    run("kinds");
}

#[test]
fn everybody_sees_whose_a_conversation_is() {
    run("conversations");
}

#[test]
fn log_ins_and_drafts_belong_to_one_user() {
    run("sessions");
}

#[test]
fn long_conversations_are_quick() {
    run("performance");
}

#[test]
fn a_team_gets_through_its_day() {
    run("day");
}

#[test]
fn colleagues_see_each_other() {
    run("presence");
}

#[test]
fn interruptions_lose_nothing() {
    run("interruptions");
}

#[test]
fn the_page_can_be_used() {
    run("page");
}

/// Runs a file of tests under Node.
fn run(topic: &str) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let project = package
        .parent()
        .expect("the package is a directory of the project");
    let node = built(project.join(".tools/bin/node"), "make setup");
    built(package.join("web/dist/index.html"), "make setup");
    let folder = tempfile::tempdir().expect("the temporary directory is writable");
    let mut command = Command::new(node);
    command
        .args(["--test-reporter=spec", "--test-timeout=300000"])
        .arg("--test-force-exit")
        .arg(format!("tests/{topic}.test.mjs"))
        .current_dir(package.join("web"))
        .env(
            "CONVERSATION_API_BIN",
            env!("CARGO_BIN_EXE_conversation-api"),
        )
        .env("FANFARE_BIN", relay())
        .env("TMPDIR", folder.path());
    // A test run that is itself killed runs no destructors: the kernel then ends Node with it, and
    // Node what it has started.
    // SAFETY: prctl is async-signal-safe and touches nothing of the parent.
    unsafe {
        command.pre_exec(
            || match libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            },
        );
    }
    let output = command.output().expect("Node can be started");
    let (stdout, stderr) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{topic} failed\n{stdout}{stderr}");
    eprintln!("{stdout}");
}

/// The relay: `FANFARE_BIN`, or what was built beside the API.
fn relay() -> PathBuf {
    match env::var_os("FANFARE_BIN").filter(|path| !path.is_empty()) {
        // Absolute, because it is started in a directory of its own.
        Some(path) => std::fs::canonicalize(path).expect("FANFARE_BIN names a program"),
        None => built(
            Path::new(env!("CARGO_BIN_EXE_conversation-api")).with_file_name("fanfare"),
            "cargo build",
        ),
    }
}

fn built(path: PathBuf, by: &str) -> PathBuf {
    assert!(
        path.exists(),
        "{} is missing: run `{by}` first",
        path.display()
    );
    path
}
