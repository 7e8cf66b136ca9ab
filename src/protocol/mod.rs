//! The Pusher Channels protocol as values: no IO, no clock, no runtime.
//!
//! - [`channel`]: channel names and the kind that a name's prefix gives
//! - [`event`]: event names
//! - [`client`]: messages from clients, parsed
//! - [`server`]: messages to clients, as ready-made frames
//! - [`frame`]: one WebSocket frame that many connections share
//! - [`deflate`]: frames that are compressed, once for all that take them so
//! - [`close`]: close codes and what clients do on them
//! - [`member`]: presence members and signed-in users, from the JSON that an app signed
//! - [`path`]: paths of requests, as libraries put them together
//! - [`socket_id`]: the id of a connection
//! - [`json`]: the few JSON habits that the protocol needs beyond serde

pub mod channel;
pub mod client;
pub mod close;
pub mod deflate;
pub mod event;
pub mod frame;
pub mod json;
pub mod member;
pub mod path;
pub mod server;
pub mod socket_id;

pub use channel::{ChannelKind, ChannelName, ChannelNameError, ChannelRef};
pub use close::CloseCode;
pub use deflate::{Compression, Deflater, Window};
pub use frame::{Frame, FrameKind};
pub use socket_id::SocketId;
