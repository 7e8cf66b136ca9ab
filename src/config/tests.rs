//! The layers, the shipped file, and the line that each mistake gets.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use toml::de::{DeTable, DeValue};

use super::*;
use crate::apps::App;
use crate::auth::Signer;

/// The configuration that comes with the relay.
const SHIPPED: &str = include_str!("../../config.toml");

/// A directory that is gone when the test is over.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("fanfare-config-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// Sources that are easy to write down; files are in a directory of their own.
struct Setting {
    directory: Directory,
    sources: Sources,
}

impl Setting {
    fn new() -> Self {
        let directory = Directory::new();
        let sources = Sources {
            directory: directory.0.clone(),
            ..Sources::default()
        };
        Self { directory, sources }
    }

    fn file(mut self, text: &str) -> Self {
        self.sources.config_file = Some(self.directory.write("relay.toml", text));
        self
    }

    fn env_file(mut self, text: &str) -> Self {
        self.sources.env_file = Some(self.directory.write(".env", text));
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.environment.insert(name.into(), value.into());
        self
    }

    fn flag(mut self, name: &'static str, key: &'static str, value: &str) -> Self {
        self.sources.flags.push(Flag {
            name,
            key,
            value: value.into(),
        });
        self
    }

    fn load(&self) -> Config {
        load(&self.sources).unwrap().config
    }

    /// The one line that says what is wrong, with paths as seen from the directory.
    fn mistake(&self) -> String {
        let line = load(&self.sources).unwrap_err().to_string();
        assert!(!line.contains('\n'), "{line}");
        line.replace(&format!("{}/", self.directory.0.display()), "")
    }
}

/// The line for a file with this mistake in it.
fn mistake_in(text: &str) -> String {
    Setting::new().file(text).mistake()
}

/// A file with one good app and these lines behind its credentials.
fn with_app(lines: &str) -> String {
    format!("[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = \"s3cr3t\"\n{lines}")
}

fn ids(config: &Config) -> Vec<&str> {
    config.apps.iter().map(|app| &*app.id).collect()
}

mod layers {
    use super::*;

    #[test]
    fn without_any_source_the_development_app_is_served_on_loopback() {
        let loaded = load(&Setting::new().sources).unwrap();
        let config = loaded.config;
        assert!(config.development && loaded.layers.is_empty());
        assert_eq!(config.server.listen.to_string(), "127.0.0.1:6001");
        assert_eq!(config.admin.listen.unwrap().to_string(), "127.0.0.1:9601");
        let app = config.apps.by_id("local").unwrap();
        assert_eq!(app.keys.signing().key(), "local");
        let by_hand = Signer::new("local", b"local").sign(&[b"text"]);
        assert!(app.keys.signing().verify(&[b"text"], &by_hand));
    }

    #[test]
    fn flags_win_over_the_environment_and_that_over_the_file() {
        let setting = Setting::new()
            .file("[server]\nlisten = \"127.0.0.1:1\"\nworkers = 1\npong_timeout = 1\n");
        assert_eq!(setting.load().server.listen.port(), 1);
        let setting = setting
            .variable("FANFARE_SERVER__LISTEN", "127.0.0.1:2")
            .variable("FANFARE_SERVER__WORKERS", "2");
        assert_eq!(setting.load().server.listen.port(), 2);
        let server = setting
            .flag("--listen", "server.listen", "127.0.0.1:3")
            .load()
            .server;
        assert_eq!(server.listen.port(), 3);
        assert_eq!(server.workers, Some(2));
        assert_eq!(server.pong_timeout.as_secs(), 1);
    }

    #[test]
    fn the_file_is_the_named_one_or_the_variable_s_or_the_usual_one() {
        let mut setting = Setting::new();
        setting
            .directory
            .write("config.toml", "[server]\nworkers = 1");
        let variable_s = setting
            .directory
            .write("other.toml", "[server]\nworkers = 2");
        assert_eq!(setting.load().server.workers, Some(1));
        setting = setting.variable("FANFARE_CONFIG", variable_s.to_str().unwrap());
        assert_eq!(setting.load().server.workers, Some(2));
        setting = setting.file("[server]\nworkers = 3");
        assert_eq!(setting.load().server.workers, Some(3));
    }

