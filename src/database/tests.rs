//! What the admin API does with the store, on the embedded database.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use sqlx::Connection as _;

use super::*;
use crate::apps::{App, Registry};
use crate::auth::Signer;
use crate::clients::{ClientLimits, Clients};
use crate::cluster::Local;
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::net::memory::Ceiling;
use crate::net::tally::Requests;
use crate::relay::Relay;
use crate::tap::Tap;
use crate::webhooks::Webhooks;

fn relay() -> Arc<Relay> {
    let own = App::new("own", Signer::new("own-key", b"secret"));
    let registry = Registry::new(vec![own]).unwrap();
    let metrics = Metrics::new();
    let entries = &metrics.process().table_entries;
    let clients = Clients::new(
        Arc::default(),
        &ClientLimits::default(),
        entries,
        Instant::now(),
    );
    let hub = Hub::new(&registry, &Webhooks::none(), metrics.clone(), 10);
    Arc::new(Relay {
        hub,
        authority: Arc::new(Local),
        tap: Tap::new(),
        requests: Requests::default(),
        clients,
        memory: Ceiling::new(None),
        is_outdated: AtomicBool::new(false),
    })
}

/// Reads id, key, secret and whether it is enabled, and refuses a secret that is empty.
fn read(settings: &Map<String, Value>) -> Result<App, String> {
    let text = |name: &str| {
        let text = settings.get(name).and_then(Value::as_str);
        let text = text.filter(|text| !text.is_empty());
        text.ok_or_else(|| format!("{name}: missing"))
    };
    let signer = Signer::new(text("key")?, text("secret")?.as_bytes());
    Ok(App {
        enabled: settings.get("enabled") != Some(&Value::Bool(false)),
        ..App::new(text("id")?, signer)
    })
}

fn store(relay: &Arc<Relay>, file: &Path) -> Store {
    let settings = Settings {
        poll: Duration::from_millis(50),
        ..Settings::new(Place::Embedded(file.to_owned()))
    };
    store_of(settings, relay)
}

fn store_of(settings: Settings, relay: &Arc<Relay>) -> Store {
    let parts = Parts::new(settings, Arc::new(read), relay, &Webhooks::none(), || {});
    Store::new(parts)
}

fn app(id: &str) -> Map<String, Value> {
    let settings = json!({"id": id, "key": format!("{id}-key"), "secret": "s", "enabled": true});
    settings.as_object().unwrap().clone()
}

#[tokio::test]
async fn an_app_is_made_changed_and_removed_and_each_is_served_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state").join("apps.db");
    let relay = relay();
    let store = store(&relay, &file);
    store.start(Duration::ZERO).unwrap();
    assert_eq!(store.list("", 10).await.unwrap(), []);
    assert_eq!(store.get("1").await, Err(StoreError::NotFound));
    assert!(!file.exists(), "nothing is made before there is an app");

    let made = store.create(app("1")).await.unwrap();
    assert_eq!((made.version, &made.settings), (1, &app("1")));
    assert!(relay.hub.app_by_key("1-key").is_some());
    let twice = store.create(app("1")).await;
    assert!(matches!(twice, Err(StoreError::AlreadyExists(_))));

    let mut off = app("1");
    off.insert("enabled".into(), false.into());
    off.insert("limits".into(), json!({"max_connections": 3}));
    let changed = store.update("1", off.clone(), 1).await.unwrap();
    assert_eq!((changed.version, &changed.settings), (2, &off));
    assert!(!relay.hub.app("1").unwrap().app.record().enabled);
    let late = store.update("1", app("1"), 1).await;
    assert_eq!(late, Err(StoreError::Conflict));
    let other = store.update("2", app("2"), 1).await;
    assert_eq!(other, Err(StoreError::NotFound));

    let rotated = store.rotate("1", "newer", "t", 2).await.unwrap();
    let old = json!([{"key": "1-key", "secret": "s"}]);
    assert_eq!(rotated.settings["extra_keys"], old);
    assert!(relay.hub.app_by_key("newer").is_some());

    store.create(app("2")).await.unwrap();
    let ids = |stored: Vec<Stored>| -> Vec<Value> {
        stored
            .iter()
            .map(|app| app.settings["id"].clone())
            .collect()
    };
    assert_eq!(ids(store.list("", 10).await.unwrap()), ["1", "2"]);
    assert_eq!(ids(store.list("1", 10).await.unwrap()), ["2"]);
    assert_eq!(ids(store.list("", 1).await.unwrap()), ["1"]);

    assert_eq!(store.delete("1", Some(1)).await, Err(StoreError::Conflict));
    store.delete("1", Some(3)).await.unwrap();
    store.delete("2", None).await.unwrap();
    assert_eq!(store.delete("2", None).await, Err(StoreError::NotFound));
    assert!(relay.hub.app("1").is_none() && relay.hub.app("own").is_some());
    store.stop();
    let gone = store.get("1").await;
    assert!(matches!(gone, Err(StoreError::Unavailable(_))), "{gone:?}");
}

