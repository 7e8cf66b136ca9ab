//! Plans that went wrong once, made as small as they can be.

use std::time::Duration;

use super::plan::{Action, CHANNELS, Plan};
use super::world::{World, simulate};

/// How many networks a plan is tried on: it goes wrong on most, but not on all.
pub(super) const SEEDS: u64 = 12;

#[test]
fn a_node_that_dies_before_it_knows_of_a_loss_leaves_nothing_behind() {
    for wait in [5, 8, 12] {
        for seed in 0..SEEDS {
            let actions = vec![
                Action::Join(0, 1, 0),
                Action::Wait(1300),
                Action::Forget(false),
                Action::Join(1, 1, 0),
                Action::Wait(wait),
                Action::Crash(1),
            ];
            simulate(&Plan { seed, actions });
        }
    }
}

#[test]
fn who_left_is_reported_though_redis_forgets_and_the_next_change_comes_first() {
    for seed in 0..SEEDS {
        let actions = vec![
            Action::Join(0, 0, 0),
            Action::Join(0, 0, 1),
            Action::Wait(1300),
            Action::Leave(0, 0),
            Action::Wait(8),
            Action::Leave(0, 0),
            Action::Forget(false),
        ];
        let world = simulate(&Plan { seed, actions });
        for user in ["ann", "bob"] {
            let about = (CHANNELS[0].to_owned(), user.to_owned());
            let reported = &world.notices[&about];
            assert_eq!(
                *reported,
                ["member_added", "member_removed"],
                "{seed}: {user}"
            );
        }
    }
}

#[test]
fn who_left_is_reported_once_after_a_fail_over_to_older_data() {
    for seed in 0..SEEDS {
        let actions = vec![
            Action::Join(0, 0, 0),
            Action::Wait(5000),
            Action::Save,
            Action::Burst(0, 10),
            Action::Leave(0, 0),
            Action::FailOver,
        ];
        let world = simulate(&Plan { seed, actions });
        let reported = |user: &str| &world.notices[&(CHANNELS[0].to_owned(), user.to_owned())];
        assert_eq!(
            *reported("ann"),
            ["member_added", "member_removed"],
            "{seed}"
        );
        assert_eq!(
            *reported(""),
            ["channel_occupied", "channel_vacated"],
            "{seed}"
        );
    }
}

#[test]
fn what_an_older_log_has_dropped_before_it_was_read_is_counted() {
    let actions = vec![
        Action::Join(2, 1, 0),
        Action::Away(1, 5000),
        Action::Join(0, 0, 2),
        Action::Join(2, 0, 0),
        Action::Save,
        Action::Wait(1863),
        Action::Join(0, 0, 0),
        Action::SignIn(1, 0),
        Action::Join(0, 0, 0),
        Action::FailOver,
        Action::AllAway(4211),
        Action::Join(0, 0, 0),
        Action::Wait(2865),
        Action::Burst(0, 11),
        Action::Burst(0, 35),
        Action::Join(1, 1, 0),
        Action::Burst(1, 16),
    ];
    let seed = 3_867_303_620_574_151_027;
    simulate(&Plan { seed, actions });
}

#[test]
fn what_a_log_begun_anew_has_dropped_before_it_was_read_is_counted() {
    for seed in 0..SEEDS {
        let actions = vec![
            Action::Join(1, 1, 0),
            Action::Join(0, 0, 0),
            Action::Burst(2, 10),
            Action::Away(1, 12_672),
            Action::Forget(false),
            Action::Wait(5000),
            Action::Burst(0, 32),
            Action::Join(0, 0, 0),
        ];
        simulate(&Plan { seed, actions });
    }
}

#[test]
fn what_a_log_has_dropped_already_is_not_written_again_behind_what_came_later() {
    let actions = vec![
        Action::Burst(1, 31),
        Action::Forget(true),
        Action::Burst(0, 14),
        Action::Join(1, 1, 0),
        Action::Join(1, 1, 0),
        Action::Burst(0, 22),
        Action::Cut(0),
        Action::Wait(1),
        Action::Join(0, 0, 0),
        Action::Join(0, 0, 0),
    ];
    simulate(&Plan { seed: 0, actions });
}

