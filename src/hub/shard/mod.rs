//! The connections of one worker thread.
//!
//! - [`tables`]: the thread's connections and channels, and what is done to them
//! - [`channel`], [`subscribers`], [`absent`]: the local subscribers of a channel, those who are there
//!   and those who are away
//! - [`delivery`]: fan-out, from the mailbox to the sockets
//! - [`wheel`]: when which connection wants to know the time
//! - [`standstill`]: whether the shard itself did not run for a while
//! - [`peer`], [`carrier`], [`outbox`], [`sealed`], [`registration`]: one connection as the shard knows it
//! - [`outcomes`]: what it is sent of what was decided about it
//! - [`inspecting`]: what it is like, for people who look
//! - [`resumable`], [`unproven`], [`returning`], [`parking`]: a connection whose client goes away and
//!   comes back

mod absent;
mod carrier;
mod channel;
mod delivery;
mod inspecting;
mod outbox;
mod outcomes;
mod parking;
mod peer;
mod registration;
mod resumable;
mod returning;
mod sealed;
mod standstill;
mod subscribers;
mod tables;
mod unproven;
mod wheel;

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

pub use carrier::{Carrier, Fallback, Outlives};
pub use peer::{Flushed, Peer};
pub use registration::{Registration, leave_all};

use super::app::AppPermit;
use super::authority::Authority;
use super::mailbox::Mailbox;
use crate::metrics::WorkerMetrics;
use crate::protocol::Compression;
use crate::session::Session;
use delivery::{Inbox, Progress};
use tables::Tables;
use wheel::TICK;

/// The connections that live on one worker thread and the channels that they are on. Cloning
/// it gives another handle to the same shard; it never leaves its thread.
#[derive(Clone)]
pub struct Shard {
    tables: Rc<Tables>,
    inbox: Rc<RefCell<Inbox>>,
}

impl Shard {
    pub(super) fn new(
        mailbox: Arc<Mailbox>,
        authority: Arc<dyn Authority>,
        compression: Compression,
        metrics: WorkerMetrics,
    ) -> Self {
        Self {
            tables: Rc::new(Tables::new(mailbox, authority, compression, metrics)),
            inbox: Rc::default(),
        }
    }

    /// Takes a connection into the tables. It stays there until the registration is dropped.
    pub fn register(
        &self,
        permit: AppPermit,
        session: Session,
        carrier: Carrier,
        outlives: Outlives,
    ) -> Registration {
        let app = Arc::clone(permit.app());
        let peer = self.tables.insert(app, session, carrier, outlives);
        Registration::new(peer, Rc::clone(&self.tables), permit)
    }

    /// Carries out the mailbox's commands, for as long as the worker lives. After each slice of work
    /// the thread's other tasks and its sockets have their turn.
    pub async fn run(&self) {
        loop {
            std::future::poll_fn(|cx| self.poll_work(cx)).await;
            tokio::task::yield_now().await;
        }
    }

    /// Works for one slice. Pending while there is nothing to do.
    fn poll_work(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Registered before looking, so that no post goes unnoticed.
        self.tables.mailbox.register(cx.waker());
        match self.inbox.borrow_mut().work(&self.tables) {
            Progress::Idle => Poll::Pending,
            Progress::More => Poll::Ready(()),
        }
    }

    /// Watches the connections' deadlines, for as long as the worker lives.
    pub async fn watch_time(&self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.tables.look_at_deadlines(Instant::now());
        }
    }
}

impl fmt::Debug for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shard").finish_non_exhaustive()
    }
}
