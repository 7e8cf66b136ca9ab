//! Connections that change between being there and being away.
//!
//! A connection's task knows first that its client is gone. The lists of subscribers change in their
//! turn, with the mailbox's commands, so that there is one moment in each channel's order of events up to
//! which the connection was sent them, and from which they are kept for it.

use std::rc::Rc;
use std::time::Instant;

use super::absent::{Absent, Missed};
use super::channel::LocalChannel;
use super::peer::Peer;
use super::resumable::Of;
use super::tables::Tables;
use super::unproven::Tail;
use crate::hub::mailbox::{ChannelId, PeerId, Welcome};

/// Turns over which the connections are spread that are asked whether they have received what they were
/// sent.
const ASK_IN_TURNS: u64 = 4;

impl Tables {
    /// The connection's client is away.
    pub(super) fn park(&self, id: PeerId) {
        let Some(peer) = self.peer(id) else {
            return;
        };
        let Some(resumable) = &peer.resumable else {
            return;
        };
        let mut tails = resumable.park();
        // Its task waits for that.
        peer.wake();
        let mut channels = self.channels.borrow_mut();
        for channel in resumable.channels() {
            if let Some(local) = channels.get_mut(&channel)
                && let Some(present) = local.remove_present(id)
            {
                local.insert_absent(present, tails.remove(&channel).unwrap_or_default());
            }
        }
    }

    /// The connection is on the channel from now on, as one that is there, or one that is away and may have
    /// missed this before.
    pub(super) fn add(&self, peer: Rc<Peer>, channel: ChannelId, of: Of, missed: Option<Tail>) {
        if let Some(resumable) = &peer.resumable {
            resumable.joined(channel, of);
        }
        let mut channels = self.channels.borrow_mut();
        let local = channels.entry(channel).or_default();
        match missed {
            Some(tail) => local.insert_absent(peer, tail),
            None => local.insert(peer),
        }
    }

    /// That the connection is on the channel is to be confirmed again. If it was away, it is back, and is
    /// sent what it has missed.
    pub(super) fn confirm(&self, id: PeerId, channel: ChannelId, welcome: &Welcome) {
        let Some(peer) = self.peer(id) else {
            return;
        };
        if !peer.is_resumable() {
            return peer.confirm(welcome);
        }
        if !peer.is_confirmed(welcome) {
            return;
        }
        match self.bring_back(&peer, channel) {
            Some(missed) => peer.send_missed(channel, welcome, missed),
            None => peer.send_welcome(welcome, true),
        }
        peer.send_lapsed(channel, welcome.channel.as_str());
    }

    /// The connection is there again for what comes with its user: who of its watchlist has come and gone.
    /// (Events to a user come by a channel.) Where that cannot be sent again it is sent who is there now.
    pub(super) fn user_is_back(&self, id: PeerId) {
        let Some(peer) = self.peer(id) else {
            return;
        };
        let Some(resumable) = &peer.resumable else {
            return;
        };
        let mut with_gap = None;
        for channel in resumable.channels_of_user() {
            match self.bring_back(&peer, channel) {
                Some(Missed::Frames(frames)) => peer.send_again(channel, frames),
                Some(Missed::Gap(_)) => with_gap = Some(channel),
                None => {}
            }
        }
        if let Some(list) = with_gap {
            peer.send_statuses(list);
        }
    }

    /// Moves the connection from those who are away from the channel to those who are there.
    fn bring_back(&self, peer: &Peer, channel: ChannelId) -> Option<Missed> {
        let most = peer.resumable.as_ref()?.resend_left();
        let mut channels = self.channels.borrow_mut();
        let local = channels.get_mut(&channel)?;
        let absent = local.absent_mut()?;
        let (peer, missed) = absent.take(peer.id(), most)?;
        local.drop_empty();
        local.insert(peer);
        Some(missed)
    }

    /// Asks connections whether they have received what they were sent.
    pub(super) fn ask_for_proof(&self, now: Instant) {
        let turn = self.turn.replace(self.turn.get().wrapping_add(1)) % ASK_IN_TURNS;
        let unacknowledged = std::mem::take(&mut *self.unacknowledged.borrow_mut());
        let mut still_pending = Vec::with_capacity(unacknowledged.len());
        let mut bytes = 0;
        for id in unacknowledged {
            let is_its_turn = id.0 % ASK_IN_TURNS == turn;
            if let Some(peer) = self.peer(id)
                && peer.ask_if_due(now, is_its_turn)
            {
                bytes += peer.unproven_bytes();
                still_pending.push(id);
            }
        }
        // Nobody else has come meanwhile: pings are kept for nobody.
        self.unacknowledged.replace(still_pending);
        self.metrics.unproven_bytes.set(bytes as i64);
    }
}

impl LocalChannel {
    fn insert_absent(&mut self, peer: Rc<Peer>, tail: Tail) {
        let app = peer.app();
        let kept = app.kept();
        let max_bytes = app.app.record().resume.session_bytes;
        let absent = self.absent_or_insert(|| Absent::new(max_bytes, &kept));
        absent.insert(peer, tail, &kept);
    }
}
