//! A task lets others have their turn.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll};

/// Goes on after the thread's other tasks and its sockets have had their turn. (To wake itself
/// would not do: the runtime polls such a task dozens of times before it looks at the sockets,
/// and before the shard is polled again, which yields in this way.)
pub fn yield_to_others(cx: &mut Context<'_>) -> Poll<()> {
    let turn = pin!(tokio::task::yield_now());
    turn.poll(cx)
}
