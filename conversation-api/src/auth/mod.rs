//! Who somebody is: passwords, tokens, and how often either may be guessed.
//!
//! - [`password`]: argon2 hashes, made and checked apart from the workers
//! - [`token`]: what is given out after a log-in
//! - [`sessions`]: whose token a request carries
//! - [`attempts`]: how often somebody may try to log in

pub mod attempts;
pub mod password;
pub mod sessions;
pub mod token;