    #[test]
    fn what_the_configuration_was_made_of_is_told() {
        let setting = Setting::new()
            .file("")
            .variable("FANFARE_LOG__LEVEL", "debug")
            .variable("PUSHER_APP_ID", "1")
            .variable("PUSHER_APP_KEY", "k")
            .variable("PUSHER_APP_SECRET", "s3cr3t")
            .flag("--workers", "server.workers", "1");
        let loaded = load(&setting.sources).unwrap();
        let told: Vec<String> = loaded
            .layers
            .iter()
            .map(|layer| format!("{}: {}", layer.source, layer.detail))
            .collect();
        let file = setting.sources.config_file.as_ref().unwrap();
        assert_eq!(
            told,
            [
                format!("{}: --config", file.display()),
                "environment: FANFARE_LOG__LEVEL, PUSHER_APP_ID, PUSHER_APP_KEY, PUSHER_APP_SECRET"
                    .into(),
                "flags: --workers".into(),
            ]
        );
        assert_eq!(loaded.app_origins, [Origin::Environment]);
        assert!(!format!("{loaded:?}").contains("s3cr3t"));
    }

    #[test]
    fn variables_that_platforms_add_are_left_alone() {
        let setting = Setting::new()
            .variable("FANFARE_PORT", "tcp://10.0.0.1:6001")
            .variable("FANFARE_SERVICE_HOST", "10.0.0.1")
            .variable("FANFARE_SERVER_PORT_6001_TCP", "tcp://10.0.0.1:6001");
        assert!(setting.load().development);
    }
}

mod shipped_file {
    use super::*;

