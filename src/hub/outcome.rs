//! What comes of asking an authority.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::protocol::Frame;

/// Whether a node can do all that it is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It can.
    Well,
    /// It has lost the others, and goes on with what it knows.
    Away,
    /// It is not let to them, and takes nothing that is for them, too.
    Refused,
    /// It has never reached them, and knows nothing yet.
    NotYet,
}

/// What is asked for cannot be had now, or not in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Too much waits for the other nodes.
    #[error("too many events are waiting for the other nodes (cluster.backlog_bytes)")]
    BacklogFull,
    /// What only all nodes together know cannot be looked up.
    #[error("the relay has lost its connection to Redis, where the nodes keep what they share")]
    Away,
    /// What was looked up makes no sense.
    #[error("Redis gave the relay an answer that this version cannot read")]
    Unreadable,
    /// Somebody else has begun to publish under the same idempotency key, and has not ended.
    #[error(
        "another publish under this idempotency key has not ended, or it is not known yet how it did"
    )]
    KeyTaken,
    /// The node is leaving the others.
    #[error("the relay is going away")]
    Leaving,
    /// The node is not let to the others.
    #[error("Redis does not let the relay do all that it needs (/ready says what)")]
    Refused,
    /// The node has not found the others since it started.
    #[error("the relay has not reached Redis yet, where the nodes keep what they share")]
    NotYet,
}

/// Becomes ready when what was asked for is where all nodes find it, or is kept for them until then.
#[derive(Debug, Default)]
#[must_use = "whoever asked waits for it"]
pub struct Receipt(Option<oneshot::Receiver<()>>);

impl Receipt {
    /// Nothing is to be waited for.
    pub fn at_once() -> Self {
        Self(None)
    }

    /// Ready when the sender sends, or is dropped.
    pub fn pending(receiver: oneshot::Receiver<()>) -> Self {
        Self(Some(receiver))
    }

    /// Whether there is something to wait for.
    pub fn is_pending(&self) -> bool {
        self.0.is_some()
    }

    /// Waits for it. Fails if the node goes before that.
    pub async fn settled(self) -> Result<(), Unavailable> {
        match self.0 {
            Some(receiver) => receiver.await.map_err(|_| Unavailable::Leaving),
            None => Ok(()),
        }
    }
}

/// What an authority knows: at hand, or still to be fetched.
pub enum Answer<T> {
    /// It is at hand.
    Now(T),
    /// It is being fetched.
    Later(Pin<Box<dyn Future<Output = Result<T, Unavailable>> + Send>>),
}

impl<T> Answer<T> {
    /// One that is fetched.
    pub fn later(fetch: impl Future<Output = Result<T, Unavailable>> + Send + 'static) -> Self {
        Self::Later(Box::pin(fetch))
    }

    /// Waits for it.
    pub async fn get(self) -> Result<T, Unavailable> {
        match self {
            Self::Now(answer) => Ok(answer),
            Self::Later(fetch) => fetch.await,
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(answer) => f.debug_tuple("Now").field(answer).finish(),
            Self::Later(_) => f.debug_tuple("Later").finish_non_exhaustive(),
        }
    }
}

/// How much is asked about a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Who is on it.
    State,
    /// Its last event, too, if it is a cache channel.
    StateAndLastEvent,
}

/// What is known about a channel, with its last event if it was asked for.
#[derive(Clone, Debug, Default)]
pub struct ChannelReport {
    /// Who is on it.
    pub state: ChannelState,
    /// The last event of a cache channel.
    pub cached: Option<CachedEvent>,
}

/// Who is on a channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelState {
    /// Connections subscribed.
    pub subscribers: usize,
    /// Users present; 0 on other than presence channels.
    pub users: usize,
}

/// The last event of a cache channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedEvent {
    /// The event as it was sent.
    pub frame: Frame,
    /// For how long it is still kept.
    pub left: Duration,
}
