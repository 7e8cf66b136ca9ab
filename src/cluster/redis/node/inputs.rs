//! What has happened, and who deals with it.

use std::time::Instant;

use super::io::{Event, Input, Io};
use super::state::Node;
use super::timers::Timer;
use crate::cluster::redis::link::{LinkId, Pushed};

impl Node {
    /// Deals with something that has happened.
    pub(super) fn on(&mut self, input: Input, now: Instant) {
        self.now = now;
        match input {
            Input::Request(request) => self.on_request(request),
            Input::Pushed(link, pushed) => self.on_pushed(link, pushed),
            Input::Event(event) => self.on_event(event),
            Input::Time => self.on_time(),
        }
        self.follow_up_unasked();
    }

    /// What is to be done now that all that has come is dealt with.
    pub(super) fn take_io(&mut self) -> std::vec::Drain<'_, Io> {
        self.make_calls();
        self.io.drain(..)
    }

    /// When the node has to look after something next.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        self.timers.next_at()
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Discovered(found) => self.on_discovered(found),
            Event::Connected(address, link) => self.on_connected(&address, link),
            Event::Answered(link, asked, items, answers) => {
                self.on_answers(link, asked, items, answers);
            }
            Event::Listened(link, topics, answers) => self.on_listened(link, topics, answers),
            Event::Pinged(link, Err(error)) | Event::ScriptsLoaded(link, Err(error)) => {
                self.on_link_lost(link, &error.to_string());
            }
            Event::Pinged(_, Ok(())) => {}
            Event::ScriptsLoaded(link, Ok(())) => self.servers.scripts_loaded(link),
        }
    }

    fn on_pushed(&mut self, link: LinkId, pushed: Pushed) {
        match pushed {
            Pushed::Message(topic, content) => self.on_message(link, &topic, content),
            Pushed::Listening(topic) => self.on_listening(link, &topic),
            Pushed::NotListening(topic) => self.on_not_listening(link, &topic),
            Pushed::Lost => self.on_link_lost(link, "the connection was closed"),
        }
    }

    fn on_time(&mut self) {
        while let Some(timer) = self.timers.take_due(self.now) {
            match timer {
                Timer::Heartbeat => self.beat(),
                Timer::Discover => self.discover(),
                Timer::Connect(address) => self.connect(&address),
                Timer::Channel(topic) => self.on_channel_time(&topic),
                Timer::Retry => self.call_again(),
                Timer::Settle => self.settle_again(),
                Timer::FollowApps => self.follow_apps(),
                Timer::Stop => self.go_on_stopping(),
            }
        }
    }
}
