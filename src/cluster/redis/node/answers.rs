//! What Redis answers, and what follows from it.

use std::time::{Duration, Instant};

use redis::{RedisResult, ServerError, Value};

use super::io::{Io, Use};
use super::jobs::{Item, Lane, NoAnswer, Then};
use super::state::Node;
use super::timers::Timer;
use crate::cluster::redis::channel::Done;
use crate::cluster::redis::keys::Topic;
use crate::cluster::redis::link::LinkId;
use crate::cluster::redis::rights::{Lack, Rights};
use crate::hub::Unavailable;

/// When a call is made again that was refused for now, and one that should not have been.
const SOON: Duration = Duration::from_millis(50);
const LATER: Duration = Duration::from_secs(1);
/// How often a call is made that is about no channel.
const MOST_TRIES: u32 = 40;

/// What an error from a server means.
enum Refusal {
    /// Scripts have to be made known again.
    Scripts,
    /// The server is not, or not now, the one to ask.
    NotHere,
    /// The server cannot be written to: another one can.
    Replica,
    /// The user may not do it (any more).
    Rights(Lack),
    /// Something is wrong, and may not be for ever.
    Other,
}

impl Refusal {
    fn of(error: &ServerError, rights: &Rights) -> Self {
        match error.code() {
            "NOSCRIPT" => Self::Scripts,
            "MOVED" | "ASK" | "TRYAGAIN" | "CLUSTERDOWN" => Self::NotHere,
            "READONLY" | "MASTERDOWN" | "LOADING" => Self::Replica,
            _ => match rights.lack_of(&error.clone().into()) {
                Some(lack) => Self::Rights(lack),
                None => Self::Other,
            },
        }
    }
}

impl Node {
    /// That a topic is listened to the server itself announces; here only what failed counts.
    pub(super) fn on_listened(
        &mut self,
        link: LinkId,
        topics: Vec<Topic>,
        answers: RedisResult<Vec<Value>>,
    ) {
        self.servers.listening_is_done(link);
        let error = match answers {
            Err(error) => return self.on_link_lost(link, &error.to_string()),
            Ok(answers) => answers.into_iter().find_map(|answer| match answer {
                Value::ServerError(error) => Some(error),
                _ => None,
            }),
        };
        let Some(error) = error else { return };
        let (is_trouble, delay) = match Refusal::of(&error, &self.setup.rights) {
            Refusal::Rights(lack) => return self.on_lack(link, lack, &error),
            Refusal::Other => {
                self.note_refusal(&error.to_string());
                (true, LATER)
            }
            Refusal::Scripts | Refusal::NotHere | Refusal::Replica => {
                self.at(self.now, Timer::Discover);
                (false, SOON)
            }
        };
        for topic in topics {
            if self.is_of_apps(topic.as_bytes()) {
                self.at(self.now + delay, Timer::FollowApps);
            } else if let Some(channel) = self.channels.get_mut(&topic)
                && channel.on_not_let_listen()
            {
                if is_trouble {
                    channel.answer_offline();
                }
                self.at(self.now + delay, Timer::Channel(topic));
            }
        }
    }

    pub(super) fn on_answers(
        &mut self,
        link: LinkId,
        (lane, since): (Lane, Instant),
        items: Vec<Item>,
        answers: RedisResult<Vec<Value>>,
    ) {
        let took = self.now.saturating_duration_since(since);
        self.servers.end(link, lane, took);
        match answers {
            Ok(answers) if answers.len() == items.len() => {
                for (item, answer) in items.into_iter().zip(answers) {
                    self.on_answer(link, item, answer);
                }
            }
            outcome => {
                let reason = match outcome {
                    Err(error) => error.to_string(),
                    Ok(_) => "the server gave fewer answers than it was asked for".to_owned(),
                };
                for item in items {
                    self.on_no_answer(item);
                }
                self.on_link_lost(link, &reason);
            }
        }
    }

    fn on_answer(&mut self, link: LinkId, item: Item, answer: Value) {
        let error = match answer {
            Value::ServerError(error) => error,
            answer => return self.on_good_answer(item, answer),
        };
        self.setup.metrics.calls_refused.inc();
        let delay = match Refusal::of(&error, &self.setup.rights) {
            Refusal::Scripts => {
                self.load_scripts(link);
                SOON
            }
            Refusal::NotHere => {
                self.at(self.now, Timer::Discover);
                SOON
            }
            Refusal::Replica => {
                self.on_link_lost(link, &format!("it answered {error}"));
                SOON
            }
            Refusal::Rights(lack) => {
                // A script may have been run in part.
                self.on_no_answer(item);
                return self.on_lack(link, lack, &error);
            }
            Refusal::Other => {
                self.note_refusal(&error.to_string());
                LATER
            }
        };
        self.ask_again(item, delay);
    }

