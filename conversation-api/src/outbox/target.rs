//! Where rows go.

use std::sync::Arc;
use std::time::Duration;

use publisher::{Broadcast, Broadcaster};

use super::evictions::{Evictions, NotEvicted};
use crate::store::outbox::{Kind, Waiting};
use crate::whatsapp::Reply;
use crate::whatsapp::graph::{Graph, SendError};

/// What takes the rows of a kind.
#[derive(Clone, Debug)]
pub enum Target {
    /// The relay, or whatever the broadcast driver leads to, where connections end first that must.
    Relay(Arc<dyn Broadcaster>, Evictions),
    /// WhatsApp.
    Whatsapp(Graph),
}

/// A row was taken.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// What WhatsApp calls the message.
    pub(super) whatsapp_id: Option<(i64, String)>,
}

/// A row was not taken.
#[derive(Debug)]
pub(super) enum NotTaken {
    /// Another attempt may succeed, after a while that the target may have named.
    Later {
        error: String,
        retry_after: Option<Duration>,
    },
    /// No attempt will succeed.
    Never {
        error: String,
        message_id: Option<i64>,
    },
}

impl Target {
    /// Of which kind the rows are.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Relay(..) => Kind::Broadcast,
            Self::Whatsapp(_) => Kind::Whatsapp,
        }
    }

    /// Does what must be done before rows are sent that were just read.
    pub(super) async fn prepare(&self) -> Result<(), NotEvicted> {
        match self {
            Self::Relay(_, evictions) => evictions.finish().await,
            Self::Whatsapp(_) => Ok(()),
        }
    }

    /// Sends a row.
    pub(super) async fn send(&self, row: &Waiting) -> Result<Taken, NotTaken> {
        match self {
            Self::Relay(broadcaster, _) => {
                let event: Broadcast = read(&row.payload)?;
                broadcaster.broadcast(&event).await?;
                Ok(Taken::default())
            }
            Self::Whatsapp(graph) => {
                let reply: Reply = read(&row.payload)?;
                match graph.send(&reply).await {
                    Ok(id) => Ok(Taken {
                        whatsapp_id: (!id.is_empty()).then_some((reply.message_id, id)),
                    }),
                    Err(SendError::Later(error)) => Err(NotTaken::Later {
                        error,
                        retry_after: None,
                    }),
                    Err(SendError::Never(error)) => Err(NotTaken::Never {
                        error,
                        message_id: Some(reply.message_id),
                    }),
                }
            }
        }
    }
}

fn read<'p, T: serde::Deserialize<'p>>(payload: &'p str) -> Result<T, NotTaken> {
    serde_json::from_str(payload).map_err(|error| NotTaken::Never {
        error: format!("the row cannot be read: {error}"),
        message_id: None,
    })
}

impl From<publisher::Error> for NotTaken {
    fn from(error: publisher::Error) -> Self {
        if error.can_retry() {
            Self::Later {
                retry_after: error.retry_after(),
                error: error.to_string(),
            }
        } else {
            Self::Never {
                error: error.to_string(),
                message_id: None,
            }
        }
    }
}
