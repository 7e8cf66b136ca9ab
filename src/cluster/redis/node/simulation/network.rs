//! One Redis, and the ways to it: late, broken, or with something missing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use redis::{ErrorKind, Pipeline, RedisError, Value};

use super::acknowledged;
use super::data::Data;
use super::lua;
use super::written::{self, EntryNumber};
use crate::cluster::redis::link::{LinkId, Pushed};
use crate::cluster::redis::node::discovery::Discovered;
use crate::cluster::redis::node::io::{Event, Input, Io, Use};
use crate::cluster::redis::settings::Target;

/// Which run of which relay.
pub(super) type Run = (usize, u64);
type LinkKey = (Run, u64);

/// When the server's clock begins.
const EPOCH: u64 = 1_700_000_000_000;

enum Happening {
    /// Something is to reach the relay.
    Input(Run, Option<LinkId>, Input),
    /// Something is to reach the server.
    Use(Run, LinkId, Use),
    Connect(Run, String, LinkId),
}

#[derive(Default)]
struct Way {
    topics: BTreeSet<String>,
    is_cut: bool,
    loses_pushes: bool,
    loses_answers: bool,
    last_push: Duration,
}

/// How bad the way of one relay is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Trouble {
    /// Milliseconds by which all is late at most.
    pub(super) late: u64,
    /// Messages that get lost, and that come twice.
    pub(super) lost: u32,
    pub(super) doubled: u32,
    /// Until when the server cannot be reached.
    pub(super) away_until: Duration,
    /// When links broke last.
    pub(super) cut_at: Duration,
    /// Since when there is no connection.
    unconnected_since: Option<Duration>,
    /// For how long there was none at most.
    pub(super) longest_outage: Duration,
}

pub(super) struct Network {
    pub(super) now: Duration,
    pub(super) data: Data,
    /// Whether it is a Redis Cluster, in which channels and nodes are on several servers.
    pub(super) is_sharded: bool,
    pub(super) trouble: Vec<Trouble>,
    ways: BTreeMap<LinkKey, Way>,
    queue: BinaryHeap<Reverse<(Duration, u64)>>,
    happenings: BTreeMap<u64, Happening>,
    next: u64,
    rng: StdRng,
    /// Calls that were made.
    pub(super) calls: u64,
    /// What nodes have acknowledged as reported to webhooks: fields of what is due on a topic.
    pub(super) acknowledged: Vec<(Run, acknowledged::Due)>,
    /// The entry that each event was written in.
    pub(super) entries: BTreeMap<u64, EntryNumber>,
}

impl Network {
    pub(super) fn new(relays: usize, seed: u64, is_sharded: bool) -> Self {
        Self {
            now: Duration::ZERO,
            data: Data::default(),
            is_sharded,
            trouble: vec![Trouble::default(); relays],
            ways: BTreeMap::new(),
            queue: BinaryHeap::new(),
            happenings: BTreeMap::new(),
            next: 0,
            rng: StdRng::seed_from_u64(seed),
            calls: 0,
            acknowledged: Vec::new(),
            entries: BTreeMap::new(),
        }
    }

    fn put(&mut self, at: Duration, happening: Happening) {
        self.queue.push(Reverse((at, self.next)));
        self.happenings.insert(self.next, happening);
        self.next += 1;
    }

    fn delay(&mut self, run: Run) -> Duration {
        let late = self.trouble[run.0].late;
        Duration::from_micros(self.rng.random_range(100..=3000 + late * 1000))
    }

    /// Does what a relay wants done, a little later.
    pub(super) fn start(&mut self, run: Run, io: Io, target: &Target) {
        let at = self.now + self.delay(run);
        match io {
            Io::Discover(_) => {
                let (info, slots) = match target {
                    Target::Single(info) => (info, None),
                    Target::Cluster(list) => (&list[0], Some(vec![0; 16_384].into())),
                    Target::Sentinel(_) => unreachable!("sentinels are not simulated"),
                };
                let servers = vec![("redis".to_owned(), info.clone())];
                let found = Discovered { servers, slots };
                let event = Event::Discovered(Ok(found));
                self.put(at, Happening::Input(run, None, Input::Event(event)));
            }
            Io::Connect(address, _, link) => self.put(at, Happening::Connect(run, address, link)),
            Io::Use(link, what) => self.put(at, Happening::Use(run, link, what)),
            Io::Disconnect(link) => {
                if let Some(way) = self.ways.get_mut(&(run, link.0)) {
                    way.is_cut = true;
                    way.topics.clear();
                }
                self.count_listeners();
            }
        }
    }

