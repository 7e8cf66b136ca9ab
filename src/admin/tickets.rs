//! Tickets: what a browser shows where it cannot show its token, which is when it opens a WebSocket. Each opens one stream,
//! within half a minute of being made.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::who::Who;

/// How long a ticket holds.
pub(super) const HOLDS_FOR: Duration = Duration::from_secs(30);

/// Tickets that hold at one time; the oldest goes first. Only those who have a token make any.
const MOST: usize = 256;

/// The tickets that nobody has used yet.
#[derive(Debug, Default)]
pub(super) struct Tickets(Mutex<VecDeque<Ticket>>);

#[derive(Debug)]
struct Ticket {
    hash: [u8; 32],
    until: Instant,
    who: Who,
}

impl Tickets {
    /// Makes one for somebody.
    pub(super) fn make(&self, who: Who, now: Instant) -> String {
        let text = hex::encode(rand::random::<[u8; 24]>());
        let mut tickets = self.0.lock();
        forget_expired(&mut tickets, now);
        if tickets.len() == MOST {
            tickets.pop_front();
        }
        tickets.push_back(Ticket {
            hash: Sha256::digest(&text).into(),
            until: now + HOLDS_FOR,
            who,
        });
        text
    }

    /// Whose ticket it is. It is used up by that.
    pub(super) fn take(&self, text: &str, now: Instant) -> Option<Who> {
        let hash: [u8; 32] = Sha256::digest(text).into();
        let mut tickets = self.0.lock();
        forget_expired(&mut tickets, now);
        let mut found = None;
        for (index, ticket) in tickets.iter().enumerate() {
            if ticket.hash.ct_eq(&hash).into() {
                found = Some(index);
            }
        }
        Some(tickets.remove(found?)?.who)
    }
}

fn forget_expired(tickets: &mut VecDeque<Ticket>, now: Instant) {
    while tickets.front().is_some_and(|oldest| oldest.until <= now) {
        tickets.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokens::{Role, Token};
    use super::*;

    fn who(name: &str) -> Who {
        Who {
            token: Some(Token::new(Role::Read, name, "0123456789abcdef").unwrap()),
            role: Role::Read,
            address: None,
        }
    }

    #[test]
    fn a_ticket_opens_once_and_not_for_long() {
        let (tickets, start) = (Tickets::default(), Instant::now());
        let one = tickets.make(who("one"), start);
        let other = tickets.make(who("other"), start + Duration::from_secs(1));
        assert!(tickets.take("", start).is_none());
        assert!(tickets.take(&one[1..], start).is_none());
        let taken = tickets.take(&one, start).unwrap();
        assert_eq!(taken.token_name(), Some("one"));
        assert!(tickets.take(&one, start).is_none());
        assert!(
            tickets
                .take(&other, start + Duration::from_secs(31))
                .is_none()
        );
        assert!(tickets.0.lock().is_empty());
    }

    #[test]
    fn there_are_never_many() {
        let (tickets, now) = (Tickets::default(), Instant::now());
        let first = tickets.make(who("first"), now);
        let made: Vec<String> = (0..MOST).map(|_| tickets.make(who("x"), now)).collect();
        assert!(tickets.take(&first, now).is_none());
        assert!(tickets.take(&made[0], now).is_some());
    }
}
