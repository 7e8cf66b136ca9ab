//! Certificates from an authority that issues them by itself (ACME, RFC 8555): ordered when there is none, renewed in time.
//!
//! A directory that fails, or does not keep to the protocol, takes nothing down: what is served goes on being
//! served, and the order is tried again later and later.
//!
//! - [`settings`]: what is ordered, from whom
//! - [`schedule`]: when it is ordered; [`complaints`]: what is logged of failures
//! - [`directory`]: requests to a directory; [`clock`]: whether its clock is ours
//! - [`issued`]: a certificate
//! - [`kept`], [`account`]: what outlasts the process; the account with the directory
//! - [`answers`], [`proof`]: showing that names are ours
//! - [`seal`], [`cluster`], [`following`]: what several nodes have in common
//! - [`order`]: one order, from its beginning to its end
//! - [`run`]: all of it, for as long as the process runs
//! - [`shown`]: what others are shown of it

mod account;
mod answers;
mod clock;
mod cluster;
mod complaints;
mod directory;
mod following;
mod issued;
mod kept;
mod order;
mod proof;
mod run;
mod schedule;
mod seal;
mod settings;
mod shown;

pub use cluster::Turn;
pub use directory::StartError;
pub use run::Acme;
pub use settings::{Challenge, LETS_ENCRYPT, MOST_DOMAINS, Secret, Settings};
pub use shown::Shown;
