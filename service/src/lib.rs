//! What a program that serves needs of its system.
//!
//! - [`backoff`]: how long to wait after a failure
//! - [`log`]: the log on stderr, which nobody waits for
//! - [`net`]: HTTP connections, and how many of them there may be
//! - [`signals`]: when it is asked to stop
//! - [`stdout`]: what a command prints

pub mod backoff;
pub mod log;
pub mod net;
mod queue;
pub mod signals;
pub mod stdout;
