//! Where to listen, and for which app.

use super::server::RedisServer;

/// What is taken in, and from where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Whether anything is. False.
    pub enabled: bool,
    /// The Redis server that Laravel publishes to. Database 0 of 127.0.0.1:6379.
    pub url: RedisServer,
    /// What Laravel puts before the channels' names. Nothing.
    pub prefix: Box<str>,
    /// The id of the app that the channels belong to; empty only where nothing is taken in.
    pub app: Box<str>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: false,
            url: RedisServer::default(),
            prefix: "".into(),
            app: "".into(),
        }
    }
}
