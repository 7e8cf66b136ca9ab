//! Apps that come, change and go.

use std::sync::Arc;

use crate::apps::{App, Keys, Registry, Source};
use crate::auth::Signer;
use crate::hub::{AppPermit, Changes, Hub};
use crate::metrics::Metrics;
use crate::protocol::CloseCode;
use crate::webhooks::Webhooks;

fn app(id: usize) -> App {
    App::new(id.to_string(), Signer::new(&format!("key-{id}"), b"secret"))
}

fn hub(apps: usize) -> Hub {
    let registry = Registry::new((0..apps).map(app).collect()).unwrap();
    Hub::new(&registry, &Webhooks::none(), Metrics::new(), 10)
}

fn set(hub: &Hub, apps: impl IntoIterator<Item = App>) -> Changes {
    let apps = apps.into_iter().map(Arc::new).collect();
    hub.set_apps(Source::Configuration, apps)
}

fn exported(hub: &Hub, id: usize) -> bool {
    hub.metrics().encode().contains(&format!("app=\"{id}\""))
}

#[test]
fn few_apps_are_at_work_from_the_start_and_of_many_those_that_are_needed() {
    assert_eq!(hub(3).apps().at_work().len(), 3);
    let many = hub(1000);
    assert!(many.apps().at_work().is_empty() && !exported(&many, 7));
    let by_key = many.app_by_key("key-7").unwrap();
    assert!(Arc::ptr_eq(&by_key, &many.app("7").unwrap()));
    assert!(exported(&many, 7) && !exported(&many, 8));
    assert_eq!(many.apps().at_work().len(), 1);
}

#[test]
fn an_app_that_was_not_at_work_goes_by_its_last_record() {
    let hub = hub(1000);
    let mut changed: Vec<App> = (0..1000).map(app).collect();
    changed[7].limits.max_connections = Some(1);
    let changes = set(&hub, changed);
    assert_eq!(*changes.changed, [Box::from("7")]);
    assert!(changes.added.is_empty() && changes.removed.is_empty());
    let app = hub.app("7").unwrap();
    let _first = AppPermit::of(&app).unwrap();
    AppPermit::of(&app).unwrap_err();
}

#[test]
fn limits_of_an_app_at_work_change() {
    let hub = hub(1);
    let at_work = hub.app("0").unwrap();
    let _first = AppPermit::of(&at_work).unwrap();
    assert!(at_work.requests().is_none());
    let mut record = app(0);
    record.limits.max_connections = Some(1);
    record.limits.requests_per_second = Some(5);
    record.limits.publish_backlog = 1;
    set(&hub, [record]);
    AppPermit::of(&at_work).unwrap_err();
    assert!(at_work.requests().is_some());
    let _all = at_work.room().try_reserve(1000, 0).unwrap();
    assert!(at_work.room().try_reserve(1, 0).is_none());
    set(&hub, [app(0)]);
    let _second = AppPermit::of(&at_work).unwrap();
    assert!(at_work.requests().is_none());
    assert!(at_work.room().try_reserve(1000, 0).is_some());
    assert!(Arc::ptr_eq(&at_work, &hub.app("0").unwrap()));
}

#[test]
fn what_is_the_same_is_no_change() {
    let hub = hub(3);
    let changes = set(&hub, (0..3).map(app));
    assert!(changes.is_empty() && changes.closing.is_empty());
}

#[test]
fn an_app_that_is_gone_is_found_no_more_and_made_again_it_is_another_one() {
    let hub = hub(2);
    let old = hub.app("1").unwrap();
    let changes = set(&hub, [app(0)]);
    assert_eq!(*changes.removed, [Box::from("1")]);
    let (index, reason) = &changes.closing[0];
    assert_eq!((*index, reason.code), (old.index, CloseCode::UnknownApp));
    assert!(hub.app("1").is_none() && hub.app_by_key("key-1").is_none());
    assert!(!exported(&hub, 1));
    assert_eq!(old.closed().unwrap().code, CloseCode::UnknownApp);
    set(&hub, (0..2).map(app));
    let new = hub.app("1").unwrap();
    assert!(new.index != old.index && new.closed().is_none());
    assert!(old.closed().is_some() && exported(&hub, 1));
}

