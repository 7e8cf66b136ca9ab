//! Who is never cut off, and sees what others should not: members that come and go.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use protocol_tests::names::unique;
use protocol_tests::{Event, TestServer, WsClient};
use serde_json::json;
use tokio::task::JoinHandle;

use super::publisher::Ledger;
use crate::page::EVENT;

/// A connection to a channel, straight to the relay. Dropping it ends it.
pub(crate) struct Observer {
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    /// Users that have come or gone since the beginning, each as often as that.
    transitions: Mutex<Vec<String>>,
    /// Longest time from a publish to its arrival, in milliseconds.
    latency: AtomicU64,
}

impl Observer {
    pub(crate) async fn start(
        server: &TestServer,
        number: usize,
        channel: &str,
        ledger: &Arc<Ledger>,
    ) -> Observer {
        let mut client = server.connect().await;
        if channel.starts_with("presence-") {
            client
                .subscribe_presence(channel, &unique("observer-"), json!({}))
                .await;
        } else {
            client.subscribe(channel).await;
        }
        let seen = Arc::new(Seen::default());
        let observing = observe(client, number, Arc::clone(ledger), Arc::clone(&seen));
        Observer {
            seen,
            task: tokio::spawn(observing),
        }
    }

    /// Forgets who has come so far.
    pub(crate) fn begin(&self) {
        self.transitions().clear();
    }

    /// How many transitions of users it has seen whose ids begin so.
    pub(crate) fn transitions_of(&self, prefix: &str) -> usize {
        let transitions = self.transitions();
        let users = transitions.iter().filter(|user| user.starts_with(prefix));
        users.count()
    }

    /// The longest time that an event was on its way here.
    pub(crate) fn latency(&self) -> Duration {
        assert!(!self.task.is_finished(), "nobody has cut off the observers");
        Duration::from_millis(self.seen.latency.load(Ordering::Relaxed))
    }

    fn transitions(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        let transitions = self.seen.transitions.lock();
        transitions.expect("no observer panics holding this")
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn observe(mut client: WsClient, number: usize, ledger: Arc<Ledger>, seen: Arc<Seen>) {
    loop {
        let event = Event::parse(&client.next_text().await);
        match event.name.as_str() {
            EVENT => {
                let count = event.data_text().parse().expect("data is a number");
                let took = ledger.get(number, count).at.elapsed().as_millis();
                let took = u64::try_from(took).expect("tests do not take so long");
                seen.latency.fetch_max(took, Ordering::Relaxed);
            }
            "pusher_internal:member_added" | "pusher_internal:member_removed" => {
                let data = event.data_json();
                let user = data["user_id"].as_str().expect("a text").to_owned();
                let mut transitions = seen.transitions.lock().expect("nobody panics with it");
                transitions.push(user);
            }
            _ => panic!("this should not come: {}", event.text),
        }
    }
}
