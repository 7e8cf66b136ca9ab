//! Sending what the outbox holds: events to the relay, replies to WhatsApp.
//!
//! One [`dispatcher`] a kind claims lanes and sends several of them at a time; within a lane one
//! row follows the other. It is woken when something was written, and looks by itself now and
//! then, for what other processes wrote and could not send.
//!
//! Rows are sent one a request. A batch would save requests under load, but its idempotency key
//! is that of the whole batch: after a crash another batch would be made of the same rows, and a
//! relay could not recognise the repeats.
//!
//! - [`wake`]: waking those who send
//! - [`dispatcher`]: which lanes are sent when
//! - [`lane`]: sending one lane's rows
//! - [`target`]: the relay and WhatsApp; [`timing`]: how long they may take
//! - [`evictions`]: ending connections that would get what they must not, before it is sent
//! - [`health`]: what happens when they do not answer
//! - [`pruning`]: forgetting what was sent

mod dispatcher;
mod evictions;
mod health;
mod lane;
mod pruning;
mod target;
mod timing;
mod wake;

pub use dispatcher::Dispatcher;
pub use evictions::Evictions;
pub use pruning::prune_for_ever;
pub use target::Target;
pub use timing::Timing;
pub use wake::Wake;
