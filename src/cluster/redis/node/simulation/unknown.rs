//! What a dead node had of apps that others do not know.

use std::collections::BTreeSet;
use std::time::Duration;

use super::acknowledged;
use super::found::SEEDS;
use super::plan::{Action, CHANNELS};
use super::world::World;
use crate::cluster::redis::wire::LEFT_TO_OTHERS_FOR;
use crate::hub::Knowledge;

/// In which a dead node is noticed and cleaned up after, and its departures are reported.
const CLEANED_UP_WITHIN: Duration = Duration::from_secs(30);

/// A member of the last relay, which ends; the others know nothing of the app.
fn last_relay_ends(seed: u64, prepare: impl Fn(&World)) -> World {
    let mut world = World::new(seed);
    world.act(&Action::Join(2, 0, 0));
    world.pass(Duration::from_secs(2));
    prepare(&world);
    world.act(&Action::Crash(2));
    world
}

fn reported(world: &World, user: &str) -> Vec<String> {
    let about = (CHANNELS[0].to_owned(), user.to_owned());
    world.notices.get(&about).cloned().unwrap_or_default()
}

fn assert_all_is_reported(world: &World, seed: u64) {
    let come_and_gone = |user| (seed, user, reported(world, user));
    let members = ["member_added", "member_removed"].map(str::to_owned);
    assert_eq!(come_and_gone("ann"), (seed, "ann", members.to_vec()));
    let channels = ["channel_occupied", "channel_vacated"].map(str::to_owned);
    assert_eq!(come_and_gone(""), (seed, "", channels.to_vec()));
}

/// The members that Redis has.
fn members(world: &mut World) -> BTreeSet<String> {
    let users = format!("{}:users", acknowledged::topic(CHANNELS[0]));
    world.network.data.fields(&users).into_keys().collect()
}

fn forget_app(relays: &[usize]) -> impl Fn(&World) {
    move |world| {
        for relay in relays {
            world.relays[*relay].know_app(false);
        }
    }
}

#[test]
fn departures_of_an_app_that_some_nodes_do_not_know_are_reported_by_one_that_does() {
    for seed in 0..SEEDS {
        let mut world = last_relay_ends(seed, forget_app(&[0, 1]));
        world.pass(CLEANED_UP_WITHIN);
        assert_all_is_reported(&world, seed);
        assert_eq!(members(&mut world), BTreeSet::new(), "{seed}");
    }
}

#[test]
fn departures_wait_for_a_node_that_gets_to_know_the_app() {
    for seed in 0..SEEDS {
        let mut world = last_relay_ends(seed, forget_app(&[0, 1]));
        world.relays[2].know_app(false);
        world.pass(CLEANED_UP_WITHIN);
        assert_eq!(reported(&world, "ann"), ["member_added"], "{seed}");
        world.relays[1].know_app(true);
        world.pass(CLEANED_UP_WITHIN);
        assert_all_is_reported(&world, seed);
        assert_eq!(members(&mut world), BTreeSet::new(), "{seed}");
    }
}

#[test]
fn departures_wait_until_the_apps_are_read() {
    let set_knowledge = |world: &World, knowledge| {
        for relay in &world.relays {
            relay.set_knowledge(knowledge);
        }
    };
    for seed in 0..SEEDS {
        let not_yet = |world: &World| set_knowledge(world, Knowledge::NotYet);
        let mut world = last_relay_ends(seed, not_yet);
        set_knowledge(&world, Knowledge::NotYet);
        for relay in &world.relays {
            relay.know_app(false);
        }
        world.pass(CLEANED_UP_WITHIN);
        assert_eq!(reported(&world, "ann"), ["member_added"], "{seed}");
        for relay in &world.relays {
            relay.know_app(true);
        }
        set_knowledge(&world, Knowledge::All);
        world.pass(CLEANED_UP_WITHIN);
        assert_all_is_reported(&world, seed);
    }
}

#[test]
fn members_of_an_app_that_nobody_knows_any_more_do_not_stay_for_ever() {
    let mut world = last_relay_ends(7, forget_app(&[0, 1]));
    world.relays[2].know_app(false);
    world.pass(LEFT_TO_OTHERS_FOR - CLEANED_UP_WITHIN);
    assert_eq!(members(&mut world), BTreeSet::from(["ann".to_owned()]));
    world.pass(3 * CLEANED_UP_WITHIN);
    assert_eq!(members(&mut world), BTreeSet::new());
    assert_eq!(reported(&world, "ann"), ["member_added"]);
    let left = world.network.data.lasting();
    let is_of_channel = |key: &String| key.contains(CHANNELS[0]) || key.contains("{node:");
    let left: Vec<_> = left.into_iter().filter(is_of_channel).collect();
    assert!(left.is_empty(), "{left:?}");
}
