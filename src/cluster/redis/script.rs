//! The scripts that Redis runs, and what they return.

use std::sync::LazyLock;
use std::time::Duration;

use redis::{Cmd, Script, ToRedisArgs, Value};

use super::entry::{EntryId, NodeId, Place, Unreadable};

/// What a script calls its keys and arguments, in their order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names {
    pub(super) keys: &'static [&'static str],
    pub(super) arguments: &'static [&'static str],
}

/// A script with its name for EVALSHA.
pub(super) struct Known {
    code: &'static str,
    script: Script,
    names: Names,
}

/// A call of a script, to which its arguments are added in their order.
pub(super) struct Call {
    command: Cmd,
    missing: &'static [&'static str],
}

impl Known {
    fn new(code: &'static str, names: Names) -> Self {
        Self {
            code,
            script: Script::new(code),
            names,
        }
    }

    /// A call with these keys; some scripts can do without the last.
    pub(super) fn call<K: AsRef<str>>(&self, keys: &[K]) -> Call {
        debug_assert!(keys.len() <= self.names.keys.len());
        let mut command = redis::cmd("EVALSHA");
        command.arg(self.script.get_hash()).arg(keys.len());
        for key in keys {
            command.arg(key.as_ref());
        }
        Call {
            command,
            missing: self.names.arguments,
        }
    }

    #[cfg(test)]
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    #[cfg(test)]
    pub(super) fn hash(&self) -> &str {
        self.script.get_hash()
    }

    #[cfg(test)]
    pub(super) fn names(&self) -> Names {
        self.names
    }

    /// Makes the script known to a server.
    pub(super) fn load(&self) -> Cmd {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(self.code);
        command
    }
}

impl Call {
    /// Adds the next argument, which the script calls so.
    pub(super) fn arg(mut self, name: &'static str, value: impl ToRedisArgs) -> Self {
        let (next, missing) = self.missing.split_first().unwrap_or((&"", &[]));
        debug_assert_eq!(*next, name, "an argument is out of its order");
        self.missing = missing;
        self.command.arg(value);
        self
    }

    /// The call with all its arguments; more may follow where the script takes any number of them.
    pub(super) fn command(self) -> Cmd {
        debug_assert!(self.missing.is_empty(), "missing: {:?}", self.missing);
        self.command
    }
}

macro_rules! scripts {
    ($($name:ident = $file:literal ($($key:ident)*) ($($argument:ident)*),)*) => {
        $(pub(super) static $name: LazyLock<Known> = LazyLock::new(|| {
            Known::new(include_str!(concat!("lua/", $file, ".lua")), Names {
                keys: &[$(stringify!($key)),*],
                arguments: &[$(stringify!($argument)),*],
            })
        });)*

        /// All of them.
        pub(super) fn all() -> Vec<&'static Known> {
            vec![$(&$name),*]
        }
    };
}

scripts! {
    PUBLISH = "publish" (meta log cache)
        (node new_epoch history most_entries publish topic body head keeps cached cached_for log_bytes
            listens later),
    CHANNEL = "channel" (meta log cache users members due at memory_key)
        (asker node new_epoch history publish topic version most_members flags delay known_epoch known_id
            page_bytes announced_again_after known_memory count_at_once count_interval repeated_for),
    HEARTBEAT = "heartbeat" (nodes versions dead memory logs timeouts)
        (node version timeout new known_name known_beats new_name log_bytes remembered_for cleanup
            most_dead),
    GOODBYE = "goodbye" (nodes versions dead memory logs timeouts gone)
        (node leaves alive_within remembered_for),
    BURY = "bury" (dead gone) (node remembered_for),
    REPORT = "report" (meta users cache) (with_cached),
    CLAIM = "claim" (key) (claimant lasts longest most),
    SETTLE = "settle" (key) (claimant answer lasts),
    RIGHTS = "rights" () (prefix cluster),
    TRIM = "trim" (meta log) (age),
    HAND_IN = "hand_in" (ends) (kept_for),
}

