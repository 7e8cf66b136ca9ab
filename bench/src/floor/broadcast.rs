//! One frame to every subscriber of a channel.

use std::collections::HashMap;
use std::mem;
use std::os::fd::RawFd;

use serde_json::Value;

use super::uring::{ENTRIES, Uring};
use super::{Fault, Server};
use crate::ws;

#[derive(Default)]
pub(super) struct Channel {
    pub(super) subscribers: Vec<RawFd>,
    /// Presence only: user id and info, by subscriber.
    pub(super) members: HashMap<RawFd, (String, Value)>,
}

impl Server {
    /// Sends one text to every subscriber of a channel but `except`.
    pub(super) fn broadcast(&mut self, channel: &str, text: &str, except: Option<RawFd>) {
        let Some(found) = self.channels.get_mut(channel) else {
            return;
        };
        let subscribers = mem::take(&mut found.subscribers);
        let mut frame = Vec::with_capacity(text.len() + 10);
        ws::encode(ws::TEXT, text.as_bytes(), None, &mut frame);
        match self.uring.take() {
            Some(mut uring) => {
                self.send_batched(&mut uring, &subscribers, &frame, except);
                self.uring = Some(uring);
            }
            None => {
                for fd in subscribers.iter().filter(|fd| Some(**fd) != except) {
                    match self.fault {
                        None => self.send(*fd, &frame),
                        Some(fault) => self.send_faulty(*fd, &frame, fault),
                    }
                }
            }
        }
        if let Some(found) = self.channels.get_mut(channel) {
            found.subscribers = subscribers;
        }
    }

    fn send_faulty(&mut self, fd: RawFd, frame: &[u8], fault: Fault) {
        self.deliveries += 1;
        match fault {
            _ if !self.deliveries.is_multiple_of(1000) => self.send(fd, frame),
            Fault::Drop => {}
            Fault::Duplicate => {
                self.send(fd, frame);
                self.send(fd, frame);
            }
            Fault::Corrupt => {
                let mut frame = frame.to_vec();
                if let Some(byte) = frame.iter_mut().rev().find(|byte| **byte == b'x') {
                    *byte = b'y';
                }
                self.send(fd, &frame);
            }
        }
    }

    fn send_batched(
        &mut self,
        uring: &mut Uring,
        subscribers: &[RawFd],
        frame: &[u8],
        except: Option<RawFd>,
    ) {
        for chunk in subscribers.chunks(ENTRIES as usize) {
            for fd in chunk.iter().copied().filter(|fd| Some(*fd) != except) {
                match self.conn(fd) {
                    Some(conn) if conn.unsent.is_empty() => uring.push(fd, frame),
                    Some(_) => self.queue(fd, frame),
                    None => {}
                }
            }
            for (fd, result) in uring.submit() {
                match result {
                    Ok(sent) => self.queue(fd, &frame[sent..]),
                    Err(libc::EAGAIN) => self.queue(fd, frame),
                    // The read side sees the broken connection and closes it.
                    Err(_) => {}
                }
            }
        }
    }

    pub(super) fn send_text(&mut self, fd: RawFd, text: &str) {
        let mut frame = Vec::with_capacity(text.len() + 10);
        ws::encode(ws::TEXT, text.as_bytes(), None, &mut frame);
        self.send(fd, &frame);
    }
}
