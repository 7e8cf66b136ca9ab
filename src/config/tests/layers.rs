//! Which source wins, and what is reported of each.

use super::*;

fn port(server: &Server) -> u16 {
    server.listen[0].at.address().unwrap().port()
}

#[test]
fn without_any_source_the_development_app_is_served_on_loopback() {
    let loaded = load(&Setting::new().sources).unwrap();
    let config = loaded.config;
    assert!(config.development && loaded.layers.is_empty());
    assert_eq!(config.server.listen[0].at.to_string(), "127.0.0.1:6001");
    assert_eq!(config.admin.listen.unwrap().to_string(), "127.0.0.1:9601");
    let app = config.apps.by_id("local").unwrap();
    assert_eq!(app.keys.signing().key(), "local");
    let by_hand = Signer::new("local", b"local").sign(&[b"text"]);
    assert!(app.keys.signing().verify(&[b"text"], &by_hand));
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let setting =
        Setting::new().file("[server]\nlisten = \"127.0.0.1:1\"\nworkers = 1\npong_timeout = 1\n");
    assert_eq!(port(&setting.load().server), 1);
    let setting = setting
        .variable("FANFARE_SERVER__LISTEN", "127.0.0.1:2")
        .variable("FANFARE_SERVER__WORKERS", "2");
    assert_eq!(port(&setting.load().server), 2);
    let server = setting
        .flag("--listen", "server.listen", "127.0.0.1:3")
        .load()
        .server;
    assert_eq!(port(&server), 3);
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
fn what_the_configuration_was_made_of_is_reported() {
    let setting = Setting::new()
        .file("")
        .variable("FANFARE_LOG__LEVEL", "debug")
        .variable("PUSHER_APP_ID", "1")
        .variable("PUSHER_APP_KEY", "k")
        .variable("PUSHER_APP_SECRET", "s3cr3t")
        .flag("--workers", "server.workers", "1");
    let loaded = load(&setting.sources).unwrap();
    let reported: Vec<String> = loaded
        .layers
        .iter()
        .map(|layer| format!("{}: {}", layer.source, layer.detail))
        .collect();
    let file = setting.sources.config_file.as_ref().unwrap();
    assert_eq!(
        reported,
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
    for service in [
        "FANFARE",
        "FANFARE_ADMIN",
        "FANFARE_SERVER",
        "FANFARE_LOG_LEVEL",
    ] {
        let mut setting = Setting::new();
        for (rest, value) in [
            ("SERVICE_HOST", "10.0.0.1"),
            ("SERVICE_PORT", "6001"),
            ("SERVICE_PORT_HTTP", "6001"),
            ("SERVICE_PORT_LISTEN", "6001"),
            ("PORT", "tcp://10.0.0.1:6001"),
            ("PORT_6001_TCP", "tcp://10.0.0.1:6001"),
            ("PORT_6001_TCP_PROTO", "tcp"),
            ("PORT_6001_TCP_PORT", "6001"),
            ("PORT_6001_TCP_ADDR", "10.0.0.1"),
            ("PORT_53_UDP_PORT", "53"),
            ("NAME", "/shop/fanfare"),
            ("ENV_PATH", "/usr/bin"),
        ] {
            setting = setting.variable(&format!("{service}_{rest}"), value);
        }
        assert!(setting.load().development, "{service}");
    }
}

#[test]
fn variables_of_others_are_left_alone() {
    for name in [
        "FANFARE_ADMIN_TOKEN",
        "FANFARE_BIN",
        "FANFARE_SIMULATIONS",
        "FANFARE_VERSION",
        "FANFARE_WRITE_DOCS",
        "FANFARENEWS",
        "LISTEN",
    ] {
        let config = Setting::new().variable(name, "1").load();
        assert!(config.development, "{name}");
    }
}

#[test]
fn variables_that_the_file_refers_to_have_any_name() {
    let config = Setting::new()
        .file("[server]\npath_prefix = \"${FANFARE_PLACE}\"")
        .variable("FANFARE_PLACE", "/fanfare")
        .load();
    assert_eq!(&*config.server.path_prefix, "/fanfare");
}
