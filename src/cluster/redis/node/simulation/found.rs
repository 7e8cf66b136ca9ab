//! Plans that went wrong once, made as small as they can be.

use super::plan::{Action, Plan};
use super::simulate;

/// How many networks a plan is tried on: it goes wrong on most, but not on all.
const SEEDS: u64 = 12;

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
