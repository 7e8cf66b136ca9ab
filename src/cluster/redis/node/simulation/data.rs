//! What stands in a simulated Redis: the commands that nodes and scripts use, as Redis does them.

use std::collections::{BTreeMap, BTreeSet};

type Bytes = Vec<u8>;

/// What a command returns.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    Nil,
    Int(i64),
    Bytes(Bytes),
    List(Vec<Reply>),
}

#[derive(Clone, Debug)]
enum Kept {
    Text(Bytes),
    Hash(BTreeMap<Bytes, Bytes>),
    Set(BTreeSet<Bytes>),
    Scores(BTreeMap<Bytes, i64>),
    Log(BTreeMap<(u64, u64), Vec<Bytes>>),
}

#[derive(Clone, Debug)]
struct Key {
    kept: Kept,
    until: Option<u64>,
}

/// All keys of a server. A clone is an older state of it, later.
#[derive(Clone, Debug, Default)]
pub(super) struct Data {
    keys: BTreeMap<Bytes, Key>,
    /// Milliseconds of the server's clock.
    pub(super) now: u64,
    /// What was published and not passed on yet.
    pub(super) published: Vec<(String, Bytes)>,
    /// Who listens to a topic.
    pub(super) listeners: BTreeMap<String, usize>,
}

fn number(bytes: &[u8]) -> i64 {
    let text = std::str::from_utf8(bytes).unwrap();
    text.parse::<f64>().map(|number| number as i64).unwrap()
}

fn texts(list: impl IntoIterator<Item = Bytes>) -> Reply {
    Reply::List(list.into_iter().map(Reply::Bytes).collect())
}

