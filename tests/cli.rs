//! The program as people and supervisors meet it: what it prints, and its exit codes.

#![allow(clippy::unwrap_used, reason = "in a test, the panic is the report")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use std::{env, fs, thread};

use protocol_tests::wait::PATIENCE;

const BAD_CONFIGURATION: Option<i32> = Some(64);
const FAILURE: Option<i32> = Some(1);

/// A working directory that is gone when the test is over, and the program in it, with nothing
/// of this process's environment.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("fanfare-cli-{}-{number}", std::process::id());
        let path = env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn with(name: &str, text: &str) -> Self {
        let directory = Self::new();
        fs::write(directory.0.join(name), text).unwrap();
        directory
    }

    fn fanfare(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
        command.args(args).env_clear().current_dir(&self.0);
        command.stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.fanfare(args).output().unwrap()
    }

    /// What is printed on stderr, after checking that this is a mistake of configuration.
    fn mistake(&self, args: &[&str]) -> String {
        mistake(self.run(args))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn mistake(output: Output) -> String {
    let (stdout, stderr) = texts(&output);
    assert_eq!(output.status.code(), BAD_CONFIGURATION, "{stderr}");
    assert_eq!(stdout, "");
    stderr
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr))
}

/// A relay that runs until the test is over. `said` is what it printed before it was ready.
struct Relay {
    child: Child,
    stderr: Option<BufReader<ChildStderr>>,
    said: Vec<String>,
    url: String,
}