/// What the channel script returns.
#[derive(Debug)]
pub(super) struct ChannelReply {
    pub(super) epoch: Box<str>,
    pub(super) last: EntryId,
    pub(super) subscribers: usize,
    pub(super) is_online: bool,
    /// Whether the log goes on from where the node was.
    pub(super) known_here: bool,
    pub(super) entries: Vec<(EntryId, Vec<u8>)>,
    /// Whether the log goes on after them.
    pub(super) has_more: bool,
    pub(super) refused: Vec<String>,
    /// What the node has to report, and in how many milliseconds.
    pub(super) due: Vec<(String, u64)>,
    /// Users and their user_info.
    pub(super) roster: Option<Vec<(String, String)>>,
    /// The last event, and for how many milliseconds it is kept.
    pub(super) cached: Option<(Vec<u8>, u64)>,
    /// The numbers of what was written last, and the nodes that did.
    pub(super) numbers: Vec<(NodeId, u64)>,
    /// The offset of the last entry from before the epoch: 0, or where the log has gone on under another
    /// epoch.
    pub(super) begun_after: u64,
    /// What other nodes may have to report of what is there, and in how many milliseconds.
    pub(super) doubted: Vec<(String, u64)>,
    /// The last entries of logs that are gone, as those have handed them in who wrote them.
    pub(super) ends: Vec<Place>,
}

impl ChannelReply {
    /// Where the log is.
    pub(super) fn place(&self) -> Place {
        Place {
            epoch: self.epoch.clone(),
            id: self.last,
        }
    }

    pub(super) fn read(value: Value) -> Result<Self, Unreadable> {
        let mut parts = list(value)?.into_iter();
        let mut next = || parts.next().ok_or(Unreadable);
        let epoch = text(next()?)?.into();
        let last = text(next()?)?.parse()?;
        let subscribers = number(next()?)? as usize;
        let is_online = number(next()?)? == 1;
        let known_here = number(next()?)? == 1;
        let entries = list(next()?)?.into_iter().map(|entry| {
            let [id, body]: [Value; 2] = list(entry)?.try_into().map_err(|_| Unreadable)?;
            Ok((text(id)?.parse()?, bytes(body)?))
        });
        let entries = entries.collect::<Result<_, Unreadable>>()?;
        let refused = texts(next()?)?;
        let due = pairs(list(next()?)?, text, number)?;
        let roster = match next()? {
            Value::Nil | Value::Boolean(false) => None,
            roster => Some(pairs(list(roster)?, text, text)?),
        };
        let cached = next()?;
        let cached_for = number(next()?)?;
        let has_more = number(next()?)? == 1;
        let parsed_number = |value| text(value)?.parse().map_err(|_| Unreadable);
        let numbers = pairs(list(next()?)?, |node| text(node)?.parse(), parsed_number)?;
        Ok(Self {
            epoch,
            last,
            subscribers,
            is_online,
            known_here,
            entries,
            has_more,
            refused,
            due,
            roster,
            cached: cached_event(cached, cached_for)?,
            numbers,
            begun_after: number(next()?)?,
            doubted: pairs(list(next()?)?, text, number)?,
            ends: ends(next()?)?,
        })
    }
}

/// What the publish script returns.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Published {
    /// Whether an entry was written.
    pub(super) is_logged: bool,
    /// Whether others listen, though none is known to.
    pub(super) was_forgotten: bool,
    /// Entries that left the log before their time, and bytes of all that left it.
    pub(super) evicted: u64,
    pub(super) freed: usize,
    /// The entry, where it was written.
    pub(super) place: Option<Place>,
}

impl Published {
    pub(super) fn read(value: Value) -> Self {
        let mut parts = match value {
            Value::Array(parts) => parts.into_iter(),
            done => vec![done].into_iter(),
        };
        let mut next = || parts.next().unwrap_or(Value::Nil);
        let [done, evicted, freed] = [next(), next(), next()].map(|part| number(part).unwrap_or(0));
        Self {
            is_logged: done != 0,
            was_forgotten: done == 3,
            evicted,
            freed: freed as usize,
            place: place(next(), next()).ok(),
        }
    }
}

fn place(epoch: Value, id: Value) -> Result<Place, Unreadable> {
    Ok(Place {
        epoch: text(epoch)?.into(),
        id: text(id)?.parse()?,
    })
}

fn ends(value: Value) -> Result<Vec<Place>, Unreadable> {
    let ends = pairs(list(value)?, text, |id| text(id)?.parse())?;
    let places = ends.into_iter().map(|(epoch, id)| Place {
        epoch: epoch.into(),
        id,
    });
    Ok(places.collect())
}

/// What the report script returns.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) subscribers: usize,
    pub(super) users: usize,
    pub(super) cached: Option<(Vec<u8>, u64)>,
}

