//! One entry of a channel's log, as it stands there and as it is published.
//!
//! A body is the version (a digit), the kind (a letter), the node that wrote it (16 hexadecimal
//! digits), and fields, each with its length in front: `3:abc`. A published message has the
//! channel's epoch and the entry's id before it. Scripts write bodies as well as this module does:
//! hence a form that both find easy.

use std::collections::VecDeque;
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use rand::Rng;

use super::wire::entry;
use crate::protocol::SocketId;

/// The version that this node speaks. It reads the one before too, once there is one.
pub(super) const VERSION: u8 = 1;
/// The oldest version that this node reads.
pub(super) const OLDEST: u8 = 1;

/// One run of one process.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct NodeId(pub(super) u64);

impl NodeId {
    pub(super) fn random(rng: &mut impl Rng) -> Self {
        Self(rng.next_u64())
    }
}

/// One process, under all ids that it had.
#[derive(Debug)]
pub(super) struct NodeIds {
    /// The one that counts.
    pub(super) current: NodeId,
    /// Under these others took it for dead, or Redis forgot it; the oldest first.
    earlier: VecDeque<NodeId>,
}

impl NodeIds {
    /// Ids that are still known as the process's own. An older one is known to nobody any more.
    const MOST: usize = 64;

    pub(super) fn new(first: NodeId) -> Self {
        Self {
            current: first,
            earlier: VecDeque::new(),
        }
    }

    /// Whether it is one of them.
    pub(super) fn contains(&self, id: NodeId) -> bool {
        self.current == id || self.earlier.contains(&id)
    }

    /// The id that counts is another one from now on. Returns the one that did.
    pub(super) fn become_another(&mut self, id: NodeId) -> NodeId {
        if self.earlier.len() + 1 == Self::MOST {
            self.earlier.pop_front();
        }
        let former = std::mem::replace(&mut self.current, id);
        self.earlier.push_back(former);
        former
    }

    pub(super) fn earlier(&self) -> impl Iterator<Item = NodeId> {
        self.earlier.iter().copied()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for NodeId {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        match text.len() {
            16 => u64::from_str_radix(text, 16)
                .map(Self)
                .map_err(|_| Unreadable),
            _ => Err(Unreadable),
        }
    }
}

/// An entry's place in its log: the server's clock in milliseconds, and the channel's count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryId {
    pub(super) ms: u64,
    pub(super) offset: u64,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.offset)
    }
}

impl FromStr for EntryId {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let (ms, offset) = text.split_once('-').ok_or(Unreadable)?;
        Ok(Self {
            ms: ms.parse().map_err(|_| Unreadable)?,
            offset: offset.parse().map_err(|_| Unreadable)?,
        })
    }
}

/// An entry of a log, which is known by its epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) epoch: Box<str>,
    pub(super) id: EntryId,
}

/// A text from Redis is nothing that this version knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown to this version")]
pub(super) struct Unreadable;

/// A published message: an entry with its place.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) epoch: Bytes,
    pub(super) id: EntryId,
    pub(super) body: Bytes,
}

impl Message {
    pub(super) fn parse(bytes: Bytes) -> Result<Self, Unreadable> {
        let space = |from: usize| {
            let found = memchr::memchr(b' ', bytes.get(from..)?)?;
            Some(from + found)
        };
        let first = space(0).ok_or(Unreadable)?;
        let second = space(first + 1).ok_or(Unreadable)?;
        let id = std::str::from_utf8(&bytes[first + 1..second]).map_err(|_| Unreadable)?;
        Ok(Self {
            epoch: bytes.slice(..first),
            id: id.parse()?,
            body: bytes.slice(second + 1..),
        })
    }
}

/// What an entry is about.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) origin: NodeId,
    pub(super) what: What,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Events, in order.
    Events { number: u64, events: Vec<Event> },
    /// Users who have come, with their user_info.
    Added(Vec<(String, String)>),
    /// Users who have gone.
    Removed(Vec<String>),
    /// The channel's subscribers.
    Total(usize),
    /// The user is online.
    Online,
    /// The user is offline.
    Offline,
    /// The user's connections are to be closed.
    Close {
        number: u64,
        code: u16,
        reason: String,
    },
}

/// One event, as its subscribers get it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// Whether it is kept as its channel's last.
    pub(super) is_cached: bool,
    /// The connection that does not get it.
    pub(super) except: Option<SocketId>,
    /// The WebSocket message; valid UTF-8.
    pub(super) payload: Bytes,
}

impl Entry {
    pub(super) fn parse(body: &Bytes) -> Result<Self, Unreadable> {
        const HEAD: usize = 18;
        let head = body.get(..HEAD).ok_or(Unreadable)?;
        let head = std::str::from_utf8(head).map_err(|_| Unreadable)?;
        if !head.is_ascii() {
            return Err(Unreadable);
        }
        let version = head.as_bytes()[0].wrapping_sub(b'0');
        if !(OLDEST..=VERSION).contains(&version) {
            return Err(Unreadable);
        }
        let origin = head[2..].parse()?;
        let mut fields = Fields(body.slice(HEAD..));
        let what = match &head[1..2] {
            entry::EVENTS => What::Events {
                number: fields.number()?,
                events: fields.events()?,
            },
            entry::CLOSE => What::Close {
                number: fields.number()?,
                code: fields.number()?,
                reason: fields.text()?,
            },
            entry::ADDED => {
                let mut users = Vec::new();
                while !fields.is_empty() {
                    users.push((fields.text()?, fields.text()?));
                }
                What::Added(users)
            }
            entry::REMOVED => {
                let mut users = Vec::new();
                while !fields.is_empty() {
                    users.push(fields.text()?);
                }
                What::Removed(users)
            }
            entry::TOTAL => What::Total(fields.number()?),
            entry::ONLINE => What::Online,
            entry::OFFLINE => What::Offline,
            _ => return Err(Unreadable),
        };
        Ok(Self { origin, what })
    }
}

