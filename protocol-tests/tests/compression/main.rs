//! Compression of WebSocket messages (permessage-deflate, RFC 7692): an event is compressed once, for all that take it so.

mod channels;
mod incoming;
mod negotiation;
mod outgoing;
mod resume;
mod support;
