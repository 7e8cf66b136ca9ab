//! Handshakes under way, and which of them ends when there are too many.

use std::cell::RefCell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use tokio::sync::oneshot;

use crate::metrics::Gauge;
use crate::net::block::Block;

/// Handshakes that a worker has under way at one time. With more, the oldest ends of the client that has most: whoever takes
/// part in it has taken longer than all its others.
const MOST_HANDSHAKES: usize = 512;

/// Handshakes under way on one thread.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    handshakes: RefCell<Handshakes>,
    /// How many there are, on all threads.
    shown: Gauge,
}

/// One of them; it counts until this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    under_way: Rc<UnderWay>,
    number: u64,
}

#[derive(Debug, Default)]
struct Handshakes {
    next: u64,
    /// All of them, the oldest first.
    open: BTreeMap<u64, (Option<Block>, oneshot::Sender<()>)>,
    /// Those of each client.
    by_client: HashMap<Block, BTreeSet<u64>>,
    /// Clients by how many they have, and of those that have as many, the one with the oldest last.
    ranked: BTreeSet<(usize, Reverse<u64>, Block)>,
}

impl UnderWay {
    /// None yet. `shown` shows how many there are.
    pub(super) fn new(shown: Gauge) -> Rc<Self> {
        Rc::new(Self {
            handshakes: RefCell::default(),
            shown,
        })
    }

    /// Begins one, and ends another if there are too many. Those whose client is not known, as a proxy stands between, end
    /// after all others.
    pub(super) fn enter(self: &Rc<Self>, client: Option<Block>) -> (Turn, oneshot::Receiver<()>) {
        let (end, displaced) = oneshot::channel();
        let number = self.handshakes.borrow_mut().add(client, end);
        self.shown.inc();
        let under_way = Rc::clone(self);
        (Turn { under_way, number }, displaced)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.under_way.handshakes.borrow_mut().remove(self.number);
        self.under_way.shown.dec();
    }
}

impl Handshakes {
    fn add(&mut self, client: Option<Block>, end: oneshot::Sender<()>) -> u64 {
        if self.open.len() >= MOST_HANDSHAKES
            && let Some(number) = self.least_deserving()
        {
            self.remove(number);
        }
        let number = self.next;
        self.next += 1;
        self.open.insert(number, (client, end));
        if let Some(client) = client {
            self.change(client, |numbers| numbers.insert(number));
        }
        number
    }

    fn least_deserving(&self) -> Option<u64> {
        let of_client = self.ranked.last().map(|(_, Reverse(oldest), _)| *oldest);
        of_client.or_else(|| self.open.keys().next().copied())
    }

    /// Dropping its sender ends it, unless it has ended.
    fn remove(&mut self, number: u64) {
        if let Some((Some(client), _)) = self.open.remove(&number) {
            self.change(client, |numbers| numbers.remove(&number));
        }
    }

    fn change(&mut self, client: Block, change: impl FnOnce(&mut BTreeSet<u64>) -> bool) {
        let numbers = self.by_client.entry(client).or_default();
        if let Some(oldest) = numbers.first() {
            let rank = (numbers.len(), Reverse(*oldest), client);
            self.ranked.remove(&rank);
        }
        change(numbers);
        match numbers.first() {
            Some(oldest) => {
                let rank = (numbers.len(), Reverse(*oldest), client);
                self.ranked.insert(rank);
            }
            None => {
                self.by_client.remove(&client);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use tokio::sync::oneshot::error::TryRecvError;

    use super::*;

    type Begun = (Turn, oneshot::Receiver<()>);

    fn client(number: u32) -> Option<Block> {
        Some(IpAddr::from(Ipv4Addr::from_bits(number)).into())
    }

    fn is_displaced((_, displaced): &mut Begun) -> bool {
        displaced.try_recv() == Err(TryRecvError::Closed)
    }

    #[test]
    fn the_oldest_handshake_ends_when_there_are_too_many() {
        let under_way = UnderWay::new(Gauge::default());
        let count = MOST_HANDSHAKES as u32;
        let mut open: Vec<Begun> = (0..count)
            .map(|number| under_way.enter(client(number)))
            .collect();
        drop(open.remove(0));
        let newest = under_way.enter(client(count));
        assert!(!open.iter_mut().any(is_displaced));
        let _one_too_many = under_way.enter(client(count + 1));
        assert!(is_displaced(&mut open[0]));
        assert!(!is_displaced(&mut open[1]));
        drop(newest);
        let handshakes = under_way.handshakes.borrow();
        assert!(handshakes.open.len() < MOST_HANDSHAKES);
        assert_eq!(handshakes.by_client.len(), handshakes.ranked.len());
    }

    #[test]
    fn who_has_most_handshakes_makes_room() {
        let under_way = UnderWay::new(Gauge::default());
        let mut proxied = under_way.enter(None);
        let mut slow = under_way.enter(client(1));
        let mut many: Vec<Begun> = (0..2 * MOST_HANDSHAKES)
            .map(|_| under_way.enter(client(2)))
            .collect();
        assert!(!is_displaced(&mut slow));
        assert!(!is_displaced(&mut proxied));
        let displaced = many.iter_mut().map(is_displaced);
        let oldest = displaced.take_while(|is_displaced| *is_displaced);
        assert_eq!(oldest.count(), MOST_HANDSHAKES + 2);
        drop((proxied, slow, many));
        let handshakes = under_way.handshakes.borrow();
        assert!(handshakes.open.is_empty());
        assert!(handshakes.by_client.is_empty() && handshakes.ranked.is_empty());
        assert_eq!(under_way.shown.get(), 0);
    }

    #[test]
    fn behind_a_proxy_that_names_nobody_the_oldest_ends() {
        let under_way = UnderWay::new(Gauge::default());
        let mut open: Vec<Begun> = (0..MOST_HANDSHAKES)
            .map(|_| under_way.enter(None))
            .collect();
        let _one_too_many = under_way.enter(None);
        assert!(is_displaced(&mut open[0]));
        assert!(!is_displaced(&mut open[1]));
    }
}