    /// What was refused is asked again after a while.
    fn ask_again(&mut self, item: Item, delay: Duration) {
        match item {
            Item::Channel(topic, call) => {
                if let Some(channel) = self.channels.get_mut(&topic) {
                    channel.on_refused(call);
                    if delay == LATER {
                        channel.answer_offline();
                    }
                    channel.retry_at(self.now + delay);
                    self.look_after(&topic);
                }
            }
            Item::Plain(mut plain) => {
                plain.tries += 1;
                if plain.tries < MOST_TRIES {
                    self.postponed.calls.push(plain);
                    self.at(self.now + delay, Timer::Retry);
                } else {
                    self.follow_up(plain.then, Err(NoAnswer));
                }
            }
        }
    }

    /// What the user may do is found out when the server is reached anew.
    fn on_lack(&mut self, link: LinkId, lack: Lack, error: &ServerError) {
        self.note_lack(lack, &error.to_string());
        self.on_link_lost(link, "it does not let the relay do what it needs");
    }

    fn note_refusal(&mut self, error: &str) {
        if self.refusals.lets_through(self.now) {
            tracing::error!(error, "Redis refuses what this node asks of it");
        }
    }

    fn on_good_answer(&mut self, item: Item, answer: Value) {
        match item {
            Item::Plain(plain) => self.follow_up(plain.then, Ok(answer)),
            Item::Channel(topic, call) => {
                let outcome = self.with(&topic, |channel, context| {
                    channel.on_reply(call, answer, context)
                });
                match outcome {
                    Some(Ok(Done::Wrote(written))) => {
                        self.recent.push(self.now, topic, written);
                    }
                    Some(Ok(Done::CleanedUp(dead))) => self.one_cleaned_up(&topic, &dead),
                    Some(Err(_)) => self.on_unreadable(&topic),
                    Some(Ok(Done::Other)) | None => {}
                }
            }
        }
    }

    /// What Redis answered makes no sense: it is asked again, but not without a pause.
    fn on_unreadable(&mut self, topic: &str) {
        self.setup.metrics.unreadable.inc();
        if self.refusals.lets_through(self.now) {
            tracing::error!("Redis gives an answer that this node cannot read");
        }
        if let Some(channel) = self.channels.get_mut(topic) {
            channel.answer_offline();
            channel.retry_at(self.now + LATER);
        }
        self.look_after(topic);
    }

    /// It is not known whether the server has done it.
    fn on_no_answer(&mut self, item: Item) {
        match item {
            Item::Plain(plain) => self.follow_up(plain.then, Err(NoAnswer)),
            Item::Channel(topic, call) => {
                if let Some(channel) = self.channels.get_mut(&topic) {
                    channel.on_unsure(call);
                    self.look_after(&topic);
                }
            }
        }
    }

    /// What the answer to a call that is about no channel is for.
    fn follow_up(&mut self, then: Then, answer: Result<Value, NoAnswer>) {
        match then {
            Then::Nothing => {}
            Then::Answer(waiting) => {
                // Whoever waited may have given up.
                let _ = waiting.send(answer.map_err(|NoAnswer| Unavailable::Away));
            }
            Then::Listed(topic) => self.on_listed(&topic, answer.is_ok()),
            Then::Heartbeat(node) => self.on_heartbeat(node, answer),
            Then::CompareLists(node, reached) => self.on_own_list(node, &reached, answer),
            Then::Gone(reached) => self.on_gone(&reached, answer),
            Then::TopicsOfGone(gone, reached) => self.on_topics_of_gone(&gone, &reached, answer),
            Then::CleanUp(dead) => self.on_topics_of(&dead, answer),
            Then::Settle(settlement) => {
                if answer.is_err() {
                    self.settle_later(settlement);
                }
            }
            Then::HandedIn => self.on_handed_in(answer.is_ok()),
            Then::Trimmed => self.on_trimmed(answer),
            Then::Goodbye => self.on_goodbye(answer),
        }
    }

    /// What could not be asked has no answer.
    pub(super) fn follow_up_unasked(&mut self) {
        while let Some(then) = self.postponed.unasked.pop_front() {
            self.follow_up(then, Err(NoAnswer));
        }
    }

    /// Calls that were refused for a while are made again.
    pub(super) fn call_again(&mut self) {
        for plain in std::mem::take(&mut self.postponed.calls) {
            self.call(plain);
        }
    }

    fn load_scripts(&mut self, link: LinkId) {
        if self.servers.begin_loading(link) {
            self.io.push(Io::Use(link, Use::LoadScripts));
        }
    }
}
