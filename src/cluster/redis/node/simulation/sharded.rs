//! A server of a Redis Cluster fails, and is followed by one that was behind: what was cleaned up is there again, while
//! other servers have it that it is.

use std::collections::BTreeSet;
use std::time::Duration;

use super::acknowledged;
use super::found::SEEDS;
use super::plan::{Action, CHANNELS};
use super::world::World;

/// In which a node is noticed to be dead, is cleaned up after, and its departures are reported. Channels that were left
/// are forgotten by then, too.
const OVER_WITHIN: Duration = Duration::from_secs(20);

fn reported(world: &World, user: &str) -> Vec<String> {
    let about = (CHANNELS[0].to_owned(), user.to_owned());
    world.notices.get(&about).cloned().unwrap_or_default()
}

/// The server of the channels returns to what it had when `leave` had not happened yet.
fn goes_back_to_before(world: &mut World, leave: &Action) {
    world.pass(Duration::from_secs(2));
    let older = world.network.data.clone();
    world.act(leave);
    world.pass(OVER_WITHIN);
    let left = ["member_added", "member_removed"].map(str::to_owned);
    assert_eq!(reported(world, "ann"), left);
    world.channels_go_back(&older);
    world.pass(OVER_WITHIN);
    assert_eq!(reported(world, "ann"), left, "reported once");
}

#[test]
fn a_member_of_a_node_that_is_gone_is_not_there_again() {
    for seed in 0..SEEDS {
        let mut world = World::sharded(seed);
        world.act(&Action::Join(0, 0, 0));
        world.act(&Action::Join(1, 0, 1));
        goes_back_to_before(&mut world, &Action::Crash(0));
        assert_eq!(reported(&world, "bob"), ["member_added"], "{seed}");
        world.settle();
    }
}

#[test]
fn a_member_who_has_left_a_node_that_has_left_the_channel_is_not_there_again() {
    for seed in 0..SEEDS {
        let mut world = World::sharded(seed);
        world.act(&Action::Join(0, 0, 0));
        world.act(&Action::Join(1, 0, 1));
        goes_back_to_before(&mut world, &Action::Leave(0, 0));
        assert_eq!(reported(&world, "bob"), ["member_added"], "{seed}");
        world.settle();
    }
}

#[test]
fn a_channel_that_nobody_is_on_any_more_is_not_occupied_again() {
    for leave in [Action::Crash(0), Action::Leave(0, 0)] {
        for seed in 0..SEEDS {
            let mut world = World::sharded(seed);
            world.act(&Action::Join(0, 0, 0));
            goes_back_to_before(&mut world, &leave);
            let channel = ["channel_occupied", "channel_vacated"];
            assert_eq!(reported(&world, ""), channel, "{seed} {leave:?}");
            let users = format!("{}:users", acknowledged::topic(CHANNELS[0]));
            let users: BTreeSet<_> = world.network.data.fields(&users).into_keys().collect();
            assert_eq!(users, BTreeSet::new(), "{seed} {leave:?}");
            let mut lasting = world.network.data.lasting().into_iter();
            let left = lasting.find(|key| key.contains(CHANNELS[0]));
            assert_eq!(left, None, "{seed} {leave:?}");
        }
    }
}
