//! Connections without sockets, for tests of those who decide about channels.

use std::collections::HashMap;
use std::sync::Arc;

use super::mailbox::{ChannelId, Command, Control, Delivery, JoinedAs, Mailbox, PeerId, Queue};
use super::moves::PeerHandle;

/// What was posted to a shard.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Posted {
    /// A connection is on the channel, where these users are.
    Joined(u64, String, Vec<String>),
    /// A connection is registered as the user's.
    SignedIn(u64, String),
    /// A connection may not be on the channel.
    Refused(u64, String),
    /// The subscribers of the channel get this.
    Message(String, String),
    /// A connection that watches users gets this at first.
    Watching(String),
    /// Those who watch users get this.
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

    /// All that was posted to it since this was last asked.
    pub(crate) fn take(&mut self) -> Vec<Posted> {
        let commands = self.mailbox.take(Queue::default()).commands;
        commands
            .into_iter()
            .filter_map(|command| self.posted(command))
            .collect()
    }

    fn posted(&mut self, command: Command) -> Option<Posted> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let control = match command {
            Command::Control(control) => control,
            Command::Deliver(Delivery { channel, broadcast }) => {
                let payload = text(broadcast.frame.payload());
                return Some(match self.channels.get(&channel) {
                    Some(name) => Posted::Message(name.clone(), payload),
                    None => Posted::Status(payload),
                });
            }
        };
        Some(match control {
            Control::Join {
                peer,
                channel,
                joined,
            } => match joined.as_what {
                JoinedAs::Subscriber { welcome, .. } => {
                    let name = welcome.channel.as_str().to_owned();
                    self.channels.insert(channel, name.clone());
                    let roster = welcome.roster.unwrap_or_default();
                    let users = roster.iter().map(|member| member.user_id().to_string());
                    Posted::Joined(peer.0, name, users.collect())
                }
                JoinedAs::User { user, .. } => Posted::SignedIn(peer.0, user.user_id().to_string()),
            },
            Control::Refuse { peer, channel, .. } => {
                Posted::Refused(peer.0, channel.as_str().to_owned())
            }
            Control::Watch { watched, .. } => Posted::Watching(text(watched.statuses.payload())),
            Control::Confirm { .. }
            | Control::Park { .. }
            | Control::UserIsBack { .. }
            | Control::Leave { .. }
            | Control::Unwatch { .. }
            | Control::Close { .. }
            | Control::CloseApp { .. }
            | Control::Inspect(_)
            | Control::CloseEveryone { .. } => return None,
        })
    }
}
