//! What people may see of a configuration.

use super::*;

/// What is shown otherwise: the tokens, as a list of their names, and where a URL leads, wherever it stood.
const OTHERWISE: [&str; 4] = ["token", "token_file", "tokens_file", "url_file"];

#[test]
fn every_key_is_shown() {
    let redis = Setting::new().variable("FANFARE_CLUSTER__DRIVER", "redis");
    let shown = shown(&redis.load());
    for (section, known) in keys::SINGLE {
        let table = shown
            .pointer(&format!("/{}", section.replace('.', "/")))
            .unwrap();
        for key in known.iter().filter(|key| !OTHERWISE.contains(key)) {
            assert!(table.get(key).is_some(), "{section}.{key}");
        }
    }
}

#[test]
fn secrets_are_not() {
    let setting = Setting::new()
        .variable("FANFARE_CLUSTER__DRIVER", "redis")
        .variable("FANFARE_CLUSTER__URL", "redis://user:very-secret@redis/0")
        .variable(
            "FANFARE_APPS_DATABASE__URL",
            "postgres://user:very-secret@db/name",
        )
        .variable("FANFARE_ADMIN__TOKEN", "very-secret-very-secret")
        .variable(
            "FANFARE_INGEST__LARAVEL_REDIS__URL",
            "redis://user:very-secret@redis/0",
        );
    let setting = setting.file(&with_app(""));
    let text = shown(&setting.load()).to_string();
    assert!(
        !text.contains("very-secret") && !text.contains("s3cr3t"),
        "{text}"
    );
    assert!(text.contains("admin.token"), "{text}");
}
