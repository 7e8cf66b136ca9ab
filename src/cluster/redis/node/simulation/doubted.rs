//! Plans that went wrong once: after Redis had forgotten, it was in doubt of what webhooks know.

use super::found::SEEDS;
use super::plan::{Action, CHANNELS, Plan};
use super::world::simulate;

#[test]
fn who_comes_while_redis_has_forgotten_is_reported_though_others_come_to_the_same_channel() {
    for (first, second, end) in [
        (0, 40, false),
        (0, 400, true),
        (40, 400, true),
        (5, 5, false),
    ] {
        for seed in 0..SEEDS {
            let actions = vec![
                Action::Join(0, 1, 0),
                Action::Join(2, 1, 0),
                Action::Wait(1300),
                Action::Forget(end),
                Action::Join(2, 0, 0),
                Action::Wait(first),
                Action::Join(0, 0, 0),
                Action::Join(0, 0, 1),
                Action::Wait(second),
                Action::Join(0, 0, 2),
            ];
            let world = simulate(&Plan { seed, actions });
            for (user, reported) in [("", "channel_occupied"), ("ann", "member_added")] {
                let about = (CHANNELS[0].to_owned(), user.to_owned());
                let notices = world.notices.get(&about).cloned().unwrap_or_default();
                assert_eq!(
                    notices,
                    [reported],
                    "{first} {second} {end} {seed} {user} {:?}",
                    world.notices
                );
            }
        }
    }
}

#[test]
fn who_was_in_doubt_as_others_came_is_not_reported_again_after_another_loss() {
    for (first, settled, end) in [(0, 9000, false), (40, 9000, true), (5, 12_000, false)] {
        for seed in 0..SEEDS {
            let actions = vec![
                Action::Join(0, 1, 0),
                Action::Join(2, 1, 0),
                Action::Wait(1300),
                Action::Forget(end),
                Action::Join(2, 0, 0),
                Action::Wait(first),
                Action::Join(0, 0, 0),
                Action::Wait(settled),
                // Only the one who came later is still there.
                Action::Leave(2, 1),
                Action::Wait(settled),
                Action::Forget(end),
                Action::Wait(settled),
            ];
            let world = simulate(&Plan { seed, actions });
            for (user, reported) in [("", "channel_occupied"), ("ann", "member_added")] {
                let about = (CHANNELS[0].to_owned(), user.to_owned());
                let notices = world.notices.get(&about).cloned().unwrap_or_default();
                assert_eq!(notices, [reported], "{first} {end} {seed} {user}");
            }
        }
    }
}

#[test]
fn who_comes_back_as_redis_forgets_that_the_departure_waits_is_not_taken_for_news() {
    for seed in 0..SEEDS {
        let actions = vec![
            Action::Join(0, 0, 1),
            Action::Join(1, 0, 0),
            Action::Leave(0, 0),
            Action::Burst(0, 10),
            Action::Join(0, 0, 1),
            Action::Forget(false),
            Action::Join(0, 0, 2),
            Action::SignIn(0, 0),
            Action::Leave(0, 0),
            Action::Join(0, 0, 0),
        ];
        simulate(&Plan { seed, actions });
    }
}

#[test]
fn what_was_in_doubt_as_redis_forgets_again_is_not_taken_for_known() {
    for seed in (0..SEEDS).chain([285_747_710_376_243_950]) {
        let actions = vec![
            Action::Forget(false),
            Action::Join(0, 0, 0),
            Action::Join(1, 0, 2),
            Action::Join(2, 0, 0),
            Action::Wait(4969),
            Action::Join(0, 0, 0),
            Action::Burst(0, 10),
            Action::Join(2, 0, 0),
            Action::Leave(0, 0),
            Action::Join(0, 0, 0),
            Action::Burst(0, 13),
            Action::Forget(false),
            Action::Leave(0, 3),
            Action::Join(1, 0, 2),
            Action::Wait(500),
        ];
        let world = simulate(&Plan { seed, actions });
        let reported = world
            .notices
            .get(&(CHANNELS[0].to_owned(), "cy".to_owned()));
        assert_eq!(
            reported.map(Vec::as_slice),
            Some(&["member_added".to_owned()][..]),
            "{seed}"
        );
    }
}

