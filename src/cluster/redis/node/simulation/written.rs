//! Which events stand together in one entry of a log.

use bytes::Bytes;

use super::called::Called;
use crate::cluster::redis::entry::{Entry, What};
use crate::cluster::redis::script;

/// The node that writes an entry, and the number that it gives it.
pub(super) type EntryNumber = (u64, u64);

/// The numbers of the events that a call writes, and the entry that has them.
pub(super) fn written(command: &[Vec<u8>]) -> Option<(EntryNumber, Vec<u64>)> {
    let call = Called::of(&script::PUBLISH, command)?;
    let body = Bytes::copy_from_slice(call.argument("body"));
    let entry = Entry::parse(&body).unwrap();
    let What::Events { number, events } = entry.what else {
        return None;
    };
    let numbers = events.iter().map(|event| event_number(&event.payload));
    Some(((entry.origin.0, number), numbers.collect()))
}

fn event_number(payload: &[u8]) -> u64 {
    let message: serde_json::Value = serde_json::from_slice(payload).unwrap();
    number_of(message["data"].as_str().unwrap())
}

/// The number with which the data of an event begins.
pub(super) fn number_of(data: &str) -> u64 {
    let (number, _) = data.split_once(' ').unwrap();
    number.parse().unwrap()
}
