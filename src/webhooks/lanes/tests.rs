use std::time::Duration;

use proptest::prelude::*;

use super::super::event::{EventId, Moment, Numbers};
use super::super::notice::Notice;
use super::*;
use crate::apps::WebhookEvent;
use crate::memory::testing;

const SECOND: Duration = Duration::from_secs(1);

fn lanes(most_events: usize) -> Lanes {
    Lanes::new(Cut {
        most_events,
        most_bytes: 1000,
    })
}

fn event(number: u64, channel: &str, at: Instant) -> Event {
    Event {
        number,
        id: EventId { process: 0, number },
        channel: ChannelName::parse(channel, 164).unwrap(),
        json: "x".repeat(100).into(),
        at: Moment {
            instant: at,
            ..Moment::now()
        },
    }
}

fn numbers(batch: &Batch) -> Vec<u64> {
    batch.events.iter().map(|event| event.number).collect()
}

fn again_at(retry_at: Instant) -> Verdict {
    Verdict {
        retry_at,
        too_old: None,
        answered: false,
    }
}

#[test]
fn a_channel_waits_for_its_failing_event_and_no_other_does() {
    let (mut lanes, start) = (lanes(1), Instant::now());
    for (number, channel) in [(1, "a"), (2, "a"), (3, "b"), (4, "b")] {
        lanes.push(event(number, channel, start));
    }
    let first = lanes.take(start).unwrap();
    let other = lanes.take(start).unwrap();
    assert_eq!((numbers(&first), numbers(&other)), (vec![1], vec![3]));
    assert!(lanes.take(start).is_none());
    assert!(lanes.failed(first, again_at(start + SECOND)).is_empty());
    lanes.done(other);
    let other = lanes.take(start).unwrap();
    assert_eq!(numbers(&other), [4]);
    lanes.done(other);
    assert!(lanes.take(start).is_none());
    assert_eq!(lanes.next_due(start), Some(start + SECOND));
    let again = lanes.take(start + SECOND).unwrap();
    assert_eq!((numbers(&again), again.attempts), (vec![1], 1));
    lanes.done(again);
    assert_eq!(numbers(&lanes.take(start + SECOND).unwrap()), [2]);
}

#[test]
fn a_batch_holds_as_many_as_go_in_one_request() {
    let (mut lanes, start) = (lanes(3), Instant::now());
    for number in 1..6 {
        lanes.push(event(number, "c", start));
    }
    let full = lanes.take(start).unwrap();
    assert_eq!(numbers(&full), [1, 2, 3]);
    assert!(lanes.take(start).is_none(), "the rest of c waits");
    lanes.done(full);
    lanes.push(event(6, "d", start));
    assert_eq!(numbers(&lanes.take(start).unwrap()), [4, 5, 6]);
}

#[test]
fn a_batch_has_a_size_that_only_one_event_may_pass() {
    let (mut lanes, start) = (lanes(100), Instant::now());
    let mut large = event(1, "a", start);
    large.json = "x".repeat(5000).into();
    lanes.push(large);
    for number in 2..20 {
        lanes.push(event(number, "b", start));
    }
    assert_eq!(numbers(&lanes.take(start).unwrap()), [1]);
    assert_eq!(lanes.take(start).unwrap().events.len(), 10);
}

#[test]
fn what_is_too_old_when_it_fails_is_given_up_with_what_is_behind_it() {
    let (mut lanes, start) = (lanes(1), Instant::now());
    for (number, age) in [(1, 10), (2, 9), (3, 1)] {
        let at = start + SECOND * 10 - SECOND * age;
        lanes.push(event(number, "a", at));
    }
    let now = start + SECOND * 10;
    let batch = lanes.take(now).unwrap();
    let verdict = Verdict {
        too_old: Some(now - SECOND * 5),
        ..again_at(now + SECOND)
    };
    let given_up = lanes.failed(batch, verdict);
    let given_up: Vec<u64> = given_up.iter().map(|event| event.number).collect();
    assert_eq!(given_up, [1, 2]);
    assert_eq!(numbers(&lanes.take(now).unwrap()), [3]);
}

#[test]
fn what_a_webhook_does_not_like_soon_stands_alone() {
    let (mut lanes, mut now) = (lanes(100), Instant::now());
    for number in 0..8 {
        lanes.push(event(number, &format!("c{number}"), now));
    }
    let (mut taken, mut requests) = (Vec::new(), 0);
    while taken.len() < 7 {
        now = lanes.next_due(now).unwrap();
        let batch = lanes.take(now).unwrap();
        requests += 1;
        if numbers(&batch).contains(&5) {
            let verdict = Verdict {
                answered: true,
                ..again_at(now + SECOND)
            };
            lanes.failed(batch, verdict);
        } else {
            taken.extend(numbers(&batch));
            lanes.done(batch);
        }
    }
    taken.sort_unstable();
    assert_eq!(taken, [0, 1, 2, 3, 4, 6, 7]);
    assert_eq!(requests, 7, "the first two are whole");
    now = lanes.next_due(now).unwrap();
    assert_eq!(numbers(&lanes.take(now).unwrap()), [5]);
}

#[test]
fn a_webhook_that_does_not_answer_is_not_asked_in_halves() {
    let (mut lanes, mut now) = (lanes(100), Instant::now());
    for number in 0..8 {
        lanes.push(event(number, &format!("c{number}"), now));
    }
    for _ in 0..5 {
        let batch = lanes.take(now).unwrap();
        assert_eq!(batch.events.len(), 8);
        now += SECOND;
        lanes.failed(batch, again_at(now));
    }
}

