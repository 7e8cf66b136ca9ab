//! A connection whose client goes away and comes back.

use std::io::IoSlice;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::absent::Missed;
use super::carrier::{Carrier, SEALED};
use super::outbox::Outbox;
use super::peer::Peer;
use super::unproven::{Kept, Lost, What};
use crate::hub::mailbox::{ChannelId, Control, Welcome};
use crate::protocol::member::Member;
use crate::protocol::{Frame, server};
use crate::session::SignOfLife;

/// Frames that are sent again in one go.
const AT_ONCE: usize = 32;

impl Peer {
    /// Whether its session may outlive its carrier.
    pub fn is_resumable(&self) -> bool {
        self.resumable.is_some()
    }

    /// Whether the carrier has failed, of a connection whose session outlives it.
    pub fn has_lost_carrier(&self) -> bool {
        let resumable = self.resumable.as_deref();
        resumable.is_some_and(|resumable| resumable.is_lost()) && !self.is_over()
    }

    /// The carrier has failed: the socket is broken.
    pub(super) fn fail(&self, outbox: &mut Outbox) {
        match &self.resumable {
            Some(resumable) => {
                resumable.lose();
                outbox.set_away();
            }
            None => outbox.fail(),
        }
    }

    /// The carrier takes nothing to the client any more. False if that is the end of the session.
    pub fn lose_carrier(&self) -> bool {
        let Some(resumable) = &self.resumable else {
            return false;
        };
        if self.is_over() {
            return false;
        }
        self.outbox.borrow_mut().set_away();
        if resumable.lose() {
            self.wake();
        }
        true
    }

    /// As [`Peer::lose_carrier`], because the client was silent for too long. It is notified of that, should it be
    /// there after all, if its socket takes that now.
    pub(super) fn lose_silent_carrier(&self, last: &[Frame]) -> bool {
        let Some(resumable) = &self.resumable else {
            return false;
        };
        resumable.set_silent(true);
        let frames: Vec<Bytes> = last.iter().map(|frame| frame.bytes().clone()).collect();
        let slices: Vec<IoSlice<'_>> = frames.iter().map(|frame| IoSlice::new(frame)).collect();
        if !self.has_frames() {
            // What it does not take is lost with it.
            if self.descriptor.get() == SEALED {
                let _ = self.write_sealed(&slices);
            } else {
                let _ = self.write_directly(&slices);
            }
        }
        self.lose_carrier()
    }

    /// Whether a client that closes may have done so because it had waited for an answer in vain, and be
    /// about to come back: its close looks no different from one that is meant, and may have waited for as
    /// long as its network was away.
    pub fn may_have_given_up(&self, now: Instant) -> bool {
        let resumable = self.resumable.as_deref();
        resumable.is_some_and(|resumable| resumable.waits_in_vain(now))
            || self.with_session(|session| session.waits_in_vain(now))
    }

    /// Whether the carrier was given up because its client was silent for too long.
    pub fn was_silent(&self) -> bool {
        let resumable = self.resumable.as_deref();
        resumable.is_some_and(|resumable| resumable.is_silent())
    }

    /// Lets the carrier go. From here on the connection is sent nothing, and what is sent to its channels
    /// is kept for it.
    pub(super) fn detach(&self) {
        self.descriptor.set(-1);
        let carrier = self.carrier.replace(Carrier::None);
        self.outbox.borrow_mut().set_away();
        drop(carrier);
        if let Some(resumable) = &self.resumable {
            resumable.begin_parking();
            self.handle()
                .mailbox
                .send(Control::Park { peer: self.id() });
        }
    }

    /// Whether the shard has not yet put the connection, whose carrier is gone, among those that are away.
    /// Until then nothing may carry it: an answer on a new carrier would be taken for one to what
    /// was sent by way of the old one.
    pub fn is_parking(&self) -> bool {
        let resumable = self.resumable.as_deref();
        resumable.is_some_and(|resumable| resumable.is_parking())
    }

    /// The client is back, by way of this carrier.
    pub(super) fn attach(&self, carrier: Carrier) {
        let outbox_bytes = self.app().app.record().limits.outbox_bytes;
        self.outbox.replace(Outbox::new(outbox_bytes));
        self.descriptor.set(carrier.descriptor());
        self.carrier.replace(carrier);
        self.set_window(None);
        if let Some(resumable) = &self.resumable {
            resumable.begin_again();
        }
    }

