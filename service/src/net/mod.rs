//! HTTP connections, apart from what is spoken over them.
//!
//! - [`connections`]: those of a thread, of which some are closed when there are too many
//! - [`entry`]: what is known of one
//! - [`room`]: how many the process may have

pub mod connections;
pub mod entry;
pub mod room;