#[test]
fn apps_that_are_made_and_removed_over_and_over_leave_no_numbers() {
    let hub = hub(1);
    let before = hub.metrics().encode().lines().count();
    for id in 1..50 {
        set(&hub, [app(0), app(id)]);
        hub.app(&id.to_string()).unwrap();
        set(&hub, [app(0)]);
        assert_eq!(hub.metrics().encode().lines().count(), before);
    }
}

#[test]
fn a_disabled_app_is_closed_until_it_is_enabled() {
    let hub = hub(1);
    let disabled = App {
        enabled: false,
        ..app(0)
    };
    let changes = set(&hub, [disabled]);
    assert_eq!(changes.closing[0].1.code, CloseCode::AppDisabled);
    let at_work = hub.app("0").unwrap();
    assert_eq!(at_work.closed().unwrap().code, CloseCode::AppDisabled);
    assert!(set(&hub, [app(0)]).closing.is_empty());
    assert!(at_work.closed().is_none());
}

#[test]
fn with_a_watchlist_switched_on_the_app_is_at_work_anew_with_the_same_numbers() {
    let hub = hub(1);
    let old = hub.app("0").unwrap();
    old.metrics.publishes.inc();
    let watched = App {
        watchlist: true,
        ..app(0)
    };
    let changes = set(&hub, [watched]);
    assert_eq!(changes.closing[0].1.code, CloseCode::Reconnect);
    let new = hub.app("0").unwrap();
    assert!(new.has_watchlists() && !old.has_watchlists());
    assert_eq!(new.metrics.publishes.get(), 1);
}

#[test]
fn keys_move_between_apps() {
    let hub = hub(2);
    let exchanged = [
        App::new("0", Signer::new("key-1", b"secret")),
        App::new("1", Signer::new("key-0", b"secret")),
    ];
    set(&hub, exchanged);
    assert_eq!(&*hub.app_by_key("key-1").unwrap().app.id, "0");
    assert_eq!(&*hub.app_by_key("key-0").unwrap().app.id, "1");
}

#[test]
fn an_app_at_work_is_not_taken_down_by_one_that_comes_to_name_its_key() {
    let hub = hub(0);
    let served = |ids: &[usize]| ids.iter().map(|id| Arc::new(app(*id))).collect::<Vec<_>>();
    hub.set_apps(Source::Database, served(&[5]));
    let at_work = hub.app("5").unwrap();
    let mut other = app(3);
    other.keys = Keys::new(
        other.keys.signing().clone(),
        vec![Signer::new("key-5", b"x")],
    );
    let changes = hub.set_apps(
        Source::Database,
        [vec![Arc::new(other)], served(&[5])].concat(),
    );
    assert!(changes.is_empty() && changes.closing.is_empty());
    assert_eq!(&*changes.refused[0].id, "3");
    assert!(Arc::ptr_eq(&at_work, &hub.app_by_key("key-5").unwrap()));
}

/// Many threads look up an app that comes and goes: whoever finds it finds one that is exported or gone.
#[test]
fn whoever_looks_up_while_apps_go_puts_none_to_work_that_is_gone() {
    let many: Vec<App> = (0..300).map(app).collect();
    let hub = Hub::new(
        &Registry::new(many.clone()).unwrap(),
        &Webhooks::none(),
        Metrics::new(),
        10,
    );
    let before = hub.metrics().encode().lines().count();
    std::thread::scope(|scope| {
        let looking = (0..4).map(|_| {
            scope.spawn(|| {
                let mut found = 0;
                while hub.app("done").is_none() {
                    found += usize::from(hub.app("7").is_some());
                }
                found
            })
        });
        let looking: Vec<_> = looking.collect();
        for _ in 0..200 {
            let without = many.iter().filter(|app| &*app.id != "7").cloned();
            set(&hub, without);
            set(&hub, many.clone());
        }
        let without = many.iter().filter(|app| &*app.id != "7").cloned();
        let done = App::new("done", Signer::new("done", b"secret"));
        set(&hub, without.chain([done]));
        for thread in looking {
            thread.join().unwrap();
        }
    });
    set(&hub, many.iter().filter(|app| &*app.id != "7").cloned());
    assert_eq!(hub.metrics().encode().lines().count(), before);
}
