//! Looks at an app's connections on this node, in no hurry.
//!
//! Connections belong to their threads, so their shards are asked through their mailboxes. What is asked at one time is bounded, so
//! that deliveries do not wait: the numbers of all connections, which are a single look at a table, and then what some of
//! them are like. Who is nobody's connection any more by then is left out. A hub that nobody looks at pays nothing.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::inspected::ConnectionReport;
use super::mailbox::{AppIndex, Control, Inspection, Look, Mailbox, PeerId, Seen, With};
use crate::protocol::SocketId;
use crate::session::CloseReason;

/// Connections that a shard looks at in one turn: tens of microseconds.
const AT_ONCE: usize = 256;

/// How long a shard may take to answer one question.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A shard did not answer in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoAnswer;

/// A text is no place in a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidPosition;

/// A place in a list of connections, which stays where it is while others come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    shard: usize,
    peer: u64,
}

/// As it is written for whoever comes back with it.
impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.shard, self.peer)
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let (shard, peer) = text.split_once('-').ok_or(InvalidPosition)?;
        Ok(Self {
            shard: shard.parse().map_err(|_| InvalidPosition)?,
            peer: peer.parse().map_err(|_| InvalidPosition)?,
        })
    }
}

/// A part of a list of connections.
#[derive(Debug, Default)]
pub struct Page {
    /// The connections, oldest first on each thread.
    pub connections: Vec<ConnectionReport>,
    /// Where the next part begins, if there may be one.
    pub next: Option<Position>,
}

/// Looks at the connections of one app.
#[derive(Debug)]
pub struct Inspector {
    mailboxes: Vec<Arc<Mailbox>>,
    app: AppIndex,
}

impl Inspector {
    pub(super) fn new(mailboxes: Vec<Arc<Mailbox>>, app: AppIndex) -> Self {
        Self { mailboxes, app }
    }

    /// At most so many connections behind a place, or from the beginning.
    pub async fn list(&self, after: Option<Position>, most: usize) -> Result<Page, NoAnswer> {
        let mut page = Page::default();
        let first = after.map_or(0, |after| after.shard);
        for shard in first..self.mailboxes.len() {
            let after = after.filter(|after| after.shard == shard);
            let numbers = self.numbers(shard).await?;
            let behind = after.map_or(0, |after| {
                numbers.partition_point(|peer| peer.0 <= after.peer)
            });
            for some in numbers[behind..].chunks(AT_ONCE) {
                for seen in self.look(shard, some, None, With::Nothing).await? {
                    if page.connections.len() == most {
                        return Ok(page);
                    }
                    page.next = Some(Position {
                        shard,
                        peer: seen.peer.0,
                    });
                    page.connections.push(seen.report);
                }
            }
        }
        page.next = None;
        Ok(page)
    }

    /// A connection with all its channels, if it is here.
    pub async fn find(&self, socket_id: SocketId) -> Result<Option<ConnectionReport>, NoAnswer> {
        self.find_with(socket_id, &With::Channels).await
    }

    /// Closes a connection. Returns whether it is here.
    pub async fn close(&self, socket_id: SocketId, reason: CloseReason) -> Result<bool, NoAnswer> {
        let with = With::Close(Arc::new(reason));
        Ok(self.find_with(socket_id, &with).await?.is_some())
    }

    async fn find_with(
        &self,
        socket_id: SocketId,
        with: &With,
    ) -> Result<Option<ConnectionReport>, NoAnswer> {
        for shard in 0..self.mailboxes.len() {
            for some in self.numbers(shard).await?.chunks(AT_ONCE) {
                let found = self
                    .look(shard, some, Some(socket_id), with.clone())
                    .await?;
                if let Some(found) = found.into_iter().next() {
                    return Ok(Some(found.report));
                }
            }
        }
        Ok(None)
    }

    /// The numbers of all of a shard's connections, in order.
    async fn numbers(&self, shard: usize) -> Result<Vec<PeerId>, NoAnswer> {
        let mut numbers = self.ask(shard, Inspection::Numbers).await?;
        numbers.sort_unstable_by_key(|peer| peer.0);
        Ok(numbers)
    }

    async fn look(
        &self,
        shard: usize,
        peers: &[PeerId],
        socket_id: Option<SocketId>,
        with: With,
    ) -> Result<Vec<Seen>, NoAnswer> {
        let look = Look {
            app: self.app,
            peers: peers.to_vec(),
            socket_id,
            with,
        };
        self.ask(shard, |answer| Inspection::Look(look, answer))
            .await
    }

    async fn ask<T>(
        &self,
        shard: usize,
        question: impl FnOnce(oneshot::Sender<T>) -> Inspection,
    ) -> Result<T, NoAnswer> {
        let (sender, answer) = oneshot::channel();
        let question = Box::new(question(sender));
        self.mailboxes[shard].send(Control::Inspect(question));
        let answer = timeout(ANSWER_WITHIN, answer).await;
        answer.map_err(|_| NoAnswer)?.map_err(|_| NoAnswer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let place = Position { shard: 3, peer: 14 };
        assert_eq!(place.to_string().parse(), Ok(place));
        for text in ["", "-", "1", "1-", "-1", "1-x", "1-2-3", "1--2"] {
            assert!(text.parse::<Position>().is_err(), "{text}");
        }
    }
}
