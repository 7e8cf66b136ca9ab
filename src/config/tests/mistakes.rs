//! The line that each mistake gets.

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
            "relay.toml:2: listen: unknown key; it belongs in [server] or [tls] or [admin]",
        ),
        (
            "[log]\ncolour = 1",
            "relay.toml:2: log.colour: unknown key; expected one of format, level",
        ),
        (
            "[log]\n\"a\\nb\" = 1",
            r"relay.toml:2: log.a\nb: unknown key; expected one of format, level",
        ),
        (
            &with_app("max_connections = 5"),
            "relay.toml:5: apps[0].max_connections: unknown key; it belongs in [server] or [apps.limits]",
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
            "relay.toml:2: server.listen: expected host:port, such as 127.0.0.1:6001, [::1]:6001 or localhost:6001, unix:/path, or a list of these, found 6001",
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
            "[server]\nrole = \"publisher\"",
            "relay.toml:2: server.role: expected `relay` or `api`, found \"publisher\"",
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
            "relay.toml:5: apps[0].allowed_origins: expected a list of origins such as `https://example.com`, `*.example.com` or `localhost:3000`, without paths, international names as xn--…, found \"https://example.com/\"",
        ),
        (
            &with_app("allowed_origins = [\"https://exämple.com\"]"),
            "relay.toml:5: apps[0].allowed_origins: expected a list of origins such as `https://example.com`, `*.example.com` or `localhost:3000`, without paths, international names as xn--…, found \"https://exämple.com\"",
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
        "--listen: server.listen: expected host:port, such as 127.0.0.1:6001, [::1]:6001 or localhost:6001, unix:/path, or a list of these, found \"6001\""
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
            "environment variable FANFARE_WEATHER__TODAY: weather.today: unknown key; expected FANFARE_SECTION__KEY of the sections server, tls, tls__acme, compression, cluster, webhooks, ingest__laravel_redis, admin, metrics, log and apps_database",
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
fn variables_that_look_like_the_relay_s_are_refused_with_the_right_name() {
    for (name, hint) in [
        (
            "FANFARE_LISTEN",
            "did you mean `FANFARE_SERVER__LISTEN` or `FANFARE_TLS__LISTEN` or `FANFARE_ADMIN__LISTEN`?",
        ),
        ("FANFARE_WORKERS", "did you mean `FANFARE_SERVER__WORKERS`?"),
        ("FANFARE_WORKER", "did you mean `FANFARE_SERVER__WORKERS`?"),
        (
            "FANFARE_ACTIVITYTIMEOUT",
            "did you mean `FANFARE_SERVER__ACTIVITY_TIMEOUT`?",
        ),
        ("FANFARE_LOG_LEVEL", "did you mean `FANFARE_LOG__LEVEL`?"),
        ("FANFARE_LOGLEVEL", "did you mean `FANFARE_LOG__LEVEL`?"),
        (
            "fanfare_server__listen",
            "did you mean `FANFARE_SERVER__LISTEN`?",
        ),
        (
            "Fanfare_Server_Listen",
            "did you mean `FANFARE_SERVER__LISTEN`?",
        ),
        ("fanfare_workers", "did you mean `FANFARE_SERVER__WORKERS`?"),
        ("fanfare_config", "did you mean `FANFARE_CONFIG`?"),
        (
            "FANFARE_PORT",
            "did you mean `FANFARE_SERVER__LISTEN`, a host and a port?",
        ),
        (
            "FANFARE_HOST",
            "did you mean `FANFARE_SERVER__LISTEN`, a host and a port?",
        ),
        (
            "FANFARE_INGEST__LARAVEL_REDIS_URL",
            "did you mean `FANFARE_INGEST__LARAVEL_REDIS__URL`?",
        ),
        ("FANFARE_APP_ID", "did you mean `PUSHER_APP_ID`?"),
        ("FANFARE_APP_KEY", "did you mean `PUSHER_APP_KEY`?"),
        ("FANFARE_APP_SECRET", "did you mean `PUSHER_APP_SECRET`?"),
        ("FANFARE_PUSHER_APP_KEY", "did you mean `PUSHER_APP_KEY`?"),
        (
            "FANFARE_ALLOWED_ORIGINS",
            "expected `allowed_origins` below [[apps]] in a configuration file",
        ),
        (
            "FANFARE_PRESENCE_MEMBERS",
            "expected `presence_members` below [apps.limits] in a configuration file",
        ),
        (
            "FANFARE_APPS__LIMITS__OUTBOX_BYTES",
            "expected `outbox_bytes` below [apps.limits] in a configuration file",
        ),
    ] {
        assert_hint(name, hint);
    }
}

#[test]
fn variables_that_name_no_key_are_refused_with_what_may_have_been_meant() {
    for (name, hint) in [
        (
            "FANFARE_ORIGINS",
            "expected `allowed_origins` below [[apps]] in a configuration file",
        ),
        (
            "FANFARE_DATABASE_URL",
            "did you mean `FANFARE_APPS_DATABASE__URL`?",
        ),
        (
            "FANFARE_REDIS_URL",
            "did you mean `FANFARE_CLUSTER__URL` or `FANFARE_INGEST__LARAVEL_REDIS__URL`?",
        ),
        (
            "FANFARE_URL",
            "did you mean `FANFARE_CLUSTER__URL` or `FANFARE_INGEST__LARAVEL_REDIS__URL` or \
             `FANFARE_APPS_DATABASE__URL`?",
        ),
        (
            "FANFARE_LOG",
            "expected FANFARE_LOG__KEY with one of the keys FORMAT, LEVEL",
        ),
        (
            "FANFARE_ADMIN",
            "expected FANFARE_ADMIN__KEY with one of the keys LISTEN, HOSTS, TOKEN, TOKEN_FILE, TOKENS_FILE, OPEN_METRICS",
        ),
        (
            "FANFARE_TLS_CERT",
            "did you mean `FANFARE_TLS__CERTIFICATE`?",
        ),
        (
            "FANFARE_WEATHER",
            "expected FANFARE_SECTION__KEY of the sections server, tls, tls__acme, compression, cluster, webhooks, \
             ingest__laravel_redis, admin, metrics, log and apps_database",
        ),
    ] {
        assert_hint(name, hint);
    }
}

fn assert_hint(name: &str, hint: &str) {
    let line = Setting::new().variable(name, "6001").mistake();
    assert!(
        line.starts_with(&format!("environment variable {name}: ")),
        "{line}"
    );
    assert!(line.ends_with(&format!("unknown key; {hint}")), "{line}");
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
        "relay.toml:6: apps[0].limits.http_body_bytes: expected at least 634880, so that a full batch fits (batch_events 10, event_data_bytes 10240), found 20000"
    );
    let config = Setting::new()
        .file(&with_app("[apps.limits]\nevent_data_bytes = 1048576"))
        .load();
    let limits = &config.apps.by_id("1").unwrap().limits;
    assert!(limits.http_body_bytes >= 10 << 20, "{limits:?}");
}

