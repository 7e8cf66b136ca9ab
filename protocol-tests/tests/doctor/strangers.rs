//! Addresses where no relay is, and what answers there instead.

use protocol_tests::Port;
use protocol_tests::wait::within;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::asked::{APP, Doctor};

/// Answers whoever connects with these bytes, again and again if they are to have no end.
async fn serve(answer: &'static [u8], endless: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                // Whoever asks may go away before it is answered.
                let _ = stream.read(&mut buffer).await;
                while stream.write_all(answer).await.is_ok() && endless {}
            });
        }
    });
    format!("ws://{address}")
}

#[tokio::test]
async fn a_port_where_nothing_is_is_found() {
    let nobodys = Port::hold();
    let url = format!("ws://{}", nobodys.address());
    let found = Doctor::of(&url, APP).ask().await;
    found.expect_error("tcp", "nothing answers");
    assert!(!found.has("http"), "{found:?}");
}

#[tokio::test]
async fn a_name_that_nobody_has_is_found() {
    let found = Doctor::of("wss://relay.invalid", APP).ask().await;
    found.expect_error("dns", "relay.invalid");
}

#[tokio::test]
async fn a_redirect_is_found() {
    let moved = b"HTTP/1.1 301 Moved\r\nLocation: https://relay.test/up\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let url = serve(moved, false).await;
    let found = Doctor::of(&url, APP).ask().await;
    found.expect_error("http", "https://relay.test/up");
}

#[tokio::test]
async fn a_site_that_answers_everything_with_its_page_is_no_relay() {
    let page = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<html>The shop";
    let url = serve(page, false).await;
    let found = Doctor::of(&url, APP).ask().await;
    found.expect_error("http", "The shop");
    assert!(
        !found.has("signature") && !found.has("upgrade"),
        "{found:?}"
    );
}

#[tokio::test]
async fn what_a_stranger_answers_does_not_act_on_the_terminal() {
    let evil = b"HTTP/1.1 404 Not \x1b[2J\r\nServer: \x1b]0;x\x07\r\nConnection: close\r\n\r\n\x1b[2J\x1b[31mowned\r\n\xe2\x80\xae";
    let url = serve(evil, false).await;
    let output = Doctor::of(&url, APP).run().await;
    assert_eq!(output.code, 2);
    assert!(output.stdout.contains("http:"), "{output:?}");
    let acts = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!output.stdout.contains(acts), "{:?}", output.stdout);
}

#[tokio::test]
async fn answers_without_an_end_are_given_up() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\n\r\nxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"[..],
        b"HTTP/1.1 200 OK\r\nX-Long: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n",
        b"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    ] {
        let url = serve(answer, true).await;
        let found = within("the doctor to end", Doctor::of(&url, APP).ask()).await;
        found.expect_error("http", "");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_when_the_time_is_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let silent = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let webhook = format!(
        "{APP}[[apps.webhooks]]\nurl = \"https://relay.invalid/hook\"\nevents = [\"channel_occupied\"]\n"
    );
    let doctor = Doctor::of(&url, &webhook).argument("--patient");
    let found = doctor.argument("--timeout").argument("2").ask().await;
    found.expect_ok("tcp");
    found.expect_error("http", "the time of 2 s was up");
    for id in [
        "signature",
        "upgrade",
        "private",
        "idle",
        "webhook",
        "files",
    ] {
        found.expect(id, "warn", "not looked at: the time of 2 s");
    }
    silent.abort();
}

#[tokio::test]
async fn a_command_line_that_makes_no_sense_has_an_exit_code_of_its_own() {
    for url in ["ftp://relay.test", "relay.test", "wss://u:p@relay.test"] {
        let output = Doctor::of(url, APP).run().await;
        assert_eq!(
            (output.code, output.stdout.as_str()),
            (64, ""),
            "{output:?}"
        );
        assert!(output.stderr.contains("wss://host"), "{}", output.stderr);
    }
    let origin = Doctor::of("ws://127.0.0.1:1", APP)
        .argument("--origin")
        .argument("a\r\nb: c");
    assert_eq!(origin.run().await.code, 64);
}
