//! HTTP connections, apart from what is spoken over them, and where they come from.
//!
//! - [`blocked`]: writes that a peer does not take
//! - [`connections`]: those of a thread, of which some are closed when there are too many
//! - [`deadline`]: streams that do not wait for ever
//! - [`descriptors`]: how many files the process may have open
//! - [`entry`]: what is known of a connection
//! - [`forwarded`]: what proxies write about those for whom they ask
//! - [`marked_body`]: bodies that connections read to their end and no further
//! - [`multiplexed`]: streams that carry several requests at a time
//! - [`network`]: addresses that begin alike
//! - [`proxies`]: who the client is of a request that came through proxies
//! - [`reading`]: reads that take no more than they may
//! - [`request_mark`]: what a stream cannot see of its requests
//! - [`room`]: how many the process may have
//! - [`upgrade`]: Upgrade headers that actix-http does not know
//! - [`yielding`]: turns between tasks

pub mod blocked;
pub mod connections;
pub mod deadline;
pub mod descriptors;
pub mod entry;
mod forwarded;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod marked_body;
pub mod multiplexed;
pub mod network;
pub mod proxies;
mod reading;
pub mod request_mark;
pub mod room;
mod upgrade;
pub mod yielding;