    /// When something happens next.
    pub(super) fn next_at(&self) -> Option<Duration> {
        self.queue.peek().map(|Reverse((at, _))| *at)
    }

    /// What reaches a relay next, if what happens next is that.
    pub(super) fn step(&mut self) -> Option<(Run, Input)> {
        let Reverse((at, number)) = self.queue.pop()?;
        let happening = self.happenings.remove(&number)?;
        self.now = self.now.max(at);
        self.data.now = EPOCH + self.now.as_millis() as u64;
        match happening {
            Happening::Input(run, link, input) => Some((run, self.on_its_way(run, link, input)?)),
            Happening::Connect(run, address, link) => {
                let is_away = self.trouble[run.0].away_until > self.now;
                let link = if is_away {
                    Err(broken().into())
                } else {
                    self.ways.insert((run, link.0), Way::default());
                    self.note_connected(run);
                    Ok(link)
                };
                Some((run, Input::Event(Event::Connected(address, link))))
            }
            Happening::Use(run, link, what) => {
                self.reach(run, link, what);
                None
            }
        }
    }

    /// What comes of it: what is on its way when a link breaks may not arrive.
    fn on_its_way(&mut self, run: Run, link: Option<LinkId>, input: Input) -> Option<Input> {
        let Some(way) = link.and_then(|link| self.ways.get(&(run, link.0))) else {
            return Some(input);
        };
        Some(match input {
            Input::Pushed(_, Pushed::Lost) => input,
            Input::Pushed(..) if way.is_cut && way.loses_pushes => return None,
            Input::Event(Event::Answered(link, asked, items, _))
                if way.is_cut && way.loses_answers =>
            {
                Input::Event(Event::Answered(link, asked, items, Err(broken())))
            }
            input => input,
        })
    }

    fn reach(&mut self, run: Run, link: LinkId, what: Use) {
        let way = self.ways.get(&(run, link.0));
        let is_cut = way.is_none_or(|way| way.is_cut);
        // It may have arrived all the same, and only the answer not.
        let arrives = !is_cut || (self.trouble[run.0].away_until < self.now && self.rng.random());
        let error = is_cut.then(broken);
        let event = match what {
            Use::Call(lane, since, pipeline, items) => {
                let answers = if arrives {
                    self.execute(run, &pipeline)
                } else {
                    Vec::new()
                };
                let answers = error.map_or(Ok(answers), Err);
                Event::Answered(link, (lane, since), items, answers)
            }
            Use::Listen(pipeline, topics) => {
                if !is_cut {
                    self.listen(run, link, &pipeline);
                }
                Event::Listened(link, topics, error.map_or(Ok(Vec::new()), Err))
            }
            Use::Ping => Event::Pinged(link, error.map_or(Ok(()), Err)),
            Use::LoadScripts => Event::ScriptsLoaded(link, error.map_or(Ok(()), Err)),
        };
        let at = self.now + self.delay(run);
        self.put(at, Happening::Input(run, Some(link), Input::Event(event)));
    }

    fn execute(&mut self, run: Run, pipeline: &Pipeline) -> Vec<Value> {
        let mut answers = Vec::new();
        for command in pipeline.cmd_iter() {
            self.calls += 1;
            let arguments: Vec<Vec<u8>> = command
                .args_iter()
                .map(|argument| match argument {
                    redis::Arg::Simple(bytes) => bytes.to_vec(),
                    _ => unreachable!("no cursors are used"),
                })
                .collect();
            let acknowledged = acknowledged::acknowledged(&arguments).into_iter();
            self.acknowledged.extend(acknowledged.map(|due| (run, due)));
            if let Some((entry, events)) = written::written(&arguments) {
                self.entries
                    .extend(events.into_iter().map(|event| (event, entry)));
            }
            let answer = match &*arguments[0] {
                b"EVALSHA" => lua::run(&mut self.data, &arguments[1..]),
                _ => self.data.call(&arguments).map(lua::value_of),
            };
            answers.push(answer.unwrap());
            for (topic, message) in std::mem::take(&mut self.data.published) {
                self.publish(&topic, &message);
            }
        }
        answers
    }

