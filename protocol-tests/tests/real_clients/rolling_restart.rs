//! pusher-js against a cluster whose nodes are restarted one after the other, as an update does it.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol_tests::names::unique;
use protocol_tests::subject::Endpoint;
use protocol_tests::{
    App, AppConfig, Cluster, HttpClient, PublishedEvent, RedisServer, Request, TcpProxy, or_skip,
    within,
};
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio::time::{interval, sleep};

use crate::script::{Interpreter, Script};

const CLIENTS: usize = 9;
/// Between two publishes: 200 a second.
const PACE: Duration = Duration::from_millis(5);
/// What an event may take from the answer to its publish to the last client, in milliseconds, unless others of the run
/// took longer. A connection that is lost within that time may be lost with the event.
const ON_ITS_WAY_MS: u64 = 300;
/// How long the last events may take, before they count as missed.
const LAST_EVENTS: Duration = Duration::from_secs(20);

/// A node's clients find another one, receive all that is published while they are connected, and nothing twice.
#[tokio::test]
async fn clients_of_nodes_that_are_restarted_miss_nothing_while_they_are_connected() {
    let redis = RedisServer::start().await;
    let builder = Cluster::builder(redis.url()).app(AppConfig::new("10001"));
    let mut cluster = or_skip!(builder.start().await);
    let balancer = TcpProxy::start(&cluster.authorities()).await;
    let [channel, presence] = [unique("rolling-"), unique("presence-rolling-")];
    let settings = settings(&cluster, &balancer, &channel, &presence);
    let mut script = Script::start(Interpreter::Node, &["rolling.mjs", &settings], None);
    #[expect(
        clippy::disallowed_methods,
        reason = "there are a few lines for each client"
    )]
    let (notify, mut connected) = mpsc::unbounded_channel();
    let (end, ended) = watch::channel(None);
    let listening = async {
        let mut clients = Clients::new();
        let mut late = ended.clone();
        let too_late = async {
            let _end_of_test = late.wait_for(Option::is_some).await;
            sleep(LAST_EVENTS).await;
        };
        tokio::pin!(too_late);
        let mut ended = ended.clone();
        loop {
            let last = *ended.borrow_and_update();
            if last.is_some_and(|last| clients.have_all(last)) {
                break;
            }
            tokio::select! {
                line = script.line() => match line {
                    Some(line) => {
                        clients.note(&line);
                        let _end_of_test = notify.send(clients.connected());
                    }
                    None => return clients,
                },
                _ = ended.changed() => {}
                () = &mut too_late => break,
            }
        }
        script.write_line("end").await;
        while let Some(line) = script.line().await {
            clients.note(&line);
        }
        let result = script.ended().await;
        assert!(result.succeeded, "{}", result.stderr);
        clients
    };
    let restarting = async {
        wait_for_all(&mut connected).await;
        let app = cluster.app().clone();
        let publishing = Publishing::start(app, balancer.authority(), &channel);
        for position in cluster.positions() {
            publishing.go_on(200).await;
            let leaving = cluster[position].endpoint().authority.clone();
            let mut others = cluster.authorities();
            others.retain(|authority| *authority != leaving);
            // As a balancer does that asks /ready; the node then has its clients go.
            balancer.set_targets(&others);
            cluster.stop(position).await;
            cluster.start(position).await;
            balancer.set_targets(&cluster.authorities());
            wait_for_all(&mut connected).await;
        }
        publishing.go_on(200).await;
        let published = publishing.stop().await;
        end.send_replace(Some(published.len() - 1));
        published
    };
    let (clients, published) = tokio::join!(listening, restarting);
    clients.show_and_check(&published);
    cluster.finish().await;
}

