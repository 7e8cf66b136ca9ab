//! What follows from a change of a channel, and what servers announce of it.

use std::sync::Arc;
use std::time::Duration;

use super::jobs::{Job, Lane};
use super::state::Node;
use super::timers::Timer;
use crate::cluster::redis::channel::{Asked, Channel, Context, Kind};
use crate::cluster::redis::entry::Message;
use crate::cluster::redis::keys::{Subject, Topic};
use crate::cluster::redis::link::LinkId;
use crate::hub::AppHub;
use crate::protocol::ChannelName;

/// How long a topic is listened to that nobody wants: pages are loaded again.
const LISTENS_ON_FOR: Duration = Duration::from_secs(5);
/// How soon a heartbeat is made when something shows that Redis has forgotten what it knew.
const AHEAD_OF_HEARTBEAT: Duration = Duration::from_millis(20);

/// What is at hand for a channel: all of the node but its channels. `epoch` is that of a channel that has
/// none yet.
macro_rules! context {
    ($node:ident, $link:expr, $epoch:expr) => {{
        let link: Option<crate::cluster::redis::link::LinkId> = $link;
        crate::cluster::redis::channel::Context {
            now: $node.now,
            metrics: &$node.setup.metrics,
            publishing: crate::cluster::redis::outgoing::PublishContext {
                node: $node.life.ids.current,
                version: $node.life.version,
                number: $node.number,
                epoch: $epoch,
                publish: $node.servers.publish(),
                history_ms: $node.setup.history_ms,
                log_bytes: $node.setup.settings.log_bytes,
                keep: $node.memory.keeps($node.now),
            },
            own: &$node.life.ids,
            link,
            memory: $node
                .servers
                .memory(&$node.memory.key, &$node.memory.last.name),
            is_doubtful: $node.now < $node.memory.doubts_until,
            leave_delay: $node.setup.settings.leave_delay,
            node_timeout: $node.life.longest_timeout,
            ledger: &$node.ledger,
            losses: &$node.losses,
        }
    }};
}
pub(super) use context;

/// Where the channel's next call goes.
pub(super) fn lane_of(channel: &Channel, is_counted: bool) -> Lane {
    if channel.asks_for_much(is_counted) {
        Lane::Sync
    } else {
        Lane::Calls
    }
}

impl Node {
    /// Whether the node knows what has happened on the channel up to some time, and receives or reads the rest.
    #[cfg(test)]
    pub(super) fn follows(&self, app: &str, channel: &str) -> bool {
        let channel = self.channels.get(&*self.setup.keys.topic(app, channel));
        channel.is_some_and(Channel::has_place)
    }

    pub(super) fn on_message(&mut self, link: LinkId, topic: &[u8], content: Vec<u8>) {
        if self.is_of_apps(topic) {
            return self.on_apps_changed();
        }
        let message = match Message::parse(content.into()) {
            Ok(message) => message,
            Err(_) => {
                self.setup.metrics.unreadable.inc();
                return;
            }
        };
        let Ok(topic) = std::str::from_utf8(topic) else {
            return;
        };
        self.with(topic, |channel, context| {
            channel.on_message(&message, link, context)
        });
    }

    pub(super) fn on_listening(&mut self, link: LinkId, topic: &[u8]) {
        let Ok(topic) = std::str::from_utf8(topic) else {
            return;
        };
        if let Some(channel) = self.channels.get_mut(topic)
            && self.servers.link_of(channel.slot()) == Some(link)
            && channel.on_listening()
        {
            self.setup.metrics.subscriptions.inc();
            self.look_after(topic);
        }
    }

    /// Asked for when nobody wanted the topic, or a Redis Cluster has moved it.
    pub(super) fn on_not_listening(&mut self, link: LinkId, topic: &[u8]) {
        if self.is_of_apps(topic) {
            self.at(self.now, Timer::Discover);
            return self.at(self.now, Timer::FollowApps);
        }
        let Ok(topic) = std::str::from_utf8(topic) else {
            return;
        };
        if let Some(channel) = self.channels.get_mut(topic)
            && self.servers.link_of(channel.slot()) == Some(link)
            && channel.listening() == Asked::Done
        {
            self.setup.metrics.subscriptions.dec();
            channel.on_moved(self.now);
            self.at(self.now, Timer::Discover);
        }
    }

    pub(super) fn channel_topic(&self, app: &AppHub, channel: &str) -> String {
        self.setup.keys.topic(&app.app.id, channel)
    }

