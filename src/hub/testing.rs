//! Connections without sockets, for tests of those who decide about channels.

use std::collections::HashMap;
use std::sync::Arc;

use super::authority::PeerHandle;
use super::mailbox::{ChannelId, Command, JoinedAs, Mailbox, Queue};
use super::peer::PeerId;

/// What a shard was told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// A connection is on the channel, where these users are.
    Joined(u64, String, Vec<String>),
    /// A connection is registered as the user's.
    SignedIn(u64, String),
    /// A connection may not be on the channel.
    Refused(u64, String),
    /// The subscribers of the channel get this.
    Message(String, String),
    /// A connection that watches users is told this at first.
    Watching(String),
    /// Those who watch users are told this.
    Status(String),
}

/// A shard whose mailbox is read by the test.
#[derive(Debug)]
pub(crate) struct TestShard {
    mailbox: Arc<Mailbox>,
    channels: HashMap<ChannelId, String>,
}

impl TestShard {
    pub(crate) fn new() -> Self {
        Self {
            mailbox: Arc::new(Mailbox::new()),
            channels: HashMap::new(),
        }
    }

    /// One of its connections.
    pub(crate) fn peer(&self, id: u64) -> PeerHandle {
        PeerHandle {
            mailbox: Arc::clone(&self.mailbox),
            id: PeerId(id),
        }
    }

    /// All that it was told since this was last asked.
    pub(crate) fn take(&mut self) -> Vec<Told> {
        let commands = self.mailbox.take(Queue::default()).commands;
        commands
            .into_iter()
            .filter_map(|command| self.told(command))
            .collect()
    }

    fn told(&mut self, command: Command) -> Option<Told> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Some(match command {
            Command::Join {
                peer,
                channel,
                joined,
            } => match joined.as_what {
                JoinedAs::Subscriber { welcome, .. } => {
                    let name = welcome.channel.as_str().to_owned();
                    self.channels.insert(channel, name.clone());
                    let roster = welcome.roster.unwrap_or_default();
                    let users = roster.iter().map(|member| member.user_id().to_string());
                    Told::Joined(peer.0, name, users.collect())
                }
                JoinedAs::User { user, .. } => Told::SignedIn(peer.0, user.user_id().to_string()),
            },
            Command::Refuse { peer, channel, .. } => {
                Told::Refused(peer.0, channel.as_str().to_owned())
            }
            Command::Deliver { channel, broadcast } => {
                let payload = text(broadcast.frame.payload());
                match self.channels.get(&channel) {
                    Some(name) => Told::Message(name.clone(), payload),
                    None => Told::Status(payload),
                }
            }
            Command::Watch { watched, .. } => Told::Watching(text(watched.statuses.payload())),
            Command::Confirm { .. }
            | Command::Leave { .. }
            | Command::Unwatch { .. }
            | Command::Close { .. }
            | Command::CloseEveryone { .. } => return None,
        })
    }
}