impl Relay {
    /// Starts a relay on free ports and waits until its public listener is bound, and until it
    /// has printed `last`.
    fn start(directory: &Directory, args: &[&str], last: &str) -> Self {
        let ports = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let mut command = directory.fanfare(&[args, &ports].concat());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = Vec::new();
        let mut url = None;
        while url.is_none() || !said.iter().any(|line: &String| line.contains(last)) {
            let mut line = String::new();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "{said:?}");
            if line.contains("listening") && line.contains("public") {
                let address = line.split("127.0.0.1:").nth(1).unwrap();
                let port: String = address.chars().take_while(char::is_ascii_digit).collect();
                url = Some(format!("http://127.0.0.1:{port}"));
            }
            said.push(line);
        }
        Self {
            child,
            stderr: Some(stderr),
            said,
            url: url.unwrap(),
        }
    }

    /// Opens a WebSocket, up to the first message.
    fn connect(&self) -> TcpStream {
        self.connect_at("")
    }

    /// The same where paths begin with `prefix`.
    fn connect_at(&self, prefix: &str) -> TcpStream {
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
    fn wait_for(&mut self, text: &str) {
        let stderr = self.stderr.as_mut().unwrap();
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "no {text}");
        }
    }

    fn signal(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(status.success());
    }

    /// Asks the relay to stop, and returns its exit code and what else it printed.
    fn stop(&mut self, signal: &str) -> (Option<i32>, String) {
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

const APP: &str = "[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = \"s3cr3t\"\n";

mod without_serving {
    use super::*;

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
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", free.local_addr().unwrap());
        drop(free);
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
}

mod serving {
    use super::*;

    #[test]
    fn a_newcomer_is_shown_what_to_paste_and_the_first_event_is_published() {
        let directory = Directory::new();
        let mut relay = Relay::start(&directory, &[], "For apps of your own");
        let said = relay.said.concat();
        let port = relay.url.rsplit(':').next().unwrap();
        for expected in [
            format!("wsPort: {port},"),
            format!("PUSHER_PORT={port}\n"),
            format!(
                "fanfare trigger --url {} news greeting '{{\"text\":\"hello\"}}'",
                relay.url
            ),
        ] {
            assert!(said.contains(&expected), "{expected} in {said}");
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
        let readme = include_str!("../README.md");
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
        let free: Vec<TcpListener> = (0..2)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let address = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
        let ports = [
            ("FANFARE_SERVER__LISTEN", address(&free[0])),
            ("FANFARE_ADMIN__LISTEN", address(&free[1])),
        ];
        drop(free);
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
    fn an_admin_port_that_is_taken_matters_only_where_it_was_chosen() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let directory = Directory::new();
        let output = directory.run(&["--listen", "127.0.0.1:0", "--admin-listen", &address]);
        let (_, stderr) = texts(&output);
        assert_eq!(output.status.code(), FAILURE, "{stderr}");
        assert!(
            stderr.contains(&address) && stderr.contains("--admin-listen HOST:PORT"),
            "{stderr}"
        );

        // The default port is this test's, or another program's: either way it is taken.
        let _default = TcpListener::bind("127.0.0.1:9601");
        let mut relay = directory
            .fanfare(&["--listen", "127.0.0.1:0"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(relay.stderr.take().unwrap()).lines();
        let warning = log.find(|line| line.as_ref().unwrap().contains("127.0.0.1:9601 is taken"));
        assert!(warning.unwrap().unwrap().contains("WARN"));
        let admin = log.find(|line| line.as_ref().unwrap().contains("tail --admin 127.0.0.1:"));
        assert!(admin.is_some());
        relay.kill().unwrap();
        relay.wait().unwrap();
    }

    #[test]
    fn with_an_app_of_one_s_own_nothing_is_to_be_pasted() {
        let directory = Directory::with("config.toml", APP);
        let mut relay = Relay::start(&directory, &["serve"], "listening");
        let (code, rest) = relay.stop("INT");
        assert_eq!(code, Some(0), "{rest}");
        let said = relay.said.concat() + &rest;
        assert!(
            !said.contains("wsPort") && !said.contains("s3cr3t"),
            "{said}"
        );
    }

    /// Whoever reads the address may send the signal before the relay does anything else: it
    /// once died of it, without closing what it had bound.
    #[test]
    fn a_signal_as_soon_as_the_address_is_known_stops_in_good_order() {
        for _ in 0..5 {
            let directory = Directory::new();
            let mut relay = Relay::start(&directory, &[], "listening");
            assert_eq!(relay.stop("TERM").0, Some(0));
        }
    }

    #[test]
    fn a_relay_that_stops_is_up_but_not_ready() {
        let text =
            "[server]\npath_prefix = \"relay\"\nclose_timeout = 3600\nshutdown_timeout = 3600\n";
        let directory = Directory::with("config.toml", text);
        let mut relay = Relay::start(&directory, &[], "listening");
        // Its own configuration tells where it listens, as in a container.
        let health = |args: &[&str]| {
            let mut command = directory.fanfare(&[&["health"], args].concat());
            let address = relay.url.strip_prefix("http://").unwrap();
            let output = command.env("FANFARE_SERVER__LISTEN", address).output();
            let output = output.unwrap();
            let (stdout, stderr) = texts(&output);
            (output.status.code(), stdout + &stderr)
        };
        let url = format!("{}/relay", relay.url);
        let up = (Some(0), format!("{url}/up answered 200 OK\n"));
        assert_eq!(health(&[]), up);
        assert_eq!(health(&["--ready"]).0, Some(0));
        let _client_that_answers_no_close = relay.connect_at("/relay");
        relay.signal("TERM");
        let deadline = Instant::now() + PATIENCE;
        let (code, said) = loop {
            match health(&["--ready"]) {
                (Some(0), _) => assert!(Instant::now() < deadline, "it stays ready"),
                unready => break unready,
            }
        };
        assert_eq!(code, FAILURE, "{said}");
        assert!(
            said.starts_with(&format!("fanfare: {url}/ready answered 503")),
            "{said}"
        );
        assert_eq!(health(&[]), up);
        assert_eq!(relay.stop("TERM").0, FAILURE);
    }

    #[test]
    fn a_second_signal_stops_at_once() {
        let patient = "[server]\nclose_timeout = 3600\nshutdown_timeout = 3600\n";
        let directory = Directory::with("config.toml", patient);
        let mut relay = Relay::start(&directory, &[], "listening");
        let _client_that_answers_no_close = relay.connect();
        relay.signal("TERM");
        relay.wait_for("stopping");
        assert_eq!(relay.stop("TERM").0, FAILURE);
    }

    #[test]
    fn the_json_log_is_json_from_the_first_line_to_the_last() {
        let directory = Directory::new();
        let mut relay = Relay::start(&directory, &["--log-format", "json"], "listening");
        let (code, rest) = relay.stop("TERM");
        assert_eq!(code, Some(0), "{rest}");
        let mut listeners = Vec::new();
        for line in relay
            .said
            .iter()
            .map(|line| line.trim_end())
            .chain(rest.lines())
        {
            let line: serde_json::Value = serde_json::from_str(line).expect(line);
            if line["message"] == "listening" {
                assert!(
                    line["address"].as_str().unwrap().starts_with("127.0.0.1:"),
                    "{line}"
                );
                listeners.push(line["listener"].as_str().unwrap().to_owned());
            }
        }
        listeners.sort();
        assert_eq!(listeners, ["admin", "public"]);
    }

    #[test]
    fn what_the_relay_refuses_is_shown_in_its_words() {
        let directory = Directory::new();
        let relay = Relay::start(&directory, &[], "listening");
        let wrong = [
            "--url", &relay.url, "--app-id", "local", "--key", "local", "--secret", "wrong",
        ];
        let output = directory.run(&[&["channels"][..], &wrong].concat());
        let (stdout, stderr) = texts(&output);
        assert_eq!((output.status.code(), stdout.as_str()), (FAILURE, ""));
        assert!(
            stderr.starts_with("fanfare: the relay answered 401 Unauthorized: "),
            "{stderr}"
        );
        let reserved = directory.run(&["trigger", "--url", &relay.url, "news", "pusher:x"]);
        let (_, stderr) = texts(&reserved);
        assert_eq!(reserved.status.code(), FAILURE);
        assert!(
            stderr.starts_with("fanfare: the relay answered 400 Bad Request: "),
            "{stderr}"
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

    #[test]
    fn an_address_in_use_is_a_failure_and_no_mistake_of_configuration() {
        let directory = Directory::new();
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let output = directory.run(&["--listen", &address, "--admin-listen", ""]);
        let (_, stderr) = texts(&output);
        assert_eq!(output.status.code(), FAILURE, "{stderr}");
        assert!(
            stderr.contains(&address) && stderr.contains("--listen HOST:PORT"),
            "{stderr}"
        );
    }
}
