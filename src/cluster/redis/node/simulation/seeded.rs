//! Plans by which mistakes are found that were made on purpose, and that chance seldom finds.

use std::time::Duration;

use super::plan::{Action, CHANNELS, Plan};
use super::world::{World, simulate};

#[test]
fn notices_are_sent_once_while_a_dead_node_is_cleaned_up_after() {
    for wait in 0..12 {
        for seed in 0..6 {
            let mut world = World::new(seed);
            for action in [
                Action::Join(0, 0, 0),
                Action::Join(1, 0, 1),
                Action::Wait(1300),
                Action::Crash(1),
                // So that answers are on their way when it turns out that the node is dead.
                Action::Late(0, 300),
                Action::Wait(5600 + 200 * wait),
                Action::Join(0, 0, 2),
            ] {
                world.act(&action);
            }
            world.pass(Duration::from_secs(2));
        }
    }
}

#[test]
fn what_is_written_again_after_a_loss_is_not_for_those_who_came_behind_it() {
    for ends_by in [Action::Forget(true), Action::FailOver] {
        for seed in 0..12 {
            let actions = vec![
                Action::Join(2, 1, 0),
                Action::Wait(1300),
                Action::Save,
                Action::Publish(0, 1),
                Action::Publish(0, 1),
                Action::Wait(20),
                Action::Join(1, 1, 0),
                Action::Wait(40),
                ends_by.clone(),
            ];
            let world = simulate(&Plan { seed, actions });
            assert_eq!(received(&world, 2), [1, 2], "{seed}");
            assert_eq!(received(&world, 1), [0; 0], "{seed}");
        }
    }
}

#[test]
fn what_redis_has_passed_on_arrives_though_it_forgets_it() {
    for wait in 4..8 {
        for seed in 0..12 {
            let actions = vec![
                Action::Join(1, 1, 0),
                Action::Join(0, 1, 0),
                Action::Wait(1300),
                Action::Late(1, 15),
                Action::Publish(0, 1),
                Action::Wait(wait),
                Action::Forget(false),
                Action::Join(1, 1, 1),
            ];
            let world = simulate(&Plan { seed, actions });
            assert_eq!(received(&world, 1), [1], "{seed}");
        }
    }
}

/// The events of the counted channel that a relay's connections got.
fn received(world: &World, relay: usize) -> &[u64] {
    let received = &world.relays[relay].received.events[CHANNELS[1]];
    let of_plan = received.partition_point(|event| *event <= world.last_of_plan);
    &received[..of_plan]
}

/// However much others have written since: of every node that may write again, the newcomer knows its last.
#[test]
fn what_is_written_again_is_not_for_newcomers_though_others_wrote_much_meanwhile() {
    let actions = vec![
        Action::Wait(5),
        Action::Forget(true),
        Action::Wait(11),
        Action::Burst(0, 28),
        Action::Late(0, 0),
        Action::Burst(0, 10),
        Action::Join(1, 1, 0),
        Action::Burst(0, 10),
        Action::Burst(0, 10),
        Action::Publish(0, 0),
        Action::Burst(1, 31),
        Action::Cut(0),
    ];
    let seed = 7_309_544_109_899_800_727;
    simulate(&Plan { seed, actions });
}

/// A node that is away for less time than entries are kept, and longer than its log has room for, counts each entry
/// that it has missed.
#[test]
fn each_entry_that_a_full_log_has_dropped_is_counted() {
    for seed in 0..6 {
        let mut actions = vec![
            Action::Join(1, 1, 0),
            Action::Join(0, 1, 0),
            Action::Wait(1300),
            Action::Away(1, 4000),
        ];
        actions.extend([(); 4].map(|()| Action::Burst(0, 40)));
        let world = simulate(&Plan { seed, actions });
        let missing = world.entries_missing(&world.relays[1], CHANNELS[1]);
        assert!(missing > 10, "{seed}: {missing}");
        assert_eq!(world.relays[1].lost(CHANNELS[1]), missing, "{seed}");
    }
}

/// What a node that is cut off has not read yet when Redis forgets it is counted, whether the node that published it has
/// subscribers of its own or not.
#[test]
fn what_redis_forgets_before_a_node_that_is_away_has_read_it_is_counted() {
    for (ends, has_subscribers) in [(false, false), (false, true), (true, false), (true, true)] {
        for seed in 0..6 {
            let mut actions = vec![Action::Join(1, 1, 0)];
            actions.extend(has_subscribers.then_some(Action::Join(0, 1, 0)));
            actions.extend([
                Action::Wait(1300),
                Action::Publish(0, 1),
                Action::Wait(100),
                Action::Away(1, 4000),
            ]);
            actions.extend(
                [(); 10]
                    .map(|()| [Action::Publish(0, 1), Action::Wait(20)])
                    .concat(),
            );
            // What was written a moment before its server ends is written again.
            actions.extend([Action::Wait(700), Action::Forget(ends)]);
            let world = simulate(&Plan { seed, actions });
            let lost = world.relays[1].lost(CHANNELS[1]);
            assert_eq!(lost, 10, "{seed}");
        }
    }
}

/// Nobody has published anything since the nodes were cut off: nothing is lost.
#[test]
fn nothing_is_counted_that_was_read_before_redis_forgot_it() {
    for ends in [false, true] {
        for seed in 0..6 {
            let mut actions = vec![
                Action::Join(1, 1, 0),
                Action::Join(0, 1, 0),
                Action::Wait(1300),
            ];
            actions.extend(
                [(); 10]
                    .map(|()| [Action::Publish(0, 1), Action::Wait(20)])
                    .concat(),
            );
            actions.extend([
                Action::AllAway(3000),
                Action::Publish(0, 1),
                Action::Wait(700),
                Action::Forget(ends),
            ]);
            let world = simulate(&Plan { seed, actions });
            for relay in &world.relays {
                assert_eq!(relay.lost(CHANNELS[1]), 0, "{seed} {:?}", relay.run);
            }
            assert_eq!(received(&world, 1).len(), 11, "{seed}");
        }
    }
}

/// Nodes that are dead after one second of silence, and such as make a heartbeat a second: while nothing is wrong nobody
/// is given up, and who has died is.
#[test]
fn nodes_with_different_timeouts_have_their_own_time() {
    for seed in 0..6 {
        let mut world = World::with_timeouts(seed, [1, 6, 6].map(Duration::from_secs));
        for relay in 0..3 {
            world.act(&Action::Join(relay, 0, relay));
        }
        world.act(&Action::Wait(1300));
        let nodes = |world: &World| [0, 1, 2].map(|relay: usize| world.relays[relay].node.node());
        let before = nodes(&world);
        world.act(&Action::Wait(30_000));
        assert_eq!(nodes(&world), before, "{seed}");
        world.act(&Action::Crash(1));
        world.settle();
    }
}
