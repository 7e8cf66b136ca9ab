//! What dead nodes leave behind.

use std::collections::HashSet;

use redis::Value;

use super::jobs::{NoAnswer, Plain, Then};
use super::life::{CleaningUp, LeftToOthers};
use super::state::Node;
use crate::cluster::redis::script;
use crate::cluster::redis::wire::LEFT_TO_OTHERS_FOR;
use crate::hub::Knowledge;

impl Node {
    /// Removes what a dead node has on any channel, and reports what follows from it.
    pub(super) fn clean_up_after(&mut self, dead: String) {
        let key = self.setup.keys.topics_of(&dead);
        // Tried again when the next heartbeat names it.
        if !self.knows_apps() || self.life.dead.contains_key(&dead) || !self.can_ask(&key) {
            return;
        }
        tracing::info!(node = dead, "a node is gone: cleaning up after it");
        self.life.dead.insert(dead.clone(), CleaningUp::begun());
        let mut command = redis::cmd("SMEMBERS");
        command.arg(&key);
        self.call(Plain::new(key, command, Then::CleanUp(dead)));
    }

    /// Whether the apps are known, without which nobody knows what is to be reported to whom.
    pub(super) fn knows_apps(&self) -> bool {
        self.setup.apps.knowledge() != Knowledge::NotYet
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
        let leaves_unknown = self.leaves_unknown_apps_of(dead);
        let (mut left, mut unknown) = (0, HashSet::new());
        for topic in topics {
            let Some((id, _)) = self.setup.keys.parse(&topic) else {
                continue;
            };
            if leaves_unknown && self.setup.apps.by_id(id).is_none() {
                unknown.insert(id.into());
            } else if self.ensure_known(&topic) {
                if let Some(channel) = self.channels.get_mut(&*topic) {
                    channel.add_orphan(dead);
                    left += 1;
                }
                self.look_after(&topic);
            }
        }
        let leaves_some = !unknown.is_empty();
        self.leave_to_others(dead, unknown);
        let cleaning_up = CleaningUp {
            left,
            leaves_some,
            starts_over: false,
        };
        self.life.dead.insert(dead.to_owned(), cleaning_up);
        if left == 0 {
            self.all_cleaned_up(dead);
        }
    }

    /// Whether channels of apps that this node does not know are left to others: it cannot report that their members
    /// are gone. Not those that were this node's own, and none for ever.
    fn leaves_unknown_apps_of(&self, dead: &str) -> bool {
        let mut earlier = self.life.ids.earlier();
        let is_own = earlier.any(|id| id.to_string() == dead);
        let left = self.life.left_to_others.get(dead);
        !is_own && left.is_none_or(|left| self.now < left.since + LEFT_TO_OTHERS_FOR)
    }

    fn leave_to_others(&mut self, dead: &str, apps: HashSet<Box<str>>) {
        let left = &mut self.life.left_to_others;
        if apps.is_empty() {
            if let Some(left) = left.remove(dead)
                && self.now >= left.since + LEFT_TO_OTHERS_FOR
            {
                tracing::warn!(
                    node = dead,
                    "nobody knows the apps of a node that is gone: its members are removed without a report"
                );
            }
            return;
        }
        if let Some(left) = left.get_mut(dead) {
            left.apps = apps;
            return;
        }
        tracing::warn!(
            node = dead,
            "a node is gone that had apps which this one does not know: they are left to nodes that do"
        );
        let since = self.now;
        left.insert(dead.to_owned(), LeftToOthers { since, apps });
    }

    /// Dead nodes that this one need not be named: it can do nothing for what they have left.
    pub(super) fn left_to_others(&mut self) -> Vec<String> {
        let (now, apps) = (self.now, &self.setup.apps);
        let left = &mut self.life.left_to_others;
        // Of one that others have cleaned up after nothing is known here.
        left.retain(|_, left| now < left.since + 2 * LEFT_TO_OTHERS_FOR);
        let are_left = left.iter().filter(|(_, left)| {
            let mut unknown = left.apps.iter();
            let is_time = now < left.since + LEFT_TO_OTHERS_FOR;
            is_time && unknown.all(|app| apps.one(app).is_none())
        });
        are_left.map(|(dead, _)| dead.clone()).collect()
    }

    /// One channel of a dead node is done.
    pub(super) fn one_cleaned_up(&mut self, topic: &str, dead: &str) {
        let Some(cleaning_up) = self.life.dead.get_mut(dead) else {
            return;
        };
        cleaning_up.left = cleaning_up.left.saturating_sub(1);
        let CleaningUp {
            left, leaves_some, ..
        } = *cleaning_up;
        if leaves_some && !self.servers.are_several() {
            // Whoever knows the others does not find it again. (Where a server may go back, it is still to be known.)
            let key = self.setup.keys.topics_of(dead);
            let mut command = redis::cmd("SREM");
            command.arg(&key).arg(topic);
            self.call(Plain::new(key, command, Then::Nothing));
        }
        if left == 0 {
            self.all_cleaned_up(dead);
        }
    }

    fn all_cleaned_up(&mut self, dead: &str) {
        let cleaned_up = self.life.dead.remove(dead);
        if cleaned_up.is_some_and(|done| done.leaves_some || done.starts_over) {
            // It is named again.
            return;
        }
        if self.servers.are_several() {
            return self.bury(dead);
        }
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
