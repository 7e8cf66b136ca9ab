//! What dead nodes leave behind.

use super::Node;
use super::calls::{Plain, Then};
use crate::cluster::redis::script;

impl Node {
    /// Removes what a dead node has on any channel, and reports what follows from it.
    pub(super) fn clean_up_after(&mut self, dead: String) {
        if self.life.dead.contains_key(&dead) {
            return;
        }
        tracing::info!(node = dead, "a node is gone: cleaning up after it");
        self.life.dead.insert(dead.clone(), usize::MAX);
        let key = self.setup.keys.topics_of(&dead);
        let mut command = redis::cmd("SMEMBERS");
        command.arg(&key);
        let then: Then = Box::new(move |node, answer| {
            match answer.map(script::texts) {
                Ok(Ok(topics)) => node.clean_up(&dead, topics),
                // Tried again when the next heartbeat names it.
                _ => {
                    node.life.dead.remove(&dead);
                }
            }
        });
        self.call(Plain::new(key, command, then));
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
        self.call(Plain::new(key, command, Box::new(|_, _| {})));
        let [_, _, list] = self.setup.keys.nodes();
        let mut command = redis::cmd("ZREM");
        command.arg(&list).arg(dead);
        self.call(Plain::new(list, command, Box::new(|_, _| {})));
    }
}
