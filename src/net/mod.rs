//! Sockets, apart from what is spoken over them.
//!
//! - [`budget`]: bytes that may be held in all
//! - [`deadline`]: HTTP connections that do not wait for ever
//! - [`descriptors`]: how many files the process may have open
//! - [`request_mark`]: what a stream cannot see of its requests
//! - [`tally`]: how many of something are under way
//! - [`upgrade`]: Upgrade headers that actix-http does not know
//! - [`yielding`]: turns between tasks

pub mod budget;
pub mod deadline;
pub mod descriptors;
pub mod request_mark;
pub mod tally;
mod upgrade;
mod yielding;
