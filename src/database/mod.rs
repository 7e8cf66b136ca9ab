//! Apps that come from a database: SQLite, PostgreSQL, MySQL and MariaDB.
//!
//! A thread of its own looks again and again whether the table has changed: the database itself makes a digest of it,
//! so that nothing travels while nothing changes. If it has, all rows are read, those that are others are looked into,
//! and the hub is given all apps. What was read holds while the database is away; whom nobody knows is then asked to
//! come back, as it may be in there ([`Knowledge`](crate::hub::Knowledge)). Whatever is asked of a database has a time
//! limit, and whatever it answers a size.
//!
//! - [`place`]: where a database is, and what is read there
//! - [`statements`]: the statements, in the words of each database
//! - [`migrations`]: the versions of Fanfare's own table
//! - [`link`]: one connection
//! - [`own`], [`soketi`]: what a row of Fanfare's own table means, and of soketi's
//! - [`known`]: what is known of the rows
//! - [`reading`]: all rows, from a connection; [`once`]: a single look, for people
//! - [`parts`]: what it takes to serve them; [`looks`]: who asks for a look
//! - [`poll`]: who looks
//! - [`stored`], [`rows`]: what is asked and changed by hand; [`store`]: who may ask for that

mod known;
mod link;
mod looks;
mod migrations;
mod once;
mod own;
mod parts;
mod place;
mod poll;
mod reading;
mod rows;
mod soketi;
mod statements;
mod store;
mod stored;

pub use once::{greet, look_once};
pub use parts::Parts;
pub use place::{DatabaseUrl, Place, Schema, Settings, Table};
pub use store::Store;
pub use stored::{Problem, StoreError, Stored};

#[cfg(test)]
mod tests;