    fn publish(&mut self, topic: &str, message: &[u8]) {
        let listening = self.ways.iter().filter(|(_, way)| !way.is_cut);
        let listening = listening.filter(|(_, way)| way.topics.contains(topic));
        let keys: Vec<LinkKey> = listening.map(|(key, _)| *key).collect();
        for (run, link) in keys {
            let trouble = &mut self.trouble[run.0];
            if trouble.lost > 0 {
                trouble.lost -= 1;
                continue;
            }
            let times = if trouble.doubled > 0 { 2 } else { 1 };
            trouble.doubled = trouble.doubled.saturating_sub(1);
            for _ in 0..times {
                let pushed = Pushed::Message(topic.into(), message.to_vec());
                self.push(run, LinkId(link), pushed);
            }
        }
    }

    /// In order behind all that was pushed before.
    fn push(&mut self, run: Run, link: LinkId, pushed: Pushed) {
        let at = self.now + self.delay(run);
        let way = self.ways.entry((run, link.0)).or_default();
        way.last_push = way.last_push.max(at) + Duration::from_nanos(1);
        let at = way.last_push;
        let input = Input::Pushed(link, pushed);
        self.put(at, Happening::Input(run, Some(link), input));
    }

    fn listen(&mut self, run: Run, link: LinkId, pipeline: &Pipeline) {
        for command in pipeline.cmd_iter() {
            let mut arguments = command.args_iter().map(|argument| match argument {
                redis::Arg::Simple(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                _ => unreachable!("no cursors are used"),
            });
            let (name, topic) = (arguments.next().unwrap(), arguments.next().unwrap());
            let way = self.ways.entry((run, link.0)).or_default();
            let pushed = match &*name {
                "SUBSCRIBE" | "SSUBSCRIBE" => {
                    way.topics.insert(topic.clone());
                    Pushed::Listening(topic.into())
                }
                _ => {
                    way.topics.remove(&topic);
                    Pushed::NotListening(topic.into())
                }
            };
            self.push(run, link, pushed);
        }
        self.count_listeners();
    }

    fn count_listeners(&mut self) {
        self.data.listeners.clear();
        for way in self.ways.values().filter(|way| !way.is_cut) {
            for topic in &way.topics {
                *self.data.listeners.entry(topic.clone()).or_default() += 1;
            }
        }
    }

    fn note_connected(&mut self, run: Run) {
        let trouble = &mut self.trouble[run.0];
        if let Some(since) = trouble.unconnected_since.take() {
            trouble.longest_outage = trouble.longest_outage.max(self.now - since);
        }
    }

    /// Breaks the links of a relay.
    pub(super) fn cut(&mut self, relay: usize) {
        let trouble = &mut self.trouble[relay];
        trouble.cut_at = self.now;
        trouble.unconnected_since.get_or_insert(self.now);
        let keys: Vec<LinkKey> = self.ways.keys().copied().collect();
        for (run, link) in keys {
            let (loses_pushes, loses_answers) = (self.rng.random(), self.rng.random());
            let Some(way) = self.ways.get_mut(&(run, link)) else {
                continue;
            };
            if run.0 != relay || way.is_cut {
                continue;
            }
            way.is_cut = true;
            way.topics.clear();
            way.loses_pushes = loses_pushes;
            way.loses_answers = loses_answers;
            self.push(run, LinkId(link), Pushed::Lost);
        }
        self.count_listeners();
    }

    /// What reaches this relay no more.
    pub(super) fn forget(&mut self, run: Run) {
        self.cut(run.0);
        self.happenings.retain(|_, happening| match happening {
            Happening::Input(to, ..) | Happening::Connect(to, ..) => *to != run,
            Happening::Use(..) => true,
        });
    }

    /// The server of the channels has what it had before, and that of the nodes what it has.
    pub(super) fn replace_channels(&mut self, older: &Data) {
        self.data.replace(older, "fanfare:{1:");
        self.count_listeners();
    }

    /// The server has this instead of what it had.
    pub(super) fn replace_data(&mut self, mut data: Data) {
        data.now = self.data.now;
        data.published.clear();
        self.data = data;
        self.count_listeners();
    }
}

fn broken() -> RedisError {
    (ErrorKind::Io, "the way is broken").into()
}