#[test]
fn who_leaves_before_the_link_breaks_and_was_reported_by_a_late_answer_is_reported_to_be_gone() {
    for seed in (0..SEEDS).chain([8_764_088_498_540_651_387]) {
        let actions = vec![
            Action::Join(0, 0, 2),
            Action::Join(0, 1, 0),
            Action::Wait(5),
            Action::Wait(2),
            Action::Burst(1, 23),
            Action::Publish(0, 0),
            Action::Join(0, 0, 0),
            Action::Leave(0, 3),
            Action::SignIn(1, 0),
            Action::Wait(3),
            Action::Leave(0, 5),
            Action::Forget(true),
            Action::SignIn(0, 0),
            Action::Join(0, 0, 1),
        ];
        simulate(&Plan { seed, actions });
    }
}

#[test]
fn who_was_here_for_a_moment_after_a_loss_and_known_before_is_reported_to_be_gone() {
    for seed in (0..SEEDS).chain([7_367_043_508_772_931_163]) {
        let actions = vec![
            Action::Late(0, 45),
            Action::Join(1, 0, 0),
            Action::Wait(5023),
            Action::SignIn(2, 0),
            Action::Forget(true),
            Action::Join(1, 1, 0),
            Action::Wait(500),
            Action::Join(0, 0, 0),
            Action::Join(0, 0, 1),
            Action::SignIn(0, 0),
            Action::Leave(1, 0),
            Action::Burst(0, 31),
            Action::Cut(0),
            Action::Leave(0, 3),
        ];
        simulate(&Plan { seed, actions });
    }
}

#[test]
fn what_another_node_was_about_to_report_as_redis_forgot_is_reported() {
    for seed in (0..SEEDS).chain([80_607_242_699_083_613]) {
        let actions = vec![
            Action::Wait(18),
            Action::Join(1, 0, 1),
            Action::Wait(13),
            Action::Wait(5973),
            Action::Cut(1),
            Action::Publish(0, 0),
            Action::Wait(1977),
            Action::Join(0, 0, 1),
            Action::Wait(4029),
            Action::Cut(2),
            Action::Join(1, 1, 0),
            Action::Join(2, 1, 0),
            Action::Join(2, 0, 2),
            Action::Wait(5),
            Action::Wait(2),
            Action::SignIn(1, 0),
            Action::Join(0, 0, 0),
            Action::Cut(1),
            Action::Cut(0),
            Action::Forget(true),
        ];
        simulate(&Plan { seed, actions });
    }
}

#[test]
fn who_came_back_as_redis_forgot_and_left_is_reported_as_gone() {
    for seed in 0..SEEDS {
        let actions = vec![
            Action::Join(2, 0, 2),
            Action::Leave(2, 0),
            Action::Burst(0, 10),
            Action::Join(2, 0, 2),
            Action::Forget(true),
            Action::Wait(500),
            Action::Join(0, 0, 0),
            Action::Leave(2, 0),
            Action::Join(0, 0, 0),
            Action::Join(0, 0, 0),
            Action::Join(0, 0, 0),
        ];
        simulate(&Plan { seed, actions });
    }
}

#[test]
fn who_leaves_what_others_left_before_redis_forgot_is_reported() {
    for (channel, seed) in [(1, 2_312_891_290_346_885_433)]
        .into_iter()
        .chain((0..SEEDS).flat_map(|seed| [(0, seed), (1, seed)]))
    {
        let actions = vec![
            Action::Join(2, channel, 0),
            Action::Wait(1),
            Action::Leave(2, 0),
            Action::Join(1, channel, 0),
            Action::Late(0, 0),
            Action::Burst(0, 10),
            Action::Forget(false),
            Action::Leave(1, 0),
            Action::SignIn(0, 0),
            Action::SignIn(0, 0),
        ];
        simulate(&Plan { seed, actions });
    }
}

#[test]
fn who_comes_as_a_departure_is_in_doubt_is_reported() {
    for seed in (0..SEEDS).chain([2_083_389_207_922_820_594]) {
        let actions = vec![
            Action::Cut(0),
            Action::Wait(4008),
            Action::Forget(false),
            Action::Publish(0, 0),
            Action::Late(2, 9),
            Action::Publish(2, 0),
            Action::Join(1, 1, 0),
            Action::Burst(0, 16),
            Action::Leave(1, 0),
            Action::Cut(1),
            Action::Burst(0, 10),
            Action::Join(0, 0, 0),
            Action::Join(0, 1, 0),
        ];
        simulate(&Plan { seed, actions });
    }
}