#[test]
fn what_a_log_has_from_before_its_epoch_is_not_taken_for_news() {
    for seed in 0..SEEDS {
        let actions = vec![
            Action::SignIn(0, 0),
            Action::Leave(0, 0),
            Action::Wait(4005),
            Action::SignIn(0, 1),
            Action::SignIn(1, 0),
            Action::Join(0, 0, 0),
            Action::Lose(0, 1),
            Action::Burst(0, 10),
            Action::Join(0, 0, 0),
            Action::Join(0, 0, 0),
        ];
        simulate(&Plan { seed, actions });
    }
}

#[test]
fn members_who_wait_when_a_link_breaks_are_not_announced_as_gone() {
    for wait in 4..10 {
        // Few answers are on their way just then, and come behind the loss.
        for seed in 0..40 {
            let mut world = World::new(seed);
            world.act(&Action::Join(0, 0, 0));
            world.act(&Action::Wait(wait));
            world.act(&Action::Join(0, 0, 1));
            world.act(&Action::Cut(0));
            world.pass(Duration::from_millis(100));
        }
    }
}

#[test]
fn who_left_before_redis_forgot_is_reported_all_the_same() {
    for ends in [false, true] {
        for seed in 0..SEEDS / 2 {
            let actions = vec![
                Action::Join(0, 0, 0),
                Action::Join(0, 0, 1),
                Action::Wait(1300),
                Action::Leave(0, 0),
                Action::Wait(500),
                Action::Forget(ends),
            ];
            let world = simulate(&Plan { seed, actions });
            let reported = |user: &str| &world.notices[&(CHANNELS[0].to_owned(), user.to_owned())];
            assert_eq!(
                *reported("ann"),
                ["member_added", "member_removed"],
                "{seed}"
            );
            assert_eq!(*reported("bob"), ["member_added"], "{seed}");
        }
    }
}

#[test]
fn channel_that_a_node_has_left_for_good_is_left_after_a_fail_over_to_older_data() {
    for channel in 0..CHANNELS.len() {
        for seed in 0..SEEDS / 2 {
            let actions = vec![
                Action::Join(0, channel, 0),
                Action::Wait(1300),
                Action::Save,
                Action::Leave(0, 0),
                Action::Wait(12_000),
                Action::FailOver,
            ];
            simulate(&Plan { seed, actions });
        }
    }
}

#[test]
fn answer_that_is_older_than_what_was_published_does_not_undo_it() {
    for seed in (0..SEEDS).chain([13_398_827_719_641_272_965]) {
        let actions = vec![
            Action::Join(0, 0, 0),
            Action::Leave(0, 0),
            Action::SignIn(0, 2),
            Action::Wait(2982),
            Action::Publish(0, 1),
            Action::Forget(false),
            Action::Wait(10),
            Action::Join(1, 0, 0),
            Action::SignIn(1, 0),
            Action::Join(1, 0, 0),
        ];
        simulate(&Plan { seed, actions });
    }
}

#[test]
fn departure_that_another_node_was_to_report_is_reported_once() {
    let actions = vec![
        Action::SignIn(1, 0),
        Action::Wait(3),
        Action::SignIn(0, 0),
        Action::Publish(1, 0),
        Action::Leave(0, 0),
        Action::Wait(6),
        Action::Publish(1, 0),
        Action::SignIn(1, 0),
        Action::Burst(0, 16),
        Action::Join(2, 1, 0),
        Action::SignIn(1, 0),
        Action::SignIn(1, 1),
        Action::Publish(2, 0),
        Action::Wait(4),
        Action::Join(0, 0, 1),
        Action::Wait(6),
        Action::Leave(2, 0),
        Action::Leave(1, 4),
        Action::Join(1, 0, 0),
        Action::Wait(1),
        Action::Wait(7),
        Action::Publish(2, 1),
        Action::Publish(2, 0),
        Action::Wait(6),
        Action::Leave(0, 0),
        Action::Leave(1, 3),
        Action::Publish(0, 1),
        Action::Wait(1),
    ];
    let seed = 10_113_507_954_589_795_181;
    simulate(&Plan { seed, actions });
}

