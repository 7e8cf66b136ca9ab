//! The thread that speaks to Redis: everything that this node shares is here, and only here.
//!
//! In this order, each knows those above it:
//!
//! - [`jobs`], [`lanes`]: what servers are asked, apart from what, and what the answers are for
//! - [`timers`]: what is looked after at a time
//! - [`discovery`]: which servers there are
//! - [`io`]: what the node wants done, and what it is given
//! - [`servers`]: which of them is reached, and which has what
//! - [`life`]: the node as one of several
//! - [`memory`], [`recent`]: what Redis remembers, and what was written last
//! - [`state`]: all that as a whole
//! - [`listing`]: topics that the node has to do with
//! - [`channels`]: what follows from a change of a channel, and what servers announce of it
//! - [`settling`]: what became of idempotency keys
//! - [`dead_nodes`]: what dead nodes leave behind, which is removed
//! - [`forgotten`]: what is done when Redis has forgotten something
//! - [`trimming`]: all logs together are not too large
//! - [`heartbeats`], [`leaving`]: how others see this node, and its end
//! - [`reach`]: what follows when servers are found, reached and lost
//! - [`requests`]: what the other threads want
//! - [`batches`]: what goes to a server together
//! - [`answers`]: what Redis answers
//! - [`inputs`]: what has happened, and who deals with it
//! - [`driver`]: the network

mod answers;
mod batches;
mod channels;
mod dead_nodes;
mod discovery;
mod driver;
mod forgotten;
mod heartbeats;
mod inputs;
mod io;
mod jobs;
mod lanes;
mod leaving;
mod life;
mod listing;
mod memory;
mod reach;
mod recent;
mod requests;
mod servers;
mod settling;
#[cfg(test)]
mod simulation;
mod state;
mod timers;
mod trimming;

pub(super) use driver::Driver;
