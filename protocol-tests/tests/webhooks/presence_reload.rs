//! A page with many members of one presence channel, loaded again by all of them at the same moment.

use std::collections::BTreeSet;
use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use protocol_tests::client::channel_data;
use protocol_tests::{HttpClient, Request, Skipped, TestServer, WsClient, eventually, or_skip};
use serde_json::json;
use tokio::runtime;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::support::{PRESENCE, app, member, occupied, receiver, settle};

/// Many times what a reload takes, on a slow machine, too.
const LEAVE_DELAY: Duration = Duration::from_secs(10);

/// Fewer members show nothing.
const FEWEST: usize = 12;

/// How many members stay meanwhile.
const OBSERVERS: usize = 3;

/// How many members reload. n members cause n² messages at each coming and going: 1,000 are two million deliveries, which
/// two cores and a server built for debugging need many seconds for. `PROTOCOL_TESTS_PRESENCE_MEMBERS=1000` asks for
/// them, best of a release build (`FANFARE_BIN`).
fn members() -> usize {
    let members = env::var("PROTOCOL_TESTS_PRESENCE_MEMBERS").ok();
    members.map_or(100, |members| members.parse().expect("a number of members"))
}

fn user(number: usize) -> String {
    format!("u{number}")
}

/// Members that take what they are sent without looking at it.
#[derive(Default)]
struct Crowd {
    draining: JoinSet<()>,
    joined: Arc<AtomicUsize>,
}

impl Crowd {
    /// Connects and subscribes so many members, and waits until each has succeeded.
    async fn join(server: &TestServer, channel: &str, count: usize) -> Crowd {
        let mut crowd = Crowd::default();
        for number in 0..count {
            let mut client = server.connect().await;
            let channel_data = channel_data(&user(number), json!({}));
            client
                .send_signed_subscribe(channel, Some(&channel_data))
                .await;
            crowd
                .draining
                .spawn(drain(client, Arc::clone(&crowd.joined)));
        }
        eventually("all members to have joined", || async {
            (crowd.joined.load(Ordering::Relaxed) == count).then_some(())
        })
        .await;
        crowd
    }

    /// Closes every connection.
    async fn leave(mut self) {
        self.draining.shutdown().await;
    }
}

async fn drain(mut client: WsClient, joined: Arc<AtomicUsize>) {
    const SUCCEEDED: &[u8] = b"pusher_internal:subscription_succeeded";
    loop {
        let Ok(frame) = client.socket.next().await else {
            return;
        };
        let mut parts = frame.payload.windows(SUCCEEDED.len()).take(64);
        if parts.any(|part| part == SUCCEEDED) {
            joined.fetch_add(1, Ordering::Relaxed);
            break;
        }
    }
    let connection = client.socket.connection();
    while connection.receive().await.is_ok() {
        let count = connection.buffered().len();
        connection.take(count);
    }
}

/// What a member that stays sees of the reload: when the last leave and the last return came.
async fn observe(mut client: WsClient, count: usize) -> (WsClient, Instant, Instant) {
    let mut last_leave = Instant::now();
    let mut away = BTreeSet::new();
    let mut back = BTreeSet::new();
    while back.len() < count {
        let event = client.next_event().await;
        let user_id = event.data_json()["user_id"].to_string();
        if event.name == "pusher_internal:member_removed" {
            last_leave = Instant::now();
            assert!(away.insert(user_id.clone()), "{user_id} left twice");
        } else {
            assert_eq!(event.name, "pusher_internal:member_added");
            assert!(away.contains(&user_id), "{user_id} had not left");
            assert!(back.insert(user_id.clone()), "{user_id} came back twice");
        }
    }
    (client, last_leave, Instant::now())
}

/// Asks for `/up` again and again, from a thread of its own, so that what the test does meanwhile does not count.
struct Probe {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Duration>>,
}

