//! What follows for the node when servers are found, reached and lost.

use redis::RedisResult;

use super::discovery::Discovered;
use super::io::Io;
use super::jobs::Job;
use super::servers::{Former, Search};
use super::state::Node;
use super::timers::Timer;
use crate::cluster::redis::channel::Asked;
use crate::cluster::redis::keys;
use crate::cluster::redis::link::{LinkId, Unusable};
use crate::cluster::redis::rights::Lack;
use crate::cluster::redis::wire::KEEPS_FOR;

impl Node {
    /// Looks for the servers.
    pub(super) fn discover(&mut self) {
        match self.servers.search(self.now) {
            Search::UnderWay => {}
            Search::Later(at) => self.at(at, Timer::Discover),
            Search::Begun(known) => self.io.push(Io::Discover(known)),
        }
    }

    pub(super) fn on_discovered(&mut self, found: RedisResult<Discovered>) {
        match found {
            Err(error) => {
                let again = self.servers.on_not_found(self.now, &mut self.rng);
                match self.setup.rights.lack_of(&error) {
                    Some(lack) => self.note_lack(lack, &error.to_string()),
                    None => self.note_trouble(&error.to_string()),
                }
                self.at(again, Timer::Discover);
            }
            Ok(found) => self.take_over(found),
        }
    }

    /// These are the servers from now on. What has moved is listened to where it is now.
    fn take_over(&mut self, found: Discovered) {
        let former = self.servers.replace(found);
        let links = former.links.iter().copied();
        self.io.extend(links.map(Io::Disconnect));
        self.move_channels(&former);
        self.follow_apps();
        for job in former.queued {
            match job {
                // It goes where it belongs.
                Job::Plain(plain) => self.call(plain),
                job => self.give_up(job),
            }
        }
        for job in former.abandoned {
            self.give_up(job);
        }
        for address in self.servers.down() {
            self.connect(&address);
        }
        for topic in self.topics() {
            self.look_after(&topic);
        }
    }

    fn move_channels(&mut self, former: &Former) {
        for channel in self.channels.values_mut() {
            if !self.servers.has_moved(channel.slot(), former) {
                continue;
            }
            if channel.listening() == Asked::Done {
                self.setup.metrics.subscriptions.dec();
            }
            channel.leave_queue();
            if self.servers.link_of(channel.slot()).is_some() {
                channel.on_moved(self.now)
            } else {
                channel.on_lost(self.now)
            }
        }
    }

    fn give_up(&mut self, job: Job) {
        match job {
            Job::Plain(plain) => self.postponed.unasked.push_back(plain.then),
            Job::Channel(topic) => {
                if let Some(channel) = self.channels.get_mut(&topic) {
                    channel.leave_queue();
                }
            }
        }
    }

    pub(super) fn connect(&mut self, address: &str) {
        self.io.extend(self.servers.connect(address));
    }

    pub(super) fn on_connected(&mut self, address: &str, link: Result<LinkId, Unusable>) {
        match link {
            Ok(link) if self.servers.on_connected(address, link, self.now) => {
                tracing::info!(server = address, "connected to Redis");
                self.on_reached(link);
            }
            Ok(link) => self.io.push(Io::Disconnect(link)),
            Err(error) => self.on_not_connected(address, error),
        }
    }

    fn on_not_connected(&mut self, address: &str, error: Unusable) {
        let again = self
            .servers
            .on_not_connected(address, self.now, &mut self.rng);
        let Some(retries) = again else { return };
        match error {
            Unusable::Lacks(lack) => self.note_lack(lack, address),
            Unusable::Failed(error) => {
                let text = format!("{address}: {error}");
                match self.setup.rights.lack_of(&error) {
                    Some(lack) => self.note_lack(lack, &text),
                    None => self.note_trouble(&text),
                }
            }
        }
        for (at, timer) in retries {
            self.at(at, timer);
        }
    }

    fn on_reached(&mut self, link: LinkId) {
        if self.servers.all_reached() {
            self.note_no_lack();
        }
        self.memory.keep_until(self.now + KEEPS_FOR);
        if self.servers.are_several() {
            // It may have gone back by itself, which no heartbeat shows.
            self.recent.note_forgotten();
        }
        let servers = &self.servers;
        for cleaning_up in self.life.dead.values_mut() {
            cleaning_up.starts_over = servers.are_several();
        }
        self.memory.on_reached(link, |link| servers.is_up(link));
        self.beat();
        self.follow_apps_at(link);
        for topic in self.topics() {
            self.look_after(&topic);
        }
    }

    pub(super) fn on_link_lost(&mut self, link: LinkId, reason: &str) {
        let Some(lost) = self.servers.on_lost(link, self.now, &mut self.rng) else {
            return;
        };
        self.io.push(Io::Disconnect(link));
        let server = &*lost.address;
        tracing::warn!(server, reason, "lost the connection to Redis");
        for job in lost.jobs {
            self.give_up(job);
        }
        let nodes_slot = keys::slot(&self.setup.keys.nodes()[0]);
        if self.servers.link_of(nodes_slot).is_none() {
            self.life.is_not_counted();
        }
        self.repeat_recent();
        self.lose_channels();
        self.show_standing();
        for (at, timer) in lost.retries {
            self.at(at, timer);
        }
    }

    fn lose_channels(&mut self) {
        let is_counted = self.life.is_counted();
        for channel in self.channels.values_mut() {
            if self.servers.link_of(channel.slot()).is_none() {
                if channel.listening() == Asked::Done {
                    self.setup.metrics.subscriptions.dec();
                }
                channel.on_lost(self.now);
            } else if !is_counted {
                channel.on_listed(false);
            }
        }
    }

    /// What a server that is gone was sent last is sent again when it is back.
    fn repeat_recent(&mut self) {
        for (at, topic, written) in self.recent.take(self.now) {
            match self.channels.get_mut(&topic) {
                Some(channel) if self.servers.link_of(channel.slot()).is_none() => {
                    channel.repeat(written);
                }
                _ => self.recent.pass_on(&topic, written, at),
            }
        }
    }

    /// Redis is there, and does not let this node do what it needs. It is logged once.
    pub(super) fn note_lack(&mut self, lack: Lack, context: &str) {
        self.setup.metrics.refused.set(1);
        let before = self.setup.shared.lack.lock().replace(lack.clone());
        if before.as_ref() != Some(&lack) {
            tracing::error!(context, "{lack}");
        }
        self.show_standing();
    }

    fn note_no_lack(&mut self) {
        *self.setup.shared.lack.lock() = None;
        self.setup.metrics.refused.set(0);
        self.show_standing();
    }

    fn note_trouble(&mut self, reason: &str) {
        if let Some(target) = self.servers.trouble(self.now) {
            tracing::warn!(target, reason, "Redis cannot be reached: trying again");
        }
    }
}