#[test]
fn departure_that_another_node_has_reported_is_not_reported_by_one_that_is_late() {
    let actions = vec![
        Action::Join(2, 0, 0),
        Action::Burst(0, 10),
        Action::Join(1, 0, 0),
        Action::Leave(2, 0),
        Action::Join(0, 0, 1),
        Action::Leave(1, 0),
        Action::Wait(725),
        Action::Late(2, 43),
        Action::Wait(2153),
        Action::Burst(0, 38),
    ];
    let seed = 66_387_173_385_083_056;
    simulate(&Plan { seed, actions });
}

#[test]
fn channel_that_another_node_has_reported_as_vacated_is_reported_as_occupied_by_one_that_is_late() {
    let mut late = 0;
    for wait in [20, 60, 100] {
        for seed in 0..SEEDS {
            let actions = vec![
                Action::Join(0, 0, 0),
                Action::Wait(1300),
                Action::Leave(0, 0),
                Action::Wait(20),
                Action::Join(1, 0, 1),
                Action::Wait(20),
                Action::Leave(1, 0),
                Action::Wait(2900),
                Action::Late(0, 200),
                Action::Wait(wait),
                Action::Join(0, 0, 2),
                Action::Wait(300),
            ];
            let world = simulate(&Plan { seed, actions });
            let reported = &world.notices[&(CHANNELS[0].to_owned(), String::new())];
            late += u64::from(reported.len() == 3);
        }
    }
    assert!(late > SEEDS / 2, "{late}");
}

#[test]
fn node_that_is_late_is_not_misled_by_what_it_asked_of_a_channel_that_nobody_was_on() {
    let mut late = 0;
    for wait in [10, 25] {
        for seed in 0..SEEDS {
            let actions = vec![
                Action::Join(0, 0, 0),
                Action::Join(0, 0, 1),
                Action::Wait(1300),
                Action::Leave(0, 0),
                Action::Wait(2980),
                Action::Leave(0, 0),
                // Meanwhile the first one's departure is reported, and acknowledged.
                Action::Wait(50),
                Action::Join(1, 0, 2),
                Action::Wait(20),
                Action::Leave(1, 0),
                Action::Wait(2900),
                Action::Late(0, 200),
                Action::Wait(wait),
                Action::Join(0, 0, 2),
                Action::Wait(300),
            ];
            let world = simulate(&Plan { seed, actions });
            let reported = &world.notices[&(CHANNELS[0].to_owned(), String::new())];
            late += u64::from(reported.len() == 3);
        }
    }
    assert!(late > SEEDS / 2, "{late}");
}

#[test]
fn who_left_is_reported_once_though_the_answer_is_lost_and_others_leave_meanwhile() {
    for wait in 1..4 {
        for seed in 0..SEEDS {
            let actions = vec![
                Action::Join(0, 0, 0),
                Action::Join(1, 0, 1),
                Action::Wait(1300),
                Action::Leave(0, 0),
                Action::Wait(wait),
                Action::Away(0, 3100),
                Action::Leave(1, 0),
                Action::Wait(3200),
            ];
            let world = simulate(&Plan { seed, actions });
            let reported = |user: &str| &world.notices[&(CHANNELS[0].to_owned(), user.to_owned())];
            for user in ["ann", "bob"] {
                let once = ["member_added", "member_removed"];
                assert_eq!(*reported(user), once, "{wait} {seed}: {user}");
            }
            let once = ["channel_occupied", "channel_vacated"];
            assert_eq!(*reported(""), once, "{wait} {seed}");
        }
    }
}

#[test]
fn nobody_is_admitted_to_what_is_not_known_as_a_node_that_was_forgotten_becomes_another() {
    let actions = vec![
        Action::Join(0, 0, 0),
        Action::Join(0, 0, 0),
        Action::Away(2, 5000),
        Action::Join(1, 0, 0),
        Action::SignIn(0, 0),
        Action::Crash(0),
        Action::Forget(false),
        Action::Join(1, 0, 0),
        Action::Wait(1),
        Action::Join(0, 0, 0),
        Action::Join(0, 0, 0),
        Action::Forget(false),
        Action::Join(0, 0, 0),
        Action::Away(0, 5000),
    ];
    let seed = 3_687_157_215_910_300_870;
    simulate(&Plan { seed, actions });
}