    /// Asks the client whether it is there. Where its session may outlive its carrier, its browser is asked, too:
    /// it answers for a page that is frozen, and not where the network is away.
    pub fn ask(&self, how: SignOfLife) {
        self.ping(how);
        if how == SignOfLife::Message && self.resumable.is_some() {
            self.send(&Frame::ping());
        }
    }

    /// Asks the client whether it is there. What it was sent before is proven received by its answer.
    pub fn ping(&self, how: SignOfLife) {
        if let Some(ping) = self.next_ping(how) {
            self.send(&ping);
        }
    }

    /// The ping that may go out with what is sent now, and proves that and all before received.
    pub(super) fn ping_along(&self) -> Option<Frame> {
        self.next_ping(self.with_session(|session| session.asks_by()))
    }

    /// A ping that is sent now. None: enough are under way.
    fn next_ping(&self, how: SignOfLife) -> Option<Frame> {
        // What answers a heartbeat of the fallback proves nothing.
        let resumable = self.resumable.as_deref();
        let resumable = resumable.filter(|_| how != SignOfLife::Heartbeat);
        let asked = resumable.and_then(|resumable| resumable.ask(Instant::now()));
        match (how, asked) {
            // Which of them an answer is to would not be known.
            (SignOfLife::Message, None) if resumable.is_some() => None,
            (SignOfLife::Message, _) => Some(server::ping()),
            (SignOfLife::Frame, Some(number)) => Some(Frame::ping_with(&number.to_be_bytes())),
            (SignOfLife::Frame | SignOfLife::Heartbeat, _) => Some(Frame::ping()),
        }
    }

    /// The client has answered a `pusher:ping`.
    pub fn on_pong(&self) {
        if let Some(resumable) = &self.resumable {
            resumable.answered(None);
        }
    }

    /// The client has answered a WebSocket ping, or sent a pong that nobody asked for.
    pub fn on_pong_frame(&self, payload: &[u8]) {
        if let (Some(resumable), Ok(number)) = (&self.resumable, payload.try_into()) {
            resumable.answered(Some(u64::from_be_bytes(number)));
        }
    }

    /// Answers to pings that have come so far.
    pub fn answers(&self) -> u64 {
        let resumable = self.resumable.as_deref();
        resumable.map_or(0, |resumable| resumable.answers())
    }

    /// Asks the client, now and then, whether it has received what it was sent. Returns whether there is
    /// anything that it may not have.
    pub(in crate::hub) fn ask_if_due(&self, now: Instant, is_its_turn: bool) -> bool {
        let Some(resumable) = &self.resumable else {
            return false;
        };
        match resumable.is_to_be_asked(now, is_its_turn) {
            None => false,
            Some(is_due) => {
                if is_due && self.is_open() {
                    let how = self.with_session(|session| session.asks_by());
                    self.ping(how);
                }
                true
            }
        }
    }

    /// Bytes that are kept of what the client has not proved to have received.
    pub(super) fn unproven_bytes(&self) -> usize {
        let resumable = self.resumable.as_deref();
        resumable.map_or(0, |resumable| resumable.unproven_bytes())
    }

    /// The client has signed in again as the user that the connection is registered as.
    pub fn user_is_back(&self) {
        let peer = self.handle();
        peer.mailbox.send(Control::UserIsBack { peer: peer.id });
    }

    /// Whether the client is to ask for the channel again before it is sent anything of it.
    pub(super) fn holds(&self, channel: &str) -> bool {
        self.resumable.is_some() && self.with_session(|session| session.holds(channel))
    }

    /// Whether the client is to sign in again before it is sent what goes to its user.
    pub(super) fn holds_user(&self) -> bool {
        self.resumable.is_some() && self.with_session(|session| session.holds_user())
    }

    /// Keeps who of the watched users is online for a client that does not prove to have received it, with
    /// what comes of one of them.
    pub(super) fn keep_statuses(&self, list: ChannelId, statuses: &Frame) {
        if let Some(resumable) = &self.resumable {
            let kept = Kept {
                channel: list,
                frame: statuses.bytes().clone(),
                what: What::Status,
            };
            resumable.keep(self.id(), kept);
        }
    }