impl Probe {
    fn start(server: &TestServer) -> Probe {
        let stop = Arc::new(AtomicBool::new(false));
        let endpoint = server.endpoint().clone();
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be built").block_on(async {
                let mut http = HttpClient::new(endpoint);
                let mut took = Vec::new();
                while !stopped.load(Ordering::Relaxed) {
                    let began = Instant::now();
                    let response = http.send(&Request::new("GET", "/up")).await;
                    response.expect_status(200);
                    took.push(began.elapsed());
                    sleep(Duration::from_millis(2)).await;
                }
                took
            })
        });
        Probe { stop, thread }
    }

    /// The slowest but one in a hundred, and but three in any case, which a machine that does nothing for a moment may
    /// have slowed down; and how many there were.
    fn p99(self) -> (Duration, usize) {
        const LEFT_OUT: usize = 3;
        self.stop.store(true, Ordering::Relaxed);
        let mut took = self.thread.join().expect("/up answers 200");
        took.sort();
        let left_out = (took.len() / 100).max(LEFT_OUT);
        let p99 = took.len().checked_sub(left_out + 1);
        (p99.map_or(Duration::ZERO, |p99| took[p99]), took.len())
    }
}

#[tokio::test]
async fn reload_by_all_members_raises_no_webhook_and_is_seen_by_those_who_stay_at_once() {
    let mut count = members();
    // A machine that has much else to do takes half of them in half the time.
    while let Reloaded::TooSlowly(took) = or_skip!(reload(count).await) {
        count /= 2;
        assert!(
            count >= FEWEST,
            "too slow for the delay: {took:?}, try a release build"
        );
    }
}

/// What came of a reload.
enum Reloaded {
    InTime,
    /// It took longer than members may be away, so that nothing can be said about the rest.
    TooSlowly(Duration),
}

/// Lets so many members reload.
async fn reload(count: usize) -> Result<Reloaded, Skipped> {
    let mut receiver = receiver().await;
    let app = app(&receiver, &PRESENCE).limit("presence_members", 1100);
    let builder = TestServer::builder()
        .app(app)
        .set("webhooks.leave_delay_ms", LEAVE_DELAY.as_millis() as i64);
    let server = builder.start().await?;
    let channel = server.channel("presence-");
    let crowd = Crowd::join(&server, &channel, count).await;
    let mut observers = Vec::new();
    for number in 0..OBSERVERS {
        observers.push(member(&server, &channel, &format!("observer{number}")).await);
    }
    receiver.expect_event(occupied(&channel)).await;
    for _ in 0..count + OBSERVERS {
        let event = receiver.next_event_on(&channel).await;
        assert_eq!(event.name, "member_added", "{event:?}");
    }
    let mut observing = JoinSet::new();
    for (number, mut observer) in observers.into_iter().enumerate() {
        // Those that came after it.
        for _ in number + 1..OBSERVERS {
            observer.expect_event("pusher_internal:member_added").await;
        }
        observing.spawn(observe(observer, count));
    }

    let probe = Probe::start(&server);
    let began = Instant::now();
    crowd.leave().await;
    let crowd = Crowd::join(&server, &channel, count).await;
    let reloaded = began.elapsed();
    let observed = observing.join_all().await;
    let (p99, probes) = probe.p99();
    let seen = observed
        .iter()
        .map(|(_, left, back)| (*left - began, *back - began));
    let seen: Vec<_> = seen.collect();
    eprintln!(
        "{count} members reloaded in {reloaded:?}; the last leave and return as seen by those who \
         stayed: {seen:?}; p99 of {probes} /up: {p99:?}"
    );
    if reloaded >= LEAVE_DELAY {
        crowd.leave().await;
        server.finish().await;
        return Ok(Reloaded::TooSlowly(reloaded));
    }
    for (left, back) in seen {
        assert!(left < LEAVE_DELAY, "the last leave came after {left:?}");
        let late = back.saturating_sub(reloaded);
        assert!(late < LEAVE_DELAY / 2, "{late:?} after the reload");
    }
    // A slow machine takes longer for both.
    let most = Duration::from_millis(500).max(reloaded / 4);
    assert!(p99 < most, "p99 of /up is {p99:?}");

    settle(&server, &mut receiver).await;
    receiver.expect_nothing_more();
    crowd.leave().await;
    for _ in 0..count {
        let event = receiver.next_event_on(&channel).await;
        assert_eq!(event.name, "member_removed", "{event:?}");
    }
    server.finish().await;
    Ok(Reloaded::InTime)
}
