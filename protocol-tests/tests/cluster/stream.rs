//! A steady stream of events, and whether all of them arrive that were accepted.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use protocol_tests::{
    App, Cluster, Event, HttpClient, Request, TestServer, WsClient, eventually, within,
};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// Between two events of a stream.
const PACE: Duration = Duration::from_millis(4);
const NUMBER: &str = "of-stream";
const END: &str = "end-of-stream";

/// Publishes numbered events on a channel through one node, one after the other, until it is stopped.
pub(crate) struct Stream {
    shared: Arc<Shared>,
    task: JoinHandle<Vec<usize>>,
}

#[derive(Default)]
struct Shared {
    answered: AtomicUsize,
    refused: AtomicUsize,
    stop: AtomicBool,
}

impl Stream {
    pub(crate) fn start(node: &TestServer, channel: &str) -> Stream {
        let shared = Arc::new(Shared::default());
        let (app, http) = (node.app().clone(), node.http());
        let publishing = publish(app, http, channel.to_owned(), Arc::clone(&shared));
        Stream {
            shared,
            task: tokio::spawn(publishing),
        }
    }

    /// Waits until so many more events were answered, with whatever status.
    pub(crate) async fn go_on(&self, count: usize) {
        let end = self.shared.answered.load(Ordering::Relaxed) + count;
        eventually("the stream to go on", || async {
            assert!(!self.task.is_finished(), "the stream has ended");
            (self.shared.answered.load(Ordering::Relaxed) >= end).then_some(())
        })
        .await;
    }

    /// How many events were refused so far.
    pub(crate) fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// Ends the stream, and returns the numbers of the events that were accepted.
    pub(crate) async fn stop(self) -> Vec<usize> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let ended = within("the end of the stream", self.task).await;
        ended.expect("the stream does not panic")
    }
}

async fn publish(
    app: App,
    mut http: HttpClient,
    channel: String,
    shared: Arc<Shared>,
) -> Vec<usize> {
    let mut accepted = Vec::new();
    for number in 0.. {
        if shared.stop.load(Ordering::Relaxed) {
            break;
        }
        let body = json!({"channel": channel, "name": NUMBER, "data": number.to_string()});
        let request = Request::post(&app, "/events").json(&body);
        let answer = http.send(&request).await;
        match answer.status {
            200 => accepted.push(number),
            503 => {
                shared.refused.fetch_add(1, Ordering::Relaxed);
            }
            status => panic!("a publish was answered {status}: {}", answer.text()),
        }
        shared.answered.fetch_add(1, Ordering::Relaxed);
        sleep(PACE).await;
    }
    let body = json!({"channel": channel, "name": END, "data": ""});
    let request = Request::post(&app, "/events").json(&body);
    http.send(&request).await.expect_status(200);
    accepted
}

/// A client that receives a stream to its end.
pub(crate) struct Listener(JoinHandle<(WsClient, Vec<usize>)>);

impl Listener {
    /// Takes over a client that is subscribed to the stream's channel.
    pub(crate) fn start(client: WsClient, channel: &str) -> Listener {
        Listener(tokio::spawn(listen(client, channel.to_owned())))
    }

    /// Waits for the stream's end, and asserts that exactly these events came, in this order.
    pub(crate) async fn expect(self, accepted: &[usize]) -> WsClient {
        let received = within("the end of the stream to be received", self.0).await;
        let (client, received) = received.expect("a listener does not panic");
        assert_same(&received, accepted);
        client
    }
}

async fn listen(mut client: WsClient, channel: String) -> (WsClient, Vec<usize>) {
    let mut received = Vec::new();
    loop {
        let event = Event::parse(&client.next_text().await);
        if event.channel.as_deref() != Some(channel.as_str()) {
            continue;
        }
        match event.name.as_str() {
            NUMBER => received.push(event.data_text().parse().expect("the data is a number")),
            END => return (client, received),
            _ => {}
        }
    }
}

/// Asserts that two sequences are the same, and says in few words where they are not.
fn assert_same(received: &[usize], accepted: &[usize]) {
    if received == accepted {
        return;
    }
    let missing: Vec<_> = accepted
        .iter()
        .filter(|number| !received.contains(number))
        .collect();
    let uncalled: Vec<_> = received
        .iter()
        .filter(|number| !accepted.contains(number))
        .collect();
    let mut sorted = received.to_vec();
    sorted.sort_unstable();
    let twice: Vec<_> = sorted
        .windows(2)
        .filter(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
        .collect();
    let backwards: Vec<_> = received
        .windows(2)
        .filter(|pair| pair[0] > pair[1])
        .collect();
    panic!(
        "of {} accepted events {} were received; missing {missing:?}, refused and received all the same {uncalled:?}, \
         twice {twice:?}, out of order {backwards:?}",
        accepted.len(),
        received.len()
    );
}

/// Streams through every node at once, each on a channel of its own with a listener on every node.
pub(crate) struct Streams {
    /// The streams' channels.
    pub(crate) channels: Vec<String>,
    streams: Vec<(Stream, Vec<Listener>)>,
}

impl Streams {
    pub(crate) async fn start(cluster: &Cluster) -> Streams {
        let mut streams = Vec::new();
        let mut channels = Vec::new();
        for node in cluster.nodes() {
            let channel = crate::support::channel_name("private-stream-");
            let mut listeners = Vec::new();
            for listening in cluster.nodes() {
                let mut client = listening.connect().await;
                client.subscribe(&channel).await;
                listeners.push(Listener::start(client, &channel));
            }
            streams.push((Stream::start(node, &channel), listeners));
            channels.push(channel);
        }
        Streams { channels, streams }
    }

    /// Waits until so many more events were answered on every node.
    pub(crate) async fn go_on(&self, count: usize) {
        for (stream, _) in &self.streams {
            stream.go_on(count).await;
        }
    }

    /// Ends the streams: whatever was accepted must have arrived everywhere, once and in order; nothing may have been
    /// refused.
    pub(crate) async fn finish(self) {
        for (stream, listeners) in self.streams {
            assert_eq!(stream.refused(), 0, "publishes were refused");
            let accepted = stream.stop().await;
            for listener in listeners {
                listener.expect(&accepted).await;
            }
        }
    }
}
