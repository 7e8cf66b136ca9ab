//! Sockets, apart from what is spoken over them. HTTP connections are in `service::net`.
//!
//! - [`budget`]: bytes that may be held in all
//! - [`descriptors`]: what is made of those that the process may have
//! - [`proxy_protocol`]: with what a proxy begins a connection
//! - [`tally`]: how many of something are under way

pub mod budget;
pub mod descriptors;
pub mod proxy_protocol;
pub mod tally;
