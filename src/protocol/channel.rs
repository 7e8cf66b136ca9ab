//! Channel names: which are valid, and what kind a prefix gives.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::hash::{Hash, Hasher};

use arcstr::ArcStr;

/// Prefix of the channel that carries events to one signed-in user.
pub const SERVER_TO_USER_PREFIX: &str = "#server-to-user-";

/// Who may listen to a channel, and what is special about it; it follows from the exact
/// prefix of the name (`privatefoo-x` is public).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// Anyone may subscribe.
    Public,
    /// `private-`: a signature is needed.
    Private,
    /// `private-encrypted-`: as private; what is published is opaque to the relay.
    Encrypted,
    /// `presence-`: a signature over the member's data is needed.
    Presence,
    /// `#server-to-user-{id}`: only connections signed in as that user.
    ServerToUser,
}

/// The kind of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChannelKind {
    /// Who may listen.
    pub access: Access,
    /// Whether the last event is kept for new subscribers.
    pub cache: bool,
}

impl ChannelKind {
    /// The kind of any name; it does not say that the name is valid.
    pub fn of(name: &str) -> Self {
        let (access, rest) = if let Some(rest) = name.strip_prefix("private-encrypted-") {
            (Access::Encrypted, rest)
        } else if let Some(rest) = name.strip_prefix("private-") {
            (Access::Private, rest)
        } else if let Some(rest) = name.strip_prefix("presence-") {
            (Access::Presence, rest)
        } else if name.starts_with(SERVER_TO_USER_PREFIX) {
            (Access::ServerToUser, "")
        } else {
            (Access::Public, name)
        };
        Self {
            access,
            cache: rest.starts_with("cache-"),
        }
    }

    /// Whether the channel has a roster of members.
    pub fn is_presence(self) -> bool {
        self.access == Access::Presence
    }

    /// Whether a subscription needs a signature.
    pub fn needs_signature(self) -> bool {
        matches!(
            self.access,
            Access::Private | Access::Encrypted | Access::Presence
        )
    }

    /// Whether clients may send `client-` events to it.
    pub fn takes_client_events(self) -> bool {
        matches!(self.access, Access::Private | Access::Presence)
    }
}

/// Why a name is no channel name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelNameError {
    /// The empty string.
    #[error("a channel name must not be empty")]
    Empty,
    /// Longer than the app allows.
    #[error(
        "the channel name has {length} characters, at most {limit} are allowed (channel_name_length)"
    )]
    TooLong {
        /// Characters of the name.
        length: usize,
        /// The app's limit.
        limit: usize,
    },
    /// A character outside the allowed set.
    #[error(
        "the channel name holds {0:?}; allowed are letters, digits and _ - = @ , . ; \
         (and # only as the start of #server-to-user-ID)"
    )]
    BadCharacter(char),
}

/// Checks a name against the protocol's alphabet and the app's length limit.
pub fn check_name(name: &str, max_length: usize) -> Result<ChannelKind, ChannelNameError> {
    if name.is_empty() {
        return Err(ChannelNameError::Empty);
    }
    let body = name
        .strip_prefix(SERVER_TO_USER_PREFIX)
        .filter(|user_id| !user_id.is_empty());
    let kind = ChannelKind::of(name);
    // A user id is the app's own text: only what cannot be part of any id is refused.
    let bad = match body {
        Some(user_id) => user_id.chars().find(|c| c.is_control()),
        None => name.chars().find(|c| !is_name_character(*c)),
    };
    if let Some(character) = bad {
        return Err(ChannelNameError::BadCharacter(character));
    }
    let length = name.chars().count();
    let limit = match body {
        Some(_) => max_length.max(SERVER_TO_USER_PREFIX.len() + MAX_USER_ID),
        None => max_length,
    };
    if length > limit {
        return Err(ChannelNameError::TooLong { length, limit });
    }
    Ok(kind)
}

/// Room that `#server-to-user-{id}` always has for the id, whatever the app's name limit.
const MAX_USER_ID: usize = 128;

fn is_name_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '=' | '@' | ',' | '.' | ';')
}

/// A valid channel name in somebody else's text, for the length of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelRef<'a> {
    name: Cow<'a, str>,
    kind: ChannelKind,
}

impl<'a> ChannelRef<'a> {
    /// Checks a name; `max_length` is the app's limit in characters.
    pub fn parse(name: Cow<'a, str>, max_length: usize) -> Result<Self, ChannelNameError> {
        let kind = check_name(&name, max_length)?;
        Ok(Self { name, kind })
    }

    /// What the prefix says.
    pub fn kind(&self) -> ChannelKind {
        self.kind
    }

    /// The name as sent on the wire.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

/// A valid channel name that knows its kind. Cloning shares the text.
#[derive(Clone)]
pub struct ChannelName {
    // (Half of what Arc<str> takes where it stands, and that is in many tables.)
    name: ArcStr,
    kind: ChannelKind,
}

impl ChannelName {
    /// Checks and keeps a name; `max_length` is the app's limit in characters.
    pub fn parse(name: &str, max_length: usize) -> Result<Self, ChannelNameError> {
        let kind = check_name(name, max_length)?;
        Ok(Self {
            name: name.into(),
            kind,
        })
    }

    /// The channel that carries events to the user with this id.
    pub fn server_to_user(user_id: &str) -> Self {
        let name = format!("{SERVER_TO_USER_PREFIX}{user_id}");
        Self {
            kind: ChannelKind::of(&name),
            name: name.into(),
        }
    }

    /// What the prefix says.
    pub fn kind(&self) -> ChannelKind {
        self.kind
    }

    /// The name as sent on the wire.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl Borrow<str> for ChannelName {
    fn borrow(&self) -> &str {
        &self.name
    }
}

impl PartialEq for ChannelName {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ChannelName {}

impl Hash for ChannelName {
    // As `str` hashes, so that maps can be searched by `&str`.
    fn hash<H: Hasher>(&self, state: &mut H) {
        (*self.name).hash(state);
    }
}

impl fmt::Debug for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.name, f)
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_prefixes_give_a_kind() {
        let cases = [
            ("news", Access::Public, false),
            ("privatefoo-x", Access::Public, false),
            ("private-x", Access::Private, false),
            ("private-encrypted-x", Access::Encrypted, false),
            ("presence-x", Access::Presence, false),
            ("cache-x", Access::Public, true),
            ("private-cache-x", Access::Private, true),
            ("presence-cache-x", Access::Presence, true),
            ("private-encrypted-cache-x", Access::Encrypted, true),
            ("#server-to-user-7", Access::ServerToUser, false),
            ("cachex", Access::Public, false),
        ];
        for (name, access, cache) in cases {
            assert_eq!(
                ChannelKind::of(name),
                ChannelKind { access, cache },
                "{name}"
            );
        }
    }

    #[test]
    fn names_outside_the_alphabet_are_refused() {
        for good in ["a", "A-z_0=@,.;", "#server-to-user-u@x y"] {
            assert!(check_name(good, 164).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a b",
            "ä",
            "#x",
            "#server-to-user-",
            "a\0b",
            "a/b",
            "#server-to-user-a\nb",
        ] {
            assert!(check_name(bad, 164).is_err(), "{bad:?}");
        }
        assert!(check_name(&"a".repeat(164), 164).is_ok());
        assert!(check_name(&"a".repeat(165), 164).is_err());
    }
}
