//! What things are called in Redis.
//!
//! All keys of a channel have its app and name in braces, so that a Redis Cluster keeps them on
//! one server, where a script can change them together.

use super::wire::key;

/// Builds names with the configured prefix.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: Box<str>,
}

/// A channel's topic; with something behind it, one of its keys.
pub(super) type Topic = std::sync::Arc<str>;

/// What a topic is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject<'t> {
    /// A channel, by its name.
    Channel(&'t str),
    /// A user, by the id.
    User(&'t str),
}

impl Keys {
    pub(super) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.into(),
        }
    }

    pub(super) fn topic(&self, app: &str, channel: &str) -> String {
        [&*self.prefix, "{", app, ":", channel, "}"].concat()
    }

    /// The topic of a user: what no channel can be called.
    pub(super) fn topic_of_user(&self, app: &str, user_id: &str) -> String {
        [&*self.prefix, "{", app, ":/", user_id, "}"].concat()
    }

    /// App and channel of a topic, or app and user.
    pub(super) fn parse<'t>(&self, topic: &'t str) -> Option<(&'t str, Subject<'t>)> {
        let inner = topic.strip_prefix(&*self.prefix)?;
        let inner = inner.strip_prefix('{')?.strip_suffix('}')?;
        let (app, name) = inner.split_once(':')?;
        Some(match name.strip_prefix('/') {
            Some(user_id) => (app, Subject::User(user_id)),
            None => (app, Subject::Channel(name)),
        })
    }

    fn named(&self, name: &str) -> String {
        [&*self.prefix, name].concat()
    }

    pub(super) fn nodes(&self) -> [String; 3] {
        let versions = [key::NODES, ":versions"].concat();
        [key::NODES, &versions, key::DEAD].map(|name| self.named(name))
    }

    /// The nodes that are gone.
    pub(super) fn gone(&self) -> String {
        [&*self.prefix, key::NODES, ":gone"].concat()
    }

    /// What shows whether the servers still have what they had.
    pub(super) fn memory(&self) -> String {
        self.named(key::MEMORY)
    }

    /// How much of the channels' logs each node has written.
    pub(super) fn logs(&self) -> String {
        [&*self.prefix, key::NODES, ":logs"].concat()
    }

    /// After how much silence each node is dead.
    pub(super) fn timeouts(&self) -> String {
        [&*self.prefix, key::NODES, ":timeouts"].concat()
    }

    /// The topics that a node has anything to do with.
    pub(super) fn topics_of(&self, node: &str) -> String {
        [&*self.prefix, key::NODE, node, "}"].concat()
    }

    /// The topic on which nodes let each other know that they have changed apps: what no channel is called by.
    pub(super) fn apps(&self) -> String {
        self.named("{apps}")
    }

    /// What the nodes keep under a name of their own.
    pub(super) fn common(&self, name: &str) -> String {
        [&*self.prefix, "common:{", name, "}"].concat()
    }

    pub(super) fn idempotency(&self, app: &str, key: &str) -> String {
        [&*self.prefix, "key:{", app, ":", key, "}"].concat()
    }
}

pub(super) fn meta(topic: &str) -> String {
    [topic, ":meta"].concat()
}

pub(super) fn log(topic: &str) -> String {
    [topic, ":log"].concat()
}

pub(super) fn cache(topic: &str) -> String {
    [topic, ":cache"].concat()
}

pub(super) fn users(topic: &str) -> String {
    [topic, ":users"].concat()
}

pub(super) fn members(topic: &str) -> String {
    [topic, ":members"].concat()
}

pub(super) fn due(topic: &str) -> String {
    [topic, ":due"].concat()
}

/// Where the last entries of logs stood that are gone.
pub(super) fn ends(topic: &str) -> String {
    [topic, key::ENDS].concat()
}

/// The users of one node.
pub(super) fn users_at(topic: &str, node: &str) -> String {
    [topic, ":at:", node].concat()
}

/// The slot of a key in a Redis Cluster: the CRC of what is in its first braces.
///
/// Source: Redis Cluster specification, "Key distribution model" and "Hash tags".
pub(super) fn slot(key: &str) -> u16 {
    let tagged = key.find('{').and_then(|open| {
        let inner = &key[open + 1..];
        let close = inner.find('}')?;
        (close > 0).then(|| &inner[..close])
    });
    crc16(tagged.unwrap_or(key).as_bytes()) % 16_384
}

/// CRC-16 of the XMODEM kind.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc: u16, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| match crc & 0x8000 {
            0 => crc << 1,
            _ => (crc << 1) ^ 0x1021,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        // The specification's own example, and values of CLUSTER KEYSLOT.
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot("foo"), 12_182);
        assert_eq!(slot("{user1000}.following"), slot("{user1000}.followers"));
        assert_eq!(slot("foo{}{bar}"), crc16(b"foo{}{bar}") % 16_384);
    }

    #[test]
    fn topics_name_what_they_are_of() {
        let keys = Keys::new("fanfare:");
        let topic = keys.topic("1", "a");
        assert_eq!(keys.parse(&topic), Some(("1", Subject::Channel("a"))));
        let topic = keys.topic_of_user("1", "a}:b");
        assert_eq!(keys.parse(&topic), Some(("1", Subject::User("a}:b"))));
        assert_eq!(keys.parse("other:{1:a}"), None);
        assert_eq!(keys.parse(&keys.apps()), None);
        assert_eq!(slot(&log(&topic)), slot(&topic));
    }
}
