//! The HTTP fallback of pusher-js: a connection that requests carry must be all that a WebSocket is, over `xhr_streaming`
//! as over `xhr_polling`.

mod behind;
mod carried;
mod client;
mod hostile;
mod nodes;
mod polling;
mod requests;
mod resume;
mod streaming;
mod time;
