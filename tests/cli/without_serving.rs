//! Answers and mistakes, with no relay at work.

use protocol_tests::Port;

use crate::support::{APP, Directory, FAILURE, mistake, texts};

#[test]
fn version_and_help_are_answers() {
    let directory = Directory::new();
    let version = directory.run(&["--version"]);
    assert_eq!(version.status.code(), Some(0));
    assert_eq!(
        texts(&version).0,
        concat!("fanfare ", env!("CARGO_PKG_VERSION"), "\n")
    );
    for command in [
        "",
        "serve",
        "check-config",
        "trigger",
        "channels",
        "tail",
        "health",
    ] {
        let args: Vec<&str> = [command, "--help"]
            .into_iter()
            .filter(|arg| !arg.is_empty())
            .collect();
        let help = directory.run(&args);
        assert_eq!(help.status.code(), Some(0), "{command}");
        assert!(texts(&help).0.contains("Usage: fanfare"), "{command}");
    }
}

#[test]
fn a_command_line_that_makes_no_sense_is_a_mistake() {
    let directory = Directory::new();
    assert!(directory.mistake(&["--lissten", "x"]).contains("--listen"));
    assert!(directory.mistake(&["trigger", "news"]).contains("<EVENT>"));
    assert!(
        directory
            .mistake(&["trigger", "c", "e", "--secret", "s"])
            .contains("--key")
    );
}

#[test]
fn each_source_of_a_mistake_is_named_in_one_line() {
    let directory = Directory::with("config.toml", "[server]\nlissten = \"127.0.0.1:0\"\n");
    assert_eq!(
        directory.mistake(&[]),
        "fanfare: config.toml:2: server.lissten: unknown key; did you mean `listen`?\n"
    );
    let directory = Directory::new();
    let mut command = directory.fanfare(&["serve"]);
    command.env("FANFARE_SERVER__WORKERS", "many");
    assert_eq!(
        mistake(command.output().unwrap()),
        "fanfare: environment variable FANFARE_SERVER__WORKERS: server.workers: expected a \
         whole number from 0 to 1024, found \"many\"\n"
    );
    assert_eq!(
        directory.mistake(&["--log-format", "xml"]),
        "fanfare: --log-format: log.format: expected `human` or `json`, found \"xml\"\n"
    );
    assert_eq!(
        directory.mistake(&["serve", "--config", "absent.toml"]),
        "fanfare: absent.toml: cannot be read: No such file or directory (os error 2)\n"
    );
    assert!(
        directory
            .mistake(&["serve", "--listen", "0.0.0.0:0"])
            .starts_with("fanfare: --listen: server.listen: expected a loopback address")
    );
}

#[test]
fn a_bad_env_file_is_named_without_its_secret() {
    let text = "PUSHER_APP_ID=1\nPUSHER_APP_KEY=k\nPUSHER_APP_SECRET=s3cr3t value\n";
    let directory = Directory::with("project.env", text);
    assert_eq!(
        directory.mistake(&["--env-file", "project.env"]),
        "fanfare: project.env:3: PUSHER_APP_SECRET: expected quotes around a value with \
         blanks, found more text\n"
    );
}

#[test]
fn check_config_shows_layers_and_apps_but_no_secret() {
    let webhook = "[[apps.webhooks]]
        url = \"https://me:s3cr3t@example.com/s3cr3t?t=s3cr3t\"
        headers = { X-Token = \"s3cr3t\" }
        events = [\"channel_vacated\", \"channel_occupied\"]";
    let directory = Directory::with("config.toml", &format!("{APP}{webhook}"));
    let mut command = directory.fanfare(&["check-config", "--workers", "3"]);
    command.env("FANFARE_ADMIN__LISTEN", "");
    let output = command.output().unwrap();
    let (stdout, stderr) = texts(&output);
    assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
    assert_eq!(
        stdout,
        "\
defaults
config.toml  found in the working directory
environment  FANFARE_ADMIN__LISTEN
flags        --workers

public       http://127.0.0.1:6001
admin        off
workers      3

app          1 (config.toml:2)
             → https://example.com (channel_occupied, channel_vacated)
"
    );
}

#[test]
fn check_config_fails_as_serve_does() {
    let directory = Directory::with("relay.toml", &format!("{APP}{APP}"));
    let line = directory.mistake(&["check-config", "--config", "relay.toml"]);
    assert_eq!(
        line,
        "fanfare: relay.toml:6: apps[1].id: expected an id of its own, found \"1\", which is \
         that of apps[0].id (relay.toml:2)\n"
    );
    assert_eq!(line, directory.mistake(&["--config", "relay.toml"]));
}

#[test]
fn a_relay_that_is_not_there_is_a_failure() {
    let directory = Directory::new();
    let nobodys = Port::hold();
    let url = format!("http://{}", nobodys.address());
    for (args, path) in [
        (&["trigger", "news", "greeting"][..], ""),
        (&["channels"], ""),
        (&["health"], "/up"),
    ] {
        let output = directory.run(&[args, &["--url", &url]].concat());
        let (_, stderr) = texts(&output);
        assert_eq!(output.status.code(), FAILURE, "{stderr}");
        assert!(
            stderr.starts_with(&format!("fanfare: {url}{path}: Connection refused")),
            "{stderr}"
        );
    }
}
