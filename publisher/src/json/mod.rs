//! JSON that keeps the order of its members, and JSON as PHP writes it: listeners behind Laravel's
//! `redis` driver, and those who read its log, get the very bytes that Laravel would send.
//!
//! - [`tree`]: values in order
//! - [`php`]: the encoder
//! - [`float`]: numbers with a fraction, as PHP writes them

mod float;
mod php;
mod tree;

#[cfg(any(test, feature = "ably", feature = "redis"))]
pub(crate) use php::to_php;
pub(crate) use php::to_pretty_php;
pub(crate) use tree::{Json, Object};
