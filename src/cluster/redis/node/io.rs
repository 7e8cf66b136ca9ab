//! What a node wants done, and what it is given.

use std::time::Instant;

use redis::{ConnectionInfo, Pipeline, RedisResult, Value};

use super::discovery::Discovered;
use super::jobs::{Item, Lane};
use crate::cluster::redis::keys::Topic;
use crate::cluster::redis::link::{LinkId, Pushed, Unusable};
use crate::cluster::redis::request::Request;

/// What a node wants done. Of each an [`Event`] brings what became of it.
pub(super) enum Io {
    /// To find the servers, perhaps with the help of those that are known.
    Discover(Vec<ConnectionInfo>),
    /// To connect to the server with this address.
    Connect(String, ConnectionInfo, LinkId),
    /// To do something on a link.
    Use(LinkId, Use),
    /// To give a link up. No event.
    Disconnect(LinkId),
}

/// What is done on a link.
pub(super) enum Use {
    /// The server is asked all this.
    Call(Lane, Instant, Pipeline, Vec<Item>),
    /// It is asked for these topics, or no longer for them.
    Listen(Pipeline, Vec<Topic>),
    /// It is seen whether it is still there.
    Ping,
    /// The scripts are made known to it.
    LoadScripts,
}

/// What became of something that takes time.
pub(super) enum Event {
    Discovered(RedisResult<Discovered>),
    Connected(String, Result<LinkId, Unusable>),
    Answered(LinkId, (Lane, Instant), Vec<Item>, RedisResult<Vec<Value>>),
    Listened(LinkId, Vec<Topic>, RedisResult<Vec<Value>>),
    Pinged(LinkId, RedisResult<()>),
    ScriptsLoaded(LinkId, RedisResult<()>),
}

/// What a node deals with.
pub(super) enum Input {
    Request(Request),
    /// A server has sent something of its own accord.
    Pushed(LinkId, Pushed),
    Event(Event),
    /// It is as late as the node has wanted to be woken.
    Time,
}
