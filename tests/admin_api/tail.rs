//! `fanfare tail` where a token is asked for.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

use protocol_tests::{TestServer, or_skip};

use crate::support::{TOKEN, start};

fn tail(server: &TestServer) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
    command
        .args([
            "tail",
            "--admin",
            &server.admin_endpoint().unwrap().authority,
        ])
        .env_remove("FANFARE_ADMIN_TOKEN")
        .env_remove("FANFARE_ADMIN__TOKEN")
        .stdin(Stdio::null());
    command
}

#[tokio::test]
async fn says_what_is_missing() {
    let server = or_skip!(start().await);
    let mut command = tail(&server);
    let ended = tokio::task::spawn_blocking(move || command.output().unwrap());
    let Output { status, stderr, .. } = ended.await.unwrap();
    assert_eq!(status.code(), Some(1));
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(stderr.contains("refuses: show a token"), "{stderr}");
    server.finish().await;
}

/// The first line of what it writes for people.
fn first_note(mut command: Command) -> String {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut note = String::new();
    let read = BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut note);
    child.kill().unwrap();
    child.wait().unwrap();
    read.unwrap();
    note
}

#[tokio::test]
async fn shows_the_token_that_it_is_given() {
    let server = or_skip!(start().await);
    let of_commands = [("FANFARE_ADMIN_TOKEN", TOKEN)];
    let of_the_relay = [("FANFARE_ADMIN__TOKEN", TOKEN)];
    for (arguments, variables) in [
        (&["--token", TOKEN][..], &[][..]),
        (&[], &of_commands),
        (&[], &of_the_relay),
    ] {
        let mut command = tail(&server);
        command.args(arguments).envs(variables.iter().copied());
        let note = tokio::task::spawn_blocking(move || first_note(command));
        let note = note.await.unwrap();
        assert!(note.contains("following"), "{note}");
    }
    server.finish().await;
}
