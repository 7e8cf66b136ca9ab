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
//! - [`seeded`]: plans by which mistakes are found that were made on purpose
//!
//! Mistakes that were made on purpose, and found: not catching up after a gap; applying an entry twice;
//! taking a number that was used for a new one; delivering own events again; retrying under new numbers, or out
//! of order; ignoring another epoch; not announcing the own part again after Redis has forgotten, or others have
//! given the node up; staying registered when the node becomes another; leaving a dead node's members, or
//! channels that the node had left for good; not reconciling after a log was begun anew; leaving members of
//! this node out of the roster; letting connections in to a channel that is not known; taking a channel for up
//! to date that is not listened to; acknowledging notices before they are due; forgetting departures that wait;
//! not counting what was lost; taking a part of an answer for the whole. With plans of their own (`seeded`):
//! reporting again what is not acknowledged yet; taking no notice of the numbers that an answer brings; dropping what
//! comes late of a log that was there before.
//!
//! Not simulated: Redis Clusters and sentinels, refusals of Redis, idempotency keys, the end of a node in
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
mod world;
mod written;

use std::cell::Cell;
use std::time::{Duration, Instant};

use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use plan::{Action, Plan};
use world::simulate;

/// How long a test goes on trying plans, on a machine that is slow.
const LONGEST: Duration = Duration::from_secs(7);

/// Tries plans; so many, or as many as `FANFARE_SIMULATIONS`, which tries others each time.
fn hold(cases: u32, plans: impl proptest::strategy::Strategy<Value = Plan>) {
    let more = std::env::var("FANFARE_SIMULATIONS");
    let more = more.ok().and_then(|cases| cases.parse().ok());
    let config = Config {
        cases: more.unwrap_or(cases),
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..Config::default()
    };
    let rng = match more {
        Some(_) => TestRng::from_seed(RngAlgorithm::ChaCha, &rand::random::<[u8; 32]>()),
        None => TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    };
    let mut runner = TestRunner::new_with_rng(config, rng);
    let (start, has_failed) = (Instant::now(), Cell::new(false));
    let result = runner.run(&plans, |plan| {
        if more.is_none() && !has_failed.get() && start.elapsed() > LONGEST {
            return Ok(());
        }
        // Until it is over: a plan that fails is made smaller, however long that takes.
        let failed_before = has_failed.replace(true);
        simulate(&plan);
        has_failed.set(failed_before);
        Ok(())
    });
    match result {
        Ok(()) => {}
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
