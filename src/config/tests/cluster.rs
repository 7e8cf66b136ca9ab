//! Whom a node shares its channels with.

use super::*;
use crate::config::Cluster;

const REDIS: &str = "[cluster]\ndriver = \"redis\"\n";

fn shown(setting: &Setting) -> String {
    match setting.load().cluster {
        Cluster::Local => "nobody".to_owned(),
        Cluster::Redis(settings) => settings.target.to_string(),
    }
}

#[test]
fn a_node_is_by_itself_unless_a_driver_is_named() {
    assert_eq!(shown(&Setting::new()), "nobody");
    let url = "[cluster]\nurl = \"redis://other\"";
    assert_eq!(shown(&Setting::new().file(url)), "nobody");
    assert_eq!(
        shown(&Setting::new().file(REDIS)),
        "Redis at 127.0.0.1:6379"
    );
    let variable = Setting::new().variable("FANFARE_CLUSTER__DRIVER", "redis");
    assert_eq!(shown(&variable), "Redis at 127.0.0.1:6379");
}

#[test]
fn redis_is_one_server_or_a_cluster_or_what_sentinels_know() {
    for (url, target) in [
        ("\"redis://:pw@one:1/2\"", "Redis at one:1"),
        (
            "[\"redis://one:1\", \"redis://two:2\"]",
            "the Redis Cluster of one:1, two:2",
        ),
        ("[\"rediss://one:1\"]", "the Redis Cluster of one:1"),
        (
            "\"redis+sentinel://:pw@one:1,two:2/main\"",
            "main of the sentinels one:1, two:2",
        ),
    ] {
        let setting = Setting::new().file(&format!("{REDIS}url = {url}"));
        assert_eq!(shown(&setting), target);
    }
    for (text, target) in [
        (
            "redis://one,redis://two:2",
            "the Redis Cluster of one:6379, two:2",
        ),
        (
            "redis://one redis://two",
            "the Redis Cluster of one:6379, two:6379",
        ),
        (
            "redis+sentinel://a,b/main",
            "main of the sentinels a:26379, b:26379",
        ),
    ] {
        let setting = Setting::new()
            .file(REDIS)
            .variable("FANFARE_CLUSTER__URL", text);
        assert_eq!(shown(&setting), target);
    }
}

#[test]
fn mistakes_in_a_url_do_not_show_it() {
    for url in [
        "\"http://:s3cr3t@one\"",
        "[\"s3cr3t\"]",
        "[]",
        "7",
        "[\"redis://one/1\"]",
    ] {
        let setting = Setting::new().file(&format!("{REDIS}url = {url}"));
        let error = setting.mistake();
        assert!(error.contains("cluster.url: expected redis://"), "{error}");
        assert!(!error.contains("s3cr3t"), "{error}");
    }
}

#[test]
fn prefixes_hold_no_braces() {
    for prefix in ["", "a{b", "a b", "ä"] {
        let setting = Setting::new().file(&format!("{REDIS}prefix = \"{prefix}\""));
        assert!(setting.mistake().contains("cluster.prefix: expected"));
    }
}

#[test]
fn a_node_for_publishes_alone_has_others_to_publish_to() {
    let role = "[server]\nrole = \"api\"\n";
    let error = Setting::new().file(role).mistake();
    assert_eq!(
        error,
        "relay.toml:2: server.role: expected `relay`, or a cluster.driver other than `local`, found \"api\""
    );
    let api = Setting::new().file(&format!("{role}{REDIS}")).load();
    assert_eq!(api.server.role, Role::Api);
    assert_eq!(Setting::new().load().server.role, Role::Relay);
}

#[test]
fn what_laravel_publishes_is_distinguished_from_what_nodes_publish() {
    let with_prefix = |prefix| {
        let ingest = format!("[ingest.laravel_redis]\nenabled = true\nprefix = \"{prefix}\"");
        Setting::new().file(&format!("{REDIS}{ingest}"))
    };
    let error = with_prefix("fanfare:app_").mistake();
    assert!(
        error.contains("ingest.laravel_redis.prefix: expected"),
        "{error}"
    );
    for prefix in ["", "fanfare_", "laravel_database_"] {
        assert!(with_prefix(prefix).load().laravel_redis.enabled);
    }
}
