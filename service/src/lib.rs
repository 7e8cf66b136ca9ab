//! What a program that serves needs of its system.
//!
//! - [`log`]: the log on stderr, which nobody waits for
//! - [`net`]: HTTP connections, and how many of them there may be
//! - [`signals`]: when it is told to stop

pub mod log;
pub mod net;
mod queue;
pub mod signals;