#[tokio::test]
async fn what_is_no_app_or_is_another_one_s_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("apps.db");
    let relay = relay();
    let store = store(&relay, &file);
    let mut unfit = app("1");
    unfit.insert("secret".into(), "".into());
    let refused = store.create(unfit.clone()).await;
    assert_eq!(refused, Err(StoreError::Invalid("secret: missing".into())));
    assert!(!file.exists());
    // Those of the configuration are taken, too.
    let mut key = app("1");
    key.insert("key".into(), "own-key".into());
    for taken in [app("own"), key] {
        let refused = store.create(taken).await;
        assert!(
            matches!(refused, Err(StoreError::AlreadyExists(_))),
            "{refused:?}"
        );
    }
    let mut huge = app("1");
    huge.insert("limits".into(), "x".repeat(100_000).into());
    assert!(matches!(
        store.create(huge).await,
        Err(StoreError::Invalid(_))
    ));
    store.create(app("1")).await.unwrap();
    let renamed = store.update("1", app("3"), 1).await;
    assert!(matches!(renamed, Err(StoreError::Invalid(_))));
    let refused = store.update("1", unfit, 1).await;
    assert!(matches!(refused, Err(StoreError::Invalid(_))));
    assert_eq!(store.list("", 10).await.unwrap().len(), 1);
    store.stop();
}

/// Somebody writes the table.
async fn execute(file: &Path, statement: &str) {
    let url = format!("sqlite://{}", file.display());
    let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
    let statement = sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned()));
    statement.execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn settings_that_cannot_be_read_are_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("apps.db");
    let relay = relay();
    let store = store(&relay, &file);
    store.create(app("1")).await.unwrap();
    let spaces = " ".repeat(70_000);
    for settings in [
        r#"'{"limits"; {}}'"#,
        r#"'{"secret": "t"}'"#,
        &format!("'{{{spaces}}}'"),
        "x'7bff7d'",
    ] {
        let set = format!("UPDATE fanfare_apps SET settings = {settings}, version = 1");
        execute(&file, &set).await;
        let kept = store.get("1").await.unwrap();
        let problem = kept.problem.clone();
        assert!(
            matches!(problem, Some(Problem::Unreadable(_))),
            "{problem:?}"
        );
        assert!(!kept.settings.contains_key("secret"));
        assert!(matches!(kept.whole(), Err(StoreError::Unreadable(_))));
        let rotated = store.rotate("1", "newer", "t", 1).await;
        assert!(
            matches!(rotated, Err(StoreError::Unreadable(_))),
            "{rotated:?}"
        );
        for enabled in [false, true] {
            let version = store.get("1").await.unwrap().version;
            let turned = store.enable("1", enabled, version).await.unwrap();
            assert_eq!(turned.settings["enabled"], enabled);
            assert_eq!(relay.hub.app("1").unwrap().app.record().enabled, enabled);
            assert_eq!(turned.problem, problem, "the settings are as they were");
        }
        let late = store.enable("1", false, 1).await;
        assert_eq!(late, Err(StoreError::Conflict));
    }
    store.delete("1", Some(3)).await.unwrap();
    store.stop();
}

#[tokio::test]
async fn what_was_kept_is_served_by_the_next_process() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("apps.db");
    let first = store(&relay(), &file);
    first.create(app("1")).await.unwrap();
    first.stop();
    let relay = relay();
    let second = store(&relay, &file);
    second.start(Duration::from_secs(30)).unwrap();
    assert!(relay.hub.app("1").is_some());
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    second.stop();
}

#[tokio::test]
async fn why_a_row_is_not_served_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("apps.db");
    let first = store(&relay(), &file);
    first.create(app("1")).await.unwrap();
    first.stop();
    let rows =
        "('2', 'own-key', 's'), ('3', 'key-3', 's'), ('own', 'other', 's'), ('z', 'key-z', 's')";
    let insert = format!("INSERT INTO fanfare_apps (id, app_key, secret) VALUES {rows}");
    execute(&file, &insert).await;
    let relay = relay();
    let settings = Settings {
        max_apps: 4,
        ..Settings::new(Place::Embedded(file))
    };
    let second = store_of(settings, &relay);
    second.start(Duration::from_secs(30)).unwrap();
    let listed = second.list("", 10).await.unwrap();
    let problems = listed.iter().map(|app| app.problem.as_ref());
    let problems: Vec<String> = problems
        .map(|problem| problem.map(ToString::to_string).unwrap_or_default())
        .collect();
    for (problem, expected) in problems.iter().zip([
        "",
        "it is not served: another app has its key `own-key`",
        "",
        "it is not served: another app has its id",
        "it is not served: there are more than 4 apps (apps_database.max_apps)",
    ]) {
        assert!(problem.starts_with(expected), "{problems:?}");
        assert_eq!(problem.is_empty(), expected.is_empty(), "{problems:?}");
    }
    assert_eq!(problems.len(), 5);
    assert!(listed.iter().all(Stored::is_fit));
    second.stop();
}

#[tokio::test]
async fn a_table_of_more_apps_than_are_served_is_read_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("apps.db");
    let first = store(&relay(), &file);
    for id in ["1", "2", "3"] {
        first.create(app(id)).await.unwrap();
    }
    first.stop();
    let relay = relay();
    let settings = Settings {
        poll: Duration::from_millis(10),
        max_apps: 2,
        ..Settings::new(Place::Embedded(file))
    };
    let second = store_of(settings, &relay);
    second.start(Duration::from_secs(30)).unwrap();
    let metrics = relay.hub.metrics().database();
    while metrics.looks.get() < 10 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(metrics.reads.get(), 1);
    assert_eq!(metrics.rows_refused.get(), 1);
    assert!(relay.hub.app("2").is_some() && relay.hub.app("3").is_none());
    second.stop();
}

#[test]
fn what_is_kept_does_not_print_its_secret() {
    let stored = Stored {
        version: 1,
        settings: json!({"id": "1", "secret": "s3cret"})
            .as_object()
            .unwrap()
            .clone(),
        problem: None,
    };
    assert!(!format!("{stored:?}").contains("s3cret"));
}
