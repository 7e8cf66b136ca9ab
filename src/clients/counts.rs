//! How many connections each client has.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::metrics::Gauge;
use crate::net::block::Block;

/// Counts connections by client, so many at most. It holds those who have any, and so no more than
/// there are connections.
#[derive(Debug)]
pub(super) struct Counts {
    /// At least one.
    most: u32,
    open: Mutex<HashMap<Block, u32>>,
    /// How many those are.
    clients: Gauge,
}

/// The client has as many as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// One that counts until this is dropped.
#[derive(Debug)]
pub(super) struct Counted {
    counts: Arc<Counts>,
    block: Block,
    /// It was to take the place of another one.
    instead: bool,
}

impl Counts {
    /// `clients` shows how many have any.
    pub(super) fn new(most: u32, clients: Gauge) -> Arc<Self> {
        Arc::new(Self {
            most,
            open: Mutex::default(),
            clients,
        })
    }

    /// Counts one in, if the client may have one more or takes the place of one that it has.
    pub(super) fn enter(
        self: &Arc<Self>,
        client: IpAddr,
        takes_a_place: impl FnOnce() -> bool,
    ) -> Result<Counted, TooMany> {
        let block = Block::from(client);
        let counted = |instead| Counted {
            counts: Arc::clone(self),
            block,
            instead,
        };
        {
            let mut open = self.open.lock();
            let count = open.entry(block).or_default();
            if *count < self.most {
                *count += 1;
                self.clients.set(open.len() as i64);
                return Ok(counted(false));
            }
        }
        // Asked without the lock.
        if !takes_a_place() {
            return Err(TooMany);
        }
        let mut open = self.open.lock();
        *open.entry(block).or_default() += 1;
        self.clients.set(open.len() as i64);
        drop(open);
        Ok(counted(true))
    }
}

impl Counted {
    /// Whether the client has more than it may, and this one was to take the place of another.
    pub(super) fn is_beyond(&self) -> bool {
        let open = self.counts.open.lock();
        self.instead && open.get(&self.block) > Some(&self.counts.most)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.counts.open.lock();
        if let Some(count) = open.get_mut(&self.block) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.block);
                self.counts.clients.set(open.len() as i64);
            }
            // What a rush has left is given back.
            if open.len() < open.capacity() / 8 {
                open.shrink_to_fit();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_client_has_a_limit_of_its_own() {
        let counts = Counts::new(2, Gauge::default());
        let enter = |text: &str| counts.enter(address(text), || false);
        let first = enter("10.0.0.1").unwrap();
        let second = enter("::ffff:10.0.0.1").unwrap();
        assert_eq!(enter("10.0.0.1").unwrap_err(), TooMany);
        let _other = enter("10.0.0.2").unwrap();
        drop(first);
        let _third = enter("10.0.0.1").unwrap();
        assert_eq!(enter("10.0.0.1").unwrap_err(), TooMany);
        let in_place_of_one = counts.enter(address("10.0.0.1"), || true).unwrap();
        assert!(in_place_of_one.is_beyond());
        assert!(!second.is_beyond(), "it was there before");
        drop(second);
        assert!(!in_place_of_one.is_beyond());
    }

    #[test]
    fn nothing_is_kept_of_those_who_have_none() {
        let counts = Counts::new(1, Gauge::default());
        let entered: Vec<_> = (0..10_000_u32)
            .map(|number| counts.enter(std::net::Ipv4Addr::from(number).into(), || false))
            .collect();
        assert_eq!(counts.clients.get(), 10_000);
        drop(entered);
        assert_eq!(counts.clients.get(), 0);
        assert!(counts.open.lock().is_empty());
        assert!(counts.open.lock().capacity() < 100);
    }
}
