//! Sending what the outbox holds: events to the relay, replies to WhatsApp.
//!
//! One [`dispatcher`] a kind claims lanes and sends several of them at a time; within a lane one
//! row follows the other. It is woken when something was written, and looks by itself now and
//! then, for what other processes wrote and could not send.
//!
//! Rows are sent one a request. A batch would save requests under load, but its idempotency key
//! is that of the whole batch: after a crash another batch would be made of the same rows, and a
//! relay could not tell the repeats.
//!
//! - [`wake`]: telling that there is something to send
//! - [`dispatcher`]: which lanes are sent when
//! - [`lane`]: sending one lane's rows
//! - [`target`]: the relay and WhatsApp
//! - [`evictions`]: ending connections that may hear what they must not, before what they would hear
//! - [`health`], [`backoff`]: what happens when they do not answer
//! - [`pruning`]: forgetting what was sent

mod backoff;
mod dispatcher;
mod evictions;
mod health;
mod lane;
mod pruning;
mod target;
mod wake;

pub use dispatcher::{Dispatcher, Timing};
pub use evictions::Evictions;
pub use pruning::prune_for_ever;
pub use target::Target;
pub use wake::Wake;
