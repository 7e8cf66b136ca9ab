//! A backend that publishes to one node all the time, one event after the other.

use std::collections::HashMap;
use std::time::Duration;

use protocol_tests::subject::Endpoint;
use protocol_tests::{App, HttpClient, PublishedEvent, Request};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::events::{Published, SharedLedger};
use crate::tab::EVENT;

/// Between the answer to one event and the next.
const PAUSE: Duration = Duration::from_millis(30);

/// Dropping it ends it at once.
pub(crate) struct Publisher {
    pub(crate) task: JoinHandle<()>,
}

impl Publisher {
    /// Publishes on each of the channels in turn while `is_on` says so.
    pub(crate) fn start(
        name: &str,
        (endpoint, app): (&Endpoint, &App),
        channels: &[String],
        ledger: &SharedLedger,
        is_on: watch::Receiver<bool>,
    ) -> Publisher {
        let work = Work {
            name: name.to_owned(),
            http: HttpClient::new(endpoint.clone()),
            app: app.clone(),
            channels: channels.to_vec(),
            ledger: SharedLedger::clone(ledger),
        };
        Publisher {
            task: tokio::spawn(work.run(is_on)),
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Work {
    name: String,
    http: HttpClient,
    app: App,
    channels: Vec<String>,
    ledger: SharedLedger,
}

impl Work {
    async fn run(mut self, mut is_on: watch::Receiver<bool>) {
        let mut numbers: HashMap<String, u64> = HashMap::new();
        for turn in 0.. {
            if is_on.wait_for(|is_on| *is_on).await.is_err() {
                return;
            }
            let channel = self.channels[turn % self.channels.len()].clone();
            let number = numbers.entry(channel.clone()).or_default();
            *number += 1;
            let mark = (channel, self.name.clone(), *number);
            self.publish(mark).await;
            sleep(PAUSE).await;
        }
    }

    async fn publish(&mut self, mark: (String, String, u64)) {
        let event = PublishedEvent::new(&mark.0, EVENT, format!("{}:{}", mark.1, mark.2));
        let request = Request::post(&self.app, "/events").json(event.body());
        let begun = Instant::now();
        let position = self
            .ledger
            .lock()
            .expect("nobody panics holding this")
            .add(Published {
                mark,
                begun,
                answer: None,
            });
        let status = self.http.send(&request).await.status;
        let mut ledger = self.ledger.lock().expect("nobody panics holding this");
        ledger.answer(position, Instant::now(), status);
    }
}
