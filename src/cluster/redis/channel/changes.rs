//! How this node's part is announced to Redis.

use std::collections::HashMap;
use std::sync::Arc;

use redis::Cmd;

use super::context::Context;
use super::notices::Flush;
use super::part::{LocalUser, Occupancy, Reported, Step, Unsent};
use super::questions::{Asking, Page};
use super::state::{Channel, Kind};
use crate::cluster::redis::entry::Place;
use crate::cluster::redis::script::ChannelReply;
use crate::cluster::redis::wire::{flag, step};

/// What was announced along with a question.
#[derive(Debug)]
pub(in crate::cluster::redis) struct Change {
    pub(super) connections: usize,
    pub(super) watchers: usize,
    pub(super) users: UserChanges,
    /// Whether all is asked for that the node has to report.
    pub(super) all_due: bool,
    pub(super) acknowledged: Vec<String>,
    pub(super) was_sync: bool,
    /// Whether the part was announced as a whole.
    pub(super) is_whole: bool,
    /// Whether all that Redis had of the node was gone before.
    pub(super) was_left: bool,
    /// Whether what the channel is for the cluster was asked for as a whole.
    pub(super) reconciles: bool,
    pub(super) asked_from: Option<Place>,
}

/// What was announced of users.
#[derive(Debug, Default)]
pub(super) struct UserChanges {
    /// Those who wait to be admitted.
    pub(super) adds: Vec<Arc<str>>,
    /// Those announced as new among all others.
    pub(super) news: Vec<Arc<str>>,
    /// Those who have left, and whether webhooks know of them.
    removes: HashMap<Arc<str>, Reported>,
}

impl Change {
    /// Whether the node was on the channel when it announced that.
    pub(super) fn was_on_it(&self) -> bool {
        self.connections > 0 || self.watchers > 0
    }

    /// Whether it was made from a place in a log that has been begun anew since.
    pub(super) fn is_from_before(&self, reply: &ChannelReply) -> bool {
        let from = self.asked_from.as_ref();
        from.is_some_and(|place| place.epoch != reply.epoch)
    }
}

impl Channel {
    pub(super) fn change(&mut self, page: Page, context: &Context<'_>) -> (Change, Cmd) {
        self.schedule.last_was_change = true;
        if !self.is_wanted() {
            // Whoever comes from now on waits until Redis knows: nobody announces to this node
            // what happens in between.
            self.replica.forget_place();
        }
        let unsent = std::mem::take(&mut self.part.unsent);
        let announces_all = matches!(unsent, Unsent::Whole);
        let was_sync = !self.replica.is_known() || announces_all;
        let reconciles = self.replica.begin_reading();
        let all_due = was_sync || self.notices.is_flushing();
        let asked_from = self.replica.place.clone();
        let mut flags = self.flags(was_sync, all_due);
        if reconciles {
            flags.push_str(flag::ROSTER);
        }
        flags.push_str(self.occupancy_flag(announces_all));
        if self.part.was_left {
            flags.push_str(flag::GONE_BEFORE);
        }
        if page.one_at_least {
            flags.push_str(flag::ONE_AT_LEAST);
        }
        let asking = Asking {
            node: &context.publishing.node.to_string(),
            from: asked_from.as_ref().map(|place| (place, page.bytes)),
            flags: &flags,
        };
        let mut command = self.call_of(asking, context);
        let acknowledged = self.add_acknowledgements(&mut command);
        let users = match unsent {
            Unsent::Whole => self.add_whole_part(&mut command),
            Unsent::Steps(steps) => self.add_steps(steps, &mut command),
        };
        self.add_counts(announces_all, &mut command);
        if all_due && !announces_all {
            self.add_pending(&mut command);
        }
        self.add_flush(&mut command);
        let change = Change {
            connections: self.part.connections,
            watchers: self.part.watchers,
            users,
            all_due,
            acknowledged,
            was_sync,
            is_whole: announces_all,
            was_left: self.part.was_left,
            reconciles,
            asked_from,
        };
        (change, command)
    }

