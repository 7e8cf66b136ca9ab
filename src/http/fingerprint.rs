//! Whether a publish is the one that its idempotency key was first used for.

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::event::Event;
use crate::protocol::channel::Access;

const LENGTH: usize = 8;
/// Begins what is remembered with a fingerprint. Nodes of a version that knew none remember JSON alone.
const MARK: u8 = 1;

/// What tells two publishes apart: the call, and the names, channels and data of its events. Data of encrypted channels
/// are other ones each time that they are encrypted, and do not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; LENGTH]);

impl Fingerprint {
    /// Of a call with these events. It is the same on all nodes.
    pub(super) fn of(call: &str, events: &[Event<'_>]) -> Self {
        let mut digest = Sha256::new();
        let mut add = |text: &str| {
            // Its length, so that no text passes for part of the next.
            digest.update((text.len() as u64).to_be_bytes());
            digest.update(text);
        };
        add(call);
        for event in events {
            add(event.name());
            let mut is_encrypted = false;
            for channel in &event.channels {
                is_encrypted |= channel.kind().access == Access::Encrypted;
                add(channel.as_str());
            }
            // An event's channels end here.
            add("");
            if !is_encrypted {
                add(event.data());
            }
        }
        let mut own = [0; LENGTH];
        own.copy_from_slice(&digest.finalize()[..LENGTH]);
        Self(own)
    }

    /// What is to be remembered of this publish and its answer.
    pub(super) fn seal(self, answer: &[u8]) -> Bytes {
        [&[MARK], &self.0[..], answer].concat().into()
    }

    /// The answer that is remembered; None if it is another publish's.
    pub(super) fn open(self, remembered: Bytes) -> Option<Bytes> {
        if remembered.first() != Some(&MARK) {
            return Some(remembered);
        }
        let is_own = remembered.get(1..=LENGTH) == Some(&self.0[..]);
        is_own.then(|| remembered.slice(1 + LENGTH..))
    }
}

#[cfg(test)]
mod tests {
    use super::super::event::{Fields, parse_object};
    use super::*;
    use crate::apps::Limits;
    use crate::auth::request::Query;

    fn of(call: &str, events: &[&str]) -> Fingerprint {
        let query = Query::default();
        let fields: Vec<Fields<'_>> = events
            .iter()
            .map(|event| parse_object(event.as_bytes()).unwrap())
            .collect();
        let events: Vec<Event<'_>> = fields
            .iter()
            .map(|fields| fields.check(&query, &Limits::default()).unwrap())
            .collect();
        Fingerprint::of(call, &events)
    }

    const EVENT: &str = r#"{"name":"x","channels":["a","b"],"data":"y"}"#;

    #[test]
    fn publishes_differ_by_call_name_channels_and_data() {
        let own = of("events", &[EVENT]);
        for same in [
            r#"{ "data": "y", "channels": ["a", "b"], "name": "x" }"#,
            r#"{"name":"x","channels":["a","b"],"data":"y","socket_id":"1.2","idempotency_key":"k"}"#,
        ] {
            assert_eq!(of("events", &[same]), own);
        }
        for other in [
            r#"{"name":"z","channels":["a","b"],"data":"y"}"#,
            r#"{"name":"x","channels":["a"],"data":"y"}"#,
            r#"{"name":"x","channels":["ab"],"data":"y"}"#,
            r#"{"name":"x","channels":["a","b"],"data":"z"}"#,
        ] {
            assert_ne!(of("events", &[other]), own);
        }
        assert_ne!(of("batch_events", &[EVENT]), own);
        assert_ne!(of("events", &[EVENT, EVENT]), own);
    }

    #[test]
    fn what_is_encrypted_anew_is_the_same_publish() {
        let encrypted = |data: &str| {
            let event =
                format!(r#"{{"name":"x","channel":"private-encrypted-a","data":"{data}"}}"#);
            of("events", &[&event])
        };
        assert_eq!(encrypted("one nonce"), encrypted("another"));
        assert_ne!(encrypted("one nonce"), of("events", &[EVENT]));
    }

    #[test]
    fn an_answer_is_that_of_its_publish_alone() {
        let (own, other) = (of("events", &[EVENT]), of("batch_events", &[EVENT]));
        let remembered = own.seal(b"{}");
        assert_eq!(own.open(remembered.clone()).as_deref(), Some(&b"{}"[..]));
        assert_eq!(other.open(remembered.clone()), None);
        assert_eq!(own.open(remembered.slice(..4)), None);
        // Of a node that kept no fingerprints.
        let before = Bytes::from_static(b"{}");
        assert_eq!(other.open(before.clone()), Some(before));
    }
}
