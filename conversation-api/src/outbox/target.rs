//! Where rows go.

use std::sync::Arc;
use std::time::Duration;

use publisher::{Broadcast, Broadcaster};

use super::evictions::{Evictions, NotEvicted};
use super::wake::Wake;
use crate::clock::Timestamp;
use crate::message::Failure;
use crate::store::outbox::{Kind, Waiting};
use crate::whatsapp::Reply;
use crate::whatsapp::answer::{Concerns, GraphError};
use crate::whatsapp::graph::Graph;

/// What takes the rows of a kind.
#[derive(Clone, Debug)]
pub enum Target {
    /// The relay, or whatever the broadcast driver leads to, where connections end first that must.
    Relay(Arc<dyn Broadcaster>, Evictions),
    /// WhatsApp.
    Whatsapp {
        /// Its API.
        graph: Graph,
        /// What becomes of a message is announced, for which those who announce are woken.
        wake: Wake,
        /// How old a message may be that is tried again.
        retry_for: Duration,
    },
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
    /// Another attempt may succeed.
    Later(Later),
    /// No attempt will succeed.
    Never {
        error: String,
        /// The message that it would have carried to the customer, and why it did not.
        failed: Option<(i64, Failure)>,
    },
}

/// Why a row was not taken yet.
#[derive(Debug)]
pub(super) struct Later {
    pub(super) error: String,
    /// How long the target asks to be left alone.
    pub(super) retry_after: Option<Duration>,
    /// Whether it would have taken nobody's rows, as far as is known.
    pub(super) is_everybodys: bool,
    /// Whether it may have the row all the same, as it did not answer.
    pub(super) may_have_it: bool,
}

impl Later {
    /// There was no answer.
    pub(super) fn silence(error: impl ToString) -> Self {
        Self {
            error: error.to_string(),
            retry_after: None,
            is_everybodys: true,
            may_have_it: true,
        }
    }
}

impl Target {
    /// Of which kind the rows are.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Relay(..) => Kind::Broadcast,
            Self::Whatsapp { .. } => Kind::Whatsapp,
        }
    }

    /// Whether a row that comes again is known to be one, by its key. What is not would reach the
    /// customer twice.
    pub(super) fn knows_repeats(&self) -> bool {
        match self {
            Self::Relay(..) => true,
            Self::Whatsapp { .. } => false,
        }
    }

    /// Does what must be done before rows are sent that were just read.
    pub(super) async fn prepare(&self) -> Result<(), NotEvicted> {
        match self {
            Self::Relay(_, evictions) => evictions.finish().await,
            Self::Whatsapp { .. } => Ok(()),
        }
    }

    /// What was sent was noted.
    pub(super) fn settled(&self) {
        match self {
            Self::Relay(..) => {}
            Self::Whatsapp { wake, .. } => wake.broadcast().notify_one(),
        }
    }

    /// The message of a row that was not taken and is too old to be tried again, and why it failed.
    pub(super) fn give_up(&self, row: &Waiting, later: &Later) -> Option<(i64, Failure)> {
        let Self::Whatsapp { retry_for, .. } = self else {
            return None;
        };
        if Timestamp::now() < row.created_at.after(*retry_for) {
            return None;
        }
        let reply: Reply = read(&row.payload).ok()?;
        let failure = if later.may_have_it {
            Failure::not_known(&later.error)
        } else {
            Failure::new(None, "WhatsApp did not take it in time", &later.error)
        };
        Some((reply.message_id, failure))
    }

    /// Sends a row.
    pub(super) async fn send(&self, row: &Waiting) -> Result<Taken, NotTaken> {
        match self {
            Self::Relay(broadcaster, _) => {
                let event: Broadcast = read(&row.payload)?;
                broadcaster.broadcast(&event).await?;
                Ok(Taken::default())
            }
            Self::Whatsapp { graph, .. } => {
                let reply: Reply = read(&row.payload)?;
                match graph.send(&reply).await {
                    Ok(id) => Ok(Taken {
                        whatsapp_id: Some((reply.message_id, id)),
                    }),
                    Err(error) => Err(NotTaken::by_whatsapp(error, reply.message_id)),
                }
            }
        }
    }
}

fn read<'p, T: serde::Deserialize<'p>>(payload: &'p str) -> Result<T, NotTaken> {
    serde_json::from_str(payload).map_err(|error| NotTaken::Never {
        error: format!("the row cannot be read: {error}"),
        failed: None,
    })
}

impl NotTaken {
    fn by_whatsapp(error: GraphError, message_id: i64) -> Self {
        match error {
            GraphError::Later {
                error,
                retry_after,
                concerns,
                may_be_done,
            } => Self::Later(Later {
                error,
                retry_after,
                is_everybodys: concerns == Concerns::Everybody,
                may_have_it: may_be_done,
            }),
            GraphError::Never { error, failure } => Self::Never {
                error,
                failed: Some((message_id, failure)),
            },
        }
    }
}

impl From<publisher::Error> for NotTaken {
    fn from(error: publisher::Error) -> Self {
        if error.can_retry() {
            Self::Later(Later {
                retry_after: error.retry_after(),
                ..Later::silence(error)
            })
        } else {
            Self::Never {
                error: error.to_string(),
                failed: None,
            }
        }
    }
}