/// The id of an entry, and whether it is itself left out.
fn entry_id(bytes: &[u8], open: (u64, u64)) -> ((u64, u64), bool) {
    let text = std::str::from_utf8(bytes).unwrap();
    if matches!(text, "-" | "+") {
        return (open, false);
    }
    let (text, is_left_out) = match text.strip_prefix('(') {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (ms, offset) = text.split_once('-').unwrap();
    ((ms.parse().unwrap(), offset.parse().unwrap()), is_left_out)
}

macro_rules! kept {
    ($name:ident, $kind:ident, $type:ty) => {
        fn $name(&mut self, key: &[u8]) -> &mut $type {
            let key = self.keys.entry(key.to_vec()).or_insert_with(|| Key {
                kept: Kept::$kind(<$type>::default()),
                until: None,
            });
            match &mut key.kept {
                Kept::$kind(kept) => kept,
                other => panic!("a key is used as what it is not: {other:?}"),
            }
        }
    };
}

impl Data {
    kept!(hash, Hash, BTreeMap<Bytes, Bytes>);
    kept!(set, Set, BTreeSet<Bytes>);
    kept!(scores, Scores, BTreeMap<Bytes, i64>);
    kept!(log, Log, BTreeMap<(u64, u64), Vec<Bytes>>);

    /// Forgets keys whose time is over, and those that have nothing in them.
    fn tidy(&mut self, key: &[u8]) {
        let Some(found) = self.keys.get(key) else {
            return;
        };
        let is_empty = match &found.kept {
            Kept::Text(_) => false,
            Kept::Hash(kept) => kept.is_empty(),
            Kept::Set(kept) => kept.is_empty(),
            Kept::Scores(kept) => kept.is_empty(),
            Kept::Log(_) => false,
        };
        if is_empty || found.until.is_some_and(|until| until <= self.now) {
            self.keys.remove(key);
        }
    }

    /// The fields of a hash.
    pub(super) fn fields(&mut self, key: &str) -> BTreeMap<String, String> {
        self.tidy(key.as_bytes());
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        match self.keys.get(key.as_bytes()).map(|key| &key.kept) {
            Some(Kept::Hash(hash)) => hash.iter().map(|(k, v)| (text(k), text(v))).collect(),
            _ => BTreeMap::new(),
        }
    }

    /// Whether a key is there, and not for a while only.
    pub(super) fn is_kept_for_good(&self, key: &str) -> bool {
        let key = self.keys.get(key.as_bytes());
        key.is_some_and(|key| key.until.is_none())
    }

    /// What begins so is as it was.
    pub(super) fn replace(&mut self, older: &Self, prefix: &str) {
        let is_meant = |name: &Bytes| name.starts_with(prefix.as_bytes());
        self.keys.retain(|name, _| !is_meant(name));
        let older = older.keys.iter().filter(|(name, _)| is_meant(name));
        self.keys
            .extend(older.map(|(name, key)| (name.clone(), key.clone())));
    }

    /// The keys that are there, and not for a while only.
    pub(super) fn lasting(&self) -> Vec<String> {
        let keys = self.keys.iter().filter(|(_, key)| key.until.is_none());
        keys.map(|(name, _)| String::from_utf8_lossy(name).into_owned())
            .collect()
    }

    /// Carries a command out.
    pub(super) fn call(&mut self, arguments: &[Bytes]) -> Result<Reply, String> {
        let name = String::from_utf8_lossy(&arguments[0]).to_ascii_uppercase();
        let rest = &arguments[1..];
        if let Some(key) = rest.first() {
            self.tidy(key);
        }
        let reply = match &name[..1] {
            "H" => self.on_hash(&name, rest),
            "S" if name != "SET" && name != "SPUBLISH" => self.on_set(&name, rest),
            "Z" => self.on_scores(&name, rest),
            "X" => self.on_log(&name, rest)?,
            _ => self.on_other(&name, rest),
        };
        if let Some(key) = rest.first() {
            self.tidy(key);
        }
        Ok(reply)
    }

    fn on_hash(&mut self, name: &str, rest: &[Bytes]) -> Reply {
        let hash = self.hash(&rest[0]);
        let get = |hash: &BTreeMap<Bytes, Bytes>, field: &Bytes| {
            hash.get(field).cloned().map_or(Reply::Nil, Reply::Bytes)
        };
        match name {
            "HGET" => get(hash, &rest[1]),
            "HMGET" => Reply::List(rest[1..].iter().map(|field| get(hash, field)).collect()),
            "HSET" => {
                for pair in rest[1..].chunks(2) {
                    hash.insert(pair[0].clone(), pair[1].clone());
                }
                Reply::Int(1)
            }
            "HDEL" => {
                let gone = rest[1..]
                    .iter()
                    .filter(|field| hash.remove(*field).is_some());
                Reply::Int(gone.count() as i64)
            }
            "HKEYS" => texts(hash.keys().cloned()),
            "HVALS" => texts(hash.values().cloned()),
            "HGETALL" => texts(hash.iter().flat_map(|(k, v)| [k.clone(), v.clone()])),
            "HLEN" => Reply::Int(hash.len() as i64),
            "HEXISTS" => Reply::Int(i64::from(hash.contains_key(&rest[1]))),
            "HINCRBY" => {
                let value = hash.get(&rest[1]).map_or(0, |value| number(value));
                let value = value + number(&rest[2]);
                hash.insert(rest[1].clone(), value.to_string().into());
                Reply::Int(value)
            }
            _ => panic!("{name} is not simulated"),
        }
    }

    fn on_set(&mut self, name: &str, rest: &[Bytes]) -> Reply {
        let set = self.set(&rest[0]);
        let count = |done: usize| Reply::Int(done as i64);
        match name {
            "SADD" => count(
                rest[1..]
                    .iter()
                    .filter(|m| set.insert((*m).clone()))
                    .count(),
            ),
            "SREM" => count(rest[1..].iter().filter(|m| set.remove(*m)).count()),
            "SISMEMBER" => Reply::Int(i64::from(set.contains(&rest[1]))),
            "SMEMBERS" => texts(set.iter().cloned()),
            _ => panic!("{name} is not simulated"),
        }
    }

    fn on_scores(&mut self, name: &str, rest: &[Bytes]) -> Reply {
        let scores = self.scores(&rest[0]);
        let mut sorted: Vec<(i64, Bytes)> = scores.iter().map(|(m, s)| (*s, m.clone())).collect();
        sorted.sort();
        let bound = |bytes: &[u8], open: i64| match bytes {
            b"-inf" | b"+inf" => open,
            [b'(', exact @ ..] => number(exact) + open.signum().wrapping_neg(),
            exact => number(exact),
        };
        match name {
            "ZADD" => {
                scores.insert(rest[2].clone(), number(&rest[1]));
                Reply::Int(1)
            }
            "ZREM" => Reply::Int(i64::from(scores.remove(&rest[1]).is_some())),
            "ZSCORE" => match scores.get(&rest[1]) {
                Some(score) => Reply::Bytes(score.to_string().into()),
                None => Reply::Nil,
            },
            "ZCARD" => Reply::Int(scores.len() as i64),
            "ZRANGEBYSCORE" => {
                let least = bound(&rest[1], i64::MIN);
                let most = bound(&rest[2], i64::MAX);
                let limit = rest
                    .get(5)
                    .map_or(usize::MAX, |limit| number(limit) as usize);
                let found = sorted
                    .into_iter()
                    .filter(|(s, _)| (least..=most).contains(s));
                texts(found.map(|(_, member)| member).take(limit))
            }
            "ZRANGE" | "ZREVRANGE" => {
                if name == "ZREVRANGE" {
                    sorted.reverse();
                }
                let last = number(&rest[2]);
                let count = usize::try_from(last + 1).ok().filter(|_| last >= 0);
                let found = sorted.into_iter().take(count.unwrap_or(usize::MAX));
                match rest.get(3) {
                    Some(_) => texts(found.flat_map(|(s, m)| [m, s.to_string().into()])),
                    None => texts(found.map(|(_, member)| member)),
                }
            }
            _ => panic!("{name} is not simulated"),
        }
    }

    fn on_log(&mut self, name: &str, rest: &[Bytes]) -> Result<Reply, String> {
        const EVER: (u64, u64) = (u64::MAX, u64::MAX);
        let id_of = |id: &(u64, u64)| Bytes::from(format!("{}-{}", id.0, id.1));
        if matches!(name, "XRANGE" | "XREVRANGE") && !self.keys.contains_key(&rest[0]) {
            return Ok(Reply::List(Vec::new()));
        }
        let log = self.log(&rest[0]);
        Ok(match name {
            "XADD" => {
                let (oldest, _) = entry_id(&rest[3], EVER);
                let (id, _) = entry_id(&rest[4], EVER);
                if log.last_key_value().is_some_and(|(last, _)| *last >= id) {
                    return Err("ERR the id is not above all others".to_owned());
                }
                log.retain(|id, _| *id >= oldest);
                log.insert(id, rest[5..].to_vec());
                Reply::Bytes(id_of(&id))
            }
            "XTRIM" => {
                let before = log.len();
                match &*rest[1] {
                    b"MINID" => {
                        let (oldest, _) = entry_id(&rest[3], EVER);
                        log.retain(|id, _| *id >= oldest);
                    }
                    _ => {
                        while log.len() as i64 > number(&rest[3]) {
                            log.pop_first();
                        }
                    }
                }
                Reply::Int((before - log.len()) as i64)
            }
            "XRANGE" | "XREVRANGE" => {
                let (from, to) = match name {
                    "XRANGE" => (&rest[1], &rest[2]),
                    _ => (&rest[2], &rest[1]),
                };
                let (first, without_first) = entry_id(from, (0, 0));
                let (last, without_last) = entry_id(to, EVER);
                let count = rest
                    .get(4)
                    .map_or(usize::MAX, |count| number(count) as usize);
                let is_in = |id: &(u64, u64)| {
                    (*id > first || (*id == first && !without_first))
                        && (*id < last || (*id == last && !without_last))
                };
                let entry = |(id, fields): (&(u64, u64), &Vec<Bytes>)| {
                    Reply::List(vec![Reply::Bytes(id_of(id)), texts(fields.clone())])
                };
                let found = log.iter().filter(|(id, _)| is_in(id));
                Reply::List(match name {
                    "XRANGE" => found.take(count).map(entry).collect(),
                    _ => found.rev().take(count).map(entry).collect(),
                })
            }
            _ => panic!("{name} is not simulated"),
        })
    }

    fn on_other(&mut self, name: &str, rest: &[Bytes]) -> Reply {
        match name {
            "TIME" => {
                let micros = (self.now % 1000) * 1000;
                texts([self.now / 1000, micros].map(|part| part.to_string().into()))
            }
            "PUBLISH" | "SPUBLISH" => {
                let topic = String::from_utf8_lossy(&rest[0]).into_owned();
                let count = self.listeners.get(&topic).copied().unwrap_or(0);
                self.published.push((topic, rest[1].clone()));
                Reply::Int(count as i64)
            }
            "PUBSUB" => {
                let topic = String::from_utf8_lossy(&rest[1]).into_owned();
                let count = self.listeners.get(&topic).copied().unwrap_or(0);
                Reply::List(vec![Reply::Bytes(topic.into()), Reply::Int(count as i64)])
            }
            "GET" => match self.keys.get(&rest[0]).map(|key| &key.kept) {
                Some(Kept::Text(text)) => Reply::Bytes(text.clone()),
                _ => Reply::Nil,
            },
            "SET" => {
                let until = rest.get(3).map(|ms| self.now + number(ms) as u64);
                let kept = Kept::Text(rest[1].clone());
                self.keys.insert(rest[0].clone(), Key { kept, until });
                Reply::Nil
            }
            "DEL" => {
                let gone = rest.iter().filter(|key| self.keys.remove(*key).is_some());
                Reply::Int(gone.count() as i64)
            }
            "PEXPIRE" | "PERSIST" => {
                let until = rest.get(1).map(|ms| self.now + number(ms) as u64);
                match self.keys.get_mut(&rest[0]) {
                    Some(key) => {
                        key.until = until;
                        Reply::Int(1)
                    }
                    None => Reply::Int(0),
                }
            }
            "PTTL" => {
                let until = self.keys.get(&rest[0]).and_then(|key| key.until);
                Reply::Int(until.map_or(-1, |until| (until - self.now) as i64))
            }
            _ => panic!("{name} is not simulated"),
        }
    }
}
