use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;

use super::{Failure, LONGEST_RETRY_AFTER, Schedule, Step, Validity};

const DAY: Duration = Duration::from_secs(86_400);

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn valid(from: SystemTime, life: Duration) -> Validity {
    Validity {
        not_before: from,
        not_after: from + life,
    }
}

fn wait(schedule: &Schedule, now: SystemTime) -> Duration {
    match schedule.step(now) {
        Step::Order => Duration::ZERO,
        Step::Wait(wait) => wait,
    }
}

#[test]
fn without_a_certificate_one_is_ordered() {
    assert_eq!(Schedule::default().step(at(0)), Step::Order);
}

#[test]
fn a_certificate_is_renewed_when_a_third_of_its_life_is_left_or_a_little_sooner() {
    let start = at(1_000_000);
    let mut schedule = Schedule::default();
    schedule.issued(valid(start, 90 * DAY), start, 0.0);
    assert_eq!(wait(&schedule, start), 60 * DAY);
    assert_eq!(schedule.step(start + 60 * DAY), Step::Order);
    schedule.issued(valid(start, 90 * DAY), start, 1.0);
    assert_eq!(wait(&schedule, start), 57 * DAY);
}

#[test]
fn a_certificate_that_was_found_is_renewed_at_once_if_it_is_due() {
    let start = at(1_000_000);
    let mut schedule = Schedule::default();
    schedule.found(valid(start, 90 * DAY), 0.0);
    assert_eq!(schedule.step(start + 61 * DAY), Step::Order);
    assert_eq!(schedule.step(start + 400 * DAY), Step::Order);
}

#[test]
fn certificates_that_are_due_when_they_are_issued_are_not_ordered_all_the_time() {
    let now = at(10_000_000);
    let mut schedule = Schedule::default();
    schedule.issued(valid(now - 89 * DAY, 90 * DAY), now, 0.5);
    assert_eq!(wait(&schedule, now), DAY / 2);
    schedule.issued(valid(now, Duration::ZERO), now, 0.5);
    assert_eq!(wait(&schedule, now), Duration::from_secs(5));
}

#[test]
fn failures_are_tried_again_later_and_later() {
    let now = at(1_000_000);
    let mut schedule = Schedule::default();
    let mut pauses = Vec::new();
    for _ in 0..14 {
        schedule.failed(Failure::Unreachable, None, now, 0.5);
        pauses.push(wait(&schedule, now).as_secs());
    }
    assert_eq!(pauses[..4], [5, 10, 20, 40]);
    assert_eq!(pauses[13], 3600);
    schedule.issued(valid(now, 90 * DAY), now, 0.0);
    schedule.failed(Failure::Refused, None, now + 61 * DAY, 0.5);
    let pause = wait(&schedule, now + 61 * DAY);
    assert_eq!(
        pause.as_secs(),
        180,
        "what was before a success is forgotten"
    );
}

#[test]
fn a_refused_challenge_stays_within_what_directories_allow_in_an_hour() {
    let mut now = at(1_000_000);
    let end = now + Duration::from_secs(3600);
    let mut schedule = Schedule::default();
    let mut orders = 0;
    while now < end {
        orders += 1;
        schedule.failed(Failure::Refused, None, now, 0.0);
        now += wait(&schedule, now);
    }
    assert!(orders <= 5, "{orders} orders");
}

#[test]
fn a_directory_is_left_alone_for_as_long_as_it_asks_for_up_to_a_day() {
    let now = at(1_000_000);
    let mut schedule = Schedule::default();
    let asked_for = Duration::from_secs(7200);
    schedule.failed(Failure::RateLimited, Some(asked_for), now, 0.0);
    assert_eq!(wait(&schedule, now), asked_for);
    schedule.failed(Failure::RateLimited, Some(Duration::MAX), now, 0.0);
    assert_eq!(wait(&schedule, now), LONGEST_RETRY_AFTER);
}

#[test]
fn a_clock_that_is_set_back_prolongs_no_pause() {
    let now = at(1_000_000_000);
    let mut schedule = Schedule::default();
    schedule.failed(Failure::Refused, None, now, 0.5);
    assert_eq!(schedule.step(now - 4000 * DAY), Step::Order);
}

#[derive(Clone, Debug)]
enum Happens {
    Issued {
        age: u64,
        life: u64,
    },
    Failed {
        failure: Failure,
        retry_after: Option<u64>,
    },
}

fn happens() -> impl Strategy<Value = Happens> {
    let failure = prop::sample::select(vec![
        Failure::Unreachable,
        Failure::RateLimited,
        Failure::Refused,
        Failure::Unusable,
    ]);
    prop_oneof![
        (0..200 * 86_400_u64, 0..400 * 86_400_u64)
            .prop_map(|(age, life)| Happens::Issued { age, life }),
        (failure, proptest::option::of(any::<u64>())).prop_map(|(failure, retry_after)| {
            Happens::Failed {
                failure,
                retry_after,
            }
        }),
    ]
}

proptest! {
    /// Whatever a directory does: it is asked again in the end, and never without a pause.
    #[test]
    fn orders_neither_end_nor_follow_at_once(
        history in prop::collection::vec((happens(), 0.0..1.0_f64), 1..60),
    ) {
        let mut now = at(2_000_000_000);
        let mut schedule = Schedule::default();
        for (happens, chance) in history {
            prop_assert_eq!(schedule.step(now), Step::Order);
            let mut longest = LONGEST_RETRY_AFTER + LONGEST_RETRY_AFTER / 10;
            match happens {
                Happens::Issued { age, life } => {
                    let from = now - Duration::from_secs(age);
                    let validity = valid(from, Duration::from_secs(life));
                    schedule.issued(validity, now, chance);
                    let left = validity.not_after.duration_since(now).unwrap_or_default();
                    longest = left.max(Duration::from_secs(5));
                }
                Happens::Failed { failure, retry_after } => {
                    let retry_after = retry_after.map(Duration::from_secs);
                    schedule.failed(failure, retry_after, now, chance);
                }
            }
            let pause = wait(&schedule, now);
            prop_assert!(pause >= Duration::from_secs(3), "{pause:?}");
            prop_assert!(pause <= longest, "{pause:?} of {longest:?}");
            now += pause;
        }
    }
}