    /// What webhooks know of this node's part.
    fn occupancy_flag(&mut self, announces_all: bool) -> &'static str {
        let part = &mut self.part;
        let flag = match (part.occupancy, part.connections) {
            (Occupancy::Known, 0) => flag::WAS_OCCUPIED,
            (Occupancy::Known, _) => flag::OCCUPIED,
            (Occupancy::Perhaps, 0) => flag::PERHAPS_WAS_OCCUPIED,
            (Occupancy::No, 0) if announces_all => flag::NEVER_OCCUPIED,
            (Occupancy::Unsure | Occupancy::Perhaps | Occupancy::No, _) => "",
        };
        if part.connections > 0 && part.occupancy == Occupancy::No {
            part.occupancy = Occupancy::Unsure;
        }
        flag
    }

    fn add_acknowledgements(&mut self, command: &mut Cmd) -> Vec<String> {
        let acknowledged = self.notices.take_acknowledgements();
        for field in &acknowledged {
            command.arg(step::ACKNOWLEDGE).arg(field);
        }
        acknowledged
    }

    fn add_steps(&self, steps: Vec<Step>, command: &mut Cmd) -> UserChanges {
        let mut changes = UserChanges::default();
        for step in steps {
            match step {
                Step::Add(user_id) => {
                    let Some(user) = self.part.users.get(&user_id) else {
                        continue;
                    };
                    // Should Redis have forgotten since that the user's departure waits.
                    let reported = if self.notices.is_pending_departure(&user_id) {
                        Reported::Yes
                    } else {
                        Reported::No
                    };
                    add(command, &user_id, user, reported);
                    changes.adds.push(user_id);
                }
                Step::Remove(user_id, reported) => {
                    remove(command, &user_id, reported);
                    changes.removes.insert(user_id, reported);
                }
            }
        }
        changes
    }

    /// The whole part; users who wait to be admitted come on top of it, as there may be no room.
    fn add_whole_part(&mut self, command: &mut Cmd) -> UserChanges {
        self.note_pending_as_departed();
        let mut changes = UserChanges {
            removes: std::mem::take(&mut self.part.departed),
            ..UserChanges::default()
        };
        if !self.name.kind().is_presence() {
            return changes;
        }
        for (user_id, reported) in &changes.removes {
            // Whoever waits to be admitted has gone and come again.
            if !self.part.is_here(user_id) {
                remove(command, user_id, *reported);
            }
        }
        let users = self.part.users.iter();
        let (joining, here): (Vec<_>, Vec<_>) = users.partition(|(_, user)| user.joining.is_some());
        command.arg(step::WHOLE).arg(here.len());
        for (user_id, user) in here {
            command.arg(&**user_id).arg(user.member.escaped_info());
            let is_new = user.reported != Reported::Yes;
            command.arg(i32::from(is_new));
            if is_new {
                changes.news.push(Arc::clone(user_id));
            }
        }
        for (user_id, user) in joining {
            add(command, user_id, user, user.reported);
            changes.adds.push(Arc::clone(user_id));
        }
        changes
    }

    fn add_counts(&self, announces_all: bool, command: &mut Cmd) {
        let part = &self.part;
        if part.acknowledged_counts == Some(part.counts()) && !announces_all {
            return;
        }
        command.arg(step::SUBSCRIBERS).arg(part.connections);
        if matches!(self.kind, Kind::User(_)) {
            command.arg(step::WATCHERS).arg(part.watchers);
        }
    }

    /// Departures that wait until they are due: Redis may have forgotten them since, and what it answers is
    /// taken for all that waits.
    fn add_pending(&self, command: &mut Cmd) {
        let departed = self.notices.pending_departures();
        for user_id in departed.filter(|user_id| !self.part.users.contains_key(*user_id)) {
            remove(command, user_id, Reported::Yes);
        }
    }

    fn add_flush(&mut self, command: &mut Cmd) {
        let all = match self.notices.take_flush() {
            Flush::No => return,
            Flush::Due => 0,
            Flush::All => 1,
        };
        command.arg(step::FLUSH).arg(all);
    }

    pub(super) fn put_back_change(&mut self, change: Change) {
        self.notices.acknowledge_again(change.acknowledged);
        self.notices.flush_again();
        self.replica.must_reconcile |= change.reconciles;
        self.part.departed.extend(change.users.removes);
        self.send_all_again();
    }
}

/// A user asks to be admitted, of whom webhooks may know, should Redis have forgotten that.
fn add(command: &mut Cmd, user_id: &str, user: &LocalUser, reported: Reported) {
    let step = match reported {
        Reported::Yes => step::ADD_REPORTED,
        Reported::Perhaps | Reported::No => step::ADD,
    };
    command.arg(step).arg(user_id);
    command.arg(user.member.escaped_info());
}

/// A user has left; should Redis have forgotten one whom webhooks know of, that is reported.
fn remove(command: &mut Cmd, user_id: &str, reported: Reported) {
    let step = match reported {
        Reported::Yes => step::REMOVE_REPORTED,
        Reported::Perhaps => step::REMOVE_PERHAPS_REPORTED,
        Reported::No => step::REMOVE,
    };
    command.arg(step).arg(user_id);
}
