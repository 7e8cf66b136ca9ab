//! Whom a node shares its channels with.
//!
//! - [`local`]: nobody; the node's own directory is the authority of its channels
//! - [`redis`]: all nodes with the same prefix on the same Redis

pub mod local;
pub mod redis;

pub use local::Local;
pub use redis::Redis;
