//! What goes to a server together.

use std::collections::VecDeque;

use rand::RngExt as _;
use redis::Pipeline;

use super::channels::{context, lane_of};
use super::io::{Io, Use};
use super::jobs::{Item, Job, Lane};
use super::state::Node;
use crate::cluster::redis::channel::Page;
use crate::cluster::redis::keys::Topic;

/// Calls that go to a server together at most, and about how many bytes of them: what goes together
/// is to be there well before the server counts as away, on a slow way too.
const CALLS_AT_ONCE: usize = 256;
const BYTES_AT_ONCE: usize = 512 << 10;
/// Questions that go together: publishes are to come in between.
const QUESTIONS_AT_ONCE: usize = 32;
/// What comes along with the answer to a change that is about something else.
const LITTLE: Page = Page {
    bytes: 4 << 10,
    one_at_least: false,
};

/// What goes to a server together.
struct Batch {
    lane: Lane,
    /// Calls that go together, and what each is to be answered with at most.
    most: usize,
    page: Page,
    /// The epoch of channels that have none yet.
    epoch: String,
    pipeline: Pipeline,
    items: Vec<Item>,
    bytes: usize,
    /// Channels that may not publish before others, and how many calls there were then.
    held: VecDeque<Job>,
    items_before: usize,
}

impl Batch {
    fn has_room(&self) -> bool {
        self.items.len() < self.most && self.bytes < BYTES_AT_ONCE
    }
}

impl Node {
    /// Makes all calls that can be made now: one batch to each server that is not busy.
    pub(super) fn make_calls(&mut self) {
        for index in 0..self.servers.len() {
            self.make_listen_calls(index);
            for lane in Lane::ALL {
                if self.servers.is_free(index, lane) {
                    self.make_batch(index, lane);
                }
            }
        }
        if self.servers.is_empty() {
            return;
        }
        let is_connected = self.life.is_counted() && self.servers.all_reached();
        let metric = &self.setup.metrics.connected;
        metric.set(i64::from(is_connected));
    }

    fn make_batch(&mut self, index: usize, lane: Lane) {
        let (most, page) = self.share(index, lane);
        let mut batch = Batch {
            lane,
            most,
            page,
            epoch: format!("{:016x}", self.rng.random::<u64>()),
            pipeline: Pipeline::new(),
            items: Vec::new(),
            bytes: 0,
            held: VecDeque::new(),
            items_before: 0,
        };
        while batch.has_room() {
            match self.next_job(index, &mut batch) {
                Some(Job::Plain(plain)) => {
                    batch.pipeline.add_command(plain.command.clone());
                    batch.items.push(Item::Plain(plain));
                }
                Some(Job::Channel(topic)) => self.add_channel(index, topic, &mut batch),
                None => break,
            }
        }
        let queue = self.servers.lanes(index).queue(lane);
        batch.held.append(queue);
        *queue = batch.held;
        if batch.items.is_empty() {
            return;
        }
        if let Some(link) = self.servers.begin(index, lane) {
            let call = Use::Call(lane, self.now, batch.pipeline, batch.items);
            self.io.push(Io::Use(link, call));
        }
    }

    /// The next that waits; channels that were held have another go when others have published.
    fn next_job(&mut self, index: usize, batch: &mut Batch) -> Option<Job> {
        let queue = self.servers.lanes(index).queue(batch.lane);
        if queue.is_empty() && batch.items.len() > batch.items_before {
            batch.items_before = batch.items.len();
            std::mem::swap(queue, &mut batch.held);
        }
        queue.pop_front()
    }

    fn add_channel(&mut self, index: usize, topic: Topic, batch: &mut Batch) {
        self.number += 1;
        let is_counted = self.life.is_counted();
        let Some(channel) = self.channels.get_mut(&topic) else {
            return;
        };
        let its_lane = lane_of(channel, is_counted);
        if its_lane != batch.lane {
            // What it has to ask has changed since.
            let queue = self.servers.lanes(index).queue(its_lane);
            return queue.push_back(Job::Channel(topic));
        }
        channel.leave_queue();
        if !channel.wants_call(is_counted, self.now) {
            return;
        }
        let context = context!(self, self.servers.link_at(index), &batch.epoch);
        let call = channel.next_call(is_counted, batch.page, &context);
        if let Some((call, command)) = call {
            batch.bytes += call.bytes();
            batch.pipeline.add_command(command);
            batch.items.push(Item::Channel(topic, call));
        } else if channel.enqueue(is_counted, self.now) {
            batch.held.push_back(Job::Channel(topic));
        }
    }

    /// How many calls go together, and what each is to be answered with at most.
    fn share(&mut self, index: usize, lane: Lane) -> (usize, Page) {
        match lane {
            Lane::Calls => (CALLS_AT_ONCE, LITTLE),
            Lane::Questions => (QUESTIONS_AT_ONCE, LITTLE),
            Lane::Sync => {
                let lanes = self.servers.lanes(index);
                let (calls, bytes) = lanes.pace.share(lanes.len(lane));
                let one_at_least = true;
                let page = Page {
                    bytes,
                    one_at_least,
                };
                (calls, page)
            }
        }
    }

    fn make_listen_calls(&mut self, index: usize) {
        let Some((link, pipeline, topics)) = self.servers.begin_listening(index) else {
            return;
        };
        self.io.push(Io::Use(link, Use::Listen(pipeline, topics)));
    }
}
