//! This node's part of a channel, and what Redis knows of it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::hub::Join;
use crate::protocol::member::Member;

/// A user's connections to this node.
#[derive(Debug)]
pub(super) struct LocalUser {
    pub(super) member: Arc<Member>,
    pub(super) connections: usize,
    /// Asked to be admitted, and not answered yet.
    pub(super) joining: Option<Vec<Join>>,
    /// Whether nobody but this node knows of the user.
    pub(super) only_here: bool,
    pub(super) reported: Reported,
}

/// Whether webhooks know of a user, or are about to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reported {
    #[default]
    No,
    /// It is for another node to report, or in doubt since Redis lost something.
    Perhaps,
    Yes,
}

/// Whether webhooks know that this node has occupied the channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Occupancy {
    #[default]
    No,
    /// Redis was asked, and has not answered yet.
    Unsure,
    /// It is for another node to report, or in doubt since Redis lost something.
    Perhaps,
    Known,
}

/// A change of the part's users.
#[derive(Debug)]
pub(super) enum Step {
    Add(Arc<str>),
    Remove(Arc<str>, Reported),
}

/// What is announced to Redis next of the part's users.
#[derive(Debug)]
pub(super) enum Unsent {
    /// What has changed since it knew them.
    Steps(Vec<Step>),
    /// All of them, as it may know others.
    Whole,
}

impl Default for Unsent {
    fn default() -> Self {
        Self::Steps(Vec::new())
    }
}

#[derive(Debug)]
pub(super) struct Part {
    /// Connections: all, and those of them that were admitted.
    pub(super) connections: usize,
    pub(super) admitted: usize,
    pub(super) watchers: usize,
    /// What Redis knows of connections and watchers; None if that is not known.
    pub(super) acknowledged_counts: Option<(usize, usize)>,
    pub(super) users: HashMap<Arc<str>, LocalUser>,
    pub(super) unsent: Unsent,
    /// Users who have left since Redis was last known to know of them, and whether webhooks do.
    pub(super) departed: HashMap<Arc<str>, Reported>,
    pub(super) occupancy: Occupancy,
    /// Whether Redis may have an older state of it, while it was gone and that was reported.
    pub(super) was_left: bool,
}

impl Part {
    /// Nobody, as Redis knows.
    pub(super) fn new() -> Self {
        Self {
            connections: 0,
            admitted: 0,
            watchers: 0,
            acknowledged_counts: Some((0, 0)),
            users: HashMap::new(),
            unsent: Unsent::default(),
            departed: HashMap::new(),
            occupancy: Occupancy::No,
            was_left: false,
        }
    }

    /// Whether this node has a use for what happens on the channel.
    pub(super) fn is_wanted(&self) -> bool {
        self.connections > 0 || self.watchers > 0
    }

    pub(super) fn counts(&self) -> (usize, usize) {
        (self.connections, self.watchers)
    }

    /// Whether Redis knows that there is nothing.
    pub(super) fn is_known_to_be_nothing(&self) -> bool {
        self.acknowledged_counts == Some((0, 0))
    }

    /// Whether something is to be announced to Redis.
    pub(super) fn has_changes(&self) -> bool {
        let is_known = self.acknowledged_counts == Some(self.counts());
        self.is_whole_unsent() || self.has_unsent_steps() || !is_known
    }

    pub(super) fn has_unsent_steps(&self) -> bool {
        matches!(&self.unsent, Unsent::Steps(steps) if !steps.is_empty())
    }

    pub(super) fn is_whole_unsent(&self) -> bool {
        matches!(self.unsent, Unsent::Whole)
    }

    /// The users are to be announced as a whole, whatever Redis knows of them.
    pub(super) fn send_users_again(&mut self) {
        if let Unsent::Steps(steps) = std::mem::replace(&mut self.unsent, Unsent::Whole) {
            for step in steps {
                if let Step::Remove(user_id, reported) = step {
                    self.departed.insert(user_id, reported);
                }
            }
        }
    }

    /// The whole part is to be announced, whatever Redis knows of it.
    pub(super) fn send_all_again(&mut self) {
        self.send_users_again();
        self.acknowledged_counts = None;
    }

    /// A user who waits to be admitted. The whole includes those.
    pub(super) fn add(&mut self, user_id: Arc<str>) {
        if let Unsent::Steps(steps) = &mut self.unsent {
            steps.push(Step::Add(user_id));
        }
    }

    /// A user has left, of whom others may know.
    pub(super) fn remove(&mut self, user_id: &Arc<str>, user: &LocalUser) {
        let LocalUser {
            only_here,
            reported,
            ..
        } = *user;
        match &mut self.unsent {
            Unsent::Steps(steps) => steps.push(Step::Remove(Arc::clone(user_id), reported)),
            Unsent::Whole if reported != Reported::No || !only_here => {
                self.departed.insert(Arc::clone(user_id), reported);
            }
            Unsent::Whole => {}
        }
    }

    /// All others announce that all of it has gone.
    pub(super) fn on_given_up(&mut self) {
        self.acknowledged_counts = Some((0, 0));
        self.unsent = if self.is_wanted() {
            Unsent::Whole
        } else {
            Unsent::default()
        };
        self.departed.clear();
        self.occupancy = Occupancy::No;
        for user in self.users.values_mut() {
            user.reported = Reported::No;
        }
    }

    /// Whether the user is on this node, whatever the others think: it was announced to them that this node
    /// is dead, and the opposite is about to be.
    pub(super) fn is_here(&self, user_id: &str) -> bool {
        let user = self.users.get(user_id);
        user.is_some_and(|user| user.joining.is_none())
    }

    /// Whether webhooks know of the user, if it is here.
    pub(super) fn note_reported(&mut self, user_id: &str, reported: Reported) {
        if let Some(user) = self.users.get_mut(user_id) {
            user.reported = reported;
        }
    }

    /// Webhooks know of the user, who may have left again before that.
    pub(super) fn on_added(&mut self, user_id: &str) {
        if self.users.contains_key(user_id) {
            return self.note_reported(user_id, Reported::Yes);
        }
        match &mut self.unsent {
            Unsent::Whole => {
                self.departed.insert(user_id.into(), Reported::Yes);
            }
            Unsent::Steps(steps) => {
                for step in steps {
                    if let Step::Remove(removed, reported) = step
                        && **removed == *user_id
                    {
                        *reported = Reported::Yes;
                    }
                }
            }
        }
    }

    /// Connections of users that are not admitted yet.
    pub(super) fn joining(&self) -> usize {
        let joining = self.users.values().filter_map(|user| user.joining.as_ref());
        joining.map(Vec::len).sum()
    }
}
