//! The configuration that comes with the relay documents every key at its default.

use toml::de::{DeTable, DeValue};

use super::*;
use crate::apps::{App, ChannelFilter, WebhookEvent};

/// The file with its app block in force: settings are commented out as `#key`, prose is `# …`.
fn in_force() -> String {
    let lines = SHIPPED.lines().map(|line| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|c: char| c.is_alphabetic() || c == '[') => setting,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn it_has_the_defaults() {
    let shipped = Setting::new().file(SHIPPED).load();
    assert_eq!(
        format!("{shipped:?}"),
        format!("{:?}", Setting::new().load())
    );
}

#[test]
fn its_app_block_has_the_defaults() {
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
    let resume = app.as_table().unwrap().get("resume").unwrap().get_ref();
    let ingest = root.get("ingest").unwrap().get_ref();
    let laravel_redis = ingest.as_table().unwrap().get("laravel_redis").unwrap();
    let tls = root.get("tls").unwrap().get_ref();
    let acme = tls.as_table().unwrap().get("acme").unwrap();
    // (Its lists are shown in comments.)
    let keys_of_tls = [keys::TLS, &["acme"]].concat();
    for (documented, known) in [
        (section("server"), keys::SERVER),
        (section("tls"), &keys_of_tls[..]),
        (table(acme.get_ref()), keys::ACME),
        (section("compression"), keys::COMPRESSION),
        (section("apps_database"), keys::APPS_DATABASE),
        (section("cluster"), keys::CLUSTER),
        (section("webhooks"), keys::WEBHOOKS),
        (table(ingest), keys::INGEST),
        (table(laravel_redis.get_ref()), keys::LARAVEL_REDIS),
        (section("admin"), keys::ADMIN),
        (section("metrics"), keys::METRICS),
        (section("log"), keys::LOG),
        (table(app), keys::APP),
        (table(resume), keys::RESUME),
        (table(limits), keys::LIMITS),
    ] {
        let mut known = known.to_vec();
        known.sort_unstable();
        assert_eq!(documented, known);
    }
}

#[test]
fn its_webhook_can_be_taken_over_as_it_is() {
    let indented = SHIPPED
        .lines()
        .filter_map(|line| line.strip_prefix("#     "));
    let example = indented.collect::<Vec<_>>().join("\n");
    let config = Setting::new().file(&with_app(&example)).load();
    let app = config.apps.by_id("1").unwrap();
    let [webhook] = &app.webhooks[..] else {
        panic!("{:?}", app.webhooks);
    };
    let all = WebhookEvent::ALL.into_iter().collect();
    assert_eq!(webhook.events, all);
    assert_eq!(webhook.filter, ChannelFilter::default());
    assert!(webhook.headers.is_empty() && !webhook.batch);
    for key in keys::WEBHOOK.iter().chain(keys::FILTER) {
        assert!(example.contains(&format!("{key} = ")), "{key}");
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
