//! Secrets from files, and variables within values.

use std::fs;

use super::*;

fn with_file(path: &str) -> String {
    format!("[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret_file = {path:?}\n")
}

#[test]
fn a_secret_may_stand_in_a_file() {
    let setting = Setting::new();
    for content in ["s3cr3t", "s3cr3t\n", "s3cr3t\r\n"] {
        let path = setting.directory.write("secret", content);
        let path = path.to_str().unwrap();
        let text = format!(
            "{}extra_keys = [{{ key = \"l\", secret_file = {path:?} }}]",
            with_file(path)
        );
        let setting = Setting::new().file(&text);
        let app = setting.load();
        let app = app.apps.by_id("1").unwrap();
        for (pair, key) in app.keys.iter().zip(["k", "l"]) {
            assert_eq!(*pair, Signer::new(key, b"s3cr3t"), "{content:?}");
        }
        let files = load(&setting.sources).unwrap().secret_files;
        assert_eq!(files, [PathBuf::from(path), PathBuf::from(path)]);
    }
}

#[test]
fn a_secret_is_given_once_and_its_file_holds_nothing_else() {
    let both = with_app("secret_file = \"secret\"");
    assert_eq!(
        mistake_in(&both),
        "relay.toml:5: apps[0].secret_file: expected either `secret` or `secret_file`, found both"
    );
    let missing = mistake_in(&with_file("/nowhere/secret"));
    assert!(missing.starts_with("relay.toml:4: apps[0].secret_file: expected the path"));
    assert!(
        missing.contains("/nowhere/secret: No such file"),
        "{missing}"
    );
    let directory = Directory::new();
    for content in ["", "\n", " s3cr3t", "s3cr3t\ns3cr3t\n"] {
        let path = directory.write("secret", content);
        let line = mistake_in(&with_file(path.to_str().unwrap()));
        assert!(line.contains("with another content"), "{line}");
        assert!(!line.contains("s3cr3t"), "{line}");
    }
    let text = "[[apps]]\nid = \"1\"\nkey = \"k\"\nsecret_file = \"\"";
    let line = mistake_in(text);
    assert!(line.contains("apps[0].secret: missing"), "{line}");
}

#[test]
fn values_hold_variables_whatever_they_are() {
    let text = "[server]\nworkers = \"${WORKERS}\"\ntrusted_proxies = [\"${PROXY}\"]\n\
                [compression]\nenabled = \"${ON}\"\n\
                [[apps]]\nid = \"${ID}\"\nkey = \"k-$${x}\"\nsecret = \"${SECRET}\"";
    let setting = Setting::new()
        .file(&text.replace("k-$${x}", "k"))
        .variable("WORKERS", "3")
        .variable("PROXY", "10.0.0.0/8")
        .variable("ON", "false")
        .variable("ID", "shop")
        .variable("SECRET", "s3cr3t");
    let config = setting.load();
    assert_eq!(config.server.workers, Some(3));
    assert!(config.compression.is_none());
    let app = config.apps.by_id("shop").unwrap();
    assert_eq!(*app.keys.signing(), Signer::new("k", b"s3cr3t"));
    let line = setting.file(text).mistake();
    assert!(line.contains(r#"apps[0].key: expected"#), "{line}");
    assert!(line.contains(r#"found "k-${x}""#), "{line}");
}

#[test]
fn a_variable_that_is_not_set_is_named_with_its_line() {
    assert_eq!(
        mistake_in("[server]\n\npath_prefix = \"/${PREFIX}\""),
        "relay.toml:3: server.path_prefix: expected the environment variable PREFIX to be set \
         (the text itself is written $${PREFIX}), found no such variable"
    );
    let nested = with_app("[[apps.webhooks]]\nurl = \"http://a\"\nevents = [\"${E}\"]");
    let line = mistake_in(&nested);
    let start = "relay.toml:7: apps[0].webhooks[0].events[0]: expected the environment variable E ";
    assert!(line.starts_with(start), "{line}");
}

#[test]
fn what_needs_a_restart_is_what_the_file_alone_decides() {
    let text = |workers: u8, level: &str| {
        format!("[server]\nworkers = {workers}\npong_timeout = 20\n[log]\nlevel = \"{level}\"\n")
            + &with_app("")
    };
    let setting = Setting::new()
        .file(&text(1, "info"))
        .variable("FANFARE_SERVER__PONG_TIMEOUT", "25");
    let loaded = load(&setting.sources).unwrap();
    let mut rereader = Rereader::new(setting.sources.clone(), &loaded);
    assert!(!rereader.have_changed());
    assert!(rereader.read(false).unwrap().needs_restart.is_empty());
    let path = setting.sources.config_file.clone().unwrap();
    let changed = text(2, "debug").replace("= 20", "= 30");
    fs::write(&path, format!("# more\n{changed}[admin]\nlisten = \"\"\n")).unwrap();
    assert!(!rereader.have_changed(), "it may still be written");
    assert!(rereader.have_changed() && rereader.have_changed());
    let reread = rereader.read(false).unwrap();
    assert_eq!(reread.needs_restart, ["admin.listen", "server.workers"]);
    assert!(!rereader.have_changed());
    fs::remove_file(&path).unwrap();
    assert!(!rereader.have_changed());
    assert!(rereader.have_changed());
    rereader.read(false).unwrap_err();
    assert!(!rereader.have_changed());
}

#[test]
fn a_file_of_many_apps_is_read_in_no_time() {
    let apps = (0..5000).map(|id| {
        format!("[[apps]]\nid = \"{id}\"\nkey = \"k{id}\"\nsecret = \"s\"\nallowed_origins = []\n")
    });
    let text: String = apps.collect();
    assert_eq!(Setting::new().file(&text).load().apps.len(), 5000);
}