fn settings(cluster: &Cluster, balancer: &TcpProxy, channel: &str, presence: &str) -> String {
    let (host, port) = balancer.authority().split_once(':').expect("host:port");
    let app = cluster.app();
    json!({
        "host": host,
        "port": port.parse::<u16>().expect("a port is a number"),
        "app": {"id": app.id, "key": app.key, "secret": app.secret},
        "tag": unique(""),
        "clients": CLIENTS,
        "channel": channel,
        "presence": presence,
    })
    .to_string()
}

/// Waits until every client is subscribed.
async fn wait_for_all(connected: &mut mpsc::UnboundedReceiver<usize>) {
    let all = async {
        // What is known by now first.
        let mut last = 0;
        while let Ok(count) = connected.try_recv() {
            last = count;
        }
        while last < CLIENTS {
            last = connected.recv().await.expect("the clients are listened to");
        }
    };
    within("every client to be subscribed", all).await;
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let ms = since.expect("it is later than 1970").as_millis();
    u64::try_from(ms).expect("it is not that late")
}

// The publisher

/// When an event was first sent, and when its publish was answered with 200; in milliseconds since 1970.
type Published = (u64, u64);

/// Publishes numbers through the balancer, 200 a second. A publish that fails is sent again under its key.
struct Publishing {
    task: tokio::task::JoinHandle<Vec<Published>>,
    stop: watch::Sender<bool>,
    count: watch::Receiver<usize>,
}

impl Publishing {
    fn start(app: App, balancer: &str, channel: &str) -> Publishing {
        let endpoint = Endpoint::parse(&format!("http://{balancer}"));
        let channel = channel.to_owned();
        let (stop, stopped) = watch::channel(false);
        let (counted, count) = watch::channel(0);
        let task = tokio::spawn(async move {
            let mut http = HttpClient::new(endpoint);
            let mut pace = interval(PACE);
            let mut published = Vec::new();
            while !*stopped.borrow() {
                pace.tick().await;
                let number = published.len();
                let sent = now_ms();
                publish(&mut http, &app, &channel, number).await;
                published.push((sent, now_ms()));
                counted.send_replace(number + 1);
            }
            published
        });
        Publishing { task, stop, count }
    }

    /// Waits for so many more publishes.
    async fn go_on(&self, more: usize) {
        let mut count = self.count.clone();
        let end = *count.borrow() + more;
        let enough = count.wait_for(|count| *count >= end);
        let enough = within("the publisher to go on", enough).await;
        enough.expect("the publisher does not panic");
    }

    async fn stop(self) -> Vec<Published> {
        self.stop.send_replace(true);
        let ended = within("the publisher's end", self.task).await;
        ended.expect("the publisher does not panic")
    }
}

async fn publish(http: &mut HttpClient, app: &App, channel: &str, number: usize) {
    let event = PublishedEvent::new(channel, "number", number.to_string());
    let event = event.with("idempotency_key", unique("k-").into());
    let accepted = async {
        loop {
            let request = Request::post(app, "/events").json(event.body());
            if try_publish(http, &request).await {
                return;
            }
            http.disconnect();
            sleep(PACE).await;
        }
    };
    within("a publish to be accepted", accepted).await;
}

/// Whether the publish was accepted; it may also have been refused, or its connection have ended.
async fn try_publish(http: &mut HttpClient, request: &Request) -> bool {
    let bytes = request.encode(&http.endpoint().authority, "");
    if http.connection().await.try_send(&bytes).await.is_err() {
        return false;
    }
    let answer = http.try_read_response_to("POST").await;
    answer.is_ok_and(|answer| answer.status == 200)
}

// The clients

/// What a client has reported of itself.
#[derive(Default)]
struct Client {
    /// From when to when it was subscribed; `None` as the end: until now.
    subscribed: Vec<(u64, Option<u64>)>,
    /// The events, each with the time in milliseconds.
    received: Vec<(usize, u64)>,
    members: Option<u64>,
}

impl Client {
    fn is_subscribed(&self) -> bool {
        self.subscribed.last().is_some_and(|(_, end)| end.is_none())
    }

