//! Turns between tasks.

use std::future::Future as _;
use std::pin::pin;
use std::task::Context;

/// Wakes the task when the others, and the sockets that became ready meanwhile, have had their
/// turn. A task that wakes itself outright is polled dozens of times before anything is accepted.
pub fn wake_after_others(cx: &mut Context<'_>) {
    let yielded = pin!(tokio::task::yield_now());
    let _later = yielded.poll(cx);
}
