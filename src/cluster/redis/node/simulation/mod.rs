//! Three nodes on virtual time: the real [`Node`], channels and scripts, with a Redis in memory and a
//! network that is late, breaks, and loses what it carries.
//!
//! A plan is what happens to the cluster; the seed of the network says how late all of it is. A plan that
//! goes wrong is made smaller until no part of it can be left out.
//!
//! - [`data`], [`lua`]: a Redis that runs the scripts
//! - [`network`]: what reaches it and the nodes, and when
//! - [`called`]: the arguments of their calls by name
//! - [`acknowledged`], [`written`]: what nodes acknowledge by that, and which events they write together
//! - [`relay`]: a node with its connections, and what they receive
//! - [`world`]: all of it, as time goes by
//! - [`oracle`]: what must be true in the end
//! - [`plan`]: what happens
//! - [`found`], [`doubted`]: plans that went wrong once
//! - [`unknown`]: nodes that do not know an app
//! - [`sharded`]: servers of a Redis Cluster that go back to what they had before
//! - [`seeded`]: plans by which mistakes are found that were made on purpose
//!
//! Mistakes that were made on purpose, and found: not catching up after a gap; applying an entry twice;
//! taking a number that was used for a new one; delivering own events again; retrying under new numbers, or out
//! of order; ignoring another epoch; not announcing the own part again after Redis has forgotten, or others have
//! given the node up; staying registered when the node becomes another; leaving a dead node's members, or
//! channels that the node had left for good; not reconciling after a log was begun anew; leaving members of
//! this node out of the roster; admitting connections to a channel that is not known; taking a channel for up
//! to date that is not listened to; acknowledging notices before they are due; forgetting departures that wait;
//! not counting what was lost; taking a part of an answer for the whole. With plans of their own (`seeded`):
//! reporting again what is not acknowledged yet; taking no notice of the numbers that an answer brings; dropping what
//! comes late of a log that was there before.
//!
//! Not simulated: Redis Clusters, but for what follows from one of their servers that goes back; sentinels, refusals of Redis, idempotency keys, the end of a node in
//! good order.

mod acknowledged;
mod called;
mod data;
mod doubted;
mod found;
mod lua;
mod network;
mod oracle;
mod plan;
mod relay;
mod seeded;
mod sharded;
mod unknown;
mod world;
mod written;

use std::cell::Cell;
use std::time::{Duration, Instant};

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use plan::{Action, Plan};
use world::{World, simulate, simulate_sharded};

/// How long a test goes on trying plans, on a machine that is slow.
const LONGEST: Duration = Duration::from_secs(7);

/// The same plans each time; so many others, as `FANFARE_SIMULATIONS` has it; or others for as many seconds as
/// `FANFARE_SIMULATION_SECONDS`.
#[derive(Clone, Copy)]
enum Effort {
    Usual,
    Plans(u32),
    Lasting(Duration),
}

impl Effort {
    fn of_environment() -> Self {
        let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
        if let Some(plans) = number("FANFARE_SIMULATIONS") {
            return Self::Plans(plans);
        }
        let seconds = number("FANFARE_SIMULATION_SECONDS").map(u64::from);
        seconds.map_or(Self::Usual, |seconds| {
            Self::Lasting(Duration::from_secs(seconds))
        })
    }
}

/// Tries plans: so many, unless the environment has it otherwise.
fn hold(plans: u32, strategy: impl Strategy<Value = Plan>) {
    hold_by(simulate, plans, strategy);
}

fn hold_by(simulate: fn(&Plan) -> World, plans: u32, strategy: impl Strategy<Value = Plan>) {
    let start = Instant::now();
    let tried = match Effort::of_environment() {
        Effort::Usual => {
            let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
            hold_as_long_as(simulate, plans, rng, &strategy, || {
                start.elapsed() < LONGEST
            })
        }
        Effort::Plans(plans) => hold_as_long_as(simulate, plans, new_rng(), &strategy, || true),
        Effort::Lasting(time) => {
            let mut tried = 0;
            while start.elapsed() < time {
                tried += hold_as_long_as(simulate, 20, new_rng(), &strategy, || {
                    start.elapsed() < time
                });
            }
            tried
        }
    };
    let thread = std::thread::current();
    eprintln!("{}: {tried} plans", thread.name().unwrap_or_default());
}

fn new_rng() -> TestRng {
    TestRng::from_seed(RngAlgorithm::ChaCha, &rand::random::<[u8; 32]>())
}

/// Tries so many plans at most, and returns how many they were.
fn hold_as_long_as(
    simulate: fn(&Plan) -> World,
    plans: u32,
    rng: TestRng,
    strategy: &impl Strategy<Value = Plan>,
    goes_on: impl Fn() -> bool,
) -> u32 {
    let usual = Config::default();
    let is_limited = std::env::var_os("PROPTEST_MAX_SHRINK_ITERS").is_some();
    let config = Config {
        cases: plans,
        failure_persistence: None,
        max_shrink_iters: if is_limited {
            usual.max_shrink_iters
        } else {
            2000
        },
        ..usual
    };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let (tried, has_failed) = (Cell::new(0), Cell::new(false));
    let result = runner.run(strategy, |plan| {
        // A plan that fails is made smaller, however long that takes.
        if !has_failed.get() && !goes_on() {
            return Ok(());
        }
        tried.set(tried.get() + 1);
        let failed_before = has_failed.replace(true);
        simulate(&plan);
        has_failed.set(failed_before);
        Ok(())
    });
    match result {
        Ok(()) => tried.get(),
        Err(TestError::Fail(reason, plan)) => panic!("{reason}\nThe least plan: {plan:#?}"),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn calm_clusters_send_everybody_everything_once() {
    hold(60, plan::plans(plan::calm()));
}

#[test]
fn nothing_is_wrong_for_long_after_links_break_and_nodes_die() {
    hold(60, plan::plans(plan::rough()));
}

#[test]
fn webhooks_are_notified_once_though_links_break() {
    hold(60, plan::plans(plan::shaky()));
}

#[test]
fn members_come_and_go_while_links_break() {
    hold(60, plan::plans(plan::hasty()));
}

#[test]
fn nothing_is_wrong_for_long_after_redis_has_forgotten() {
    hold(30, plan::plans(plan::forgetful()));
}

#[test]
fn nothing_is_wrong_for_long_after_a_server_of_a_redis_cluster_went_back() {
    hold_by(simulate_sharded, 60, plan::plans(plan::sharded()));
}

#[test]
fn webhooks_are_notified_though_redis_forgets() {
    hold(60, plan::oblivious());
}

#[test]
fn plans_repeat_themselves() {
    let plan = Plan {
        seed: 7,
        actions: vec![
            Action::Join(0, 0, 0),
            Action::Join(1, 0, 1),
            Action::Publish(0, 0),
            Action::Cut(1),
            Action::Wait(500),
            Action::Crash(0),
        ],
    };
    let calls = [(); 2].map(|()| {
        let world = simulate(&plan);
        (world.network.calls, world.network.now)
    });
    assert_eq!(calls[0], calls[1]);
}
