//! HTTP connections, apart from what is spoken over them.
//!
//! - [`connections`]: those of a thread, of which some are closed when there are too many
//! - [`deadline`]: streams that do not wait for ever
//! - [`descriptors`]: how many files the process may have open
//! - [`entry`]: what is known of a connection
//! - [`marked_body`]: bodies that connections read to their end and no further
//! - [`request_mark`]: what a stream cannot see of its requests
//! - [`room`]: how many the process may have
//! - [`upgrade`]: Upgrade headers that actix-http does not know
//! - [`yielding`]: turns between tasks

pub mod connections;
pub mod deadline;
pub mod descriptors;
pub mod entry;
pub mod marked_body;
pub mod request_mark;
pub mod room;
mod upgrade;
mod yielding;
