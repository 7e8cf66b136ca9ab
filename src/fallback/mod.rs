//! The HTTP fallback of pusher-js: a connection that requests carry, for clients behind proxies that
//! let no WebSocket through.
//!
//! Source: pusher-js, `src/core/http`, for the requests and for what stands in the answers. A client
//! opens a session by naming it in a request that receives; what it sends comes in requests of their
//! own.
//!
//! - [`path`]: what a path asks for
//! - [`chunk`], [`renderings`]: frames as they stand in an answer
//! - [`pipe`]: from a connection to the answer that carries it, which may be on another thread
//! - [`numbers`]: what distinguishes a client's requests
//! - [`places`]: who loses its place when there are too many sessions
//! - [`sessions`]: where a session is to be found
//! - [`answer`]: what requests are answered, but for a connection's frames
//! - [`upstream`]: what clients send
//! - [`opening`]: a connection that begins, with a session of its own or an earlier one
//! - [`carried`], [`downstream`]: the task that runs one connection, and what it sends
//! - [`service`]: the entry of every request

mod answer;
mod carried;
mod chunk;
mod downstream;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod numbers;
mod opening;
mod path;
mod pipe;
mod places;
mod renderings;
mod service;
mod sessions;
mod upstream;

pub use service::{FallbackService, FallbackSettings};
pub use sessions::Sessions;
