//! Sessions that outlive what carries them.
//!
//! A page names itself with a token in its path. When its connection ends without a goodbye, its session
//! stays where it is, on its thread, and waits for a while. Whoever comes with the same token is handed
//! over to that thread, and takes the session: one owner at a time, by way of a [`door`].
//!
//! - [`token`]: the name of a page in its path; [`mod@name`]: as it is kept
//! - [`door`]: by which who comes meets a session
//! - [`Tokens`]: the sessions that may be taken; [`expired`]: those that waited in vain
//! - [`mod@hand_over`]: how who comes gets a session
//! - [`Resumable`]: a session that is carried, and may be claimed by somebody else
//! - [`park`]: a session that waits

mod door;
mod expired;
mod hand_over;
mod name;
mod parked;
mod resumable;
pub mod token;
mod tokens;

pub use hand_over::hand_over;
pub use parked::park;
pub use resumable::Resumable;
pub use tokens::{Contender, Door, Entered, Place, Tokens};
