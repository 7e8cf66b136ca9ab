//! What a receiver has seen, and the rules that hold between its requests.

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde_json::Value;
use tokio::time::Instant;

use super::answer::Answer;
use super::delivery::{Delivery, WebhookEvent};

/// Decides on the answer to a request.
pub(super) type Script = Box<dyn FnMut(&Delivery) -> Answer + Send>;

/// All that a receiver has seen so far, and how it is to answer.
pub(super) struct Record {
    pub(super) script: Script,
    /// How many requests are still to be cut off after their heads.
    pub(super) cuts: usize,
    /// Whether several nodes send, among which there is no order.
    pub(super) several_senders: bool,
    /// Whether an event may come again, with its id, after it was accepted.
    pub(super) repeats: bool,
    /// Connections so far.
    pub(super) connections: usize,
    pub(super) deliveries: Vec<Delivery>,
    /// The events of accepted requests, in the order of the answers.
    pub(super) accepted: Vec<WebhookEvent>,
    pub(super) faults: Vec<String>,
    events_by_id: HashMap<String, Value>,
    accepted_ids: HashSet<(String, String)>,
    attempts: HashMap<(String, String), usize>,
}

impl Record {
    pub(super) fn new() -> Record {
        Record {
            script: Box::new(|_| Answer::OK),
            cuts: 0,
            several_senders: false,
            repeats: false,
            connections: 0,
            deliveries: Vec::new(),
            accepted: Vec::new(),
            faults: Vec::new(),
            events_by_id: HashMap::new(),
            accepted_ids: HashSet::new(),
            attempts: HashMap::new(),
        }
    }

    /// Notes a request that has come. Returns its number and the answer that it gets.
    pub(super) fn begin(&mut self, mut delivery: Delivery) -> (usize, Answer) {
        for event in &delivery.events {
            let key = (delivery.target.clone(), event.id.clone());
            if !self.repeats && self.accepted_ids.contains(&key) {
                self.fault(&format!("{event:?} came again after it was accepted"));
            }
            *self.attempts.entry(key).or_default() += 1;
            let known = self
                .events_by_id
                .entry(event.id.clone())
                .or_insert_with(|| event.json.clone());
            if *known != event.json {
                let known = known.clone();
                self.fault(&format!("{event:?} has the id of {known}"));
            }
        }
        if !self.several_senders {
            self.check_one_at_a_time(&delivery);
        }
        let first = (delivery.target.clone(), delivery.events[0].id.clone());
        delivery.attempt = self.attempts[&first];
        let answer = (self.script)(&delivery);
        self.deliveries.push(delivery);
        (self.deliveries.len() - 1, answer)
    }

    /// Notes that a request is being answered, or that its connection has ended.
    pub(super) fn end(&mut self, number: usize, accepted: bool) {
        let delivery = &mut self.deliveries[number];
        delivery.ended = Some(Instant::now());
        delivery.accepted = accepted;
        if accepted {
            for event in &delivery.events {
                let key = (delivery.target.clone(), event.id.clone());
                self.accepted_ids.insert(key);
                self.accepted.push(event.clone());
            }
        }
    }

    pub(super) fn fault(&mut self, what: &str) {
        self.faults.push(what.to_owned());
    }

    /// Events of one channel keep their order, so no two requests of one are under way together.
    fn check_one_at_a_time(&mut self, delivery: &Delivery) {
        let mut others = self.deliveries.iter();
        let other = others.find(|other| {
            let shares_a_channel = || {
                let mut events = other.events.iter();
                events.any(|event| delivery.is_on(&event.channel))
            };
            other.ended.is_none() && other.target == delivery.target && shares_a_channel()
        });
        if let Some(other) = other {
            let fault = format!(
                "{:?} came while {:?} was under way",
                delivery.events, other.events
            );
            self.fault(&fault);
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Record")
            .field("connections", &self.connections)
            .field("deliveries", &self.deliveries)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}
