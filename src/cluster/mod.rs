//! Whom a node shares its channels with.
//!
//! - [`local`]: nobody; the node's own directory is the authority of its channels

pub mod local;

pub use local::Local;
