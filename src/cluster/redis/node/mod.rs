//! The thread that speaks to Redis: everything that this node shares is here, and only here.
//!
//! A module imports only those above it in this list, which a test holds it to:
//!
//! - [`jobs`], [`lanes`]: what servers are asked, apart from what, and what the answers are for
//! - [`timers`]: what is looked after at a time
//! - [`discovery`]: which servers there are
//! - [`io`]: what the node wants done, and what it is given
//! - [`servers`]: which of them is reached, and which has what
//! - [`life`]: the node as one of several
//! - [`memory`], [`ends`], [`recent`]: what Redis remembers, where this node's entries end, and what was written last
//! - [`left`]: topics that the node has left
//! - [`state`]: all that as a whole
//! - [`listing`]: topics that the node has to do with
//! - [`app_changes`]: that a node has changed the apps of the database that all of them share
//! - [`channels`]: what follows from a change of a channel, and what servers announce of it
//! - [`settling`]: what became of idempotency keys
//! - [`gone`]: what nodes that are gone may have again
//! - [`dead_nodes`]: what dead nodes leave behind, which is removed
//! - [`forgotten`]: what is done when Redis has forgotten something
//! - [`handing_in`]: how much of what Redis has forgotten there was
//! - [`trimming`]: all logs together are not too large
//! - [`heartbeats`], [`leaving`]: how others see this node, and its end
//! - [`reach`]: what follows when servers are found, reached and lost
//! - [`requests`]: what the other threads want
//! - [`batches`]: what goes to a server together
//! - [`answers`]: what Redis answers
//! - [`inputs`]: what has happened, and who deals with it
//! - [`driver`]: the network

mod jobs;

mod lanes;

mod timers;

mod discovery;

mod io;

mod servers;

mod life;

mod memory;

mod ends;

mod recent;

mod left;

mod state;

mod listing;

mod app_changes;

mod channels;

mod settling;

mod gone;

mod dead_nodes;

mod forgotten;

mod handing_in;

mod trimming;

mod heartbeats;

mod leaving;

mod reach;

mod requests;

mod batches;

mod answers;

mod inputs;

mod driver;

#[cfg(test)]
mod simulation;

pub(super) use driver::Driver;
