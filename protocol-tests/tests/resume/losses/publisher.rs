//! What is published: numbered events on each channel, one after another.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol_tests::random::Random;
use protocol_tests::{HttpClient, PublishedEvent, Request, TestServer};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::RATE;
use crate::page::{EVENT, Page};

/// One event in so many is not for one of its channel's pages.
const EXCLUDING: usize = 8;

/// All that was published, by channel; the first event has the number 1.
pub(crate) struct Ledger {
    channels: Vec<Mutex<Vec<Sent>>>,
}

/// An event that was published.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    /// When its publish began.
    pub(crate) at: Instant,
    /// The page with a token that it was not for.
    pub(crate) excluded: Option<usize>,
}

impl Ledger {
    pub(crate) fn new(channels: usize) -> Ledger {
        Ledger {
            channels: (0..channels).map(|_| Mutex::default()).collect(),
        }
    }

    /// Adds an event and returns its number.
    pub(crate) fn add(&self, channel: usize, excluded: Option<usize>) -> u32 {
        let mut sent = self.channels[channel]
            .lock()
            .expect("nobody panics with it");
        sent.push(Sent {
            at: Instant::now(),
            excluded,
        });
        u32::try_from(sent.len()).expect("a test publishes less")
    }

    /// The event of this number.
    pub(crate) fn get(&self, channel: usize, number: u32) -> Sent {
        self.channels[channel]
            .lock()
            .expect("nobody panics with it")[number as usize - 1]
    }

    /// All events of a channel.
    pub(crate) fn all(&self, channel: usize) -> Vec<Sent> {
        let sent = self.channels[channel].lock();
        sent.expect("nobody panics with it").clone()
    }
}

/// One task a channel.
pub(crate) struct Publishers {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<u32>>,
}

impl Publishers {
    pub(crate) fn start(
        server: &TestServer,
        channels: &[String],
        ledger: &Arc<Ledger>,
        pages: &Arc<Vec<Page>>,
        random: &mut Random,
    ) -> Publishers {
        let (stop, stopped) = watch::channel(false);
        let tasks = channels.iter().enumerate().map(|(number, name)| {
            let publisher = Publisher {
                number,
                name: name.clone(),
                app: server.app().clone(),
                http: HttpClient::new(server.endpoint().clone()),
                ledger: Arc::clone(ledger),
                pages: Arc::clone(pages),
                random: Random::new(random.below(1 << 30) as u64),
            };
            let every = Duration::from_secs(1) * channels.len() as u32 / RATE;
            tokio::spawn(publisher.run(every, stopped.clone()))
        });
        Publishers {
            tasks: tasks.collect(),
            stop,
        }
    }

    /// Publishes one last event for everybody on each channel, and returns its number for each.
    pub(crate) async fn stop(self) -> Vec<u32> {
        self.stop.send_replace(true);
        let mut last = Vec::new();
        for task in self.tasks {
            last.push(task.await.expect("a publish succeeds"));
        }
        last
    }
}

struct Publisher {
    number: usize,
    name: String,
    app: protocol_tests::App,
    http: HttpClient,
    ledger: Arc<Ledger>,
    pages: Arc<Vec<Page>>,
    random: Random,
}

impl Publisher {
    async fn run(mut self, every: Duration, stopped: watch::Receiver<bool>) -> u32 {
        let mut turns = interval(every);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            turns.tick().await;
            if *stopped.borrow() {
                return self.publish(None).await;
            }
            let excluded = (self.random.below(EXCLUDING) == 0).then(|| self.somebody());
            self.publish(excluded.flatten()).await;
        }
    }

    /// A page that is on this channel.
    fn somebody(&mut self) -> Option<usize> {
        let page = self.random.below(self.pages.len());
        let mut channels = self.pages[page].plan.channels.iter();
        channels
            .any(|(channel, _)| *channel == self.number)
            .then_some(page)
    }

    async fn publish(&mut self, excluded: Option<usize>) -> u32 {
        let number = self.ledger.add(self.number, excluded);
        let mut event = PublishedEvent::new(&self.name, EVENT, number.to_string());
        if let Some(page) = excluded {
            let diary = self.pages[page].diary();
            let life = diary.lives.last().expect("every page was connected once");
            event = event.excluding(&life.socket_id);
        }
        let request = Request::post(&self.app, "/events").json(event.body());
        self.http.send(&request).await.expect_status(200);
        number
    }
}
