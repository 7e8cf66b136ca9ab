//! What Laravel's broadcast driver `redis` publishes, which laravel-echo-server listened to.
//!
//! Laravel publishes each event on the Redis topic `{prefix}{channel}`. Every node listens for
//! itself and delivers to its own connections, so that an event reaches each of them once. What
//! Redis publishes while nobody listens is gone: that is the nature of its topics.
//!
//! - [`settings`], [`server`]: where to listen, and for which app
//! - [`link`]: the connection to Redis, made again whenever it is lost
//! - [`queue`]: what has come and waits to be delivered
//! - [`message`], [`payload`]: one event, as Laravel writes it
//! - [`complaints`]: what is logged of messages that are no events

mod complaints;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod link;
mod message;
mod payload;
mod queue;
mod server;
mod settings;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use redis::Msg;

use self::complaints::Complaints;
use self::link::Link;
use self::message::{Message, Refusal};
use self::queue::Queue;
pub use self::server::RedisServer;
pub use self::settings::Settings;
use crate::metrics::IngestMetrics;
use crate::protocol::ChannelRef;
use crate::relay::{Publication, Relay};

/// Bytes of messages that may wait to be delivered: as many as Redis itself keeps by default for
/// a listener that reads too slowly.
const QUEUE_BYTES: usize = 32 << 20;
/// Messages that are delivered before other tasks of the thread have their turn.
const TURN: usize = 64;

/// Takes in the events of one app.
#[derive(Debug)]
pub struct LaravelRedis {
    relay: Arc<Relay>,
    settings: Settings,
    /// What topics of others begin with.
    others: Vec<Box<str>>,
    metrics: IngestMetrics,
    queue: Queue<Msg>,
    complaints: Complaints,
}

impl LaravelRedis {
    /// Nothing is connected yet. Topics that begin with one of `others` are left alone: they may
    /// be the relay's own, where `settings.prefix` is empty.
    pub fn new(relay: Arc<Relay>, settings: Settings, others: Vec<Box<str>>) -> Self {
        Self {
            metrics: relay.hub.metrics().ingest(),
            queue: Queue::new(QUEUE_BYTES),
            complaints: Complaints::default(),
            relay,
            settings,
            others,
        }
    }

    /// Listens and delivers for as long as it is polled, whatever becomes of Redis.
    pub async fn run(self) {
        let link = Link::new(
            &self.settings.url,
            &self.settings.prefix,
            &self.metrics.connected,
        );
        tokio::join!(
            link.keep_up(|message| self.take(message)),
            self.deliver_all()
        );
    }

    fn take(&self, message: Msg) {
        let topic = message.get_channel_name();
        if self.others.iter().any(|other| topic.starts_with(&**other)) {
            return;
        }
        let bytes = topic.len() + message.get_payload_bytes().len();
        if let Err(message) = self.queue.push(message, bytes) {
            self.refuse(message.get_channel_name(), &Refusal::Backlog);
        }
    }

    async fn deliver_all(&self) {
        loop {
            for _ in 0..TURN {
                let message = self.queue.next().await;
                self.deliver(&message).await;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn deliver(&self, message: &Msg) {
        let topic = message.get_channel_name();
        match self.publish(topic, message.get_payload_bytes()).await {
            Ok(()) => {
                self.metrics.events.inc();
            }
            Err(refusal) => self.refuse(topic, &refusal),
        }
    }

    async fn publish(&self, topic: &str, payload: &[u8]) -> Result<(), Refusal> {
        // Looked up anew: it may have been removed, and made again, since the last event.
        let Some(app) = self.relay.hub.app(&self.settings.app) else {
            return Ok(());
        };
        let record = app.app.full_record();
        if !record.enabled {
            return Ok(());
        }
        let limits = &record.limits;
        let name = topic.strip_prefix(&*self.settings.prefix).unwrap_or(topic);
        let channel = ChannelRef::parse(Cow::Borrowed(name), limits.channel_name_length)?;
        let listened_to = app.wanted(&channel).any || self.relay.tap.watched();
        if !listened_to {
            return Ok(());
        }
        let message = Message::read(payload, limits)?;
        let publication = Publication {
            name: &message.event,
            data: &message.data,
            channels: &[channel],
            except: message.except,
        };
        self.relay.publish_here(&app, &publication).await?;
        Ok(())
    }

    fn refuse(&self, topic: &str, refusal: &Refusal) {
        self.metrics.refused.with(refusal.reason()).inc();
        self.complaints.report(topic, refusal, Instant::now());
    }
}
