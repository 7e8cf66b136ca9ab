//! Webhooks that are sent nowhere, for tests of those who notify them.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::inbox::Inbox;
use super::outlet::Backlog;
use super::work::Order;
use super::{Settings, Thread, Webhooks};

/// What webhooks were notified of, in order.
#[derive(Debug)]
pub(crate) struct Notices(Mutex<Received>);

#[derive(Debug)]
struct Received {
    orders: mpsc::UnboundedReceiver<Order>,
    webhooks: Vec<(Arc<Inbox>, Arc<Backlog>)>,
}

impl Notices {
    /// Webhooks, and what they are notified of.
    pub(crate) fn new() -> (Webhooks, Self) {
        let webhooks = Webhooks::new(Settings::default());
        let mut thread = webhooks.0.thread.lock();
        let Thread::NotStarted(orders) = std::mem::replace(&mut *thread, Thread::Failed) else {
            unreachable!("nobody has started it");
        };
        drop(thread);
        let received = Received {
            orders,
            webhooks: Vec::new(),
        };
        (webhooks, Self(Mutex::new(received)))
    }

    /// The JSON of what they were notified of since this was last asked.
    pub(crate) fn take(&self) -> Vec<String> {
        let mut received = self.0.lock();
        while let Ok(order) = received.orders.try_recv() {
            if let Order::Begin(work) = order {
                received.webhooks.push((work.inbox, work.backlog));
            }
        }
        let mut notices = Vec::new();
        for (inbox, backlog) in &received.webhooks {
            for event in inbox.take() {
                backlog.release(&event);
                notices.push(event.json.to_string());
            }
        }
        notices
    }
}
