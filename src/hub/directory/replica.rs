//! A channel whose members and last event are copies of what other nodes share.

use std::sync::Arc;
use std::time::Instant;

use super::channels::Channels;
use crate::hub::outcome::CachedEvent;
use crate::protocol::member::Member;
use crate::protocol::{ChannelName, server};

impl Channels {
    pub(in crate::hub) fn member_came(&self, channel: &ChannelName, member: &Arc<Member>) -> bool {
        let mut locked = self.table.lock(channel.as_str());
        let (slot, wakes) = locked.parts();
        let entry = self.entry(slot, channel);
        let is_new = entry.roster.insert(member);
        if is_new && !self.is_silent() {
            let added = server::member_added(channel.as_str(), member);
            entry.listeners.announce(added, wakes);
        }
        is_new
    }

    pub(in crate::hub) fn member_went(&self, channel: &ChannelName, user_id: &str) -> bool {
        let mut locked = self.table.lock(channel.as_str());
        let (slot, wakes) = locked.parts();
        let Some(entry) = slot.get_mut(channel.as_str()) else {
            return false;
        };
        let Some(member) = entry.roster.remove(user_id) else {
            return false;
        };
        if !self.is_silent() {
            let removed = server::member_removed(channel.as_str(), &member);
            entry.listeners.announce(removed, wakes);
        }
        true
    }

    pub(in crate::hub) fn set_roster(&self, channel: &ChannelName, members: Vec<Arc<Member>>) {
        let mut locked = self.table.lock(channel.as_str());
        let (slot, wakes) = locked.parts();
        let entry = self.entry(slot, channel);
        let (came, went) = entry.roster.replace(members);
        for member in went {
            let removed = server::member_removed(channel.as_str(), &member);
            entry.listeners.announce(removed, wakes);
        }
        for member in came {
            let added = server::member_added(channel.as_str(), &member);
            entry.listeners.announce(added, wakes);
        }
    }

    pub(in crate::hub) fn forget_empty(&self, channel: &ChannelName) {
        let mut locked = self.table.lock(channel.as_str());
        let (slot, _) = locked.parts();
        if let Some(entry) = slot.get(channel.as_str())
            && entry.listeners.is_empty()
        {
            self.table.forget(slot, channel.as_str());
        }
    }

    pub(in crate::hub) fn announce_total(&self, channel: &ChannelName, subscribers: usize) {
        let mut locked = self.table.lock(channel.as_str());
        let (slot, wakes) = locked.parts();
        if let Some(entry) = slot.get(channel.as_str()) {
            let count = server::subscription_count(channel.as_str(), subscribers);
            entry.listeners.announce(count, wakes);
        }
    }

    pub(in crate::hub) fn set_cached(&self, channel: &ChannelName, cached: Option<CachedEvent>) {
        // Under the channel's lock, as in a publish: who joins finds the one or the other.
        let _locked = self.table.lock(channel.as_str());
        self.set_cached_event(channel.as_str(), cached, Instant::now());
    }
}
