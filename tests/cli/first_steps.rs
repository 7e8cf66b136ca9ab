//! From nothing to the first event.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use protocol_tests::Port;

use crate::support::{APP, Directory, Relay, texts};

#[test]
fn a_newcomer_is_shown_what_to_paste_and_the_first_event_is_published() {
    let directory = Directory::new();
    let mut relay = Relay::start(&directory, &[], "For apps of your own");
    let printed = relay.printed.concat();
    let port = relay.url.rsplit(':').next().unwrap();
    for expected in [
        format!("wsPort: {port},"),
        format!("PUSHER_PORT={port}\n"),
        format!(
            "fanfare trigger --url {} news greeting '{{\"text\":\"hello\"}}'",
            relay.url
        ),
    ] {
        assert!(printed.contains(&expected), "{expected} in {printed}");
    }

    let published = directory.run(&[
        "trigger",
        "--url",
        &relay.url,
        "news",
        "greeting",
        "{\"text\":\"hello\"}",
    ]);
    let (stdout, stderr) = texts(&published);
    assert_eq!(stderr, "");
    assert_eq!(
        stdout,
        "greeting published to news, 0 subscribers: nobody is subscribed to news now\n"
    );
    let channels = directory.run(&["channels", "--url", &relay.url]);
    assert_eq!(
        texts(&channels).0,
        "nobody is subscribed to any such channel\n"
    );
    assert_eq!(relay.stop("TERM").0, Some(0));
}

/// The commands of README's first screen, each as it stands there but for where the program is.
fn first_commands() -> Vec<String> {
    let readme = include_str!("../../README.md");
    let first_screen = readme.split("## Switch over").next().unwrap();
    let blocks = first_screen.split("```sh\n").skip(1);
    let commands = blocks.map(|block| block.split("\n```").next().unwrap());
    let program = env!("CARGO_BIN_EXE_fanfare");
    commands
        .map(|command| {
            let own = command.replace("cargo run --release --", program);
            own.replace("cargo run --release", program)
        })
        .collect()
}

/// A command of the shell, in a folder of its own and with the relay at free ports.
fn terminal(directory: &Directory, ports: &[(&str, String)], command: &str) -> Command {
    let mut shell = Command::new("sh");
    let command = format!("exec {command}");
    shell.args(["-c", &command]).env_clear();
    shell.current_dir(&directory.0).stdin(Stdio::null());
    for (name, address) in ports {
        shell.env(name, address);
    }
    shell
}

#[test]
fn the_first_commands_of_the_readme_show_the_first_event() {
    let directory = Directory::new();
    // Until the relay listens, nobody else does, whose events would be followed.
    let held = [Port::hold(), Port::hold()];
    let ports = [
        ("FANFARE_SERVER__LISTEN", held[0].address().to_string()),
        ("FANFARE_ADMIN__LISTEN", held[1].address().to_string()),
    ];
    let commands = first_commands();
    let [serve, tail, trigger] = &commands[..] else {
        panic!("{commands:?}");
    };

    // Whichever comes first waits for the other.
    let mut tail = terminal(&directory, &ports, tail)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut notes = BufReader::new(tail.stderr.take().unwrap()).lines();
    let first = notes.next().unwrap().unwrap();
    assert!(first.contains("waiting for a relay"), "{first}");
    let mut relay = terminal(&directory, &ports, serve)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let second = notes.next().unwrap().unwrap();
    assert!(second.contains("following"), "{second}");

    let published = terminal(&directory, &ports, trigger).output().unwrap();
    let (stdout, stderr) = texts(&published);
    assert_eq!(stderr, "");
    assert!(stdout.starts_with("greeting published to news"), "{stdout}");
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let shown = lines.next().unwrap().unwrap();
    assert!(
        shown.contains("greeting") && shown.contains("news"),
        "{shown}"
    );
    for child in [&mut tail, &mut relay] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

#[test]
fn with_an_app_of_one_s_own_nothing_is_to_be_pasted() {
    let directory = Directory::with("config.toml", APP);
    let mut relay = Relay::start(&directory, &["serve"], "listening");
    let (code, rest) = relay.stop("INT");
    assert_eq!(code, Some(0), "{rest}");
    let printed = relay.printed.concat() + &rest;
    assert!(
        !printed.contains("wsPort") && !printed.contains("s3cr3t"),
        "{printed}"
    );
}

#[test]
fn a_laravel_project_s_env_file_is_enough() {
    let text = "APP_NAME=Shop\nPUSHER_APP_ID=7\nPUSHER_APP_KEY=shop\nPUSHER_APP_SECRET=\"a$b#c\"\nPUSHER_HOST=\n";
    let directory = Directory::with(".env", text);
    let relay = Relay::start(&directory, &["--env-file", ".env"], "listening");
    let args = [
        "trigger",
        "--env-file",
        ".env",
        "--url",
        &relay.url,
        "news",
        "greeting",
    ];
    let output = directory.run(&args);
    let (stdout, stderr) = texts(&output);
    assert_eq!(stderr, "");
    assert_eq!(
        stdout,
        "greeting published to news, 0 subscribers: nobody is subscribed to news now\n"
    );
}
