//! Signatures of the Pusher Channels protocol: HMAC-SHA256 in lower-case hex, compared in
//! constant time. The time is always an argument, and secrets never print.
//!
//! - [`signer`]: one key pair, ready to sign and verify
//! - [`channel`]: what is signed for channels and users
//! - [`request`]: signed HTTP requests

pub mod channel;
pub mod request;
pub mod signer;

pub use signer::Signer;