    /// Whether it was subscribed when the event was published, and for long enough to receive what is on its way for
    /// so many milliseconds.
    fn must_have(&self, (sent, answered): Published, on_its_way: u64) -> bool {
        let mut subscribed = self.subscribed.iter();
        subscribed
            .any(|(from, to)| *from <= sent && to.is_none_or(|to| answered + on_its_way <= to))
    }

    /// The milliseconds that the slowest of its events took.
    fn slowest(&self, published: &[Published]) -> u64 {
        let took = |&(number, at): &(usize, u64)| at.saturating_sub(published[number].1);
        self.received.iter().map(took).max().unwrap_or_default()
    }
}

struct Clients(Vec<Client>);

impl Clients {
    fn new() -> Clients {
        Clients((0..CLIENTS).map(|_| Client::default()).collect())
    }

    fn connected(&self) -> usize {
        let clients = self.0.iter();
        clients.filter(|client| client.is_subscribed()).count()
    }

    /// Whether every client has the event with this number.
    fn have_all(&self, number: usize) -> bool {
        let has = |client: &Client| client.received.iter().rev().any(|event| event.0 == number);
        self.0.iter().all(has)
    }

    /// Notes what the program reports.
    fn note(&mut self, line: &str) {
        let report: Value = serde_json::from_str(line).expect("it prints JSON");
        let number = |name: &str| report[name].as_u64().unwrap_or_else(|| panic!("{report}"));
        let position = usize::try_from(number("client")).expect("there are nine");
        let client = &mut self.0[position];
        match report["what"].as_str() {
            Some("subscribed") => client.subscribed.push((number("at"), None)),
            Some("lost") => {
                // A connection may be lost before it is subscribed.
                if let Some((_, end)) = client.subscribed.last_mut() {
                    end.get_or_insert(number("at"));
                }
            }
            Some("event") => {
                let event = usize::try_from(number("number")).expect("it is a position");
                client.received.push((event, number("at")));
            }
            Some("members") => client.members = Some(number("count")),
            _ => panic!("{report}"),
        }
    }

    /// Prints what each client missed and when, and asserts that it could not have had that.
    fn show_and_check(&self, published: &[Published]) {
        let mut table = String::from("client | connections | away for | missed of all\n");
        let mut faults = Vec::new();
        let slowest = self.0.iter().map(|client| client.slowest(published)).max();
        let on_its_way = ON_ITS_WAY_MS.max(2 * slowest.unwrap_or_default());
        for (position, client) in self.0.iter().enumerate() {
            let received: BTreeSet<usize> = client.received.iter().map(|event| event.0).collect();
            if received.len() != client.received.len() {
                faults.push(format!("client {position} received events twice"));
            }
            let missed: Vec<usize> = (0..published.len())
                .filter(|number| !received.contains(number))
                .collect();
            let inexcusable = missed.iter().copied();
            let inexcusable: Vec<usize> = inexcusable
                .filter(|number| client.must_have(published[*number], on_its_way))
                .collect();
            if !inexcusable.is_empty() {
                faults.push(format!(
                    "client {position} missed {inexcusable:?} while it was connected"
                ));
            }
            if client.members != Some(CLIENTS as u64) {
                faults.push(format!(
                    "client {position} sees {:?} members in the end",
                    client.members
                ));
            }
            let away: Vec<String> = client
                .subscribed
                .windows(2)
                .map(|pair| format!("{} ms", pair[1].0 - pair[0].1.unwrap_or(pair[0].0)))
                .collect();
            table.push_str(&format!(
                "{position:6} | {:11} | {} | {} of {}\n",
                client.subscribed.len(),
                away.join(", "),
                missed.len(),
                published.len()
            ));
        }
        eprintln!("{table}allowed on its way: {on_its_way} ms");
        assert!(faults.is_empty(), "{faults:#?}");
        let restarted = self.0.iter().filter(|client| client.subscribed.len() > 1);
        assert!(restarted.count() > 0, "nobody had to reconnect");
    }
}
