//! What strangers may try: whatever comes over the network, the answer is a clear error or close code within a deadline,
//! and afterwards the server serves as before, has nothing left over, and has written nothing to its log.

mod bodies;
mod channels;
mod connections;
mod descriptors;
mod floods;
mod frames;
mod garbage;
mod heads;
mod json;
mod memory;
mod paths;
mod pipelining;
mod slow_http;
mod slow_websocket;
mod smuggling;
mod support;
