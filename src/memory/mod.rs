//! Lists and tables that take little memory for little in them.
//!
//! - [`Dense`]: a list whose items are found by their keys
//! - [`trim`]: giving back what a table or queue no longer needs

mod dense;
#[cfg(test)]
pub mod testing;
pub mod trim;

pub use dense::{Dense, Keyed};