#[test]
fn mistakes_in_webhooks_show_no_secret() {
    let webhook = |rest: &str| {
        with_app(&format!(
            "webhooks = [{{ url = \"https://example.com/\", events = [\"cache_miss\"], {rest} }}]"
        ))
    };
    let start = "relay.toml:5: apps[0].webhooks[0].";
    for (text, mistake) in [
        (
            with_app("webhooks = [{ events = [\"cache_miss\"] }]"),
            "url: missing; expected a URL that begins with https:// or http://, such as https://example.com/webhook",
        ),
        (
            with_app("webhooks = [{ url = \"s3cr3t.example.com\", events = [\"cache_miss\"] }]"),
            "url: expected a URL that begins with https:// or http://, such as https://example.com/webhook, found another text",
        ),
        (
            with_app("webhooks = [{ url = \"http://a\" }]"),
            "events: missing; expected a list of one or more of channel_occupied, channel_vacated, member_added, member_removed, client_event, cache_miss and subscription_count",
        ),
        (
            with_app("webhooks = [{ url = \"http://a\", events = [] }]"),
            "events: expected a list of one or more of channel_occupied, channel_vacated, member_added, member_removed, client_event, cache_miss and subscription_count, found an empty list",
        ),
        (
            with_app("webhooks = [{ url = \"http://a\", events = [\"channel_created\"] }]"),
            "events: expected a list of one or more of channel_occupied, channel_vacated, member_added, member_removed, client_event, cache_miss and subscription_count, found \"channel_created\"",
        ),
        (
            webhook("headers = { Host = \"s3cr3t\" }"),
            "headers: expected a table of headers such as { X-Env = \"prod\" }, of visible ASCII characters, without those that the relay or HTTP itself sets, found \"Host\"",
        ),
        (
            webhook("headers = { X-Count = 7 }"),
            "headers: expected a table of headers such as { X-Env = \"prod\" }, of visible ASCII characters, without those that the relay or HTTP itself sets, found \"X-Count\" with a number",
        ),
        (
            webhook("filter = { prefix = \"a\" }"),
            "filter.prefix: unknown key; did you mean `channel_prefix`?",
        ),
        (
            webhook("url_ = \"x\""),
            "url_: unknown key; did you mean `url`?",
        ),
    ] {
        assert_eq!(mistake_in(&text), format!("{start}{mistake}"));
    }
}

#[test]
fn webhooks_at_private_addresses_can_be_ruled_out() {
    let with_url = |url: &str| {
        with_app(&format!(
            "webhooks = [{{ url = \"{url}\", events = [\"cache_miss\"] }}]"
        ))
    };
    let text = with_url("http://me:s3cr3t@10.0.0.1/s3cr3t");
    let line = Setting::new()
        .file(&text)
        .variable("FANFARE_WEBHOOKS__PRIVATE_ADDRESSES", "false")
        .mistake();
    assert_eq!(
        line,
        "relay.toml:5: apps[0].webhooks[0].url: expected a public address, as \
         webhooks.private_addresses is false, found http://10.0.0.1"
    );
    assert_eq!(Setting::new().file(&text).load().apps.iter().len(), 1);
    let public = with_url("https://example.com/hook");
    let setting = Setting::new()
        .file(&public)
        .variable("FANFARE_WEBHOOKS__PRIVATE_ADDRESSES", "false");
    assert!(!setting.load().webhooks.private_addresses);
}
