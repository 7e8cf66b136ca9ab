//! What a node has to publish on one channel.

use std::collections::VecDeque;

use bytes::Bytes;
use redis::Cmd;
use tokio::sync::oneshot;

use super::entry::{Event, NodeId, Place, Writer};
use super::keys::{self, Topic};
use super::script;
use super::wire::entry;
use crate::hub::Rank;

/// Events that go into one entry at most, and their bytes.
const MOST_EVENTS: usize = 64;
const MOST_BYTES: usize = 256 * 1024;

/// Entries that a channel's log keeps at most.
const HISTORY_ENTRIES: usize = 10_000;

/// Something to publish, with what comes of having published it.
#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) what: Payload,
    pub(super) receipt: Option<oneshot::Sender<()>>,
    /// When it is to be published, among others. It has room in the backlog until it is.
    pub(super) rank: Rank,
}

#[derive(Debug)]
pub(super) enum Payload {
    /// An event; if it is kept as the channel's last, for so many milliseconds.
    Event(Event, Option<u64>),
    /// The user's connections are to be closed.
    Close { code: u16, reason: String },
}

/// All that a node has to publish on a channel, in order.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: VecDeque<Outgoing>,
    /// Sent, and perhaps not received: it is sent again, byte for byte, before anything else. In the order of
    /// their numbers, as receivers take a lower number for one that they have had.
    unsure: VecDeque<Batch>,
}

/// An entry that is in the log.
#[derive(Debug)]
pub(super) struct Written {
    body: Vec<u8>,
    head: usize,
    number: u64,
    pub(super) place: Option<Place>,
}

/// What goes into one entry.
#[derive(Debug)]
pub(super) struct Batch {
    body: Vec<u8>,
    /// The bytes of the body by which it differs from all others.
    head: usize,
    number: u64,
    cached: Option<(Bytes, u64)>,
    items: Vec<Outgoing>,
    is_repetition: bool,
    /// Whether it is known that it was written, and repeated in case that it is lost.
    was_written: bool,
    /// What the body begins with of the last that was written after it.
    later: Option<Vec<u8>>,
}

/// What a call needs to know of the node that makes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct PublishContext<'a> {
    pub(super) node: NodeId,
    pub(super) version: u8,
    /// A number above all that were used.
    pub(super) number: u64,
    /// The epoch of a channel that has none yet.
    pub(super) epoch: &'a str,
    /// PUBLISH or SPUBLISH.
    pub(super) publish: &'a str,
    /// Milliseconds that an entry is kept.
    pub(super) history_ms: u64,
    /// Bytes of entries that a channel's log keeps at most.
    pub(super) log_bytes: usize,
    /// Whether entries are written even where no other node is known to listen.
    pub(super) keep: bool,
}

impl Outgoing {
    fn is_event(&self) -> bool {
        matches!(self.what, Payload::Event(..))
    }
}

impl Queue {
    pub(super) fn push(&mut self, outgoing: Outgoing) {
        self.waiting.push_back(outgoing);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.unsure.is_empty()
    }

    /// Whoever waits need not: all this is kept until it can be published.
    pub(super) fn send_receipts(&mut self) {
        self.let_others_pass();
        let unsure = self.unsure.iter_mut().flat_map(|unsure| &mut unsure.items);
        for outgoing in unsure.chain(&mut self.waiting) {
            if let Some(receipt) = outgoing.receipt.take() {
                // Gone with the publisher.
                let _ = receipt.send(());
            }
        }
    }

    /// What other channels have to publish does not wait for this.
    pub(super) fn let_others_pass(&self) {
        for outgoing in &self.waiting {
            outgoing.rank.pass();
        }
    }

    /// What is to be published next. Nothing, if something is to be published on another channel before.
    pub(super) fn next(&mut self, publishing: PublishContext<'_>) -> Option<Batch> {
        if let Some(mut unsure) = self.unsure.pop_front() {
            let is_last = |later: &&Batch| unsure.was_written && later.was_written;
            let last = self.unsure.iter().rfind(is_last);
            unsure.later = last.map(|later| later.body[..later.head].to_vec());
            return Some(unsure);
        }
        let first = self.waiting.pop_front_if(|first| first.rank.has_come())?;
        first.rank.pass();
        Some(match &first.what {
            Payload::Close { code, reason } => {
                let mut writer = Writer::new(
                    publishing.version,
                    entry::CLOSE,
                    publishing.node,
                    publishing.number,
                );
                let head = writer.len();
                writer.field(code.to_string().as_bytes());
                writer.field(reason.as_bytes());
                Batch {
                    body: writer.finish(),
                    head,
                    number: publishing.number,
                    cached: None,
                    items: vec![first],
                    is_repetition: false,
                    was_written: false,
                    later: None,
                }
            }
            Payload::Event(..) => self.events(first, publishing),
        })
    }

