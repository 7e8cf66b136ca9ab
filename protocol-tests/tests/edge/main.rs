//! Behind proxies and in front of strangers: who the client is, by what it is reached, and how much one of them may do.

mod forwarded;
mod limits;
mod proxies;
mod proxy_protocol;
mod support;
mod unix_socket;
