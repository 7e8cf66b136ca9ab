//! What the bodies of webhooks report, by plain search.

use std::collections::BTreeMap;

use memchr::memmem;
use serde::{Deserialize, Serialize};

/// What stands before an event's name. In an event's data its quotes would be escaped.
const NAME: &[u8] = b"\"name\":\"";

#[derive(Clone, Default, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    /// By name, repetitions too.
    pub(crate) events: BTreeMap<String, u64>,
}

impl Counts {
    /// One more request with this body.
    pub(crate) fn add(&mut self, body: &[u8]) {
        self.requests += 1;
        for at in memmem::find_iter(body, NAME) {
            let rest = &body[at + NAME.len()..];
            let end = memchr::memchr(b'"', rest).unwrap_or(rest.len());
            let name = String::from_utf8_lossy(&rest[..end]);
            match self.events.get_mut(&*name) {
                Some(count) => *count += 1,
                None => drop(self.events.insert(name.into_owned(), 1)),
            }
        }
    }

    pub(crate) fn of(&self, name: &str) -> u64 {
        self.events.get(name).copied().unwrap_or(0)
    }

    /// Events of any name.
    pub(crate) fn all(&self) -> u64 {
        self.events.values().sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_by_name_and_their_data_is_not() {
        let mut counts = Counts::default();
        counts.add(
            br#"{"time_ms":1,"events":[{"name":"client_event","channel":"private-a","event":"client-x","data":"{\"name\":\"member_added\"}"},{"name":"client_event","channel":"private-a"},{"name":"channel_vacated","channel":"a"}]}"#,
        );
        counts.add(br#"{"time_ms":1,"events":[]}"#);
        assert_eq!((counts.requests, counts.all()), (2, 3));
        assert_eq!(counts.of("client_event"), 2);
        assert_eq!(counts.of("channel_vacated"), 1);
        assert_eq!(counts.of("member_added"), 0);
    }
}