    /// The event and those right behind it whose turn it is.
    fn events(&mut self, first: Outgoing, publishing: PublishContext<'_>) -> Batch {
        let mut writer = Writer::new(
            publishing.version,
            entry::EVENTS,
            publishing.node,
            publishing.number,
        );
        let head = writer.len();
        let mut cached = None;
        let mut items = Vec::with_capacity(1);
        let mut next = Some(first);
        while let Some(outgoing) = next {
            if let Payload::Event(event, kept_for) = &outgoing.what {
                writer.event(event);
                if let Some(ms) = kept_for {
                    cached = Some((event.payload.clone(), *ms));
                }
            }
            items.push(outgoing);
            let has_room = items.len() < MOST_EVENTS && writer.len() < MOST_BYTES;
            next = self
                .waiting
                .pop_front_if(|next| has_room && next.is_event() && next.rank.has_come());
            if let Some(next) = &next {
                next.rank.pass();
            }
        }
        Batch {
            body: writer.finish(),
            head,
            number: publishing.number,
            cached,
            items,
            is_repetition: false,
            was_written: false,
            later: None,
        }
    }

    /// It is not known whether this was received. Whoever waits need not: it is kept until it is.
    pub(super) fn put_back(&mut self, batch: Batch) {
        self.put(Batch {
            is_repetition: true,
            ..batch
        });
        self.send_receipts();
    }

    /// This was certainly not received.
    pub(super) fn put_back_unacknowledged(&mut self, batch: Batch) {
        self.put(batch);
    }

    /// Where it belongs: what became of a call may be known before or after the link is lost.
    fn put(&mut self, batch: Batch) {
        let place = self
            .unsure
            .partition_point(|other| other.number < batch.number);
        self.unsure.insert(place, batch);
    }

    /// What is repeated stands in order.
    pub(super) fn check(&self) {
        let numbers = self.unsure.iter().map(|batch| batch.number);
        debug_assert!(
            numbers.is_sorted(),
            "repetitions are out of order: {self:?}"
        );
    }

    /// Redis has ended right after this was written: if the log is lost too, others may not have it.
    pub(super) fn repeat(&mut self, written: Written) {
        self.put(Batch {
            body: written.body,
            head: written.head,
            number: written.number,
            cached: None,
            items: Vec::new(),
            is_repetition: true,
            was_written: true,
            later: None,
        });
    }
}

impl Written {
    /// Where it stands in the log.
    pub(super) fn at(self, place: Option<Place>) -> Self {
        Self { place, ..self }
    }

    pub(super) fn bytes(&self) -> usize {
        self.body.len()
    }
}

impl Batch {
    /// About how much goes to Redis.
    pub(super) fn bytes(&self) -> usize {
        let cached = self.cached.as_ref();
        self.body.len() + cached.map_or(0, |(payload, _)| payload.len())
    }

    /// What it takes in the log.
    pub(super) fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// `listens`: whether the node itself listens to the topic.
    pub(super) fn call(&self, topic: &Topic, publishing: PublishContext<'_>, listens: bool) -> Cmd {
        let keys = [keys::meta(topic), keys::log(topic), keys::cache(topic)];
        let head = if self.is_repetition {
            &self.body[..self.head]
        } else {
            &[]
        };
        // Who repeats itself cannot know who listened the first time.
        let keeps = publishing.keep || self.is_repetition;
        let (cached, cached_for) = match &self.cached {
            Some((payload, ms)) => (&payload[..], *ms),
            None => (&[][..], 0),
        };
        script::PUBLISH
            .call(&keys)
            .arg("node", publishing.node.to_string())
            .arg("new_epoch", publishing.epoch)
            .arg("history", publishing.history_ms)
            .arg("most_entries", HISTORY_ENTRIES)
            .arg("publish", publishing.publish)
            .arg("topic", &**topic)
            .arg("body", &self.body)
            .arg("head", head)
            .arg("keeps", i32::from(keeps))
            .arg("cached", cached)
            .arg("cached_for", cached_for)
            .arg("log_bytes", publishing.log_bytes)
            .arg("listens", i32::from(listens))
            .arg("later", self.later.as_deref().unwrap_or_default())
            .command()
    }