    /// Does something with a channel that there is, and then what follows from it.
    pub(super) fn with<T>(
        &mut self,
        topic: &str,
        act: impl FnOnce(&mut Channel, &Context<'_>) -> T,
    ) -> Option<T> {
        let channel = self.channels.get_mut(topic)?;
        let link = self.servers.link_of(channel.slot());
        let context = context!(self, link, "");
        let done = act(channel, &context);
        self.look_after(topic);
        Some(done)
    }

    /// The channel of a topic, made if there is none, for connections of this app. Returns false if the app is gone,
    /// and the channel is another's.
    pub(super) fn ensure_for(&mut self, topic: &str, app: &Arc<AppHub>) -> bool {
        self.ensure(topic);
        let channel = self.channels.get_mut(topic);
        channel.is_some_and(|channel| channel.serve(app))
    }

    /// The channel of a topic, made if there is none, of the app as it is now, if there is one. False: no channel is
    /// called so.
    pub(super) fn ensure_known(&mut self, topic: &str) -> bool {
        let id = self.setup.keys.parse(topic).map(|(id, _)| id);
        match id.and_then(|id| self.setup.apps.by_id(id)) {
            Some(app) => self.ensure_for(topic, &app),
            None => self.ensure(topic).is_some(),
        }
    }

    /// The channel of a topic, made if there is none.
    pub(super) fn ensure(&mut self, topic: &str) -> Option<()> {
        if self.channels.contains_key(topic) {
            return Some(());
        }
        let (app, subject) = self.setup.keys.parse(topic)?;
        let app = self.setup.apps.by_id(app);
        let (name, kind) = match subject {
            Subject::Channel(name) => (ChannelName::parse(name, usize::MAX).ok()?, Kind::Channel),
            Subject::User(user_id) => (
                ChannelName::server_to_user(user_id),
                Kind::User(user_id.into()),
            ),
        };
        let topic: Topic = topic.into();
        let channel = Channel::new(Arc::clone(&topic), name, kind, app);
        self.channels.insert(topic, channel);
        Some(())
    }

    /// What follows from a change of a channel: topics to listen to, calls to make, times to keep.
    pub(super) fn look_after(&mut self, topic: &str) {
        let Some(channel) = self.channels.get_mut(topic) else {
            return;
        };
        if cfg!(debug_assertions) {
            channel.check();
        }
        let topic = Arc::clone(channel.topic());
        let is_counted = self.life.is_counted();
        let is_reached = self.servers.link_of(channel.slot()).is_some();
        let doubts_memory = channel.take_doubts();
        if is_reached && channel.begin_listening() {
            self.servers.listen(channel.slot(), Arc::clone(&topic));
        }
        let must_be_listed = is_counted && channel.must_be_listed();
        if is_reached && channel.enqueue(is_counted, self.now) {
            let lane = lane_of(channel, is_counted);
            let queue = self.servers.queue(channel.slot(), lane);
            queue.push_back(Job::Channel(Arc::clone(&topic)));
        }
        if let Some(at) = channel.next_timer(self.now, LISTENS_ON_FOR) {
            self.at(at, Timer::Channel(Arc::clone(&topic)));
        }
        if doubts_memory && self.life.hurry() {
            self.at(self.now + AHEAD_OF_HEARTBEAT, Timer::Heartbeat);
        }
        if must_be_listed {
            self.list(&topic);
        }
    }

    /// Redis has the topic among those that this node has to do with, or that is not known.
    pub(super) fn on_listed(&mut self, topic: &str, is_done: bool) {
        if let Some(channel) = self.channels.get_mut(topic)
            && channel.on_listed(is_done)
        {
            self.look_after(topic);
        }
    }

    pub(super) fn on_channel_time(&mut self, topic: &Topic) {
        let Some(channel) = self.channels.get_mut(topic) else {
            return;
        };
        if channel.on_time(self.now, LISTENS_ON_FOR) {
            self.dispose(topic)
        } else {
            self.look_after(topic)
        }
    }

    /// Forgets a channel that nobody has a use for.
    fn dispose(&mut self, topic: &Topic) {
        let Some(channel) = self.channels.remove(topic) else {
            return;
        };
        if channel.listening() == Asked::Done {
            self.setup.metrics.subscriptions.dec();
        }
        if channel.listening() != Asked::No {
            self.servers
                .stop_listening(channel.slot(), Arc::clone(topic));
        }
        if channel.may_be_listed() {
            self.unlist(topic, channel.has_announced());
        }
    }

    pub(super) fn topics(&self) -> Vec<Topic> {
        self.channels.keys().cloned().collect()
    }
}