#[test]
fn everything_old_can_be_given_up_but_what_is_on_its_way() {
    let (mut lanes, start) = (lanes(1), Instant::now());
    let now = start + SECOND * 10;
    for (number, channel, at) in [
        (1, "under-way", start),
        (2, "under-way", start),
        (3, "failed", start),
        (4, "failed", now),
        (5, "ready", start),
        (6, "ready", now),
        (7, "old", start),
    ] {
        lanes.push(event(number, channel, at));
    }
    let under_way = lanes.take(now).unwrap();
    let failed = lanes.take(now).unwrap();
    lanes.failed(failed, again_at(now + SECOND * 60));
    let mut given_up: Vec<u64> = lanes
        .give_up_older(start + SECOND)
        .iter()
        .map(|event| event.number)
        .collect();
    given_up.sort_unstable();
    assert_eq!(given_up, [3, 5, 7]);
    lanes.done(under_way);
    let mut left: Vec<u64> = std::iter::from_fn(|| lanes.take(now))
        .map(|batch| numbers(&batch)[0])
        .collect();
    left.sort_unstable();
    assert_eq!(left, [2, 4, 6]);
}

#[test]
fn new_batches_and_failed_ones_take_turns() {
    let (mut lanes, start) = (lanes(1), Instant::now());
    for number in 0..4 {
        lanes.push(event(number, &format!("old-{number}"), start));
    }
    let tried: Vec<Batch> = std::iter::from_fn(|| lanes.take(start)).collect();
    for batch in tried {
        lanes.failed(batch, again_at(start));
    }
    for number in 10..14 {
        lanes.push(event(number, &format!("new-{number}"), start));
    }
    let order: Vec<u64> = std::iter::from_fn(|| lanes.take(start))
        .map(|batch| numbers(&batch)[0])
        .collect();
    assert_eq!(order, [10, 0, 11, 1, 12, 2, 13, 3]);
}

#[test]
fn in_a_hurry_nothing_waits_for_its_next_attempt() {
    let (mut lanes, start) = (lanes(10), Instant::now());
    lanes.push(event(1, "a", start));
    let batch = lanes.take(start).unwrap();
    lanes.failed(batch, again_at(start + SECOND * 60));
    assert!(lanes.take(start).is_none());
    lanes.hurry(start);
    assert_eq!(numbers(&lanes.take(start).unwrap()), [1]);
}

#[test]
fn a_webhook_that_is_back_gets_what_it_had_not_answered() {
    let (mut lanes, start) = (lanes(1), Instant::now());
    for (number, answered) in [(1, true), (2, false)] {
        lanes.push(event(number, &format!("c{number}"), start));
        let batch = lanes.take(start).unwrap();
        let verdict = Verdict {
            answered,
            ..again_at(start + SECOND * 60)
        };
        lanes.failed(batch, verdict);
    }
    lanes.retry_unanswered(start);
    assert_eq!(numbers(&lanes.take(start).unwrap()), [2]);
    assert!(lanes.take(start).is_none());
}

proptest! {
    /// Whatever fails, every channel's events are taken once each and in order, and nothing
    /// is left behind.
    #[test]
    fn channels_keep_their_order(
        channels in proptest::collection::vec(0..4usize, 1..60),
        fails in proptest::collection::vec(any::<(bool, bool)>(), 200),
        most_events in 1..5usize,
        under_way in 1..4usize,
    ) {
        let (mut lanes, mut now) = (lanes(most_events), Instant::now());
        for (number, channel) in channels.iter().enumerate() {
            lanes.push(event(number as u64, &format!("c{channel}"), now));
        }
        let (mut taken, mut posts, mut fails) = (Vec::new(), VecDeque::new(), fails.into_iter());
        loop {
            while posts.len() < under_way && let Some(batch) = lanes.take(now) {
                prop_assert!(!batch.events.is_empty() && batch.events.len() <= most_events);
                posts.push_back(batch);
            }
            match posts.pop_front() {
                Some(batch) => match fails.next() {
                    Some((true, answered)) => {
                        let verdict = Verdict { answered, ..again_at(now + SECOND) };
                        lanes.failed(batch, verdict);
                    }
                    _ => {
                        taken.extend(batch.events.iter().cloned());
                        lanes.done(batch);
                    }
                },
                None => match lanes.next_due(now) {
                    Some(due) => now = due,
                    None => break,
                },
            }
        }
        prop_assert_eq!(taken.len(), channels.len());
        for channel in 0..4 {
            let name = format!("c{channel}");
            let of_channel = taken.iter().filter(|event| event.channel.as_str() == name);
            let numbers: Vec<u64> = of_channel.map(|event| event.number).collect();
            prop_assert!(numbers.is_sorted());
        }
        prop_assert!(lanes.lanes.is_empty() && lanes.ready.is_empty());
    }
}

#[test]
fn events_of_invented_channels_cost_what_is_said_and_leave_nothing_behind() {
    const EVENTS: usize = 10_000;
    let (numbers, start) = (Numbers::new(), Instant::now());
    let before = testing::held();
    let mut lanes = Lanes::new(Cut {
        most_events: 100,
        most_bytes: 1 << 20,
    });
    let mut said = 0;
    for number in 0..EVENTS {
        let channel = ChannelName::parse(&format!("cache-invented-{number}"), 164).unwrap();
        let notice = Notice::of_channel(WebhookEvent::CacheMiss, channel.as_str());
        let event = numbers.event(&channel, notice.json);
        said += event.cost();
        lanes.push(event);
    }
    let held = (testing::held() - before) as usize;
    let figures = (held / EVENTS, said / EVENTS);
    assert!(held <= said && said <= 2 * held, "{figures:?} bytes");
    let now = start + SECOND;
    while let Some(batch) = lanes.take(now) {
        lanes.done(batch);
    }
    let left = testing::held() - before;
    assert!(left < 16 << 10, "{left} bytes are left");
}
