//! What happens to a cluster.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::Union;

/// How many nodes there are.
pub(super) const RELAYS: usize = 3;
/// The channels that connections join: with members, and counted.
pub(super) const CHANNELS: [&str; 2] = ["presence-a", "news"];
/// All users whom anybody watches.
pub(super) const USERS: [&str; 3] = ["ann", "bob", "cy"];

/// How long after a loss all is reported that has to be.
pub(super) const NOTICES_SETTLE_WITHIN: Duration = Duration::from_secs(16);

/// Something that happens; relays, channels, users and connections by their numbers.
#[derive(Clone, Debug)]
pub(super) enum Action {
    /// A connection of the relay joins the channel, as the user.
    Join(usize, usize, usize),
    /// A connection is signed in as the user.
    SignIn(usize, usize),
    /// One of the relay's connections ends.
    Leave(usize, usize),
    /// The relay is given an event for the channel.
    Publish(usize, usize),
    /// It is given so many for the counted channel, one after the other.
    Burst(usize, usize),
    /// Milliseconds go by.
    Wait(u64),
    /// The relay's link to Redis breaks.
    Cut(usize),
    /// It cannot reach Redis for so many milliseconds.
    Away(usize, u64),
    /// The relay ends without a goodbye, and starts anew without its connections.
    Crash(usize),
    /// The next messages to the relay get lost, or come twice.
    Lose(usize, u32),
    Double(usize, u32),
    /// What goes between the relay and Redis is late by up to so many milliseconds.
    Late(usize, u64),
    /// Nobody reaches Redis for so many milliseconds.
    AllAway(u64),
    /// Redis forgets all that it has; true: and ends, so that links break.
    Forget(bool),
    /// What Redis has now is remembered as an old state.
    Save,
    /// Redis ends, and another one takes its place, with the old state.
    FailOver,
}

#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) actions: Vec<Action>,
}

type Actions = Vec<(u32, BoxedStrategy<Action>)>;

/// What happens while nothing goes wrong.
pub(super) fn calm() -> Actions {
    let (relay, channel, user) = (|| 0..RELAYS, || 0..CHANNELS.len(), || 0..USERS.len());
    vec![
        (
            6,
            (relay(), channel(), user())
                .prop_map(|(relay, channel, user)| Action::Join(relay, channel, user))
                .boxed(),
        ),
        (
            2,
            (relay(), user())
                .prop_map(|(relay, user)| Action::SignIn(relay, user))
                .boxed(),
        ),
        (
            5,
            (relay(), 0..8usize)
                .prop_map(|(relay, which)| Action::Leave(relay, which))
                .boxed(),
        ),
        (
            6,
            (relay(), channel())
                .prop_map(|(relay, channel)| Action::Publish(relay, channel))
                .boxed(),
        ),
        (
            2,
            (relay(), 10..40usize)
                .prop_map(|(relay, count)| Action::Burst(relay, count))
                .boxed(),
        ),
        (6, (1..20u64).prop_map(Action::Wait).boxed()),
        (1, (500..6000u64).prop_map(Action::Wait).boxed()),
        (
            1,
            (relay(), 0..200u64)
                .prop_map(|(relay, ms)| Action::Late(relay, ms))
                .boxed(),
        ),
    ]
}

/// Links break and nodes die as well.
pub(super) fn rough() -> Actions {
    let relay = || 0..RELAYS;
    let mut actions = calm();
    actions.extend([
        (2, relay().prop_map(Action::Cut).boxed()),
        (
            1,
            (relay(), 100..5000u64)
                .prop_map(|(relay, ms)| Action::Away(relay, ms))
                .boxed(),
        ),
        (
            1,
            (relay(), 5000..60_000u64)
                .prop_map(|(relay, ms)| Action::Away(relay, ms))
                .boxed(),
        ),
        (1, (5000..45_000u64).prop_map(Action::Wait).boxed()),
        (1, relay().prop_map(Action::Crash).boxed()),
        (
            2,
            (relay(), 1..4u32)
                .prop_map(|(relay, count)| Action::Lose(relay, count))
                .boxed(),
        ),
        (
            1,
            (relay(), 1..4u32)
                .prop_map(|(relay, count)| Action::Double(relay, count))
                .boxed(),
        ),
        (1, (10..9000u64).prop_map(Action::AllAway).boxed()),
    ]);
    actions
}

/// Links break, and messages get lost, but nobody is away for long.
pub(super) fn shaky() -> Actions {
    let relay = || 0..RELAYS;
    let mut actions = calm();
    actions.extend([
        (6, relay().prop_map(Action::Cut).boxed()),
        (
            2,
            (relay(), 1..3u32)
                .prop_map(|(relay, count)| Action::Lose(relay, count))
                .boxed(),
        ),
    ]);
    actions
}

/// Members come and go while links break under what was just asked.
pub(super) fn hasty() -> Actions {
    let (relay, user) = (|| 0..2usize, || 0..USERS.len());
    vec![
        (
            6,
            (relay(), user())
                .prop_map(|(relay, user)| Action::Join(relay, 0, user))
                .boxed(),
        ),
        (
            3,
            (relay(), 0..4usize)
                .prop_map(|(relay, which)| Action::Leave(relay, which))
                .boxed(),
        ),
        (6, (1..6u64).prop_map(Action::Wait).boxed()),
        (1, (500..9000u64).prop_map(Action::Wait).boxed()),
        (3, relay().prop_map(Action::Cut).boxed()),
        (
            1,
            (relay(), 5000..12_000u64)
                .prop_map(|(relay, ms)| Action::Away(relay, ms))
                .boxed(),
        ),
    ]
}

/// Redis loses what it has as well.
pub(super) fn forgetful() -> Actions {
    let mut actions = rough();
    actions.extend([
        (1, any::<bool>().prop_map(Action::Forget).boxed()),
        (1, Just(Action::Save).boxed()),
        (1, Just(Action::FailOver).boxed()),
    ]);
    actions
}

/// The server of a Redis Cluster that has the channels returns with an older state of them as well.
pub(super) fn sharded() -> Actions {
    let mut actions = rough();
    actions.extend([
        (3, Just(Action::Save).boxed()),
        (3, Just(Action::FailOver).boxed()),
    ]);
    actions
}

/// Redis loses what it has, and links break, but no node is away for long, and all is reported that has to be before
/// Redis loses anything again.
pub(super) fn oblivious() -> impl Strategy<Value = Plan> {
    plans(losses()).prop_map(|mut plan| {
        let mut has_lost = false;
        plan.actions = plan
            .actions
            .into_iter()
            .flat_map(|action| {
                let is_loss = matches!(action, Action::Forget(_));
                let is_again = is_loss && std::mem::replace(&mut has_lost, true);
                let wait = Action::Wait(NOTICES_SETTLE_WITHIN.as_millis() as u64);
                is_again.then_some(wait).into_iter().chain([action])
            })
            .collect();
        plan
    })
}

fn losses() -> Actions {
    let relay = || 0..RELAYS;
    let mut actions = calm();
    actions.extend([
        (1, relay().prop_map(Action::Cut).boxed()),
        (2, (500..9000u64).prop_map(Action::Wait).boxed()),
        (2, any::<bool>().prop_map(Action::Forget).boxed()),
    ]);
    actions
}

pub(super) fn plans(actions: Actions) -> impl Strategy<Value = Plan> {
    (any::<u64>(), vec(Union::new_weighted(actions), 10..80))
        .prop_map(|(seed, actions)| Plan { seed, actions })
}
