//! What Laravel publishes on Redis: from where it is taken, and for which app.

use super::*;

/// Lines that turn it on, behind others.
fn taking_in(file: &str, lines: &str) -> String {
    format!("{file}\n[ingest.laravel_redis]\nenabled = true\n{lines}")
}

fn two_apps() -> String {
    with_app("[[apps]]\nid = \"2\"\nkey = \"l\"\nsecret = \"t\"\n")
}

#[test]
fn the_file_and_variables_set_it() {
    let text = taking_in("", "url = \"redis://cache\"\nprefix = \"shop_database_\"");
    let setting = Setting::new().file(&text);
    let settings = setting.load().laravel_redis;
    assert!(settings.enabled);
    assert_eq!(settings.url.to_string(), "redis://cache:6379");
    assert_eq!(&*settings.prefix, "shop_database_");

    let setting = setting
        .variable("FANFARE_INGEST__LARAVEL_REDIS__URL", "redis://other:1")
        .variable("FANFARE_INGEST__LARAVEL_REDIS__ENABLED", "false")
        .variable("FANFARE_INGEST__LARAVEL_REDIS__PREFIX", "");
    let settings = setting.load().laravel_redis;
    assert!(!settings.enabled && settings.prefix.is_empty());
    assert_eq!(settings.url.to_string(), "redis://other:1");
}

#[test]
fn the_only_app_need_not_be_named() {
    for (file, lines, app) in [
        (String::new(), "", "local"),
        (with_app(""), "", "1"),
        (with_app(""), "app = \"\"", "1"),
        (two_apps(), "app = \"2\"", "2"),
    ] {
        let settings = Setting::new().file(&taking_in(&file, lines)).load();
        assert_eq!(&*settings.laravel_redis.app, app);
    }
}

#[test]
fn several_apps_need_a_name_once_it_is_on() {
    let here = "relay.toml:10: ingest.laravel_redis.app: ";
    assert_eq!(
        mistake_in(&taking_in(&two_apps(), "")),
        format!("{here}missing; expected the id of one of the apps: 1, 2")
    );
    let off = format!("{}\n[ingest.laravel_redis]\n", two_apps());
    assert!(!Setting::new().file(&off).load().laravel_redis.enabled);
}

#[test]
fn mistakes_are_named_without_a_password() {
    for (lines, mistake) in [
        (
            "app = \"3\"",
            "app: expected the id of one of the apps: 1, 2, found \"3\"",
        ),
        (
            "app = \"\"",
            "app: expected the id of one of the apps: 1, 2, found nothing",
        ),
        (
            "url = \"me:s3cr3t@cache\"",
            "url: expected a URL such as redis://127.0.0.1:6379/0 or redis://user:password@host:6379/0, found another text",
        ),
        (
            "url = 6379",
            "url: expected a URL such as redis://127.0.0.1:6379/0 or redis://user:password@host:6379/0, found a number",
        ),
        ("uri = 1", "uri: unknown key; did you mean `url`?"),
    ] {
        assert_eq!(
            mistake_in(&taking_in(&two_apps(), lines)),
            format!("relay.toml:12: ingest.laravel_redis.{mistake}")
        );
    }
    assert_eq!(
        mistake_in("[ingest]\nenabled = true"),
        "relay.toml:2: ingest.enabled: unknown key; it belongs in [compression] or [[apps]] or [ingest.laravel_redis]"
    );
    assert_eq!(
        mistake_in("[ingest.redis]"),
        "relay.toml:1: ingest.redis: unknown key; did you mean `laravel_redis`?"
    );
    assert_eq!(
        Setting::new()
            .variable("FANFARE_INGEST_LARAVEL_REDIS_URL", "redis://cache")
            .mistake(),
        "environment variable FANFARE_INGEST_LARAVEL_REDIS_URL: ingest_laravel_redis_url: unknown key; did you mean `FANFARE_INGEST__LARAVEL_REDIS__URL`?"
    );
}
