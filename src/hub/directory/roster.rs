//! Who is present on a channel.

use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::IndexMap;

use crate::protocol::member::Member;

/// The members of a presence channel, each once however many connections they have.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// Those of most channels are none.
    members: Option<Box<Members>>,
}

type Members = IndexMap<Arc<str>, Present, RandomState>;

#[derive(Debug)]
struct Present {
    /// As the user's first connection introduced them; it holds until they have left.
    member: Arc<Member>,
    connections: usize,
}

/// No more members are allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RosterFull;

impl Roster {
    /// One more connection of a user. Returns whether that is the user's first. Further
    /// connections of members are let into a full channel.
    pub(super) fn join(&mut self, member: &Arc<Member>, most: usize) -> Result<bool, RosterFull> {
        let members = self.members.get_or_insert_default();
        if let Some(present) = members.get_mut(member.user_id()) {
            present.connections += 1;
            return Ok(false);
        }
        if members.len() >= most {
            return Err(RosterFull);
        }
        members.insert(
            Arc::clone(member.user_id()),
            Present {
                member: Arc::clone(member),
                connections: 1,
            },
        );
        Ok(true)
    }

    /// One connection less. Returns the member if it was the user's last.
    pub(super) fn leave(&mut self, user_id: &str) -> Option<Arc<Member>> {
        let present = self.members.as_mut()?.get_mut(user_id)?;
        present.connections -= 1;
        if present.connections > 0 {
            return None;
        }
        // The others keep their order for those who join later.
        self.remove(user_id)
    }

    /// A user is present from now on, whatever connections there are. Returns whether that is
    /// news.
    pub(super) fn insert(&mut self, member: &Arc<Member>) -> bool {
        self.join(member, usize::MAX) == Ok(true)
    }

    /// A user is no longer present, whatever connections there are.
    pub(super) fn remove(&mut self, user_id: &str) -> Option<Arc<Member>> {
        let present = self.members.as_mut()?.shift_remove(user_id)?;
        Some(present.member)
    }

    /// These are the members from now on. Returns who has come and who has gone.
    pub(super) fn replace(
        &mut self,
        members: Vec<Arc<Member>>,
    ) -> (Vec<Arc<Member>>, Vec<Arc<Member>>) {
        let mut gone = self
            .members
            .take()
            .map_or_else(Members::default, |gone| *gone);
        let now_present = self.members.get_or_insert_default();
        let mut came = Vec::new();
        for member in members {
            let known = gone.swap_remove(member.user_id());
            if known.is_none() {
                came.push(Arc::clone(&member));
            }
            let present = known.unwrap_or(Present {
                member,
                connections: 1,
            });
            let user_id = Arc::clone(present.member.user_id());
            now_present.insert(user_id, present);
        }
        let gone = gone.into_values().map(|present| present.member);
        (came, gone.collect())
    }

    /// Members, in the order in which they came.
    pub(super) fn members(&self) -> Vec<Arc<Member>> {
        let members = self.members.iter().flat_map(|members| members.values());
        members.map(|present| Arc::clone(&present.member)).collect()
    }

    /// How many users are present.
    pub(super) fn len(&self) -> usize {
        self.members.as_ref().map_or(0, |members| members.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_roster_returns_what_has_changed() {
        let mut roster = Roster::default();
        for user_id in ["a", "b"] {
            assert!(roster.insert(&Arc::new(Member::new(user_id, None))));
        }
        let members = ["b", "c"].map(|user_id| Arc::new(Member::new(user_id, None)));
        let (came, gone) = roster.replace(members.to_vec());
        let ids = |list: &[Arc<Member>]| -> Vec<String> {
            list.iter()
                .map(|member| member.user_id().to_string())
                .collect()
        };
        assert_eq!(
            (ids(&came), ids(&gone)),
            (vec!["c".to_owned()], vec!["a".to_owned()])
        );
        assert_eq!(ids(&roster.members()), ["b", "c"]);
    }

    #[test]
    fn a_user_is_present_from_the_first_connection_to_the_last() {
        let mut roster = Roster::default();
        let first = Arc::new(Member::new("a", Some("1")));
        let second = Arc::new(Member::new("a", Some("2")));
        assert_eq!(roster.join(&first, 1), Ok(true));
        assert_eq!(roster.join(&second, 1), Ok(false));
        assert_eq!(
            roster.join(&Arc::new(Member::new("b", None)), 1),
            Err(RosterFull)
        );
        assert!(roster.leave("a").is_none());
        assert_eq!(roster.members()[0].escaped_info(), "1");
        assert!(roster.leave("a").is_some());
        assert!(roster.leave("a").is_none());
        assert_eq!(roster.len(), 0);
    }
}
