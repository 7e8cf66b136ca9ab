use std::collections::HashMap;
use std::time::Duration;

use serde_json::Value;
use tokio::time;

use super::*;

fn publish<'a>(channel: &'a str, data: &'a str) -> TapEvent<'a> {
    TapEvent {
        app: Some("1"),
        channel: Some(channel),
        data: Some(data),
        ..TapEvent::new(Kind::Publish)
    }
}

fn on_channel(pattern: &str) -> Filter {
    Filter {
        channel: Some(Pattern::parse(pattern).unwrap()),
        ..Filter::default()
    }
}

async fn next(watcher: &mut Watcher) -> Value {
    serde_json::from_str(&watcher.next().await.unwrap()).unwrap()
}

/// Closes the tap and counts what the watcher still gets, by type; `dropped` is the sum of
/// what the reports say.
async fn drain(tap: &Tap, watcher: &mut Watcher) -> HashMap<String, u64> {
    tap.close();
    let mut counts = HashMap::new();
    while let Some(line) = watcher.next().await {
        let line: Value = serde_json::from_str(&line).unwrap();
        let count = line["count"].as_u64().unwrap_or(1);
        *counts
            .entry(line["type"].as_str().unwrap().to_owned())
            .or_default() += count;
    }
    counts
}

#[tokio::test]
async fn an_event_is_not_built_while_nobody_watches() {
    let tap = Tap::new();
    tap.emit(|| panic!("built an event for nobody"));
    assert!(!tap.watched());

    let watcher = tap.watch(Filter::default()).unwrap();
    assert!(tap.watched());
    let other = tap.watch(Filter::default()).unwrap();
    drop(watcher);
    assert!(tap.watched());
    drop(other);
    assert!(!tap.watched());
    tap.emit(|| panic!("built an event for somebody who left"));
}

#[tokio::test]
async fn each_watcher_sees_in_order_what_it_asked_for() {
    let tap = Tap::new();
    let mut all = tap.watch(Filter::default()).unwrap();
    let mut some = tap.watch(on_channel("private-*")).unwrap();
    for (channel, data) in [("private-a", "1"), ("news", "2"), ("private-b", "3")] {
        tap.emit(|| publish(channel, data));
    }
    for expected in ["1", "2", "3"] {
        assert_eq!(next(&mut all).await["data"], expected);
    }
    for expected in ["1", "3"] {
        let line = next(&mut some).await;
        assert_eq!(line["data"], expected);
        assert_eq!(line["type"], "publish");
    }
    assert_eq!(drain(&tap, &mut some).await, HashMap::new());
}

#[tokio::test]
async fn events_from_other_threads_wake_the_watcher() {
    let tap = Tap::new();
    let mut watcher = tap.watch(Filter::default()).unwrap();
    let emitter = tap.clone();
    let thread = std::thread::spawn(move || {
        for _ in 0..100 {
            emitter.emit(|| publish("news", "x"));
        }
    });
    for _ in 0..100 {
        assert_eq!(next(&mut watcher).await["channel"], "news");
    }
    thread.join().unwrap();
}

#[tokio::test(start_paused = true)]
async fn above_the_rate_events_are_left_out_and_their_number_is_reported() {
    let tap = Tap::new();
    let mut watcher = tap.watch(Filter::default()).unwrap();
    for _ in 0..MAX_EVENTS_PER_SECOND + 7 {
        tap.emit(|| publish("news", "x"));
    }
    for _ in 0..MAX_EVENTS_PER_SECOND {
        assert_eq!(next(&mut watcher).await["type"], "publish");
    }
    // Reported once, for all of them, without any further event to wake the watcher.
    let report = next(&mut watcher).await;
    assert_eq!(report, serde_json::json!({"type": "dropped", "count": 7}));

    time::advance(Duration::from_secs(1)).await;
    tap.emit(|| publish("news", "y"));
    assert_eq!(next(&mut watcher).await["data"], "y");
}

#[tokio::test(start_paused = true)]
async fn a_watcher_that_waits_learns_of_events_that_were_left_out() {
    let tap = Tap::new();
    let mut watcher = tap.watch(Filter::default()).unwrap();
    for _ in 0..MAX_EVENTS_PER_SECOND {
        tap.emit(|| publish("news", "x"));
        next(&mut watcher).await;
    }
    let waiting = tokio::spawn(async move { next(&mut watcher).await });
    tokio::task::yield_now().await;
    tap.emit(|| publish("news", "too many"));
    assert_eq!(waiting.await.unwrap()["type"], "dropped");
}

#[tokio::test(start_paused = true)]
async fn watching_everything_takes_nothing_from_who_watches_one_channel() {
    let tap = Tap::new();
    let mut all = tap.watch(Filter::default()).unwrap();
    let mut one = tap.watch(on_channel("quiet")).unwrap();
    for _ in 0..2 * MAX_EVENTS_PER_SECOND {
        tap.emit(|| publish("loud", "x"));
    }
    tap.emit(|| publish("quiet", "y"));
    assert_eq!(next(&mut one).await["channel"], "quiet");
    let seen = drain(&tap, &mut all).await;
    let share = MAX_EVENTS_PER_SECOND as u64 / 2;
    assert_eq!(seen["publish"], share);
    assert_eq!(
        seen["dropped"],
        2 * MAX_EVENTS_PER_SECOND as u64 + 1 - share
    );
}

#[tokio::test(start_paused = true)]
async fn what_waits_for_a_slow_watcher_is_bounded() {
    let tap = Tap::new();
    let mut watcher = tap.watch(Filter::default()).unwrap();
    // Control characters are the worst case: six bytes of JSON each.
    let data = "\u{1}".repeat(100_000);
    let emitted = 10_000;
    for _ in 0..emitted {
        tap.emit(|| publish("news", &data));
        time::advance(Duration::from_millis(1)).await;
    }
    let mut bytes = 0;
    let mut lines = 0;
    let mut left_out = 0;
    tap.close();
    while let Some(line) = watcher.next().await {
        bytes += line.len();
        let line: Value = serde_json::from_str(&line).unwrap();
        match line["count"].as_u64() {
            Some(count) => left_out += count,
            None => lines += 1,
        }
    }
    assert_eq!(lines + left_out, emitted);
    assert!(bytes < 1_100_000, "{bytes} bytes waited");
}

#[tokio::test]
async fn the_number_of_watchers_is_bounded() {
    let tap = Tap::new();
    let watch = || tap.watch(Filter::default());
    let mut watchers: Vec<_> = (0..MAX_WATCHERS).map(|_| watch().unwrap()).collect();
    assert_eq!(watch().unwrap_err(), WatchError::TooMany);
    watchers.pop();
    assert!(watch().is_ok());
}

#[tokio::test]
async fn closing_ends_watchers_after_what_was_queued() {
    let tap = Tap::new();
    let mut watcher = tap.watch(Filter::default()).unwrap();
    tap.emit(|| publish("news", "last"));
    tap.close();
    assert_eq!(next(&mut watcher).await["data"], "last");
    assert!(watcher.next().await.is_none());
    assert!(!tap.watched());
    assert_eq!(
        tap.watch(Filter::default()).unwrap_err(),
        WatchError::Closed
    );

    let idle = Tap::new();
    let mut watcher = idle.watch(Filter::default()).unwrap();
    let waiting = tokio::spawn(async move { watcher.next().await });
    tokio::task::yield_now().await;
    idle.close();
    assert!(waiting.await.unwrap().is_none());
}
