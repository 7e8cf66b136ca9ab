//! What dead nodes leave behind.

use redis::Value;

use super::jobs::{NoAnswer, Plain, Then};
use super::state::Node;
use crate::cluster::redis::script;

impl Node {
    /// Removes what a dead node has on any channel, and reports what follows from it.
    pub(super) fn clean_up_after(&mut self, dead: String) {
        let key = self.setup.keys.topics_of(&dead);
        // Tried again when the next heartbeat names it.
        if self.life.dead.contains_key(&dead) || !self.can_ask(&key) {
            return;
        }
        tracing::info!(node = dead, "a node is gone: cleaning up after it");
        self.life.dead.insert(dead.clone(), usize::MAX);
        let mut command = redis::cmd("SMEMBERS");
        command.arg(&key);
        self.call(Plain::new(key, command, Then::CleanUp(dead)));
    }

    /// These are the topics that the dead node had to do with. If they are not known, the next heartbeat names
    /// it again.
    pub(super) fn on_topics_of(&mut self, dead: &str, answer: Result<Value, NoAnswer>) {
        match answer.map(script::texts) {
            Ok(Ok(topics)) => self.clean_up(dead, topics),
            _ => {
                self.life.dead.remove(dead);
            }
        }
    }

    fn clean_up(&mut self, dead: &str, topics: Vec<String>) {
        let mut left = 0;
        for topic in topics {
            if self.ensure(&topic).is_none() {
                continue;
            }
            if let Some(channel) = self.channels.get_mut(&*topic) {
                channel.add_orphan(dead);
                left += 1;
            }
            self.look_after(&topic);
        }
        self.life.dead.insert(dead.to_owned(), left);
        if left == 0 {
            self.all_cleaned_up(dead);
        }
    }

    /// One channel of a dead node is done.
    pub(super) fn one_cleaned_up(&mut self, dead: &str) {
        let Some(left) = self.life.dead.get_mut(dead) else {
            return;
        };
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.all_cleaned_up(dead);
        }
    }

    fn all_cleaned_up(&mut self, dead: &str) {
        self.life.dead.remove(dead);
        let key = self.setup.keys.topics_of(dead);
        let mut command = redis::cmd("DEL");
        command.arg(&key);
        self.call(Plain::new(key, command, Then::Nothing));
        let [_, _, list] = self.setup.keys.nodes();
        let mut command = redis::cmd("ZREM");
        command.arg(&list).arg(dead);
        self.call(Plain::new(list, command, Then::Nothing));
    }
}
