//! Waking those who send, when there is something to send.

use std::sync::Arc;

use tokio::sync::Notify;

/// Wakes whoever sends.
#[derive(Clone, Debug)]
pub struct Wake {
    broadcast: Arc<Notify>,
    evictions: Arc<Notify>,
    whatsapp: Option<Arc<Notify>>,
    media: Arc<Notify>,
}

impl Wake {
    /// With or without replies to WhatsApp.
    pub fn new(replies: bool) -> Self {
        Self {
            broadcast: Arc::default(),
            evictions: Arc::default(),
            whatsapp: replies.then(Arc::default),
            media: Arc::default(),
        }
    }

    /// Something was committed.
    pub fn all(&self) {
        self.broadcast.notify_one();
        if let Some(whatsapp) = &self.whatsapp {
            whatsapp.notify_one();
        }
    }

    /// A message came whose file is to be fetched.
    pub fn media_arrived(&self) {
        self.media.notify_one();
    }

    /// Something may have been taken away from a user.
    pub fn rights_changed(&self) {
        self.evictions.notify_one();
    }

    /// What wakes the one who ends connections.
    pub fn evictions(&self) -> Arc<Notify> {
        Arc::clone(&self.evictions)
    }

    /// Whether agents' messages go to WhatsApp.
    pub fn replies(&self) -> bool {
        self.whatsapp.is_some()
    }

    /// What wakes the one who sends events.
    pub fn broadcast(&self) -> Arc<Notify> {
        Arc::clone(&self.broadcast)
    }

    /// What wakes the one who sends replies.
    pub fn whatsapp(&self) -> Option<Arc<Notify>> {
        self.whatsapp.clone()
    }

    /// What wakes the one who fetches files.
    pub fn media(&self) -> Arc<Notify> {
        Arc::clone(&self.media)
    }
}