    /// The file with its app block in force: settings are commented out as `#key`, prose is `# …`.
    fn in_force() -> String {
        let lines = SHIPPED.lines().map(|line| match line.strip_prefix('#') {
            Some(setting) if setting.starts_with(|c: char| c.is_alphabetic() || c == '[') => {
                setting
            }
            _ => line,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn it_says_the_defaults() {
        let shipped = Setting::new().file(SHIPPED).load();
        assert_eq!(
            format!("{shipped:?}"),
            format!("{:?}", Setting::new().load())
        );
    }

    #[test]
    fn its_app_block_says_the_defaults() {
        let config = Setting::new().file(&in_force()).load();
        let app = config.apps.by_id("10001").unwrap();
        let plain = App::new("10001", Signer::new("app-key", b"app-secret"));
        assert_eq!(format!("{app:?}"), format!("{plain:?}"));
    }

    #[test]
    fn it_has_every_key() {
        let text = in_force();
        let root = DeTable::parse(&text).unwrap().into_inner();
        let table = |value: &DeValue<'_>| -> Vec<String> {
            let table = value.as_table().unwrap();
            table.keys().map(|key| key.get_ref().to_string()).collect()
        };
        let section = |name: &str| table(root.get(name).unwrap().get_ref());
        let app = root.get("apps").unwrap().get_ref().as_array().unwrap()[0].get_ref();
        let limits = app.as_table().unwrap().get("limits").unwrap().get_ref();
        for (documented, known) in [
            (section("server"), keys::SERVER),
            (section("admin"), keys::ADMIN),
            (section("log"), keys::LOG),
            (table(app), keys::APP),
            (table(limits), keys::LIMITS),
        ] {
            let mut known = known.to_vec();
            known.sort_unstable();
            assert_eq!(documented, known);
        }
    }

    #[test]
    fn each_setting_follows_a_comment() {
        let text: Vec<&str> = SHIPPED.lines().collect();
        for pair in text.windows(2) {
            if pair[1].contains(" = ") && !pair[1].starts_with("# ") {
                assert!(pair[0].starts_with("# "), "{}", pair[1]);
            }
        }
    }
}

/// Every key is read: a value that no key takes is refused wherever it stands.
#[test]
fn every_known_key_is_read_and_checked() {
    let wrong = "= 1979-05-27";
    for (section, known) in keys::SINGLE {
        for key in *known {
            let line = mistake_in(&format!("[{section}]\n{key} {wrong}"));
            assert!(
                line.starts_with(&format!("relay.toml:2: {section}.{key}: expected ")),
                "{line}"
            );
        }
    }
    for key in keys::APP
        .iter()
        .filter(|key| !["id", "key", "secret"].contains(key))
    {
        let line = mistake_in(&with_app(&format!("{key} {wrong}")));
        assert!(
            line.starts_with(&format!("relay.toml:5: apps[0].{key}: expected ")),
            "{line}"
        );
    }
    for key in keys::LIMITS {
        let line = mistake_in(&with_app(&format!("[apps.limits]\n{key} {wrong}")));
        let start = format!("relay.toml:6: apps[0].limits.{key}: expected ");
        assert!(line.starts_with(&start), "{line}");
    }
}

mod mistakes {
    use super::*;

    #[test]
    fn unknown_keys_are_named_with_what_may_be_meant() {
        for (text, line) in [
            (
                "[server]\nlissten = 1",
                "relay.toml:2: server.lissten: unknown key; did you mean `listen`?",
            ),
            (
                "[sever]\n",
                "relay.toml:1: sever: unknown key; did you mean `server`?",
            ),
            (
                "# \nlisten = 1",
                "relay.toml:2: listen: unknown key; it belongs in [server]",
            ),
            (
                "[log]\ncolour = 1",
                "relay.toml:2: log.colour: unknown key; expected one of format, level",
            ),
            (
                &with_app("max_connections = 5"),
                "relay.toml:5: apps[0].max_connections: unknown key; it belongs in [server]",
            ),
            (
                &with_app("outbox_bytes = 5"),
                "relay.toml:5: apps[0].outbox_bytes: unknown key; it belongs in [apps.limits]",
            ),
            (
                "[[apps]]\nide = \"1\"",
                "relay.toml:2: apps[0].ide: unknown key; did you mean `id`?",
            ),
            (
                &with_app("extra_keys = [{ key = \"x\", secrets = \"y\" }]"),
                "relay.toml:5: apps[0].extra_keys[0].secrets: unknown key; did you mean `secret`?",
            ),
        ] {
            assert_eq!(mistake_in(text), line);
        }
    }

    #[test]
    fn wrong_types_and_ranges_are_named_with_what_was_expected() {
        for (text, line) in [
            (
                "[server]\nlisten = 6001",
                "relay.toml:2: server.listen: expected host:port, such as 127.0.0.1:6001, [::1]:6001 or localhost:6001, found 6001",
            ),
            (
                "[server]\nworkers = \"many\"",
                "relay.toml:2: server.workers: expected a whole number from 0 to 1024, found \"many\"",
            ),
            (
                "[server]\nworkers = -1",
                "relay.toml:2: server.workers: expected a whole number from 0 to 1024, found -1",
            ),
            (
                "[server]\nactivity_timeout = 0",
                "relay.toml:2: server.activity_timeout: expected a whole number from 1 to 86400, found 0",
            ),
            (
                "[server]\nactivity_timeout = 1.5",
                "relay.toml:2: server.activity_timeout: expected a whole number from 1 to 86400, found a fraction",
            ),
            (
                "[server]\npath_prefix = \"a b\"",
                "relay.toml:2: server.path_prefix: expected nothing or a path such as /relay, of letters, digits, `-`, `_`, `.` and `~`, found \"a b\"",
            ),
            (
                "[log]\nlevel = \"loud\"",
                "relay.toml:2: log.level: expected `error`, `warn`, `info`, `debug` or `trace`, found \"loud\"",
            ),
            (
                "server = 1",
                "relay.toml:1: server: expected a table, such as [server], found a number",
            ),
            (
                "[apps]\nid = \"1\"",
                "relay.toml:1: apps: expected a list of tables, each begun by [[apps]], found a table",
            ),
            (
                &with_app("enabled = \"yes\""),
                "relay.toml:5: apps[0].enabled: expected true or false, found \"yes\"",
            ),
            (
                &with_app("[apps.limits]\nchannel_name_length = 201"),
                "relay.toml:6: apps[0].limits.channel_name_length: expected a whole number from 1 to 200, found 201",
            ),
            (
                &with_app("allowed_origins = [\"https://example.com/\"]"),
                "relay.toml:5: apps[0].allowed_origins: expected a list of origins such as `https://example.com`, `*.example.com` or `localhost:3000`, without paths, found \"https://example.com/\"",
            ),
        ] {
            assert_eq!(mistake_in(text), line);
        }
    }

    #[test]
    fn what_is_missing_or_empty_in_an_app_is_named() {
        for (text, line) in [
            (
                "[[apps]]\nid = \"1\"\nkey = \"k\"\n",
                "relay.toml:1: apps[0].secret: missing; expected a text that is not empty and has no blanks at its ends",
            ),
            (
                "[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = \"\"\n",
                "relay.toml:4: apps[0].secret: expected a text that is not empty and has no blanks at its ends, found an empty one",
            ),
            (
                "\n[[apps]]\nkey = \"k\"\nsecret = \"s\"\n",
                "relay.toml:2: apps[0].id: missing; expected a text of 1 to 200 letters, digits, `-`, `_`, `.` and `~`",
            ),
            (
                "[[apps]]\nid = \"\"\nkey = \"k\"\nsecret = \"s\"\n",
                "relay.toml:2: apps[0].id: expected a text of 1 to 200 letters, digits, `-`, `_`, `.` and `~`, found \"\"",
            ),
            (
                "[[apps]]\nid = \"1\"\nkey = \"a:b\"\nsecret = \"s\"\n",
                "relay.toml:3: apps[0].key: expected a text of 1 to 200 letters, digits, `-`, `_`, `.` and `~`, found \"a:b\"",
            ),
        ] {
            assert_eq!(mistake_in(text), line);
        }
    }

    #[test]
    fn doubles_are_named_with_the_first_of_them() {
        let second = |id: &str, key: &str| {
            with_app(&format!(
                "[[apps]]\nid = \"{id}\"\nkey = \"{key}\"\nsecret = \"t\"\n"
            ))
        };
        assert_eq!(
            mistake_in(&second("1", "other")),
            "relay.toml:6: apps[1].id: expected an id of its own, found \"1\", which is that of apps[0].id (relay.toml:2)"
        );
        assert_eq!(
            mistake_in(&second("2", "k")),
            "relay.toml:7: apps[1].key: expected a key of its own, found \"k\", which is that of apps[0].key (relay.toml:3)"
        );
        assert_eq!(
            mistake_in(&with_app("extra_keys = [{ key = \"k\", secret = \"t\" }]")),
            "relay.toml:5: apps[0].extra_keys[0].key: expected a key of its own, found \"k\", which is that of apps[0].key (relay.toml:3)"
        );
    }

    #[test]
    fn secrets_are_not_shown() {
        for text in [
            "[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = 731731\n",
            "[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = \" 731731\"\n",
            "[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = 731731x\n",
            "[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret = [\"731731\"]\n",
            &with_app("extra_keys = [\"k:731731\"]"),
            &with_app("extra_keys = \"k:731731\""),
            "apps = \"731731\"",
        ] {
            let line = mistake_in(text);
            assert!(!line.contains("731731"), "{line}");
        }
    }

    #[test]
    fn files_that_are_no_toml_or_cannot_be_read_are_named() {
        assert_eq!(
            mistake_in("[server]\nlisten = 127.0.0.1:6001\n"),
            "relay.toml:2: not valid TOML: invalid float (`listen`; a text needs quotes)"
        );
        assert_eq!(
            mistake_in("[server]\nworkers = 1\nworkers = 2\n"),
            "relay.toml:3: not valid TOML: duplicate key (`workers`)"
        );
        assert_eq!(
            mistake_in("[server]\nlisten = \"127.0.0.1\nworkers = 2\n"),
            "relay.toml:2: not valid TOML: invalid basic string, expected `\"` (`listen`)"
        );
        assert_eq!(
            mistake_in("[server\n"),
            "relay.toml:1: not valid TOML: unclosed table, expected `]`"
        );
        let mut absent = Setting::new();
        absent.sources.config_file = Some(absent.directory.0.join("absent.toml"));
        assert_eq!(
            absent.mistake(),
            "absent.toml: cannot be read: No such file or directory (os error 2)"
        );
        let absent = Setting::new().variable("FANFARE_CONFIG", "/nowhere/absent.toml");
        assert_eq!(
            absent.mistake(),
            "/nowhere/absent.toml: cannot be read: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn variables_and_flags_are_named_as_they_are_typed() {
        assert_eq!(
            Setting::new()
                .variable("FANFARE_SERVER__WORKERS", "many")
                .mistake(),
            "environment variable FANFARE_SERVER__WORKERS: server.workers: expected a whole number from 0 to 1024, found \"many\""
        );
        assert_eq!(
            Setting::new()
                .flag("--listen", "server.listen", "6001")
                .mistake(),
            "--listen: server.listen: expected host:port, such as 127.0.0.1:6001, [::1]:6001 or localhost:6001, found \"6001\""
        );
        for (name, line) in [
            (
                "FANFARE_SERVER__LISEN",
                "environment variable FANFARE_SERVER__LISEN: server.lisen: unknown key; did you mean `FANFARE_SERVER__LISTEN`?",
            ),
            (
                "FANFARE_SERVER_LISTEN",
                "environment variable FANFARE_SERVER_LISTEN: server_listen: unknown key; did you mean `FANFARE_SERVER__LISTEN`?",
            ),
            (
                "FANFARE_WEATHER__TODAY",
                "environment variable FANFARE_WEATHER__TODAY: weather.today: unknown key; expected FANFARE_SECTION__KEY of the sections server, admin and log",
            ),
            (
                "FANFARE_APPS__0__ID",
                "environment variable FANFARE_APPS__0__ID: apps.0.id: unknown key; expected apps in a configuration file, or PUSHER_APP_ID, PUSHER_APP_KEY and PUSHER_APP_SECRET",
            ),
        ] {
            assert_eq!(Setting::new().variable(name, "1").mistake(), line);
        }
    }

    #[test]
    fn the_two_listeners_need_two_addresses() {
        assert_eq!(
            mistake_in("[server]\nlisten = \"127.0.0.1:9601\""),
            "relay.toml:2: server.listen: expected another address than that of admin.listen, found 127.0.0.1:9601"
        );
        assert_eq!(
            mistake_in("[admin]\nlisten = \"127.0.0.1:6001\""),
            "relay.toml:2: admin.listen: expected another address than that of server.listen, found 127.0.0.1:6001"
        );
        let any_port = "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"";
        assert!(Setting::new().file(any_port).load().development);
    }

    #[test]
    fn a_body_must_take_a_full_batch_and_grows_with_it_by_itself() {
        assert_eq!(
            mistake_in(&with_app("[apps.limits]\nhttp_body_bytes = 20000")),
            "relay.toml:6: apps[0].limits.http_body_bytes: expected at least 225280, so that a full batch fits (batch_events 10, event_data_bytes 10240), found 20000"
        );
        let config = Setting::new()
            .file(&with_app("[apps.limits]\nevent_data_bytes = 1048576"))
            .load();
        let limits = &config.apps.by_id("1").unwrap().limits;
        assert!(limits.http_body_bytes >= 10 << 20, "{limits:?}");
    }
}

mod apps_of_the_environment {
    use super::*;

    const FILE: &str = "PUSHER_APP_ID=2\nPUSHER_APP_KEY=laravel\nPUSHER_APP_SECRET=\"s3cr3t\"\nPUSHER_HOST=relay.example.com\nPUSHER_PORT=443\n";

    fn in_environment(id: &str, key: &str, secret: &str) -> Setting {
        Setting::new()
            .variable("PUSHER_APP_ID", id)
            .variable("PUSHER_APP_KEY", key)
            .variable("PUSHER_APP_SECRET", secret)
    }

    #[test]
    fn they_join_those_of_the_file() {
        let setting = in_environment("3", "env", "s3cr3t")
            .file(&with_app(""))
            .env_file(FILE);
        let config = setting.load();
        assert_eq!(ids(&config), ["1", "3", "2"]);
        let (app, _) = config.apps.by_key("laravel").unwrap();
        let signature = Signer::new("laravel", b"s3cr3t").sign(&[b"text"]);
        assert!(app.keys.signing().verify(&[b"text"], &signature));
        assert!(!config.development);
    }

    #[test]
    fn host_and_port_of_a_project_do_not_bind() {
        let config = Setting::new().env_file(FILE).load();
        assert_eq!(config.server.listen.to_string(), "127.0.0.1:6001");
        assert_eq!(ids(&config), ["2"]);
    }

    #[test]
    fn the_same_app_twice_is_one() {
        let setting = in_environment("1", "k", "s3cr3t").file(&with_app("client_events = false"));
        let config = setting.load();
        assert_eq!(ids(&config), ["1"]);
        assert!(!config.apps.by_id("1").unwrap().client_events);
        assert_eq!(
            ids(&in_environment("2", "laravel", "s3cr3t")
                .env_file(FILE)
                .load()),
            ["2"]
        );
    }

    #[test]
    fn the_same_id_with_other_credentials_is_a_mistake() {
        assert_eq!(
            in_environment("1", "k", "0ther")
                .file(&with_app(""))
                .mistake(),
            "environment: PUSHER_APP_SECRET: expected the key and secret of app `1` as in relay.toml:2 (apps[0].id), found others"
        );
        assert_eq!(
            in_environment("2", "laravel", "0ther")
                .env_file(FILE)
                .mistake(),
            ".env:3: PUSHER_APP_SECRET: expected the key and secret of app `2` as in environment (PUSHER_APP_ID), found others"
        );
    }

    #[test]
    fn another_id_with_a_taken_key_is_a_mistake() {
        assert_eq!(
            in_environment("2", "k", "0ther")
                .file(&with_app(""))
                .mistake(),
            "environment: PUSHER_APP_KEY: expected a key of its own, found \"k\", which is that of apps[0].key (relay.toml:3)"
        );
    }

    #[test]
    fn all_three_variables_are_needed_or_none() {
        let all = "PUSHER_APP_ID, PUSHER_APP_KEY and PUSHER_APP_SECRET, each not empty";
        assert_eq!(
            in_environment("1", "k", "").mistake(),
            format!("environment: PUSHER_APP_SECRET: missing; expected {all}")
        );
        assert_eq!(
            in_environment("", "k", "s").mistake(),
            format!("environment: PUSHER_APP_ID: missing; expected {all}")
        );
        assert!(in_environment("", "", "").load().development);
        assert_eq!(
            Setting::new()
                .env_file("PUSHER_APP_ID=1\nPUSHER_APP_SECRET=s\n")
                .mistake(),
            format!(".env: PUSHER_APP_KEY: missing; expected {all}")
        );
        assert_eq!(
            Setting::new().env_file("APP_NAME=Shop\n").mistake(),
            format!(".env: PUSHER_APP_ID: missing; expected {all}")
        );
    }

    #[test]
    fn what_is_wrong_in_the_env_file_is_named_without_the_value() {
        assert_eq!(
            Setting::new().env_file("\nPUSHER_APP_ID=a b\n").mistake(),
            ".env:2: PUSHER_APP_ID: expected quotes around a value with blanks, found more text"
        );
        assert_eq!(
            Setting::new()
                .env_file("PUSHER_APP_ID=1\nPUSHER_APP_KEY=k\nPUSHER_APP_SECRET=\" x\"")
                .mistake(),
            ".env:3: PUSHER_APP_SECRET: expected a text that is not empty and has no blanks at its ends, found another text"
        );
        let mut absent = Setting::new();
        absent.sources.env_file = Some(absent.directory.0.join("absent.env"));
        assert_eq!(
            absent.mistake(),
            "absent.env: cannot be read: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn references_and_other_lines_of_a_laravel_project_are_understood() {
        let text = "APP_NAME=\"My Shop\"\nBROKEN=a b\nSHARED=5\nPUSHER_APP_ID=${SHARED}\nexport PUSHER_APP_KEY='laravel' # public\nPUSHER_APP_SECRET=a$b\nVITE_PUSHER_APP_KEY=\"${PUSHER_APP_KEY}\"\n";
        let config = Setting::new().env_file(text).load();
        let app = config.apps.by_id("5").unwrap();
        let signature = Signer::new("laravel", b"a$b").sign(&[b"text"]);
        assert!(app.keys.signing().verify(&[b"text"], &signature));
    }
}

mod development_credentials {
    use super::*;

    const REFUSED: &str = "expected a loopback address such as 127.0.0.1:6001 while the development credentials (secret `local`) are in use; to listen elsewhere, configure an app of your own, found 0.0.0.0:6001";

    #[test]
    fn they_are_served_on_loopback_only() {
        assert_eq!(
            Setting::new()
                .flag("--listen", "server.listen", "0.0.0.0:6001")
                .mistake(),
            format!("--listen: server.listen: {REFUSED}")
        );
        assert_eq!(
            Setting::new()
                .variable("FANFARE_ADMIN__LISTEN", "0.0.0.0:6001")
                .mistake(),
            format!("environment variable FANFARE_ADMIN__LISTEN: admin.listen: {REFUSED}")
        );
        let written_out = "[server]\nlisten = \"0.0.0.0:6001\"\n[[apps]]\nid = \"x\"\nkey = \"y\"\nsecret = \"local\"\n";
        assert_eq!(
            mistake_in(written_out),
            format!("relay.toml:2: server.listen: {REFUSED}")
        );
    }

    #[test]
    fn an_app_of_one_s_own_may_be_served_anywhere() {
        let setting =
            Setting::new()
                .file(&with_app(""))
                .flag("--listen", "server.listen", "0.0.0.0:6001");
        let config = setting.load();
        assert_eq!(config.server.listen.to_string(), "0.0.0.0:6001");
        assert!(config.apps.by_id("local").is_none());
    }

    #[test]
    fn an_admin_listener_that_is_off_is_nowhere() {
        let config = Setting::new().file("[admin]\nlisten = \"\"").load();
        assert_eq!(config.admin.listen, None);
    }
}

proptest::proptest! {
    /// Any file is taken or gets its one line.
    #[test]
    fn any_file_is_judged_without_panic(text in "([\\[\\]a-z= \"'#{}.0-9é]{0,12}\n?){0,6}", cut in 0..SHIPPED.len()) {
        for text in [text.as_str(), SHIPPED.get(..cut).unwrap_or_default()] {
            if let Err(error) = load(&Setting::new().file(text).sources) {
                proptest::prop_assert!(!error.to_string().contains('\n'), "{}", error);
            }
        }
    }
}

#[test]
fn numbers_may_be_written_as_toml_allows() {
    let text = "[server]\nactivity_timeout = 1_000\npong_timeout = 0x10\nworkers = +2";
    let server = Setting::new().file(text).load().server;
    assert_eq!(server.activity_timeout.as_secs(), 1000);
    assert_eq!(server.pong_timeout.as_secs(), 16);
    assert_eq!(server.workers, Some(2));
}

#[test]
fn key_rotation_keeps_the_first_pair_for_signing() {
    let text = with_app("extra_keys = [{ key = \"old\", secret = \"older\" }]");
    let config = Setting::new().file(&text).load();
    let (app, place) = config.apps.by_key("old").unwrap();
    assert_eq!((app.keys.signing().key(), place), ("k", 1));
}

#[test]
fn relative_files_are_named_as_they_were_given() {
    let sources = Sources {
        config_file: Some(Path::new("no/such.toml").into()),
        ..Sources::default()
    };
    let line = load(&sources).unwrap_err().to_string();
    assert!(line.starts_with("no/such.toml: cannot be read"), "{line}");
}
