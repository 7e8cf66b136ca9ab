//! Random faults in a cluster, and a model of what must be true whatever has failed.
//!
//! Three nodes, each of which reaches a real Redis by a proxy of its own. Tabs come, go and subscribe at random, every
//! node publishes all the time, and a receiver takes the webhooks. A round lets one or two things fail, makes them
//! good again, and holds all that anybody can see against what the tabs know of themselves: rosters, counts, events
//! and webhooks. `make chaos` runs it for ten minutes.
//!
//! - PROTOCOL_TESTS_CHAOS_SECONDS: how long, 20 without it; the round under way is finished
//! - PROTOCOL_TESTS_SEED: repeats the choices of a run, which writes its seed down
//! - PROTOCOL_TESTS_CHAOS_FAULTS: these of [`faults::Kind`] instead of all, such as `flush,old,freeze`

mod check;
mod events;
mod faults;
mod history;
mod publisher;
mod tab;
mod webhooks;
mod world;

use std::time::Duration;

use protocol_tests::or_skip;
use protocol_tests::random::number_from;
use tokio::time::Instant;

use world::World;

const SECONDS: usize = 20;

#[tokio::test]
async fn nothing_differs_from_the_model_after_random_faults() {
    let seconds = number_from("PROTOCOL_TESTS_CHAOS_SECONDS", SECONDS);
    let mut world = or_skip!(World::start().await);
    let end = Instant::now() + Duration::from_secs(seconds as u64);
    let mut rounds = 0;
    while rounds == 0 || Instant::now() < end {
        world.round(rounds).await;
        rounds += 1;
    }
    eprintln!("{rounds} rounds without a difference");
    world.finish().await;
}
