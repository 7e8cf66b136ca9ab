//! HTTP/2: what HTTP/1.1 does, several times at once, and what strangers may try with it.

mod answers;
mod bodies;
mod client;
mod fallback;
mod floods;
mod host;
mod programs;
mod room;
mod stop;
mod waits;