/// Fields that have not been read yet.
struct Fields(Bytes);

impl Fields {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn next(&mut self) -> Result<Bytes, Unreadable> {
        let colon = memchr::memchr(b':', &self.0).ok_or(Unreadable)?;
        let length = std::str::from_utf8(&self.0[..colon]).map_err(|_| Unreadable)?;
        let length: usize = length.parse().map_err(|_| Unreadable)?;
        let (start, left) = (colon + 1, self.0.len() - colon - 1);
        if length > left {
            return Err(Unreadable);
        }
        let field = self.0.slice(start..start + length);
        self.0 = self.0.slice(start + length..);
        Ok(field)
    }

    fn text(&mut self) -> Result<String, Unreadable> {
        String::from_utf8(self.next()?.into()).map_err(|_| Unreadable)
    }

    fn number<T: FromStr>(&mut self) -> Result<T, Unreadable> {
        let field = self.next()?;
        let text = std::str::from_utf8(&field).map_err(|_| Unreadable)?;
        text.parse().map_err(|_| Unreadable)
    }

    fn events(&mut self) -> Result<Vec<Event>, Unreadable> {
        let mut events = Vec::new();
        while !self.is_empty() {
            let is_cached = !self.next()?.is_empty();
            let except = self.next()?;
            let except = if except.is_empty() {
                None
            } else {
                let text = std::str::from_utf8(&except).map_err(|_| Unreadable)?;
                Some(text.parse().map_err(|_| Unreadable)?)
            };
            let payload = self.next()?;
            // Clients close a connection on which text is no UTF-8.
            std::str::from_utf8(&payload).map_err(|_| Unreadable)?;
            events.push(Event {
                is_cached,
                except,
                payload,
            });
        }
        Ok(events)
    }
}

/// Writes a body that begins with this version, kind, node and number.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// The body of events, or of a request to close connections, under a number of which a node
    /// never uses a lower one on the channel again.
    pub(super) fn new(version: u8, kind: &str, origin: NodeId, number: u64) -> Self {
        let mut body = Vec::with_capacity(256);
        body.push(b'0' + version);
        body.extend_from_slice(kind.as_bytes());
        body.extend_from_slice(origin.to_string().as_bytes());
        let mut writer = Self(body);
        writer.field(number.to_string().as_bytes());
        writer
    }

    pub(super) fn event(&mut self, event: &Event) {
        self.field(if event.is_cached { b"c" } else { b"" });
        match event.except {
            Some(socket_id) => self.field(socket_id.to_string().as_bytes()),
            None => self.field(b""),
        }
        self.field(&event.payload);
    }

    pub(super) fn field(&mut self, field: &[u8]) {
        let mut length = itoa::Buffer::new();
        self.0
            .extend_from_slice(length.format(field.len()).as_bytes());
        self.0.push(b':');
        self.0.extend_from_slice(field);
    }

    /// The bytes so far: once only the number was written, what repetitions begin with.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(payload: &str) -> Event {
        Event {
            is_cached: true,
            except: Some("1.2".parse().unwrap()),
            payload: Bytes::copy_from_slice(payload.as_bytes()),
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let events = vec![event("{\"a\":\"é\"}"), event("")];
        let mut writer = Writer::new(VERSION, entry::EVENTS, NodeId(7), 42);
        for event in &events {
            writer.event(event);
        }
        let entry = Entry::parse(&writer.finish().into()).unwrap();
        assert_eq!(entry.origin, NodeId(7));
        assert_eq!(entry.what, What::Events { number: 42, events });
    }

    #[test]
    fn messages_of_scripts_are_read() {
        let message = Bytes::from("e1 17-3 1+00000000000000071:a4:\"{}\"".to_owned());
        let message = Message::parse(message).unwrap();
        assert_eq!((&*message.epoch, message.id.offset), (&b"e1"[..], 3));
        let entry = Entry::parse(&message.body).unwrap();
        let users = vec![("a".to_owned(), "\"{}\"".to_owned())];
        assert_eq!(entry.what, What::Added(users));
    }

    #[test]
    fn other_versions_and_kinds_are_refused() {
        let body = |text: &str| Entry::parse(&Bytes::from(text.to_owned()));
        assert!(body("1O0000000000000007").is_ok());
        for text in [
            "2O0000000000000007",
            "0O0000000000000007",
            "1?0000000000000007",
            "1O000000000000000",
            "1O00000000000000zz",
            "1E00000000000000071:x",
            "1E00000000000000071:10:0:9:x",
            "1X00000000000000071:1",
            "",
        ] {
            assert!(body(text).is_err(), "{text}");
        }
        let not_text = [b"1E00000000000000071:10:0:1:".as_slice(), b"\xff"].concat();
        assert!(Entry::parse(&Bytes::from(not_text)).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Message::parse(Bytes::from(bytes.clone()));
            let body = [b"1E0000000000000007".as_slice(), &bytes].concat();
            let _ = Entry::parse(&Bytes::from(body));
            let _ = Entry::parse(&Bytes::from(bytes));
        }
    }
}
