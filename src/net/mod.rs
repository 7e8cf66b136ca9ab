//! Sockets, apart from what is spoken over them.
//!
//! - [`deadline`]: HTTP connections that do not wait for ever
//! - [`descriptors`]: how many files the process may have open
//! - [`tally`]: how many of something are under way

pub mod deadline;
pub mod descriptors;
pub mod tally;
