//! What the tests are made with.
//!
//! - [`database`]: a SQLite file or a PostgreSQL server of the test's own
//! - [`api`]: the process under test
//! - [`desk`]: somebody who uses it
//! - [`meta`]: Meta's side of the webhook
//! - [`files`]: the files that customers send
//! - [`graph`]: the Graph API's side
//! - [`roles`]: the people of the demonstration data
//! - [`proxy`]: a way to the relay that can be held up
//! - [`stand_in`]: a server that answers as a test says

pub(crate) mod api;
pub(crate) mod database;
pub(crate) mod desk;
pub(crate) mod files;
pub(crate) mod graph;
pub(crate) mod meta;
pub(crate) mod postgres;
pub(crate) mod proxy;
pub(crate) mod roles;
pub(crate) mod stand_in;

pub(crate) use api::Api;
pub(crate) use database::{Database, Kind};
pub(crate) use desk::Desk;
pub(crate) use proxy::Proxy;
pub(crate) use stand_in::StandIn;