    /// Sends who of the watched users is online now, with what comes of one of them.
    pub(super) fn send_statuses(&self, list: ChannelId) {
        let watchlist = self.with_session(|session| session.watchlist().cloned());
        let statuses = watchlist.and_then(|watchlist| self.app().statuses(&watchlist));
        if let Some(statuses) = statuses {
            self.keep_statuses(list, &statuses);
            self.send(&statuses);
        }
    }

    /// Whether the connection still is this user's.
    pub(super) fn is_of(&self, user: &Member) -> bool {
        self.with_session(|session| {
            let known = session.user();
            known.is_some_and(|known| known.user_id() == user.user_id())
        })
    }

    /// Whether this is what the connection has signed in as, and not the same user by another sign-in.
    pub(super) fn was_last_signed_in_as(&self, user: &Arc<Member>) -> bool {
        self.with_session(|session| {
            let known = session.user();
            known.is_some_and(|known| Arc::ptr_eq(known, user))
        })
    }

    /// Confirms a channel to a client that is back on it, and sends what it has missed. What it is sent
    /// with the confirmation makes up for announcements, but for the number of subscribers.
    pub(super) fn send_missed(&self, channel: ChannelId, welcome: &Welcome, missed: Missed) {
        // The last event of a cache channel is among those that were missed, or was received.
        self.send_welcome(welcome, false);
        match missed {
            Missed::Frames(frames) => {
                let count = frames.iter().rfind(|(frame, what)| {
                    *what == What::Announcement && server::is_subscription_count(frame)
                });
                let count = count.cloned();
                let events = frames.into_iter().filter(|(_, what)| *what == What::Event);
                self.send_again(channel, events.chain(count).collect());
            }
            Missed::Gap(lost) => {
                if lost.uncounted || lost.events > 0 {
                    self.send_gap(channel, welcome.channel.as_str(), lost);
                }
                let is_cache = welcome.channel.kind().cache;
                if let Some(last) = welcome.cached.as_ref().filter(|_| is_cache) {
                    self.send(last);
                }
            }
        }
    }

    /// Tells the client that it has missed something on a channel, if it has and nobody knows how much.
    pub(super) fn send_lapsed(&self, channel: ChannelId, name: &str) {
        if self.with_session(|session| session.take_lapsed(name)) {
            let lost = Lost {
                events: 0,
                uncounted: true,
            };
            self.send_gap(channel, name, lost);
        }
    }

    /// Tells the client what it has lost, and again until it has proved to know.
    fn send_gap(&self, channel: ChannelId, name: &str, lost: Lost) {
        self.app().metrics.resume_gaps.inc();
        let gap = server::gap(name, lost.count());
        let gaps = vec![(gap.bytes().clone(), What::Gap(lost))];
        self.send_kept(channel, &gaps);
    }

    /// Sends frames of a channel again.
    pub(super) fn send_again(&self, channel: ChannelId, frames: Vec<(Bytes, What)>) {
        for some in frames.chunks(AT_ONCE) {
            self.send_kept(channel, some);
            self.app().metrics.resent.inc_by(some.len() as u64);
        }
    }

    fn send_kept(&self, channel: ChannelId, frames: &[(Bytes, What)]) {
        if let Some(resumable) = &self.resumable {
            for (frame, what) in frames {
                resumable.resends(frame.len());
                let kept = Kept {
                    channel,
                    frame: frame.clone(),
                    what: *what,
                };
                resumable.keep(self.id(), kept);
            }
        }
        let frames: Vec<Bytes> = frames.iter().map(|(frame, _)| frame.clone()).collect();
        let slices: Vec<IoSlice<'_>> = frames.iter().map(|frame| IoSlice::new(frame)).collect();
        // What is missed may be more than may wait otherwise, and is asked for.
        self.outbox.borrow_mut().make_room(&frames);
        if self.send_run(&frames, &slices) {
            let metrics = &self.app().metrics;
            metrics.messages_sent.inc_by(frames.len() as u64);
            let bytes: usize = frames.iter().map(Bytes::len).sum();
            metrics.sent_bytes.inc_by(bytes as u64);
        }
    }
}
