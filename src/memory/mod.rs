//! Lists and tables that take little memory for little in them.
//!
//! - [`Dense`]: a list whose items are found by their keys
//! - [`trim`]: giving back what a table or queue no longer needs
//! - [`counted`]: how much a test holds

#[cfg(test)]
pub mod counted;
mod dense;
pub mod trim;

pub use dense::{Dense, Keyed};
