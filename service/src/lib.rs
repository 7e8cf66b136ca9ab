//! What a program that serves needs of its system.
//!
//! - [`log`]: the log on stderr, which nobody waits for
//! - [`signals`]: when it is told to stop

pub mod log;
mod queue;
pub mod signals;
