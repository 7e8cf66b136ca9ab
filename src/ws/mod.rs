//! WebSockets: the upgrade, and the task that runs one connection.
//!
//! - [`upgrade`]: from an HTTP request to a connection, or to a refusal that clients see
//! - [`opening`], [`returning`]: a connection that begins, and one whose client comes back for its session
//! - [`connection`]: the connection's task
//! - [`scratch`]: what connections read into
//! - [`extensions`]: what the client's offers of compression are answered with
//! - [`frames`]: what arrives, cut into messages; the only place that knows the codec
//! - [`inflate`]: messages that arrive compressed
//! - [`closing`], [`discard`]: the end of a connection, and what arrives then
//! - [`refusal`]: a WebSocket that is opened only to say why it is closed

mod closing;
mod connection;
mod discard;
mod extensions;
mod frames;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod inflate;
mod opening;
mod refusal;
mod returning;
mod scratch;
mod upgrade;

pub use opening::WebSocketSettings;
pub use upgrade::Upgrader;