    /// It was received.
    pub(super) fn done(self) -> Written {
        for outgoing in self.items {
            if let Some(receipt) = outgoing.receipt {
                // Gone with the publisher.
                let _ = receipt.send(());
            }
        }
        Written {
            body: self.body,
            head: self.head,
            number: self.number,
            place: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLISHING: PublishContext<'_> = PublishContext {
        node: NodeId(1),
        version: 1,
        number: 9,
        epoch: "e",
        publish: "PUBLISH",
        history_ms: 30_000,
        log_bytes: 1 << 20,
        keep: false,
    };

    fn event(size: usize) -> Outgoing {
        let event = Event {
            is_cached: false,
            except: None,
            payload: Bytes::from(vec![b'x'; size]),
        };
        Outgoing {
            what: Payload::Event(event, None),
            receipt: None,
            rank: Rank::default(),
        }
    }

    fn close() -> Outgoing {
        Outgoing {
            what: Payload::Close {
                code: 4009,
                reason: String::new(),
            },
            ..event(0)
        }
    }

    #[test]
    fn events_that_wait_go_together_and_nothing_overtakes() {
        let mut queue = Queue::default();
        for _ in 0..MOST_EVENTS + 1 {
            queue.push(event(1));
        }
        queue.push(close());
        queue.push(event(MOST_BYTES));
        queue.push(event(1));
        let mut sizes = Vec::new();
        while let Some(batch) = queue.next(PUBLISHING) {
            sizes.push(batch.items.len());
        }
        assert_eq!(sizes, [MOST_EVENTS, 1, 1, 1, 1]);
    }

    #[test]
    fn what_may_not_have_arrived_is_repeated_first_and_byte_for_byte() {
        let mut queue = Queue::default();
        let (receipt, mut waiting) = oneshot::channel();
        queue.push(Outgoing {
            receipt: Some(receipt),
            ..event(1)
        });
        let first = queue.next(PUBLISHING).unwrap();
        let body = first.body.clone();
        queue.put_back(first);
        queue.push(event(2));
        assert_eq!(waiting.try_recv(), Ok(()));
        let again = queue
            .next(PublishContext {
                number: 10,
                ..PUBLISHING
            })
            .unwrap();
        assert!(again.is_repetition && again.body == body);
        again.done();
        assert!(!queue.next(PUBLISHING).unwrap().is_repetition);
        assert!(queue.is_empty());
    }

    #[test]
    fn what_was_written_last_is_repeated_in_its_order_before_what_is_not_known_to_be() {
        let mut queue = Queue::default();
        let mut written = Vec::new();
        let mut bodies = Vec::new();
        for number in 1..=2 {
            queue.push(event(number));
            let batch = queue
                .next(PublishContext {
                    number: number as u64,
                    ..PUBLISHING
                })
                .unwrap();
            bodies.push(batch.body.clone());
            written.push(batch.done());
        }
        queue.push(event(3));
        let under_way = queue.next(PUBLISHING).unwrap();
        bodies.push(under_way.body.clone());
        for written in written.into_iter().rev() {
            queue.repeat(written);
        }
        queue.put_back(under_way);
        // The first repetition fails once more.
        let first = queue.next(PUBLISHING).unwrap();
        queue.put_back(first);
        for body in bodies {
            let again = queue.next(PUBLISHING).unwrap();
            assert!(again.is_repetition && again.body == body);
        }
        assert!(queue.is_empty());
    }

    #[test]
    fn repetition_that_fails_once_more_does_not_overtake_what_was_written_before_it() {
        let mut queue = Queue::default();
        let mut batches = Vec::new();
        for number in 1..=3 {
            queue.push(event(number));
            let number = number as u64;
            batches.push(
                queue
                    .next(PublishContext {
                        number,
                        ..PUBLISHING
                    })
                    .unwrap(),
            );
        }
        let bodies: Vec<_> = batches.iter().map(|batch| batch.body.clone()).collect();
        let mut batches = batches.into_iter();
        let written = batches.next().unwrap().done();
        for batch in batches {
            queue.put_back(batch);
        }
        let repetition = queue.next(PUBLISHING).unwrap();
        // The link is lost, and only then the answer.
        queue.repeat(written);
        queue.put_back(repetition);
        for body in bodies {
            assert_eq!(queue.next(PUBLISHING).unwrap().body, body);
        }
    }
}
