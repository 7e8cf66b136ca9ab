//! Which shards have subscribers of a channel.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::hub::broadcast::Broadcast;
use crate::hub::mailbox::{ChannelId, Control, Delivery, Mailbox, Wakes};
use crate::protocol::Frame;
use crate::session::CloseReason;

/// The shards with subscribers of a channel, from its first subscriber to its last.
#[derive(Debug)]
pub(super) struct Listeners {
    id: ChannelId,
    shards: SmallVec<[Listener; 1]>,
}

/// A shard with subscribers of the channel.
#[derive(Debug)]
struct Listener {
    mailbox: Arc<Mailbox>,
    subscribers: usize,
}

impl Listeners {
    /// Those of a new channel: nobody yet.
    pub(super) fn new() -> Self {
        Self {
            id: ChannelId::next(),
            shards: SmallVec::new(),
        }
    }

    /// What the shards know the channel by.
    pub(super) fn id(&self) -> ChannelId {
        self.id
    }

    /// How many connections are subscribed.
    pub(super) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.subscribers).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.shards.is_empty()
    }

    /// One more connection of the shard.
    pub(super) fn add(&mut self, mailbox: &Arc<Mailbox>) {
        match self.shard(mailbox) {
            Some(index) => self.shards[index].subscribers += 1,
            None => self.shards.push(Listener {
                mailbox: Arc::clone(mailbox),
                subscribers: 1,
            }),
        }
    }

    /// One connection of the shard less.
    pub(super) fn remove(&mut self, mailbox: &Arc<Mailbox>) {
        let Some(index) = self.shard(mailbox) else {
            return;
        };
        self.shards[index].subscribers -= 1;
        if self.shards[index].subscribers == 0 {
            self.shards.swap_remove(index);
        }
    }

    fn shard(&self, mailbox: &Arc<Mailbox>) -> Option<usize> {
        self.shards
            .iter()
            .position(|shard| Arc::ptr_eq(&shard.mailbox, mailbox))
    }

    /// Sends the relay's own frame to all subscribers.
    pub(super) fn announce(&self, frame: Frame, wakes: &mut Wakes) {
        if !self.is_empty() {
            self.deliver(&Arc::new(Broadcast::announcement(frame)), wakes);
        }
    }

    /// Sends a broadcast to all subscribers.
    pub(super) fn deliver(&self, broadcast: &Arc<Broadcast>, wakes: &mut Wakes) {
        for shard in &self.shards {
            let delivery = Delivery {
                channel: self.id,
                broadcast: Arc::clone(broadcast),
            };
            shard.mailbox.deliver(delivery, shard.subscribers, wakes);
        }
    }

    /// Closes all subscribers' connections.
    pub(super) fn close(&self, reason: &Arc<CloseReason>, wakes: &mut Wakes) {
        for shard in &self.shards {
            let control = Control::Close {
                channel: self.id,
                reason: Arc::clone(reason),
            };
            shard.mailbox.post(control, wakes);
        }
    }
}