impl Report {
    pub(super) fn read(value: Value) -> Result<Self, Unreadable> {
        let parts: [Value; 4] = list(value)?.try_into().map_err(|_| Unreadable)?;
        let [subscribers, users, cached, cached_for] = parts;
        Ok(Self {
            subscribers: number(subscribers)? as usize,
            users: number(users)? as usize,
            cached: cached_event(cached, number(cached_for)?)?,
        })
    }
}

/// What the heartbeat script returns.
#[derive(Debug)]
pub(super) struct Pulse {
    /// Whether the node counted as alive.
    pub(super) is_known: bool,
    pub(super) nodes: usize,
    pub(super) lowest_version: u8,
    pub(super) highest_version: u8,
    /// Nodes that this one is to clean up after.
    pub(super) dead: Vec<String>,
    pub(super) memory: Memory,
    /// How long ago the memory lost anything, if it has.
    pub(super) lost: Option<Duration>,
    /// Bytes of channels' logs that all nodes have written and that are kept, about.
    pub(super) logged: usize,
    /// After how much silence any node is dead at most.
    pub(super) longest_timeout: Duration,
}

/// What Redis remembers, as of a heartbeat. Another name: it has lost what it had, or has an older
/// state of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    pub(super) name: Box<str>,
    /// The heartbeats that it has counted.
    pub(super) beats: u64,
}

impl Pulse {
    pub(super) fn read(value: Value) -> Result<Self, Unreadable> {
        let parts: [Value; 10] = list(value)?.try_into().map_err(|_| Unreadable)?;
        let [
            is_known,
            nodes,
            lowest,
            highest,
            dead,
            name,
            beats,
            logged,
            lost,
            longest_timeout,
        ] = parts;
        let version = |value| u8::try_from(number(value)?).map_err(|_| Unreadable);
        Ok(Self {
            is_known: number(is_known)? == 1,
            nodes: number(nodes)? as usize,
            lowest_version: version(lowest)?,
            highest_version: version(highest)?,
            dead: texts(dead)?,
            memory: Memory {
                name: text(name)?.into(),
                beats: number(beats)?,
            },
            logged: number(logged)? as usize,
            lost: match lost {
                Value::Nil | Value::Boolean(false) => None,
                ms => Some(Duration::from_millis(number(ms)?)),
            },
            longest_timeout: Duration::from_millis(number(longest_timeout)?),
        })
    }
}

fn cached_event(value: Value, ms: u64) -> Result<Option<(Vec<u8>, u64)>, Unreadable> {
    match value {
        Value::Nil | Value::Boolean(false) => Ok(None),
        value => Ok(Some((bytes(value)?, ms))),
    }
}

pub(super) fn list(value: Value) -> Result<Vec<Value>, Unreadable> {
    match value {
        Value::Array(list) | Value::Set(list) => Ok(list),
        Value::Map(pairs) => Ok(pairs.into_iter().flat_map(|(a, b)| [a, b]).collect()),
        Value::Nil => Ok(Vec::new()),
        _ => Err(Unreadable),
    }
}

fn pairs<A, B>(
    values: Vec<Value>,
    first: impl Fn(Value) -> Result<A, Unreadable>,
    second: impl Fn(Value) -> Result<B, Unreadable>,
) -> Result<Vec<(A, B)>, Unreadable> {
    let mut pairs = Vec::with_capacity(values.len() / 2);
    let mut values = values.into_iter();
    while let Some(value) = values.next() {
        pairs.push((first(value)?, second(values.next().ok_or(Unreadable)?)?));
    }
    Ok(pairs)
}

pub(super) fn texts(value: Value) -> Result<Vec<String>, Unreadable> {
    list(value)?.into_iter().map(text).collect()
}

pub(super) fn text(value: Value) -> Result<String, Unreadable> {
    String::from_utf8(bytes(value)?).map_err(|_| Unreadable)
}

pub(super) fn bytes(value: Value) -> Result<Vec<u8>, Unreadable> {
    match value {
        Value::BulkString(bytes) => Ok(bytes),
        Value::SimpleString(text) => Ok(text.into_bytes()),
        Value::Okay => Ok(b"OK".to_vec()),
        _ => Err(Unreadable),
    }
}

/// A number that is not negative; the times that Redis gives for want of one (-1, -2) become 0.
pub(super) fn number(value: Value) -> Result<u64, Unreadable> {
    match value {
        Value::Int(number) => Ok(u64::try_from(number).unwrap_or(0)),
        _ => Err(Unreadable),
    }
}
