//! Sockets, apart from what is spoken over them. HTTP connections are in `service::net`.
//!
//! - [`block`]: what counts as one client
//! - [`budget`]: bytes that may be held in all
//! - [`descriptors`]: what is made of those that the process may have
//! - [`mark`]: what a request's handlers mark their progress on
//! - [`memory`]: a ceiling for that of the process
//! - [`proxy_protocol`]: with what a proxy begins a connection
//! - [`rate`]: how often something may happen
//! - [`tally`]: how many of something are under way
//! - [`turn`]: a task that lets others have their turn
//! - [`upgrades`]: Upgrade headers of several lines

pub mod block;
pub mod budget;
pub mod descriptors;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod mark;
pub mod memory;
pub mod proxy_protocol;
pub mod rate;
pub mod tally;
pub mod turn;
pub mod upgrades;
