//! Who listens on an app's channels, and where.
//!
//! Every change of a channel and all that it makes known is posted under the channel's lock, into
//! FIFO mailboxes: so all subscribers see one order, a new one misses nothing and sees nothing
//! twice, and rosters fit together with the changes announced. Locks are taken in this order, and
//! shards are woken when they are gone ([`Locked`](super::mailbox::Locked)):
//!
//! 1. one of a [`table`], or all of them in their order; or the one of a [`watchlist`]
//! 2. the cache of [`channels`], or their counts that are due; never both
//! 3. a mailbox, or a queue of webhooks
//!
//! What is there:
//!
//! - [`channels`]: the channels of an app, decided about by this node
//! - [`replica`]: channels whose members are copies of what other nodes share
//! - [`users`]: the app's users that are signed in
//! - [`watchlist`]: who is online, and who is notified of it
//! - [`table`]: names, and what is known of each
//! - [`listeners`], [`roster`], [`count`], [`cache`]: what is known of a channel

mod cache;
mod channels;
mod count;
mod listeners;
mod replica;
mod roster;
mod table;
mod users;
mod watchlist;

pub(in crate::hub) use channels::Channels;
pub use channels::Wanted;
pub use count::{COUNT_AT_ONCE, COUNT_INTERVAL};
pub(in crate::hub) use users::Users;
pub(in crate::hub) use watchlist::Watchlists;
