//! Channels, by their kind.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A channel. On the wire its kind is a prefix of its name, which the constructors put there:
///
/// ```
/// use publisher::Channel;
///
/// let channel = Channel::private("conversation.1");
/// assert_eq!(channel.name(), "private-conversation.1");
/// assert_eq!(Channel::named("private-conversation.1"), channel);
/// ```
///
/// Names are checked when they are used: 1 to 200 characters (Pusher itself takes 164) of
/// `A-Z a-z 0-9 _ - = @ , . ;`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Channel(Box<str>);

/// Prefixes of names.
///
/// Source: Pusher Channels, "Channel naming conventions".
pub(crate) const PRIVATE: &str = "private-";
pub(crate) const PRESENCE: &str = "presence-";
pub(crate) const ENCRYPTED: &str = "private-encrypted-";
/// Prefix of the channel that carries events to one signed-in user.
pub(crate) const SERVER_TO_USER: &str = "#server-to-user-";

impl Channel {
    /// A channel that anybody may subscribe to.
    pub fn public(name: impl AsRef<str>) -> Self {
        Self::named(name)
    }

    /// A channel whose subscribers your backend authorises: `private-{name}`.
    pub fn private(name: impl AsRef<str>) -> Self {
        Self::prefixed(PRIVATE, name.as_ref())
    }

    /// As private, and its subscribers know of each other: `presence-{name}`.
    pub fn presence(name: impl AsRef<str>) -> Self {
        Self::prefixed(PRESENCE, name.as_ref())
    }

    /// As private, and what is published can only be read by its subscribers:
    /// `private-encrypted-{name}`. Needs a [`MasterKey`](crate::MasterKey).
    pub fn encrypted(name: impl AsRef<str>) -> Self {
        Self::prefixed(ENCRYPTED, name.as_ref())
    }

    /// The channel of this name on the wire; its prefix says which kind it is.
    pub fn named(name: impl AsRef<str>) -> Self {
        Self(name.as_ref().into())
    }

    /// The channel that carries events to the connections signed in as a user.
    pub(crate) fn of_user(user_id: &str) -> Self {
        Self::prefixed(SERVER_TO_USER, user_id)
    }

    fn prefixed(prefix: &str, name: &str) -> Self {
        Self([prefix, name].concat().into())
    }

    /// The name on the wire.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Whether subscribers need your backend's signature.
    pub fn is_private(&self) -> bool {
        self.0.starts_with(PRIVATE)
    }

    /// Whether it has members.
    pub fn is_presence(&self) -> bool {
        self.0.starts_with(PRESENCE)
    }

    /// Whether it is end-to-end encrypted; then it is private, too.
    pub fn is_encrypted(&self) -> bool {
        self.0.starts_with(ENCRYPTED)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_a_prefix_on_the_wire() {
        for (channel, name) in [
            (Channel::public("news"), "news"),
            (Channel::private("user.1"), "private-user.1"),
            (Channel::presence("room"), "presence-room"),
            (Channel::encrypted("x"), "private-encrypted-x"),
            (Channel::of_user("7"), "#server-to-user-7"),
        ] {
            assert_eq!(channel.name(), name);
        }
    }

    #[test]
    fn only_exact_prefixes_give_a_kind() {
        let kinds = |name| {
            let channel = Channel::named(name);
            (
                channel.is_private(),
                channel.is_presence(),
                channel.is_encrypted(),
            )
        };
        assert_eq!(kinds("privatefoo-x"), (false, false, false));
        assert_eq!(kinds("private-x"), (true, false, false));
        assert_eq!(kinds("presence-x"), (false, true, false));
        assert_eq!(kinds("private-encrypted-x"), (true, false, true));
    }
}
